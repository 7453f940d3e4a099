"""Entries made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from engram.encode.encoder import Analysis
from engram.index import Entry


def entry(seq: int, session: int = 1, ids: Sequence[int] = (1, 2), namespace: int = 1) -> Entry:
    terms = [f"t{i}" for i in ids]
    return Entry(seq, namespace, session, 0, 0, "turn", seq * 1_000, Analysis(terms, list(ids), 0), 1.0)


def no_previous(session: int, seq: int) -> int:
    return 0
