import numpy as np
import pytest

from aec_core.types import HOP, SAMPLE_RATE
from server.gate import EchoGate, GateConfig, GateReading, decibels

SECOND = SAMPLE_RATE // HOP  # hops


def speechlike(seed: int, hops: int, dbfs: float) -> np.ndarray:
    """Noise in syllables, `(hops, 320)`: 4 Hz bursts with pauses, as speech has them."""
    noise = np.random.default_rng(seed).normal(size=hops * HOP)
    envelope = np.maximum(np.sin(2 * np.pi * 4 * np.arange(hops * HOP) / SAMPLE_RATE), 0.02) ** 2
    signal = noise * envelope
    return (signal * 10 ** (dbfs / 20) / np.sqrt(np.mean(signal**2))).reshape(hops, HOP).astype(np.float32)


def silence(hops: int) -> np.ndarray:
    return np.zeros((hops, HOP), np.float32)


def power(hop: np.ndarray) -> float:
    return float(np.mean(hop**2))


def judge(gate: EchoGate, near: np.ndarray, echo: np.ndarray, ref: np.ndarray, **talk: bool) -> GateReading:
    return gate.process(power(near), power(echo), power(ref), **talk)


def run(gate: EchoGate, near: np.ndarray, echo: np.ndarray, ref: np.ndarray) -> list[GateReading]:
    """Feed hops; an open gate counts as a talker, as it does when a VAD takes all for speech."""
    readings, speaking = [], False
    for hop in zip(near, echo, ref, strict=True):
        readings.append(judge(gate, *hop, speaking=speaking))
        speaking = readings[-1].open
    return readings


def opened(readings: list[GateReading]) -> float:
    return float(np.mean([reading.open for reading in readings]))


def after(gate: EchoGate, seconds: int, leak_db: float, seed: int = 1) -> list[GateReading]:
    """Far-end single talk: the agent at -20 dBFS, its echo at -26, `leak_db` of which is left."""
    ref = speechlike(seed, seconds * SECOND, -20)
    echo = 0.5 * ref
    return run(gate, echo * np.float32(10 ** (leak_db / 20)), echo, ref)


def test_without_a_reference_only_the_floor_counts():
    assert opened(run(EchoGate(), speechlike(1, SECOND, -40), silence(SECOND), silence(SECOND))) > 0.6
    assert opened(run(EchoGate(), speechlike(1, SECOND, -70), silence(SECOND), silence(SECOND))) == 0


@pytest.mark.parametrize("leak_db", [0.0, -10.0, -20.0, -30.0, -50.0])
def test_residual_echo_keeps_it_shut_from_the_first_word_on(leak_db: float):
    """At 0 dB the canceller does nothing at all; -50 dB is what the shipped one reaches."""
    assert opened(after(EchoGate(), 10, leak_db)) <= 0.01


