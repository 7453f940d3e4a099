"""The server's log: one JSON object a line, on stderr.

Owns the form. What was said is never in it unless `Settings.log_text` asks for it: callers put text in `text` only.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

FIELDS = "fields"
TEXT = "text"


class JsonLines(logging.Formatter):
    """A record as a line of JSON: time, level, logger, message, and the fields of `log`."""

    def __init__(self, *, with_text: bool) -> None:
        super().__init__()
        self._with_text = with_text

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, FIELDS, None)
        if isinstance(fields, dict):
            line |= {name: value for name, value in fields.items() if name != TEXT or self._with_text}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log(logger: logging.Logger, level: int, message: str, **fields: object) -> None:
    """Log `message` with fields of its own; `text` is what was said, and left out unless the server may log it."""
    logger.log(level, message, extra={FIELDS: fields})


def set_up(*, with_text: bool, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to `stream` (stderr) as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines(with_text=with_text))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # One line a request is this server's own to write, and so are its beginning and its end.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "aiohttp", "mcp"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    # What clients send that is no HTTP is answered; uvicorn would also tell each time what to install for websockets.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
