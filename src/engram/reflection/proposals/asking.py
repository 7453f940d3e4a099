"""Asking: what an operator allows a model to be asked, and what it has cost.

Owns the settings with their limits, and the figures. Pure values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

QUIET = 600.0
"""Seconds without a new turn after which a server takes a session for finished."""
TOKENS_PER_DAY = 500_000
"""Tokens that a model may read and write on a day, in UTC, unless the operator says otherwise."""
MILLION = 1_000_000


class Prices(NamedTuple):
    """What a million tokens cost, in any currency."""

    tokens_in: float
    tokens_out: float

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Return what a call costs."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / MILLION


FREE = Prices(0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """When a model is asked, and what it may cost. Raises `ValueError` for a value outside its range."""

    quiet: float = 0.0
    """Seconds, 0 or more, for which a session must have had no new turn."""
    tokens_per_day: int = TOKENS_PER_DAY
    """Tokens, read and written, of a day in UTC; 0 or more."""
    money_per_day: float | None = None
    """What a day may cost, in the currency of `prices`; None: only the tokens count. Needs `prices`."""
    prices: Prices | None = None
    """What a million tokens cost; None: nothing is known of it, and the figures show 0."""
    seconds: float = 120.0
    """Seconds that one call may take; more than 0."""

    def __post_init__(self) -> None:
        checked("quiet", self.quiet)
        checked("tokens_per_day", self.tokens_per_day)
        checked("seconds", self.seconds)
        if not self.seconds:
            raise ValueError("seconds is 0; a call needs more than that")
        for name, price in (self.prices or FREE)._asdict().items():
            checked(name, price)
        if self.money_per_day is not None:
            checked("money_per_day", self.money_per_day)
            if self.prices is None:
                raise ValueError("money_per_day was given without prices; give what a million tokens cost, too")


def checked(name: str, value: float) -> None:
    """Raise `ValueError` unless a number is 0 or more, and finite."""
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value}; it must be 0 or more")


def prices_of(text: str) -> Prices:
    """Return the prices in a text such as "0.27:1.10": of a million tokens read, and written. Raises `ValueError`."""
    try:
        prices = Prices(*map(float, text.split(":")))
        checked("the first price", prices.tokens_in)
        checked("the second price", prices.tokens_out)
    except (TypeError, ValueError):
        raise ValueError(
            f"{text[:80]!r} are no prices; write what a million tokens cost, read and written, such as 0.27:1.10"
        ) from None
    return prices


@dataclass(frozen=True, slots=True)
class ProposalStats:
    """What models were asked and what came of it, since the derived data of the memory exists."""

    calls: int = 0
    """Calls that were begun, failed ones included."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Calls without a usable reply, by reason, and days that ended early for want of budget."""
    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    """By the prices that were given at the time of each call."""
    tokens_today: int = 0
    """Tokens of this day in UTC, with those that are reserved for calls that run."""
    money_today: float = 0.0
    accepted: Mapping[str, int] = field(default_factory=dict)
    """Proposals that were stored, by kind: slots, links, titles."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Proposals that were refused, by reason."""
    waiting: int = 0
    """Sessions with statements that no model was asked about yet."""
