"""Arcs as text: the lines of a list of arcs, and of one arc.

Owns how they are worded. Each quote stands on one line, with its day, who said it and its id. The text is as it was
said: whoever shows it to a model makes it harmless first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from engram.notes.zones import local
from engram.recall.context import CountTokens, estimated_tokens, speaker_of
from engram.reflection.arcs import Arc, ArcView, Quote
from engram.text.markup import one_line


def arc_line(arc: Arc, zone: tzinfo) -> str:
    """Return an arc as a line; zone: that of its days."""
    first, last = (local(moment, zone).date().isoformat() for moment in (arc.first, arc.last))
    return f"- {one_line(arc.title)}: {first} to {last}, turns: {arc.turns}, sessions: {arc.sessions} (id {arc.id})"


def quote_line(quote: Quote, zone: tzinfo) -> str:
    """Return a quote as a line: its day, who said it, its words and the id of its engram."""
    day = local(quote.at, zone).date().isoformat()
    return f"- [{day}] {speaker_of(quote.engram)}: {one_line(quote.text)} (id {quote.engram.id})"


def view_lines(view: ArcView, zone: tzinfo) -> list[str]:
    """Return one arc as lines: its title, what was last said of each thing in it, its open ends, and its quotes.

    The quotes come last and in the order of time.
    """
    lines = [arc_line(view.arc, zone).removeprefix("- ")]
    for thing in view.things:
        if thing.latest:
            lines += [f"Last said of {one_line(thing.name)}:", *(quote_line(quote, zone) for quote in thing.latest)]
    if view.open_ends:
        lines += ["Open:", *(f"{quote_line(end.quote, zone)} [{end.kind}]" for end in view.open_ends)]
    lines += ["In order:", *(quote_line(quote, zone) for quote in view.quotes)]
    if view.left_out:
        lines.append(f"{view.left_out:,} earlier turns are left out")
    return lines


def within(lines: Iterable[str], budget: int, count: CountTokens = estimated_tokens) -> Sequence[str]:
    """Return the first lines that fit into a budget of tokens, with a last one that says how many are left out."""
    every = list(lines)
    used = 0
    for number, line in enumerate(every):
        used += count(line) + 1
        if used > budget:
            return [*every[:number], f"(lines left out: {len(every) - number})"]
    return every
