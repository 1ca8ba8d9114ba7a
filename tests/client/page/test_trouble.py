"""The page when something is refused, missing, unplugged or lost."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.client.page.chromium import SLOWLY, element, eventually, until


def test_refused_microphone_is_said(page, open_page):
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia ="
        "  () => Promise.reject(new DOMException('no', 'NotAllowedError'));"
    )
    open_page()
    element(page, "start").click()
    expect(element(page, "alert")).to_contain_text("refused", timeout=SLOWLY)
    expect(element(page, "start")).to_be_enabled()


def test_insecure_page_is_said_before_and_after_start(page, open_page):
    page.goto(open_page().http.replace("127.0.0.1", "elsewhere.test"))
    expect(element(page, "alert")).to_contain_text("https", timeout=SLOWLY)
    element(page, "start").click()
    eventually(page, "status", "Stopped")
    expect(element(page, "alert")).to_contain_text("https", timeout=SLOWLY)


def test_unplugged_microphone_is_replaced_or_said(page, open_page, complaints):
    """The first time there is another one; the second time there is none."""
    page.add_init_script(
        "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wish) => (window.stream = await open(wish));"
        "window.refuse = () => {"
        "  navigator.mediaDevices.getUserMedia ="
        "    () => Promise.reject(new DOMException('gone', 'NotFoundError'));"
        "};"
        "window.unplug = () => {"
        "  const [track] = window.stream.getTracks();"
        "  track.stop();"
        "  track.dispatchEvent(new Event('ended'));"
        "};"
    )
    open_page()
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.evaluate("stream.getTracks()[0].dispatchEvent(new Event('mute'))")
    expect(element(page, "warning")).to_contain_text("muted the microphone", timeout=SLOWLY)
    page.evaluate("unplug()")
    expect(element(page, "warning")).to_contain_text("another one took its place", timeout=SLOWLY)
    until(page, "Number(document.getElementById('mic').ariaValueNow) > -50")
    eventually(page, "status", "Listening")
    page.evaluate("refuse()")
    page.evaluate("unplug()")
    expect(element(page, "alert")).to_contain_text("There is no microphone", timeout=SLOWLY)
    eventually(page, "status", "Stopped")
    assert not complaints


def test_silent_microphone_is_said(page, open_page):
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () =>"
        "  new AudioContext().createMediaStreamDestination().stream;"
    )
    open_page()
    element(page, "start").click()
    expect(element(page, "warning")).to_contain_text("only silence", timeout=SLOWLY)


def test_processing_that_stays_on_is_said(page, open_page):
    page.add_init_script(
        "const real = MediaStreamTrack.prototype.getSettings;"
        "MediaStreamTrack.prototype.getSettings = function () {"
        "  return { ...real.call(this), echoCancellation: true };"
        "};"
    )
    open_page()
    element(page, "start").click()
    expect(element(page, "warning")).to_contain_text("echoCancellation", timeout=SLOWLY)


def test_lost_connection_is_resumed_and_a_lost_service_replaced(page, open_page, start_server, complaints):
    """First the socket is lost, then the service starts again on the same port."""
    page.add_init_script(
        "const Real = WebSocket;"
        "window.WebSocket = class extends Real {"
        "  constructor(...of) { super(...of); window.socket = this; }"
        "};"
    )
    server = open_page(drain_s=0)
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.evaluate("socket.close()")
    expect(element(page, "events")).to_contain_text("session.updated", timeout=SLOWLY)
    eventually(page, "status", "Listening")
    until(page, "document.getElementById('warning').textContent === ''")
    assert "duplex_sessions_resumed_total 1.0" in server.metrics()
    expect(element(page, "events")).not_to_contain_text("gap")  # what was lost with the socket came again
    server.stop()
    eventually(page, "status", "Reconnecting")
    start_server(port=server.port)
    eventually(page, "status", "Listening")
    expect(element(page, "warning")).to_contain_text("a new one goes on", timeout=SLOWLY)
    element(page, "stop").click()
    eventually(page, "status", "Stopped")


def test_browser_that_refuses_16_khz_is_resampled(page, open_page, complaints):
    page.add_init_script(
        "const create = AudioContext.prototype.createMediaStreamSource;"
        "AudioContext.prototype.createMediaStreamSource = function (stream) {"
        "  if (this.sampleRate === 16000) throw new DOMException('rate', 'NotSupportedError');"
        "  return create.call(this, stream);"
        "};"
    )
    open_page()
    element(page, "start").click()
    eventually(page, "status", "Listening")
    eventually(page, "reference", "ok")
    until(page, "Number(document.getElementById('mic').ariaValueNow) > -50")
    assert not complaints


def test_service_that_is_gone_or_full_is_said(page, open_page):
    server = open_page(max_sessions=1)
    element(page, "start").click()
    eventually(page, "status", "Listening")
    other = page.context.new_page()
    other.goto(server.http)
    element(other, "start").click()
    expect(element(other, "alert")).to_contain_text("The service is full", timeout=SLOWLY)
    other.close()
    element(page, "stop").click()
    eventually(page, "status", "Stopped")
    server.stop()
    element(page, "start").click()
    expect(element(page, "alert")).to_contain_text("does not answer", timeout=SLOWLY)


def test_halted_sound_is_said_and_goes_on_with_a_tap(page, open_page, complaints):
    page.add_init_script(
        "const Real = AudioContext;"
        "window.AudioContext = class extends Real {"
        "  constructor(...of) { super(...of); window.audio = this; }"
        "};"
    )
    open_page()
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.evaluate("audio.suspend()")
    expect(element(page, "warning")).to_contain_text("stopped the sound", timeout=SLOWLY)
    element(page, "status").click()
    expect(element(page, "warning")).not_to_contain_text("stopped the sound", timeout=SLOWLY)
    assert page.evaluate("audio.state") == "running"
    assert not complaints
