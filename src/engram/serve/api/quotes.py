"""Quotes as the result of an MCP tool: harmless text between the marks of notes.

Owns the remark that turns were not read.
"""

from __future__ import annotations

from engram.notes.listing import marked
from engram.recall.context import HEADING
from engram.serve.api import schemas
from engram.text.markup import neutral


def quotes(text: str, unread: int, otherwise: str) -> tuple[schemas.QuotesResult, str]:
    """Return quotes as a result and as text; `otherwise` is the text if there are none."""
    safe, complete = neutral(text), not unread
    result = schemas.QuotesResult(about=HEADING, quotes=safe, complete=complete)
    return result, (marked(safe) if safe else otherwise) + noted_unread(complete)


def noted_unread(complete: bool) -> str:
    """Return the remark that turns were not read; "" if all were."""
    return "" if complete else " Some turns were not read yet for what they state."
