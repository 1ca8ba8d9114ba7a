import pytest

from server.app import create_app, make_server
from server.settings import Settings
from server.tokens import guarded, shown_token


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer s3cret"}, ""),
        ({}, "x=1&token=s3cret"),
        ({"sec-websocket-protocol": "realtime, openai-insecure-api-key.s3cret"}, ""),
    ],
)
def test_the_right_token_passes(headers: dict[str, str], query: str):
    assert shown_token(["s3cret"], headers, query) == 0
    assert shown_token(["other", "s3cret"], headers, query) == 1


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
    assert shown_token(["s3cret"], headers, query) is None


def test_without_tokens_everyone_passes():
    assert shown_token([], {}, "") == 0


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)

    assert shown_token(["first", "second"], {"authorization": "Bearer first"}, "token=x") == 0
    assert {secret for _, secret in compared} == {b"first", b"second"}, "a match does not end the search"
    assert len(compared) == 6


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        (Settings(), False),
        (Settings(host="::1"), False),
        (Settings(host="0.0.0.0"), True),
        (Settings(host="192.168.1.5", token=""), True),
        (Settings(host="0.0.0.0", token="mine"), False),
    ],
)
def test_who_serves_other_machines_has_a_token(settings: Settings, made: bool):
    kept, was_made = guarded(settings)

    assert was_made == made
    assert not made or len(kept.tokens[0]) == 32
    assert guarded(settings)[0].tokens != kept.tokens or not made, "each run has its own"


def test_without_one_there_is_no_server():
    with pytest.raises(ValueError, match="a token must be set"):
        make_server(create_app(Settings(host="0.0.0.0")))


def test_tokens_stand_between_commas():
    assert Settings(token="a1, b2,").tokens == ("a1", "b2")
    assert Settings(token=" ").tokens == ()


@pytest.mark.parametrize("token", ["my own", "s3cr3t/", "käse", "s3cr3t=", "s3cr3t\n"])
def test_a_token_that_a_browser_cannot_send_is_refused_and_not_printed(token: str):
    with pytest.raises(ValueError, match="letters, digits") as caught:
        Settings(token=token)
    assert token not in str(caught.value)
