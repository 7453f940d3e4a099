"""The weights of recall: every number that ranking depends on, in one place.

`tools/fit.py` fits those that are fitted, on some conversations, and reports on the others (docs/recall.md).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """How the parts of a score weigh against each other. See `recall.score` for the formula that they stand in."""

    # How much a token counts.
    prior: float = 800.0
    """Engrams' worth of plain language that a namespace's own frequencies are smoothed with."""
    typical_length: float = 20.0
    """Tokens of a usual turn."""
    rarity_shift: float = 0.315
    rarity_power: float = 1.32
    name: float = 0.54
    """Share of its weight that a token keeps which only names a speaker."""
    # How well a turn matches a token.
    saturation: float = 0.20
    """BM25's k1."""
    length: float = 0.65
    """BM25's b."""
    longest: float = 8.0
    """Typical lengths from which on a turn is not marked down further."""
    near: float = 0.72
    """The most that a near word is worth of an exact one."""
    least_similarity: float = 0.245
    near_power: float = 0.76
    total_power: float = 0.90
    """The sum over the tokens is divided by the cue's whole weight to this power."""
    # What surrounds it.
    next: float = 0.265
    next_but_one: float = 0.12
    previous: float = 0.07
    answered: float = 0.435
    """More from the turn before, if that one asked something."""
    previous_but_one: float = 0.22
    monologue: float = 0.4
    """Share that is kept of these where the turn beside it is by the same speaker: notes, not an exchange."""
    best_of_session: float = 0.42
    """From the best turn of its session."""
    session: float = 0.45
    """From all that its session says of the cue."""
    session_saturation: float = 0.79
    session_length: float = 0.51
    typical_session: float = 300.0
    """Tokens of a usual session."""
    # What it is.
    likeness: float = 0.28
    """Of the cosine between the centroids of cue and turn."""
    speaker: float = 0.23
    """Its speaker is the one asked about, by name."""
    role: float = 0.40
    """It was said in the role that is asked about: "my" is the user's, "you" the assistant."""
    question: float = 0.18
    """Taken from a turn that ends in a question."""
    asks_when: float = 0.32
    """The query asks when, and it names a time."""
    date: float = 0.4
    """It was said at the time that the query means, or soon after."""
    # How sure that is.
    beside: float = 0.7
    """What a match in a turn beside it counts towards the share of the query that is covered."""
    held: float = 0.8
    """What a word that stands in a turn of any length counts towards it, at least."""
    time_mass: float = 6.0
    """What a time that the query means weighs among its tokens."""
    slope: float = 14.0
    offset: float = 5.9


DEFAULT = Weights()
