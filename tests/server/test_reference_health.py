import numpy as np
import pytest

from server.reference_health import DENIED, MISSING, SILENT, ReferenceHealth

SOUND = np.full(320, 0.1, np.float32)
QUIET = np.zeros(320, np.float32)


def live(health: ReferenceHealth, seconds: float, ref: np.ndarray | None, arrives: bool = True) -> None:
    for _ in range(round(50 * seconds)):
        health.advance(20)
        if arrives:
            health.hear(ref, 20)


def test_silent_although_the_client_plays_is_said_in_words():
    health = ReferenceHealth()
    live(health, 1, SOUND)
    health.claim(True)
    live(health, 1.9, QUIET)
    assert (health.state, health.message) == ("ok", None)
    live(health, 0.2, QUIET)
    assert (health.state, health.message) == ("silent", SILENT)
    live(health, 0.1, SOUND)
    assert (health.state, health.message) == ("ok", None)


def test_silence_while_nothing_plays_is_no_fault():
    health = ReferenceHealth()
    health.claim(False)
    live(health, 20, QUIET)
    assert (health.state, health.message) == ("silent", None)


def test_pauses_of_an_agent_that_plays_are_no_fault():
    health = ReferenceHealth()
    health.claim(True)
    for _ in range(10):
        live(health, 1.5, QUIET)
        live(health, 0.5, SOUND)
        assert (health.state, health.message) == ("ok", None)


@pytest.mark.parametrize(("claim", "message"), [(True, MISSING), (False, None), (None, None)])
def test_missing_while_the_client_plays(claim: bool | None, message: str | None):
    health = ReferenceHealth()
    if claim is not None:
        health.claim(claim)
    live(health, 1.1, None, arrives=False)
    assert (health.state, health.message) == ("missing", message)


def test_sound_although_the_client_says_that_nothing_plays():
    health = ReferenceHealth()
    health.claim(False)
    live(health, 0.9, SOUND)  # what its buffers still held
    assert (health.denied, health.message) == (False, None)
    live(health, 0.2, SOUND)
    assert (health.state, health.denied, health.message) == ("ok", True, DENIED)
    health.claim(True)
    assert not health.denied
    health.claim(False)
    live(health, 0.5, SOUND)
    assert not health.denied


def test_the_doubt_ends_with_the_sound():
    health = ReferenceHealth()
    health.claim(False)
    live(health, 2, SOUND)
    live(health, 3.1, QUIET)
    assert (health.state, health.denied) == ("silent", False)
    live(health, 0.5, SOUND)
    assert not health.denied


def test_a_client_that_says_nothing_is_not_contradicted():
    health = ReferenceHealth()
    live(health, 5, SOUND)
    assert (health.state, health.message, health.denied) == ("ok", None, False)
