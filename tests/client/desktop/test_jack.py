"""`duplex loopback` on JACK's dummy sound card, its output plugged into its input."""

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16_000


def recorded(folder: Path) -> dict[str, np.ndarray]:
    return {name: soundfile.read(folder / f"{name}.wav")[0] for name in ("mic", "ref", "vad", "asr")}


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def counted(summary: str) -> dict[str, int]:
    names = ("input overflow", "output underflow", "late samples", "dropped samples")
    return {name: int(re.search(rf"{name} (\d+)", summary)[1]) for name in names}


def erle_db(audio: dict[str, np.ndarray], start_s: float) -> float:
    tail = slice(round(start_s * RATE), None)
    return 10 * np.log10(np.mean(audio["mic"][tail] ** 2) / (np.mean(audio["vad"][tail] ** 2) + 1e-12))


def finish(process) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return out


def test_what_is_played_comes_back_two_periods_later(start_jack, loopback, tmp_path):
    jack = start_jack(RATE, 320)
    process = loopback(jack, "--asr", "none", "--seconds", "9", "--record", str(tmp_path))
    jack.plug("PortAudio:out_0", "PortAudio:in_0")
    counts = counted(finish(process))

    audio = recorded(tmp_path)
    assert {len(channel) for channel in audio.values()} == {9 * RATE}
    plugged = np.flatnonzero(audio["mic"])[0]
    delayed = np.concatenate([np.zeros(640), audio["ref"][:-640]])
    different = np.flatnonzero(audio["mic"][plugged:] != delayed[plugged:])
    if counts["input overflow"] + counts["output underflow"] == 0:
        assert not len(different), "audio was lost that no counter knows of"
        stats = [event for event in events(tmp_path) if event["type"] == "duplex.aec.stats"]
        assert stats[-1]["delay_ms"] == 40.0
        assert erle_db(audio, plugged / RATE + 5) > 30


@pytest.mark.parametrize(
    ("rate", "period", "channels"),
    [(44_100, 1024, 8), pytest.param(8_000, 160, 1, marks=pytest.mark.slow)],
)
def test_other_rates_and_channels(start_jack, loopback, tmp_path, rate, period, channels):
    jack = start_jack(rate, period, "-C", str(channels), "-P", str(channels))
    number = channels  # the last one is the microphone
    options = ("--asr", "none", "--seconds", "5", "--record", str(tmp_path), "--channel", str(number))
    process = loopback(jack, *options)
    jack.plug("PortAudio:out_0", f"PortAudio:in_{number - 1}")
    assert f"{rate} Hz" in finish(process)

    audio = recorded(tmp_path)
    assert {len(channel) for channel in audio.values()} == {5 * RATE}
    tail = slice(3 * RATE, None)
    lags = np.fft.irfft(np.fft.rfft(audio["mic"][tail]) * np.fft.rfft(audio["ref"][tail]).conj())
    assert 0 < np.argmax(lags) < RATE // 5
    assert np.mean(audio["mic"][tail] ** 2) == pytest.approx(np.mean(audio["ref"][tail] ** 2), rel=0.3)
    assert np.mean(audio["vad"][tail] ** 2) < 0.1 * np.mean(audio["mic"][tail] ** 2)


def test_ctrl_c_ends_in_order(start_jack, loopback, tmp_path):
    jack = start_jack(RATE, 320)
    process = loopback(jack, "--asr", "none", "--jsonl", "--record", str(tmp_path))
    while json.loads(process.stdout.readline())["type"] != "duplex.aec.stats":
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert all(json.loads(line) for line in out.splitlines())
    assert "dropped samples 0" in err
    assert len({len(channel) for channel in recorded(tmp_path).values()}) == 1


def test_a_device_that_goes_away_is_an_error(start_jack, loopback, tmp_path):
    jack = start_jack(RATE, 320)
    process = loopback(jack, "--asr", "none", "--jsonl", "--record", str(tmp_path))
    while json.loads(process.stdout.readline())["type"] != "duplex.aec.stats":
        pass
    jack.stop()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no more audio comes" in err
    assert len({len(channel) for channel in recorded(tmp_path).values()}) == 1


def test_an_agent_of_a_server_elsewhere(start_jack, loopback, server, tmp_path):
    jack = start_jack(48_000, 960)
    options = ("--agent", "narrator", "--seconds", "4", "--jsonl", "--record", str(tmp_path))
    process = loopback(jack, "--url", server.url, *options)
    jack.plug("PortAudio:out_0", "PortAudio:in_0")
    kinds = {json.loads(line)["type"] for line in finish(process).splitlines()}
    assert {"session.created", "session.updated", "duplex.aec.stats", "response.created"} <= kinds
    assert "error" not in kinds
    audio = recorded(tmp_path)
    assert {len(channel) for channel in audio.values()} == {4 * RATE}
    assert np.max(np.abs(audio["ref"])) > 0.05


def test_an_agent_that_the_service_does_not_have(start_jack, loopback):
    jack = start_jack(RATE, 320)
    process = loopback(jack, "--asr", "none", "--agent", "openai")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "openai" in err


def test_the_devices_are_listed(start_jack, loopback):
    jack = start_jack(RATE, 320)
    assert "JACK Audio Connection Kit" in finish(loopback(jack, "--list-devices"))


def test_a_name_that_fits_no_device(start_jack, loopback):
    jack = start_jack(RATE, 320)
    process = loopback(jack, "--input", "gramophone")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no input device fits 'gramophone'" in err
