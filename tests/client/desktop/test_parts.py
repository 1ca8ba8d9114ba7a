"""The parts of the loopback without a sound card."""

import io
import json
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from client.agent_voice import AgentVoice
from client.audio import AudioFileError
from client.desktop.agent import Agent, load_clip
from client.desktop.devices import Device, DeviceError, Setup, find
from client.desktop.frames import FRAME, Framer
from client.desktop.monitor import MonitorCallback, captured_ms
from client.desktop.recorder import Recorder
from client.desktop.ring import Ring
from client.desktop.service_agent import ServiceAgent
from client.desktop.stream import AudioStream, DuplexCallback
from client.desktop.view import View, level_bar

RATE = 16_000


def ramp(n, start=0):
    return np.arange(start, start + n, dtype=np.float32)


class TestRing:
    @given(
        capacity=st.integers(1, 17),
        steps=st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60),
    )
    def test_what_goes_in_comes_out_once_and_in_order(self, capacity, steps):
        ring, written, got = Ring(capacity, 2), 0, []
        for writes, n in steps:
            if writes:
                block = np.stack([ramp(n, written), -ramp(n, written)], axis=1)
                fits = n <= capacity - ring.waiting
                assert ring.write(block) == fits
                written += n if fits else 0
            else:
                out = np.full((n, 2), np.nan, np.float32)
                count = ring.read_into(out)
                got.append(out[:count])
                assert np.isnan(out[count:]).all()
        got.append(ring.read())
        everything = np.concatenate(got)
        np.testing.assert_array_equal(everything, np.stack([ramp(written), -ramp(written)], axis=1))


def status(**flags):
    names = ("input_overflow", "input_underflow", "output_underflow", "output_overflow")
    return SimpleNamespace(**(dict.fromkeys(names, False) | flags))


class TestCallback:
    def call(self, callback, mic, outputs=2, flags=None):
        out = np.full((len(mic), outputs), np.nan, np.float32)
        callback(mic, out, len(mic), None, flags)
        return out

    def test_the_block_that_is_played_is_the_reference(self):
        callback = DuplexCallback(4096, channel=1)
        callback.voice.write(ramp(100)[:, None])
        mic = np.stack([ramp(160), ramp(160, 1000), ramp(160, 2000)], axis=1)
        out = self.call(callback, mic)
        played = np.concatenate([ramp(100), np.zeros(60)])
        np.testing.assert_array_equal(out, np.stack([played, played], axis=1))
        np.testing.assert_array_equal(callback.captured.read(), np.stack([ramp(160, 1000), played], axis=1))

    def test_blocks_of_any_length(self):
        callback = DuplexCallback(1 << 16, channel=0)
        callback.voice.write(ramp(30_000)[:, None])
        out = self.call(callback, ramp(30_000, 7)[:, None], outputs=1)
        np.testing.assert_array_equal(out[:, 0], ramp(30_000))
        np.testing.assert_array_equal(
            callback.captured.read(), np.stack([ramp(30_000, 7), ramp(30_000)], axis=1)
        )

    def test_everything_that_goes_wrong_is_counted(self):
        callback = DuplexCallback(320, channel=0)
        mic = ramp(160)[:, None]
        self.call(callback, mic)
        assert callback.counters.late_samples == 0  # nothing was to be played
        callback.voiced = True
        callback.voice.write(ramp(100)[:, None])
        self.call(callback, mic, flags=status(input_overflow=True, output_underflow=True))
        self.call(callback, mic, flags=status(input_underflow=True))
        counters = callback.counters
        assert counters.late_samples == 60 + 160
        assert counters.dropped_samples == 160  # the third block found two waiting
        assert (counters.input_overflow, counters.output_underflow, counters.xruns) == (2, 1, 3)
        assert len(callback.captured.read()) == 320

    def test_it_allocates_nothing_that_grows_with_the_block(self):
        callback = DuplexCallback(1 << 16, channel=0)
        mic, out = np.zeros((4096, 2), np.float32), np.zeros((4096, 2), np.float32)
        voice = np.zeros((4096, 1), np.float32)
        callback(mic, out, 4096, None, None)
        peaks = []
        tracemalloc.start()
        try:
            for _ in range(40):  # past the end of the rings
                callback.voice.write(voice)
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                callback(mic, out, 4096, None, None)
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
                callback.captured.taken = callback.captured.written
        finally:
            tracemalloc.stop()
        assert max(peaks) < 2048  # array headers; a block is 32 kB


class TestMonitor:
    def test_a_block_that_finds_no_room_is_counted(self):
        callback = MonitorCallback(300, channels=2)
        for start in (0, 200):
            block = np.stack([ramp(200, start), ramp(200)], axis=1)
            callback(block, 200, None, None)
        callback(np.zeros((50, 2), np.float32), 50, None, status(input_overflow=True))
        assert (callback.blocks, callback.lost, callback.stamp[0]) == (3, 2, 250)
        np.testing.assert_array_equal(callback.captured.read()[:200, 0], ramp(200))

    def test_when_a_frame_was_captured_follows_from_the_last_block(self):
        assert captured_ms((48_000, 7.0), 48_000, seconds=1.0) == 7000
        assert captured_ms((48_000, 7.0), 48_000, seconds=0.98) == 6980