def test_an_agents_first_words_pass_nothing_before_the_delay_is_found():
    """Nothing is cancelled until then: what is heard may be as loud as what plays."""
    ref = speechlike(5, SECOND // 2, -20)
    heard, nothing = ref * np.float32(10 ** (-1 / 20)), silence(SECOND // 2)
    gate, blind = EchoGate(), EchoGate()
    searching = [
        judge(gate, *hop, speaking=False, located=False) for hop in zip(heard, nothing, ref, strict=True)
    ]
    trusting = [judge(blind, *hop, speaking=False) for hop in zip(heard, nothing, ref, strict=True)]
    assert opened(searching) == 0
    assert opened(trusting) > 0.2


def test_headphones_have_no_delay_to_find_and_a_talker_is_heard_after_a_second():
    """Who talks into the first second of playback must be louder than it; nobody is later."""
    hops = 5 * SECOND
    ref, nothing, near = speechlike(7, hops, -20), silence(hops), speechlike(6, hops, -26)
    near[: 3 * SECOND] *= 0.001
    for start, least, most in ((3 * SECOND, 0.5, 1.0), (0, 0.0, 0.0)):
        gate, speaking, readings = EchoGate(), False, []
        talk = np.roll(near, start - 3 * SECOND, axis=0)
        for hop in zip(talk, nothing, ref, strict=True):
            readings.append(judge(gate, *hop, speaking=speaking, located=False))
            speaking = readings[-1].open
        assert least <= opened(readings[start : start + SECOND - 10]) <= most


@pytest.mark.parametrize("ser_db", [-20, -10, 0, 10])
def test_a_talker_over_the_agent_opens_it(ser_db: float):
    gate = EchoGate()
    after(gate, 10, -45)  # a canceller that has proven itself
    hops = 2 * SECOND
    ref = speechlike(3, hops, -20)
    echo = 0.5 * ref
    near = speechlike(4, hops, -26 + ser_db) + echo * np.float32(10 ** (-45 / 20))
    readings = run(gate, near, echo, ref)
    assert opened(readings) > 0.6
    assert any(reading.open for reading in readings[:10]), "not within 200 ms"


def test_half_a_second_of_playback_is_enough_to_hear_a_talker_as_loud_as_the_echo():
    gate = EchoGate()
    ref = speechlike(5, SECOND // 2, -20)
    run(gate, silence(len(ref)), 0.5 * ref, ref)
    assert gate.leak_db < -15
    readings = run(
        gate, speechlike(4, SECOND, -26), 0.5 * speechlike(6, SECOND, -20), speechlike(6, SECOND, -20)
    )
    assert opened(readings) > 0.6


def test_silence_at_first_does_not_prove_that_nothing_leaks():
    """A suppressor that mutes the first two seconds wholly and then leaves -22 dB of the echo."""
    gate = EchoGate()
    ref = speechlike(5, 2 * SECOND, -20)
    run(gate, silence(len(ref)), 0.5 * ref, ref)
    assert opened(after(gate, 4, -22, seed=6)) < 0.02


def test_a_long_turn_over_the_agent_does_not_close_it():
    """What a confirmed talker says is not taken for a leak, however long it lasts."""
    gate = EchoGate()
    after(gate, 2, -45)
    leak = gate.leak_db
    ref = speechlike(6, 10 * SECOND, -20)
    readings = [
        judge(gate, near, hop / 2, hop, speaking=True)
        for near, hop in zip(speechlike(7, len(ref), -32), ref, strict=True)
    ]
    assert gate.leak_db == leak
    assert opened(readings[-SECOND:]) > 0.6


def test_a_change_of_the_path_is_learnt():
    """The residual rises by 30 dB at once: the gate is fooled for a while and then closes."""
    gate = EchoGate()
    after(gate, 3, -45)
    ref = speechlike(8, 6 * SECOND, -20)
    readings = [judge(gate, hop * 0.08, hop / 2, hop, speaking=False) for hop in ref]
    assert opened(readings[: SECOND // 2]) > 0.3
    assert opened(readings[4 * SECOND :]) < 0.02


def test_who_has_the_floor_may_speak_more_softly():
    """A residual of -46 dBFS, and a talker 4.5 dB above it."""
    ref = np.full(HOP, 0.1, np.float32)
    readings = []
    for in_turn in (False, True):
        gate = EchoGate()
        for _ in range(4 * SECOND):
            judge(gate, ref / 20, ref / 2, ref, speaking=False)
        readings.append(judge(gate, ref / 20, ref / 2, ref, speaking=True, in_turn=in_turn))
        for _ in range(5):
            reading = judge(gate, ref / 20 * 10 ** (4.5 / 20), ref / 2, ref, speaking=True, in_turn=in_turn)
        assert reading.open == in_turn
    assert not any(reading.open for reading in readings)


def test_the_tail_of_the_echo_counts_after_the_reference_has_ended():
    gate = EchoGate()
    after(gate, 3, -30)
    ref = silence(30)
    echo = speechlike(9, 30, -26)  # a phone that plays 600 ms late
    readings = run(gate, echo * np.float32(10 ** (-30 / 20)), echo, ref)
    assert all(reading.ref_active for reading in readings)
    assert opened(readings) <= 0.05


def test_the_reference_is_remembered_for_a_while_and_no_longer():
    gate = EchoGate()
    after(gate, 1, -45)
    readings = run(gate, silence(SECOND), silence(SECOND), silence(SECOND))
    active = [reading.ref_active for reading in readings]
    assert active == sorted(active, reverse=True)
    assert 0.3 <= sum(active) / SECOND <= 0.55  # memory_ms, plus or minus a syllable's pause


def test_levels_are_in_dbfs():
    tone = np.sqrt(2) * 0.1 * np.sin(2 * np.pi * np.arange(HOP) / 32).astype(np.float32)
    assert decibels(power(tone)) == pytest.approx(-20, abs=0.01)
    assert decibels(0.0) == -120
    reading = judge(EchoGate(), tone, silence(1)[0], silence(1)[0], speaking=False)
    assert reading.near_dbfs == pytest.approx(-20, abs=0.01)
    assert reading.residual_dbfs == -120


@pytest.mark.parametrize("field", ["level_ms", "memory_ms", "leak_fall_ms", "leak_rise_ms"])
def test_durations_below_a_hop_are_refused(field: str):
    with pytest.raises(ValueError, match="at least 20"):
        GateConfig(**{field: 5.0})
