import os
import signal

import pytest

from aec_core.train.signals import interrupts_waiting, terminated_as_interrupted


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_sigterm_interrupts():
    before = handlers()
    with pytest.raises(KeyboardInterrupt), terminated_as_interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
    assert handlers() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_it_is_asked_for(number):
    before, done = handlers(), []

    def work():
        with interrupts_waiting() as interrupt:
            interrupt()
            os.kill(os.getpid(), number)
            done.append("the rest of the step")
            interrupt()
            done.append("more")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the rest of the step"]
    assert handlers() == before


def test_a_second_interrupt_does_not_wait():
    done = []

    def work():
        with interrupts_waiting():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("a step that hangs")
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("more")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["a step that hangs"]