class TestAgent:
    def agent(self):
        return Agent(np.ones(1000, np.float32), RATE)

    def test_it_repeats_its_clip(self):
        agent = Agent(ramp(1000), RATE)
        got = np.concatenate([agent.read(n)[:, 0] for n in (300, 900, 0, 1300)])
        np.testing.assert_array_equal(got, np.tile(ramp(1000), 3)[:2500])

    def test_it_lowers_its_voice_stops_and_goes_on(self):
        agent = self.agent()
        agent.hear({"type": "duplex.barge_in", "stage": "duck"})
        ducked = agent.read(RATE // 2)[:, 0]
        assert ducked[-1] == pytest.approx(0.25)
        assert np.abs(np.diff(ducked)).max() < 0.01  # no click
        agent.hear({"type": "duplex.barge_in", "stage": "commit"})
        assert not agent.read(RATE)[RATE // 10 :].any()
        agent.hear({"type": "input_audio_buffer.speech_stopped"})
        assert not agent.read(RATE).any()
        assert agent.read(RATE)[-1] == 1

    def test_a_false_interruption_gives_its_voice_back(self):
        agent = self.agent()
        agent.hear({"type": "duplex.barge_in", "stage": "duck"})
        agent.read(RATE)
        agent.hear({"type": "duplex.false_interruption"})
        assert agent.read(RATE)[-1] == 1

    def test_it_waits_while_somebody_goes_on_talking(self):
        agent = self.agent()
        agent.hear({"type": "duplex.barge_in", "stage": "commit"})
        agent.hear({"type": "input_audio_buffer.speech_stopped"})
        agent.read(RATE)
        agent.hear({"type": "input_audio_buffer.speech_started"})
        assert not agent.read(5 * RATE)[RATE // 10 :].any()

    def test_the_clip_that_ships_and_files(self, tmp_path):
        assert len(load_clip("clip", 8000)) > 8000
        assert not Agent(load_clip("none", RATE), RATE).speaks
        soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 8000)
        assert len(load_clip(str(tmp_path / "a.wav"), RATE)) == 200
        with pytest.raises(AudioFileError, match="no such file"):
            load_clip("gramophone", RATE)


class TestServiceAgent:
    def voice(self):
        voice = AgentVoice(RATE)
        voice.hear({"type": "response.created", "response": {"item_id": "a"}})
        return voice

    def test_it_plays_what_came_and_then_silence(self):
        voice = self.voice()
        voice.add(np.arange(1, 801, dtype=np.int16))
        agent = ServiceAgent(voice, RATE)
        played = np.concatenate([agent.read(n) for n in (100, 0, 500, 400)])
        expected = np.concatenate([np.arange(1, 801), np.zeros(200)]) / 32768
        np.testing.assert_array_equal(played[:, 0], expected.astype(np.float32))

    @pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
    def test_at_the_rate_of_the_device(self, rate):
        voice = self.voice()
        tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
        voice.add(tone.astype(np.int16))
        agent = ServiceAgent(voice, rate)
        played = np.concatenate([agent.read(rate // 100) for _ in range(150)])[rate // 2 :, 0]
        spectrum = np.abs(np.fft.rfft(played * np.hanning(len(played))))
        assert np.argmax(spectrum) * rate / len(played) == pytest.approx(440, abs=2)

    def test_it_reports_what_was_heard_and_only_news(self):
        voice = self.voice()
        voice.add(np.ones(RATE, np.int16))
        agent = ServiceAgent(voice, RATE)
        assert agent.report(0) is None
        agent.read(6400)
        first = agent.report(ahead=1600)
        assert (first["playing"], first["item_id"], first["played_ms"]) == (True, "a", 300)
        agent.read(1600)
        assert agent.report(ahead=1600) is None
        agent.read(1600)
        assert agent.report(ahead=1600)["played_ms"] == 500
        voice.hear({"type": "duplex.barge_in", "stage": "commit"})
        agent.read(320)
        assert agent.report(ahead=0)["playing"] is False


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_frames_keep_mic_and_ref_together(rate):
    t = np.arange(rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    framer, frames = Framer(rate, 2), []
    for cut in np.array_split(np.stack([tone, tone], axis=1), 37):
        frames += framer.push(cut)
    frames += framer.push(np.zeros((rate, 2), np.float32))
    assert {frame.shape for frame in frames} == {(FRAME, 2)}
    audio = np.concatenate(frames)[:RATE]
    assert len(audio) == RATE
    np.testing.assert_array_equal(audio[:, 0], audio[:, 1])
    expected = 0.5 * 32768 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(audio[1000 : RATE - 1000, 0], expected[1000 : RATE - 1000], atol=40)


class TestRecorder:
    def test_four_files_of_one_length(self, tmp_path):
        sound = np.arange(1, 961, dtype=np.int16)
        with Recorder(tmp_path / "a" / "b") as recorder:
            recorder.add(sound[:640], sound[:640] + 1)
            recorder.add_cleaned(0, np.stack([sound[:320], sound[:320]], axis=1))
            recorder.add(sound[640:960], sound[640:960] + 1)
            cleaned = np.stack([sound[300:640], sound[300:640]], axis=1)
            recorder.add_cleaned(460, cleaned)  # after a hole of 140
            recorder.add_cleaned(700, cleaned)  # overlaps, and ends behind the microphone
            recorder.event({"type": "x", "text": "ü"})
        files = {name: soundfile.read(tmp_path / f"a/b/{name}.wav", dtype="int16") for name in ("mic", "vad")}
        assert [len(audio) for audio, rate in files.values()] == [960, 960]
        np.testing.assert_array_equal(files["mic"][0], sound)
        vad = files["vad"][0]
        np.testing.assert_array_equal(vad[:320], sound[:320])
        assert not vad[320:460].any()
        np.testing.assert_array_equal(vad[460:800], sound[300:640])
        np.testing.assert_array_equal(vad[800:960], sound[400:560])
        assert json.loads((tmp_path / "a/b/events.jsonl").read_text()) == {"type": "x", "text": "ü"}

    @pytest.mark.parametrize("start", [-100, 0, 250])
    def test_a_reference_of_its_own_keeps_its_place(self, tmp_path, start):
        sound = np.arange(1, 1281, dtype=np.int16)
        with Recorder(tmp_path) as recorder:
            recorder.add_mic(sound[:320])
            for at in range(0, 960, 320):
                recorder.add_ref(sound[at : at + 320], start if at == 0 else 12_345)
                recorder.add_mic(sound[at + 320 : at + 640])
        ref, _ = soundfile.read(tmp_path / "ref.wav", dtype="int16")
        expected = np.concatenate([np.zeros(max(start, 0)), sound[:960][max(-start, 0) :], np.zeros(500)])
        np.testing.assert_array_equal(ref, expected[:1280])

    def test_a_folder_that_cannot_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(AudioFileError, match="cannot be written"):
            Recorder(tmp_path / "file")


CARDS = [
    Device(0, "USB Audio: Mic", "ALSA", 1, 0, 44_100),
    Device(1, "USB Audio: Speaker", "ALSA", 0, 2, 48_000),
    Device(2, "pulse", "ALSA", 32, 32, 44_100),
    Device(3, "pulse monitor", "ALSA", 2, 0, 44_100),
]


class TestFind:
    @pytest.mark.parametrize(("wanted", "index"), [("mic", 0), ("3", 3), ("PULSE", 2), ("monitor, alsa", 3)])
    def test_by_number_or_a_part_of_the_name(self, wanted, index):
        assert find(CARDS, wanted, "input").index == index

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [("speaker", "no input device fits"), ("1", "no input"), ("alsa", "more than one.*0 USB.*2 pulse")],
    )
    def test_what_fits_none_or_several_is_refused(self, wanted, message):
        with pytest.raises(DeviceError, match=message):
            find(CARDS, wanted, "input")

    def test_a_machine_without_a_microphone(self):
        with pytest.raises(DeviceError, match="no audio input device"):
            find(CARDS[1:2], None, "input")


def test_the_view_shows_what_happened():
    card = CARDS[2]
    stream = AudioStream(Setup(card, card, RATE, 1, 1, 0))
    stream.counters.output_underflow = 3
    view = View("here", stream)
    stats = {"at_ms": 9500, "delay_ms": 118.5, "erle_db": 41.2, "mic_dbfs": -24.1, "ref_dbfs": -18.3}
    view.event({"type": "duplex.aec.stats", "out_dbfs": -66.0, "double_talk": True, **stats})
    started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 9000, "item_id": "a"}
    view.event({**started, "duplex": {"during_playback": True}})
    delta = "conversation.item.input_audio_transcription.delta"
    view.event({"type": delta, "item_id": "a", "delta": "stop", "text": "stop there"})
    view.event({"type": "duplex.barge_in", "stage": "duck", "audio_ms": 200, "item_id": "a"})
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(view)
    text = console.export_text()
    for shown in ("here", "-24.1 dBFS", "delay 118 ms", "ERLE 41 dB", "xruns 3", "double talk", "stop there"):
        assert shown in text
    assert "while the agent talks" in text
    assert "barge-in duck" in text


def test_a_level_is_a_bar():
    filled = [level_bar(level).plain.count("█") for level in (None, -90.0, -35.0, 0.0, 6.0)]
    assert filled == [0, 0, 20, 40, 40]
