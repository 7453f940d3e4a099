"""Arcs as JSON: the list of them, and one with its quotes, things and open ends.

Owns the names of the fields.
"""

from __future__ import annotations

from engram.reflection.arcs import Arc, ArcView, Quote


def arc_record(arc: Arc) -> dict[str, object]:
    """Return an arc as JSON values, without its turns."""
    return {
        "id": arc.id,
        "title": arc.title,
        "first": arc.first.isoformat(),
        "last": arc.last.isoformat(),
        "turns": arc.turns,
        "sessions": arc.sessions,
    }


def quote_record(quote: Quote) -> dict[str, object]:
    """Return a quote as JSON values, with who said it."""
    return {
        "text": quote.text,
        "at": quote.at.isoformat(),
        "role": quote.engram.role,
        "origin": quote.engram.origin,
        "speaker": quote.engram.speaker,
        "session": quote.engram.session,
        "engram": quote.engram.id,
        "span": [quote.start, quote.stop],
    }


def view_record(view: ArcView) -> dict[str, object]:
    """Return one arc with its turns as JSON values, without the number of unread turns."""
    return {
        **arc_record(view.arc),
        "quotes": list(map(quote_record, view.quotes)),
        "left_out": view.left_out,
        "things": [
            {"name": thing.name, "turns": thing.turns, "latest": list(map(quote_record, thing.latest))}
            for thing in view.things
        ],
        "open_ends": [{"kind": end.kind, **quote_record(end.quote)} for end in view.open_ends],
    }
