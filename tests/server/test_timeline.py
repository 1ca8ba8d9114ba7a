import base64
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.events import AudioGap, InputAudioAppend, Reference
from server.protocol import AudioFrame, Flag, Kind, ServerProtocol
from server.timeline import Timeline

Hop = tuple[int, np.ndarray, np.ndarray]
ONE_CLOCK = Flag.ONE_CLOCK


def frame(
    start: int, mic: np.ndarray | None, ref: np.ndarray | None, seq: int, flags: int = ONE_CLOCK, ms: int = 0
) -> AudioFrame:
    kind = Kind.REF if mic is None else Kind.MIC if ref is None else Kind.MIC_REF
    samples = len(ref if mic is None else mic)  # type: ignore[arg-type]
    return AudioFrame(kind, flags, seq, start, start, samples, ms, pcm(mic), pcm(ref))


def pcm(audio: np.ndarray | None) -> np.ndarray | None:
    return None if audio is None else np.rint(audio * 32767).astype(np.int16)


def pairs(audio: np.ndarray, start: int = 0, cuts: Sequence[int] = ()) -> list[AudioFrame]:
    """Cut `(2, n)` into frames of mic and ref, of 20 ms at 16 kHz unless `cuts` says where."""
    bounds = [0, *cuts, audio.shape[1]] if cuts else [*range(0, audio.shape[1] + 1, 320)]
    return [
        frame(start + a, audio[0, a:b], audio[1, a:b], seq)
        for seq, (a, b) in enumerate(itertools.pairwise(bounds))
    ]


def run(timeline: Timeline, frames: Iterable[AudioFrame]) -> tuple[list[Hop], list[Any]]:
    hops: list[Hop] = []
    reports: list[Any] = []
    for each in frames:
        reports += timeline.push(each)
        while (hop := timeline.pop()) is not None:
            hops.append(hop)
    return hops, reports


def gaps(reports: list[Any]) -> list[AudioGap]:
    return [report for report in reports if isinstance(report, AudioGap)]


def states(reports: list[Any]) -> list[str]:
    return [report.state for report in reports if isinstance(report, Reference)]


def signals(hops: list[Hop]) -> np.ndarray:
    for start, mic, ref in hops:
        assert mic.shape == ref.shape == (320,)
        assert mic.dtype == ref.dtype == np.float32
        assert isinstance(start, int)
    return np.stack([np.concatenate([hop[1] for hop in hops]), np.concatenate([hop[2] for hop in hops])])


def noise(samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (2, samples))


def tone(hz: float, rate: float, start: int, samples: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * (start + np.arange(samples)) / rate)


def test_16_khz_passes_bit_for_bit():
    audio = noise(3200)
    hops, reports = run(Timeline(16000), pairs(audio))
    assert [hop[0] for hop in hops] == list(range(0, 3200, 320))
    np.testing.assert_array_equal(signals(hops), np.stack([pcm(row) for row in audio]) / 32768)
    assert states(reports) == ["ok"]


@given(widths=st.lists(st.integers(160, 1600), min_size=2, max_size=10))
@settings(max_examples=30)
def test_hops_do_not_depend_on_the_frames(widths: list[int]):
    cuts = np.cumsum(widths).tolist()
    audio = noise(cuts[-1])
    hops, reports = run(Timeline(16000), pairs(audio, cuts=cuts[:-1]))
    assert len(hops) == cuts[-1] // 320
    np.testing.assert_array_equal(
        signals(hops), (np.stack([pcm(row) for row in audio]) / 32768)[:, : 320 * len(hops)]
    )
    assert not gaps(reports)


@pytest.mark.parametrize("rate", [24000, 48000])
@pytest.mark.parametrize("start", [0, 1, 2, 12_345, 3600 * 48_000 + 7])
def test_index_stays_exact_through_resampling(rate: int, start: int):
    """Sample `n` of the output shows the time `n / 16000` on the microphone's clock, hours in as well."""
    samples = rate // 50
    frames = [
        frame(at, tone(440, rate, at, samples), tone(1234, rate, at, samples), seq)
        for seq, at in enumerate(range(start, start + 200 * samples, samples))
    ]
    hops, _ = run(Timeline(rate), frames)
    assert len(hops) >= 199
    first = hops[0][0]
    assert [hop[0] for hop in hops] == list(range(first, first + 320 * len(hops), 320))
    assert first <= start * 16000 / rate < first + 40
    mic, ref = signals(hops)
    np.testing.assert_allclose(mic[320:], tone(440, 16000, first + 320, len(mic) - 320), atol=1e-3)
    np.testing.assert_allclose(ref[320:], tone(1234, 16000, first + 320, len(mic) - 320), atol=1e-3)


