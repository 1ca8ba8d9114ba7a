from server.pace import Pace


def live(pace: Pace, seconds: float, delay_ms: float = 0.0, start_ms: int = 0) -> float:
    """One frame of a client that sends in real time."""
    ms = 1000 * seconds
    return pace.observe(round(start_ms + ms) % (1 << 32), ms, ms + delay_ms)


def test_a_steady_client_is_never_late():
    pace = Pace()

    assert [live(pace, n / 50, delay_ms=30) for n in range(100)] == [0] * 100


def test_late_is_measured_against_the_quickest_frame():
    pace = Pace()
    live(pace, 0, delay_ms=50)
    live(pace, 0.02, delay_ms=20)

    assert live(pace, 1, delay_ms=620) == 600


def test_a_file_as_fast_as_it_goes_is_not_late():
    pace = Pace()
    pace.observe(0, 0, 0)

    # Ten minutes of audio, stamped in its first second, read a minute later.
    assert pace.observe(1000, 600_000, 60_000) == 0


def test_the_senders_clock_may_wrap_and_step_back():
    pace = Pace()
    start = (1 << 32) - 500
    live(pace, 0, start_ms=start)

    assert live(pace, 1, start_ms=start) == 0
    assert live(pace, 0.98, start_ms=start) == 0
