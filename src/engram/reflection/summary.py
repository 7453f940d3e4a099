"""Summary: the sentences that say what a session or a period was about, as quotes.

Owns what callers see of a summary, its wording, and which period is meant. A summary is a view: nothing of it is
stored, and nothing in it is worded anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from engram.engram import Engram
from engram.errors import InvalidEngram
from engram.recall.context import CountTokens, speaker_of
from engram.times import as_utc

HEADING = "What was said, in chosen sentences (quotes, with their days and who said them):"
PERIODS = {"day": 1, "week": 7, "month": 30, "year": 365}
"""Days of the periods that have a name."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of a turn that a summary shows."""

    engram: Engram
    """The turn: who said it, when, and its id."""
    seq: int
    """The turn's number in the store, in the order in which turns were remembered."""
    start: int
    stop: int
    """Where the sentence begins and ends in the text of the engram, in characters."""
    kind: str | None
    """One of `labels.KINDS`; None for what somebody else than the user said, which is no fact of the user."""
    slot: str | None
    """The attribute that it fills, one of `slots.SLOTS`; None for another one."""
    holds: bool
    """False if a later statement has closed it since."""

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.engram.text[self.start : self.stop]

    @property
    def by(self) -> str:
        """Who said it: the speaker's name or the role, marked if the user did not type it."""
        return speaker_of(self.engram)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a session or a period was about, within a budget."""

    quotes: tuple[Quote, ...]
    """In the order of their times."""
    sessions: int
    """Sessions with turns that the summary was chosen from."""
    turns: int
    """Turns that it was chosen from."""
    unread: int
    """Turns of the memory that were remembered and not read yet: `Memory.reflect` reads them."""

    @property
    def text(self) -> str:
        """The quotes as lines below a heading, for a prompt; "" if there are none."""
        return "\n".join(lines(self.quotes)) if self.quotes else ""


class Bounds(NamedTuple):
    """A period: from `since`, inclusive, to `until`, exclusive; None: without a bound. In UTC."""

    since: datetime | None
    until: datetime | None


def bounds(since: datetime | None, until: datetime | None, period: str | None) -> Bounds:
    """Return the period that the arguments of `Memory.summary` mean.

    Raises `InvalidEngram`, a `ValueError`, for an unknown period, one with `since`, and one that ends before it begins.
    """
    begin = None if since is None else as_utc("since", since)
    end = None if until is None else as_utc("until", until)
    if period is not None:
        begin, end = named_period(period, begin, end)
    if begin is not None and end is not None and begin >= end:
        raise InvalidEngram(f"since is {begin.isoformat()} and until is {end.isoformat()}; until must be later")
    return Bounds(begin, end)


def named_period(period: str, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime | None]:
    """Return the period of a name, which ends at `until`, or now."""
    if period not in PERIODS:
        raise InvalidEngram(f"{period!r} is no period; the periods are {', '.join(PERIODS)}")
    if since is not None:
        raise InvalidEngram(f"both since and the period {period} were given; give one of them")
    try:
        return (datetime.now(UTC) if until is None else until) - timedelta(days=PERIODS[period]), until
    except OverflowError:
        raise InvalidEngram(f"until is {until}; a {period} before it there is no date") from None


def lines(quotes: Sequence[Quote]) -> list[str]:
    """Return quotes, in the order of their times, as lines: one for each day, and below it who said what."""
    result, day = [HEADING], ""
    for quote in quotes:
        if day_of(quote) != day:
            day = day_of(quote)
            result.append(day)
        result.append(line(quote))
    return result


def day_of(quote: Quote) -> str:
    """Return the line above the quotes of a day."""
    return f"[{quote.engram.at.date().isoformat()}]"


def line(quote: Quote) -> str:
    """Return a quote as a line: who said it, and its words."""
    return f"- {quote.by}: " + " ".join(quote.text.split())


def within(ranked: Sequence[Quote], budget: int, count: CountTokens) -> list[Quote]:
    """Return quotes in the order of their times, without the last ones of `ranked` if these are over a budget.

    ranked: the best first. The sum of lines is nearly always right; a tokenizer may count a whole text otherwise.
    """
    kept = list(ranked)
    while kept and count("\n".join(lines(in_order(kept)))) > budget:
        kept.pop()
    return in_order(kept)


def in_order(quotes: Sequence[Quote]) -> list[Quote]:
    """Return quotes in the order of their times; in one time, in the order in which they were remembered."""
    return sorted(quotes, key=lambda quote: (quote.engram.at, quote.seq, quote.start))
