"""Results as JSON: a hit, an explanation, a fact, a profile, a summary, a working memory, a document, and a policy.

Owns the names of the fields; an engram in them is a record of `engram.records`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from engram.documents import Document, DocumentInfo
from engram.recall.result import Explanation, Hit
from engram.records import to_record
from engram.reflection.facts import Fact
from engram.store.policy import Policy

if TYPE_CHECKING:
    # Heavy to import, and most commands show neither.
    from engram.reflection.profile import Profile
    from engram.reflection.summary import Summary
    from engram.reflection.working import Working


def hit_record(hit: Hit) -> dict[str, object]:
    """Return a hit as JSON values."""
    return {
        "score": float(hit.score),
        "why": numbers(hit.why),
        "passage": list(hit.passage),
        "engram": to_record(hit.engram),
    }


def explanation_record(explanation: Explanation) -> dict[str, object]:
    """Return an explanation as JSON values."""
    return {
        "query": explanation.query,
        "engram": to_record(explanation.engram),
        "place": explanation.place,
        "scored": explanation.scored,
        "score": float(explanation.score),
        "why": numbers(explanation.why),
        "winner": None if explanation.winner is None else hit_record(explanation.winner),
        "words": {word: [float(weight), float(match)] for word, (weight, match) in explanation.words.items()},
        "reason": explanation.reason,
    }


def fact_record(fact: Fact) -> dict[str, object]:
    """Return a fact as JSON values."""
    return {
        "text": fact.text,
        "kind": fact.kind,
        "slot": fact.slot,
        "own": fact.own,
        "since": fact.since.isoformat(),
        "until": None if fact.until is None else fact.until.isoformat(),
        "closed_by": fact.closed_by,
        "closed_by_model": fact.closed_by_model,
        "proposed": None if fact.proposed is None else asdict(fact.proposed),
        "engram": fact.engram.id,
        "span": [fact.start, fact.stop],
        "history": [fact_record(each) for each in fact.history],
    }


def profile_record(profile: Profile) -> dict[str, object]:
    """Return a profile as JSON values, without the number of unread turns."""
    sections = {"standing": profile.standing, "who": profile.who, "now": profile.now}
    return {"text": profile.text} | {name: list(map(fact_record, facts)) for name, facts in sections.items()}


def summary_record(summary: Summary) -> dict[str, object]:
    """Return a summary as JSON values, without the number of unread turns."""
    quotes = [
        {
            "text": quote.text,
            "by": quote.by,
            "at": quote.engram.at.isoformat(),
            "kind": quote.kind,
            "slot": quote.slot,
            "holds": quote.holds,
            "engram": quote.engram.id,
            "session": quote.engram.session,
            "span": [quote.start, quote.stop],
        }
        for quote in summary.quotes
    ]
    return {"text": summary.text, "quotes": quotes, "sessions": summary.sessions, "turns": summary.turns}


def working_record(working: Working) -> dict[str, object]:
    """Return a working memory as JSON values, without the number of unread turns."""
    parts = [
        {
            "name": part.name,
            "text": part.text,
            "tokens": part.tokens,
            "engrams": list(part.engrams),
            "documents": list(part.documents),
        }
        for part in working.parts
    ]
    return {"text": working.text, "tokens": working.tokens, "parts": parts}


def document_record(document: Document) -> dict[str, object]:
    """Return a version of a document as JSON values."""
    return {**info_record(document), "value": document.value}


def info_record(document: Document | DocumentInfo) -> dict[str, object]:
    """Return a document without its value as JSON values."""
    return {
        "namespace": document.namespace,
        "agent": document.agent,
        "name": document.name,
        "version": document.version,
        "at": document.at.isoformat(),
    }


def policy_record(policy: Policy) -> dict[str, object]:
    """Return a policy as JSON values; its age in seconds, without a fraction if it is whole."""
    seconds = None if policy.expire_after is None else policy.expire_after.total_seconds()
    whole = int(seconds) if seconds is not None and seconds.is_integer() else None
    return {"namespace": policy.namespace, "expire_after_seconds": seconds if whole is None else whole}


def numbers(parts: Mapping[str, float]) -> dict[str, float]:
    """Return the parts of a score as Python floats."""
    return {name: float(value) for name, value in parts.items()}
