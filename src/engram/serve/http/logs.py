"""The server's log: one JSON object a line, on stderr.

Owns the format. Text of messages appears only if `Settings.log_text` is on; callers pass such text as `text` only.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

FIELDS = "fields"
TEXT = "text"

# The server itself logs one line a request, and its start and end, so the libraries log only what went wrong.
# Malformed HTTP gets a response, so it needs no log line; uvicorn would also advise to install a websocket package.
QUIETER = {
    "uvicorn": logging.WARNING,
    "uvicorn.error": logging.ERROR,
    "uvicorn.access": logging.WARNING,
    "aiohttp": logging.WARNING,
    "mcp": logging.WARNING,
}


class JsonLines(logging.Formatter):
    """Formats a record as a line of JSON: time, level, logger, message, and the fields given to `log`."""

    def __init__(self, *, with_text: bool) -> None:
        super().__init__()
        self._with_text = with_text

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
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
    """Log `message` with `fields`. The field `text` holds message text and is dropped unless text may be logged."""
    logger.log(level, message, extra={FIELDS: fields})


def set_up(*, with_text: bool, stream: TextIO | None = None) -> None:
    """Send all log records of this process to `stream` (default: stderr) as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines(with_text=with_text))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIETER:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    set_levels()


def set_levels() -> None:
    """Set from which level on the libraries' records are logged."""
    for name, level in QUIETER.items():
        logging.getLogger(name).setLevel(level)
