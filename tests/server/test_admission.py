import pytest

from server.admission import BUDGET_S, LoadMeter, check_origin


def test_load_is_the_price_of_two_calls_and_of_the_streams():
    meter = LoadMeter()
    meter.calibrate(one_s=0.06 * BUDGET_S, all_s=0.36 * BUDGET_S, streams=31)

    assert meter.load(0) == pytest.approx(2 * 0.05)
    assert meter.load(40) == pytest.approx(2 * 0.05 + 40 * 0.01)


def test_load_follows_a_machine_that_becomes_slow():
    meter = LoadMeter()
    meter.calibrate(one_s=0.001, all_s=0.004, streams=4)
    before = meter.load(4)
    for streams in [1, 2, 4] * 300:
        meter.observe(3 * 0.001 * streams, streams)

    assert meter.load(4) == pytest.approx(3 * before, rel=0.01)


def test_one_pause_of_the_machine_is_not_its_speed():
    meter = LoadMeter()
    meter.calibrate(one_s=0.001, all_s=0.004, streams=4)
    before = meter.load(4)
    meter.observe(1.0, 1)

    assert meter.load(4) < 1.1 * before


def test_an_engine_of_one_slot_has_a_price_too():
    meter = LoadMeter()
    meter.calibrate(one_s=0.5 * BUDGET_S, all_s=0.5 * BUDGET_S, streams=1)

    assert meter.load(1) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ((), None),
        ((), "http://here:8080"),
        (("https://app.example",), "https://app.example"),
        (("*",), "https://anyone.example"),
    ],
)
def test_origins_that_may_connect(allowed: tuple[str, ...], origin: str | None):
    headers = {"host": "here:8080"} | ({"origin": origin} if origin else {})

    assert check_origin(allowed, headers, by_any_name=True) is None


@pytest.mark.parametrize("origin", ["https://evil.example", "http://here:8081", "http://[", "null", ""])
def test_other_origins_are_refused(origin: str):
    headers = {"host": "here:8080", "origin": origin}
    refusal = check_origin(("https://app.example",), headers, by_any_name=True)

    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("evil.example:8080", False),
        ("[", False),
    ],
)
def test_without_a_token_a_name_that_was_made_to_point_here_is_not_ours(host: str, own: bool):
    headers = {"host": host, "origin": f"http://{host}"}

    assert (check_origin((), headers, by_any_name=False) is None) == own
