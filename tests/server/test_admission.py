import pytest

from server.admission import BUDGET_S, LoadMeter, check_origin, check_token


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
    ("headers", "query"),
    [
        ({"authorization": "Bearer s3cret"}, ""),
        ({}, "x=1&token=s3cret"),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key.s3cret"}, ""),
    ],
)
def test_the_right_token_passes(headers: dict[str, str], query: str):
    assert check_token("s3cret", headers, query) is None


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"authorization": "Bearer s3cre"}, ""),
        ({"authorization": "é"}, "token="),
        ({}, "token=S3CRET"),
    ],
)
def test_a_wrong_token_does_not(headers: dict[str, str], query: str):
    refusal = check_token("s3cret", headers, query)

    assert refusal is not None
    assert refusal.status == 401


def test_without_a_token_everyone_passes():
    assert check_token(None, {}, "") is None


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

    assert check_origin(allowed, headers) is None


@pytest.mark.parametrize("origin", ["https://evil.example", "http://here:8081", "null", ""])
def test_other_origins_are_refused(origin: str):
    refusal = check_origin(("https://app.example",), {"host": "here:8080", "origin": origin})

    assert refusal is not None
    assert refusal.status == 403
