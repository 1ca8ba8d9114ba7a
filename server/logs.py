"""What the process logs: for people or for programs, and never a secret."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from server.settings import Settings

TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_SESSION = re.compile(r"\bsess_[a-z0-9-]{1,63}_[0-9a-f]{16}\b")
# uvicorn logs whole addresses and, when it debugs, headers and the beginnings of messages.
_SHOWN = re.compile(
    r"""(token["'\\]*\s*[=:]\s*["'\\]*|Bearer\s+|openai-insecure-api-key\.)[\w.~+/%-]+""", re.IGNORECASE
)
_HIDDEN = "[hidden]"


def configure_logging(settings: Settings) -> None:
    """Make the root logger write as the settings say; does nothing if it has a handler already."""
    formatter = JsonFormatter() if settings.log_format == "json" else logging.Formatter(TEXT_FORMAT)
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet(formatter, settings.secrets))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for every request


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the session that it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if (session := _SESSION.search(message)) is not None:
            line["session"] = session[0]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Discreet(logging.Formatter):
    """Takes out of what another formatter writes all that gives access.

    Args:
        formatter: Writes the line.
        secrets: What must not stand in it, besides whatever looks like a token that was shown.
    """

    def __init__(self, formatter: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without them."""
        line = _SHOWN.sub(rf"\1{_HIDDEN}", self._formatter.format(record))
        for secret in self._secrets:
            line = line.replace(secret, _HIDDEN)
        return line
