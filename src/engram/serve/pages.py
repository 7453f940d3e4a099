"""Engrams in responses of REST: a page of a listing, and the lines of an export, each of a limited size."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from engram.engram import Engram
from engram.records import to_json, to_record

PAGE_CHARACTERS = 4 << 20
"""Characters of text after which a page of a listing ends, for any number of engrams."""

EXPORT_CHUNK_BYTES = 256 << 10
"""Approximate bytes of an export that are read at a time."""


def page_of(engrams: Iterator[Engram], limit: int) -> object:
    """Return one page of at most `limit` engrams, of which `engrams` yields one more."""
    listed, size = [], 0
    for engram in islice(engrams, limit):
        listed.append(to_record(engram))
        size += len(engram.text)
        if size >= PAGE_CHARACTERS:
            break
    more = next(engrams, None) is not None
    return {"engrams": listed, "next": listed[-1]["id"] if more else None}


def json_lines(engrams: Iterator[Engram]) -> Iterator[bytes]:
    """Yield engrams as lines of an export, in chunks of about `EXPORT_CHUNK_BYTES`."""
    chunk = bytearray()
    for engram in engrams:
        chunk += to_json(to_record(engram)).encode() + b"\n"
        if len(chunk) >= EXPORT_CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)
