"""The tier's HTTP: one path for each of its applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from aec_core.types import Samples
from server.tier.desk import Asked, Desk
from server.tier.wire import MOST, Fault, Heard, Judged, WireError, from_pcm, unpack

_LONGEST_BODY = 3 * MOST  # two bytes a sample, and more than any line before them


async def answer_asr(
    desk: Desk, finish: Callable[[Asked], Awaitable[Heard | Fault]], request: Request
) -> Response:
    """Answer one request: GET for the description, POST for a text.

    Args:
        desk: The model.
        finish: Its `finish_one`, or what collects several for its `finish`.
        request: What was asked.
    """
    if request.method != "POST":
        return _json(200, desk.description)
    try:
        asked = unpack(await _body(request))
    except WireError as error:
        return Response(str(error), 400)
    outcome = await (finish(asked) if asked[0].final else desk.partial(asked))
    if outcome is None:
        return Response("busy", 429)
    return _json(422 if isinstance(outcome, Fault) else 200, outcome)


async def answer_turn(judge: Callable[[Samples], Awaitable[float]], request: Request) -> Response:
    """Answer one request: GET for whether it is there, POST for P(complete) of the audio in the body."""
    if request.method != "POST":
        return Response("smart-turn 3.2")
    try:
        audio = from_pcm(await _body(request))
    except WireError as error:
        return Response(str(error), 400)
    return _json(200, Judged(p_turn=await judge(audio)))


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise WireError("the body is longer than any utterance")
    return body


def _json(status: int, message: BaseModel) -> Response:
    return Response(message.model_dump_json(), status, media_type="application/json")
