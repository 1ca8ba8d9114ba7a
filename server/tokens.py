"""Tokens: who must have one, and whether a client shows it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from pydantic import SecretStr

from server.network import is_loopback
from server.settings import Settings

_KEY_PROTOCOL = "openai-insecure-api-key."


def needs_token(settings: Settings) -> bool:
    """Say whether other machines could come in as they please."""
    return not settings.tokens and not is_loopback(settings.host)


def guarded(settings: Settings) -> tuple[Settings, bool]:
    """Make a token where one is needed and none is set; say whether it was made."""
    if not needs_token(settings):
        return settings, False
    return settings.model_copy(update={"token": SecretStr(secrets.token_hex(16))}), True


def shown_token(tokens: Sequence[str], headers: Mapping[str, str], query: str) -> int | None:
    """Compare what the client shows with the server's tokens, in constant time.

    It may be a bearer token, `?token=`, or, since a browser can set neither header, the subprotocol
    that OpenAI's browser clients use for their key.

    Returns:
        Which of the tokens it is; None if none of them. Without tokens everyone shows the first one.
    """
    if not tokens:
        return 0
    shown = [
        headers.get("authorization", "").removeprefix("Bearer ").strip(),
        *parse_qs(query).get("token", []),
        *(
            offer.strip().removeprefix(_KEY_PROTOCOL)
            for offer in headers.get("sec-websocket-protocol", "").split(",")
        ),
    ]
    matches = [
        [hmac.compare_digest(each.encode(), token.encode()) for each in shown] for token in tokens
    ]  # all of them, so that the time tells nothing
    return next((number for number, match in enumerate(matches) if any(match)), None)
