"""What goes wrong between the peers, and the codes that a WebSocket is closed with."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a connection ends; docs/protocol.md says what a client should do about each."""

    NORMAL = 1000
    TOO_BIG = 1009
    RESTART = 1012
    TRY_LATER = 1013
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    UNKNOWN_RESUME = 4404
    IDLE = 4408
    REPLACED = 4409
    MAX_DURATION = 4410
    TOO_FAST = 4429


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow.

    Attributes:
        code: Short machine-readable name of the fault.
        close_code: How to close the connection; None means to answer with `error` and go on.
        param: The field at fault, written as a path such as `session.aec.beta_vad`.
        event_id: The peer's name for the event at fault, if it gave one.
    """

    def __init__(
        self,
        message: str,
        code: str,
        close_code: CloseCode | None = None,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.close_code = close_code
        self.param = param
        self.event_id = event_id
