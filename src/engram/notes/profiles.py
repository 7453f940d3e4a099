"""The profile of a user for a system prompt: which quotes are shown, as references and as text between marks.

Owns the marks, which quotes may stand in a prompt, and the form in which a server records them. The quotes are recorded
as places in engrams, so that the text of a profile is the same whenever it is rendered, and a forgotten engram leaves
it. What is worth quoting is `engram.reflection.profile`'s rule. Does not know the format of a request.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import NamedTuple

from engram.engram import Engram, in_zone, is_trusted
from engram.ids import id_from_bytes, id_to_bytes
from engram.memory import Memory
from engram.notes.choosing import LEAST_TRUST, SHORT, may_be_quoted
from engram.recall.context import estimated_tokens
from engram.reflection.facts import Fact
from engram.reflection.profile import HEADING, TITLES, Profile, within
from engram.text.markup import neutral, one_line

OPEN, CLOSE = "<engram-profile>", "</engram-profile>"

FIRST_LINE = HEADING
"""The line after the opening mark."""

SECTIONS = ("standing", "who", "now")
"""The sections of a profile in their order. Recorded quotes hold positions in it."""

SPARE = 4
"""Times the budget that is looked through: some quotes may not stand in a prompt."""

CATCH_UP = 32
"""Turns that are read before a profile is made; if more are unread, it is made of what was read."""

_FORM = b"\x01"
"""The first byte of recorded quotes: the version of their form."""
_QUOTE = struct.Struct(">B16sII")


class Quote(NamedTuple):
    """A part of an engram that a profile quotes."""

    section: str
    """One of `SECTIONS`."""
    id: str
    start: int
    stop: int
    """Where it begins and ends in the text of the engram, in characters."""


class FoundProfile(NamedTuple):
    """What a profile shows."""

    quotes: tuple[Quote, ...]
    unread: int
    """Turns of the memory that were not read for it."""


def find_profile(memory: Memory, namespace: str, budget: int, *, trust: str = LEAST_TRUST) -> FoundProfile:
    """Return the quotes of a namespace's profile as it is now, that fit into a budget of tokens with the marks.

    trust: the least trusted origin that is quoted. Left out is also what the user did not type and may steer the model.
    Raises as `Memory.profile`.
    """
    found = memory.profile(namespace=namespace, budget=SPARE * budget, catch_up=CATCH_UP)
    allowed = {
        name: [fact for fact in facts if _may_stand(fact.engram, fact.text, trust)] for name, facts in sections(found)
    }
    fitting = within(allowed, budget - estimated_tokens(f"{OPEN}\n\n{CLOSE}"), estimated_tokens)
    quotes = [Quote(name, each.engram.id, each.start, each.stop) for name in SECTIONS for each in fitting[name]]
    engrams = {fact.engram.id: fact.engram for facts in fitting.values() for fact in facts}
    # What makes a quote harmless may make it longer.
    while quotes and estimated_tokens(render_profile(quotes, engrams, trust=trust)[0]) > budget:
        quotes.pop()
    return FoundProfile(tuple(quotes), found.unread)


def sections(profile: Profile) -> list[tuple[str, tuple[Fact, ...]]]:
    """Return the facts of a profile with the names of their sections, in the order of `SECTIONS`."""
    return [("standing", profile.standing), ("who", profile.who), ("now", profile.now)]


def render_profile(
    quotes: Sequence[Quote], engrams: Mapping[str, Engram], *, zone: tzinfo = UTC, trust: str = LEAST_TRUST
) -> tuple[str, tuple[str, ...]]:
    """Return quotes as text between marks, and the ids of the engrams in it, each once; ("", ()) if none may be shown.

    engrams: by id, those that still exist. zone: the reader's, whose days the quotes show. trust: as in `find_profile`.
    The same arguments always give the same text: a provider's prompt cache depends on that.
    """
    lines, ids = [OPEN, FIRST_LINE], dict[str, None]()
    section = None
    for quote in quotes:
        engram = engrams.get(quote.id)
        text = "" if engram is None else engram.text[quote.start : quote.stop]
        if engram is None or not text.strip() or not _may_stand(engram, text, trust):
            continue
        if quote.section != section:
            section = quote.section
            lines.append(f"{TITLES[section]}:")
        lines.append(f"- [{in_zone(engram, zone).at.date().isoformat()}] {one_line(neutral(text))}")
        ids[quote.id] = None
    return ("\n".join([*lines, CLOSE]), tuple(ids)) if ids else ("", ())


def _may_stand(engram: Engram, quoted: str, trust: str) -> bool:
    """Return whether a quote of an engram may stand in a system prompt."""
    # Who spoke is not shown.
    engram = replace(engram, speaker=None)
    shown = (quoted, engram.text) if len(engram.text) <= SHORT else (quoted,)
    return is_trusted(engram.origin, trust) and all(may_be_quoted(engram, text) for text in shown)


def pack_quotes(quotes: Iterable[Quote]) -> bytes:
    """Return quotes in the form in which they are recorded."""
    return _FORM + b"".join(
        _QUOTE.pack(SECTIONS.index(one.section), id_to_bytes(one.id), one.start, one.stop) for one in quotes
    )


def unpack_quotes(value: bytes) -> tuple[Quote, ...]:
    """Return the quotes that `pack_quotes` packed. Raises `ValueError` for another form."""
    if value[:1] != _FORM or (len(value) - 1) % _QUOTE.size:
        raise ValueError("the recorded quotes of a profile are of an unknown form")
    rows = _QUOTE.iter_unpack(value[1:])
    return tuple(Quote(SECTIONS[section], id_from_bytes(id), start, stop) for section, id, start, stop in rows)