@pytest.mark.parametrize("rate", [24000, 48000])
def test_each_20_ms_frame_gives_its_hop_at_once(rate: int):
    timeline = Timeline(rate)
    for n in range(10):
        hops, _ = run(timeline, [frame(n * rate // 50, np.zeros(rate // 50), np.zeros(rate // 50), n)])
        assert len(hops) == 1


def test_mic_and_ref_are_filled_together():
    audio = noise(6400)
    frames = pairs(audio)
    timeline = Timeline(16000)
    hops, reports = run(timeline, frames[:5] + frames[6:])
    due = np.stack([pcm(row) for row in audio]) / 32768
    due[:, 1600:1920] = 0
    np.testing.assert_array_equal(signals(hops), due)
    assert [(g.at_ms, g.lost_ms, g.filled_ms, g.reason) for g in gaps(reports)] == [(100, 20, 20, "lost")]
    assert (timeline.lost, timeline.late) == (1, 0)


def test_repeated_and_swapped_frames_change_nothing():
    audio = noise(6400)
    frames = pairs(audio)
    frames[7], frames[8] = frames[8], frames[7]
    timeline = Timeline(16000)
    hops, reports = run(timeline, [*frames[:12], frames[3], *frames[12:]])
    np.testing.assert_array_equal(signals(hops), np.stack([pcm(row) for row in audio]) / 32768)
    assert [(g.reason, g.dropped_ms) for g in gaps(reports)] == [("repeated", 20)]
    assert (timeline.lost, timeline.late) == (0, 1)


def test_samples_that_the_peer_itself_lost_are_not_waited_for():
    audio = noise(320)
    frames = [frame(at, *audio, seq) for seq, at in enumerate([0, 320, 1280])]
    hops, reports = run(Timeline(16000), frames)
    assert len(hops) == 5
    assert [g.lost_ms for g in gaps(reports)] == [40]


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_long_gap_is_left_open_and_restarts_the_filters(rate: int):
    size, timeline, restarted = rate // 40, Timeline(rate), []
    starts = [*range(0, 10 * size, size), *range(rate * 3, rate * 3 + 10 * size, size)]
    hops, reports = [], []
    for seq, at in enumerate(starts):
        reports += timeline.push(frame(at, tone(440, rate, at, size), tone(300, rate, at, size), seq))
        while (hop := timeline.pop()) is not None:
            hops.append(hop)
            restarted.append(timeline.restarted)
    (gap,) = gaps(reports)
    assert (gap.at_ms, gap.lost_ms, gap.filled_ms, gap.reset) == (250, 2750, 0, True)
    assert sum(restarted) == 1
    after = restarted.index(True)
    assert 48000 - 40 <= hops[after][0] <= 48000
    before = np.concatenate([hop[1] for hop in hops[:after]])
    start = hops[0][0]
    np.testing.assert_allclose(
        before[320 : 3960 - start], tone(440, 16000, start + 320, 3640 - start), atol=1e-3
    )
    later = hops[after + 1]
    np.testing.assert_allclose(later[2], tone(300, 16000, later[0], 320), atol=1e-3)


def test_ref_left_out_and_mute_are_zeros():
    audio = noise(320)
    left_out = AudioFrame(Kind.MIC_REF, ONE_CLOCK | Flag.REF_SILENT, 0, 0, 0, 320, 0, pcm(audio[0]), None)
    hops, _ = run(Timeline(16000), [left_out, frame(320, *audio, 1, ONE_CLOCK | Flag.MUTED)])
    assert hops[0][1].any()
    assert not hops[0][2].any()
    assert not hops[1][1].any()
    assert hops[1][2].any()


def test_queue_is_bounded_and_says_so():
    timeline = Timeline(16000)
    reports = [report for each in pairs(noise(32000)) for report in timeline.push(each)]
    refused = gaps(reports)
    assert timeline.queued <= 500 * 16 + 320
    assert len(refused) == 75
    assert {g.reason for g in refused} == {"overflow"}


def test_reference_is_ok_only_once_audio_has_arrived():
    timeline, silence = Timeline(16000), np.zeros((2, 320))
    assert timeline.reference == "missing"
    _, reports = run(timeline, [frame(n * 320, *silence, n) for n in range(10)])
    assert (states(reports), timeline.reference) == (["silent"], "silent")
    _, reports = run(timeline, [frame(3200, *noise(320), 10)])
    assert states(reports) == ["ok"]
    _, reports = run(timeline, [frame(n * 320, *silence, n) for n in range(11, 200)])
    assert states(reports) == ["silent"]


def test_reference_is_missing_after_a_second_without_any():
    timeline = Timeline(16000)
    _, reports = run(timeline, [frame(n * 320, noise(320)[0], None, n) for n in range(49)])
    assert states(reports) == []
    _, reports = run(timeline, [frame(n * 320, noise(320)[0], None, n) for n in range(49, 60)])
    assert (states(reports), timeline.reference) == (["missing"], "missing")


def test_json_appends_go_on_where_the_audio_ended():
    protocol, timeline = ServerProtocol(24000), Timeline(24000)
    audio = np.stack([tone(440, 24000, 0, 24000), tone(700, 24000, 0, 24000)])
    hops: list[Hop] = []
    reports: list[Any] = []
    for cut in np.split(audio, [100, 5000, 12000], axis=1):
        fields = [base64.b64encode(row.astype("<i2").tobytes()).decode() for row in map(pcm, cut)]  # type: ignore[union-attr]
        event = {"type": "input_audio_buffer.append", "audio": fields[0], "reference": fields[1]}
        append = protocol.receive_text(json.dumps(event))
        assert isinstance(append, InputAudioAppend)
        reports += timeline.append(append)
        while (hop := timeline.pop()) is not None:
            hops.append(hop)
    assert len(hops) == 50
    mic, ref = signals(hops)
    start = hops[0][0]
    np.testing.assert_allclose(mic[320:], tone(440, 16000, start + 320, len(mic) - 320), atol=1e-3)
    np.testing.assert_allclose(ref[320:], tone(700, 16000, start + 320, len(ref) - 320), atol=1e-3)
    assert states(reports) == ["ok"]


def test_swapped_wires_are_said_in_words():
    far = np.random.default_rng(3).uniform(-0.3, 0.3, 6 * 16000)
    near = np.roll(far, 1600) * 0.5
    _, reports = run(Timeline(16000), pairs(np.stack([far, near])))
    assert states(reports) == ["ok", "swapped"]
    assert "swapped" in reports[-1].message
    assert reports[-1].at_ms < 4000
    _, reports = run(Timeline(16000), pairs(np.stack([near, far])))
    assert states(reports) == ["ok"]


def test_playback_that_the_reference_contradicts():
    timeline = Timeline(16000)
    timeline.playback(True)
    _, reports = run(timeline, pairs(np.stack([noise(48000)[0], np.zeros(48000)])))
    assert [(report.state, report.message is None) for report in reports] == [
        ("silent", True),
        ("silent", False),
    ]
    assert not timeline.playback_denied
    timeline = Timeline(16000)
    timeline.playback(False)
    _, reports = run(timeline, pairs(noise(48000)))
    assert states(reports) == ["ok", "ok"]
    assert timeline.playback_denied


def test_json_without_reference_is_silence_and_missing():
    timeline = Timeline(24000)
    reports: list[Any] = []
    for _ in range(60):
        reports += timeline.append(
            InputAudioAppend.model_validate({"audio": base64.b64encode(b"\1\0" * 480).decode()})
        )
        hop = timeline.pop()
        assert hop is not None
        assert not hop[2].any()
    assert states(reports) == ["missing"]


def split(audio: np.ndarray, flags: int, order: Sequence[str] = "mr") -> list[AudioFrame]:
    """Mic and ref in frames of their own."""
    frames: list[AudioFrame] = []
    for at in range(0, audio.shape[1], 320):
        for which in order:
            mic, ref = (audio[0, at : at + 320], None) if which == "m" else (None, audio[1, at : at + 320])
            frames.append(frame(at, mic, ref, len(frames), flags, ms=at // 16 + 20))
    return frames


@pytest.mark.parametrize("order", ["mr", "rm"])
def test_own_frames_on_one_clock_are_aligned_by_index(order: str):
    audio = noise(16000)
    hops, reports = run(Timeline(16000), split(audio, ONE_CLOCK, order))
    due = np.stack([pcm(row) for row in audio]) / 32768
    out = signals(hops)
    assert out.shape[1] >= 16000 - 640
    np.testing.assert_allclose(out[:, 640:], due[:, 640 : out.shape[1]], atol=1e-6)
    assert states(reports) == ["ok"]


def test_reference_that_stops_coming_delays_the_microphone_only_so_long():
    audio = noise(48000)
    frames = split(audio, ONE_CLOCK)
    stopped = [each for each in frames if each.kind == Kind.MIC or each.ref_start < 8000]
    timeline = Timeline(16000)
    hops, reports = run(timeline, stopped)
    assert states(reports) == ["ok", "missing"]
    assert len(hops) == 150
    assert not signals(hops)[1, 8320:].any()


def drifting(ppm: float, rate: int, seconds: int) -> list[AudioFrame]:
    """Both devices hear 440 Hz; the reference's clock is fast by `ppm`; frames are sent up to 8 ms late."""
    rng, size = np.random.default_rng(3), rate // 50
    ref_rate = rate * (1 + ppm * 1e-6)
    sent = [
        (size * (k + 1) / clock + rng.uniform(0, 0.008), clock, k * size)
        for k in range(50 * seconds)
        for clock in (rate, ref_rate)
    ]
    frames: list[AudioFrame] = []
    for seq, (at, clock, start) in enumerate(sorted(sent)):
        audio = tone(440, clock, start, size)
        ms = (round(at * 1000) + 2**32 - 5000) % 2**32  # the peer's counter wraps after 5 s
        mic, ref = (audio, None) if clock == rate else (None, audio)
        frames.append(frame(start, mic, ref, seq, 0, ms))
    return frames


def lag(mic: np.ndarray, ref: np.ndarray) -> float:
    """Samples by which the 440 Hz of `ref` come after those of `mic`."""
    turn = np.hanning(len(mic)) * np.exp(-2j * np.pi * 440 / 16000 * np.arange(len(mic)))
    return float(np.angle(np.sum(mic * turn) * np.conj(np.sum(ref * turn)))) / (2 * np.pi * 440) * 16000


@pytest.mark.parametrize(("ppm", "rate"), [(120.0, 16000), (-250.0, 48000)])
def test_drift_between_two_clocks_is_found_and_taken_out(ppm: float, rate: int):
    timeline = Timeline(rate)
    hops, reports = run(timeline, drifting(ppm, rate, 45))
    assert timeline.drift_ppm == pytest.approx(ppm, abs=10)
    assert reports[-1].drift_ppm == pytest.approx(ppm, abs=25)
    mic, ref = signals(hops)
    lags = [lag(mic[at : at + 8000], ref[at : at + 8000]) for at in range(25 * 16000, 43 * 16000, 16000)]
    # Uncorrected, 120 ppm are 33 samples over these 17 s; 250 ppm are more than slewing alone makes up for.
    assert np.ptp(lags) < 10
    assert not gaps(reports)


def test_frames_that_overtake_each_other_do_not_confuse_the_clocks():
    frames = drifting(120.0, 16000, 20)
    for n in range(0, len(frames) - 4, 50):
        frames[n], frames[n + 3] = frames[n + 3], frames[n]
    timeline = Timeline(16000)
    run(timeline, frames)
    assert timeline.drift_ppm == pytest.approx(120, abs=60)


messages = st.builds(
    lambda start, size, seq, flags, kind, ms: frame(
        start,
        None if kind == 3 else np.full(size, 0.1),
        None if kind == 2 else np.full(size, 0.1),
        seq,
        flags,
        ms,
    ),
    st.integers(0, 4000) | st.integers(0, 2**53 - 1),
    st.integers(160, 1600),
    st.integers(0, 20) | st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 4, 5, 8, 16]),
    st.sampled_from([1, 2, 3]),
    st.integers(0, 2**32 - 1),
)


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_hostile_frames_never_break_the_timeline(rate: int, data: st.DataObject):
    timeline, last = Timeline(rate), -1_000
    frames = data.draw(st.lists(messages.filter(lambda f: f.samples <= rate // 10), max_size=15))
    for each in frames:
        timeline.push(each)
        assert timeline.queued <= (500 + 2000 + 200 + 100) * 16
        while (hop := timeline.pop()) is not None:
            assert hop[0] >= last
            last = hop[0]
            assert np.isfinite(hop[1]).all()
            assert np.isfinite(hop[2]).all()
