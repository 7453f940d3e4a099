"""What recall found, as JSON: a hit, and why an engram came where it did.

Owns the names of the fields; an engram in it is one of `transfer.records`.
"""

from __future__ import annotations

from collections.abc import Mapping

from engram.recall.result import Explanation, Hit
from engram.records import to_record


def hit_record(hit: Hit) -> dict[str, object]:
    """A hit as JSON values."""
    return {"score": float(hit.score), "why": numbers(hit.why), "engram": to_record(hit.engram)}


def explanation_record(found: Explanation) -> dict[str, object]:
    """An explanation as JSON values."""
    return {
        "query": found.query,
        "engram": to_record(found.engram),
        "place": found.place,
        "scored": found.scored,
        "score": float(found.score),
        "why": numbers(found.why),
        "winner": None if found.winner is None else hit_record(found.winner),
        "words": {word: [float(weight), float(match)] for word, (weight, match) in found.words.items()},
        "reason": found.reason,
    }


def numbers(parts: Mapping[str, float]) -> dict[str, float]:
    """Parts of a score as plain numbers."""
    return {name: float(value) for name, value in parts.items()}
