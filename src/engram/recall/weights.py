"""The weights of recall: every number that ranking depends on.

`tools/fit.py` fits those that are fitted, on one half of some conversations, and reports on the other (docs/recall.md).
To add one: a field here, its use in `recall.score`, and a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """How the parts of a score and of a confidence weigh against each other. The formula is in `recall.score`."""

    # How much a token counts.
    idf_prior: float = 219
    """Engrams of plain language that a namespace's own frequencies are smoothed with."""
    typical_length: float = 20.0
    """Tokens of a usual turn."""
    rarity_shift: float = 0.193
    rarity_power: float = 2.04
    name: float = 0.284
    """Factor of a token that names a speaker of the namespace."""
    # How well a turn matches a token.
    saturation: float = 0.131
    """BM25's k1."""
    length: float = 0.319
    """BM25's b."""
    longest: float = 8
    """Typical lengths above which a turn loses no more."""
    near: float = 0.457
    """Most that a near word counts, as a share of an exact one."""
    least_similarity: float = 0.271
    """Cosine at which a near word counts nothing."""
    near_power: float = 0.88
    total_power: float = 0.95
    """The sum over the tokens is divided by the query's whole weight to this power."""
    # The turns around it, by their words.
    next: float = 0.0732
    next_but_one: float = 0.0325
    previous: float = 0.0175
    answered: float = 0.383
    """Added to `previous` if the previous turn holds a question."""
    previous_but_one: float = 0.21
    replied: float = 0.0931
    """In place of `previous` and `answered`, for a turn of the assistant: its worth is not that of the question."""
    monologue: float = 0.4
    """Factor of these if the neighbour has the same speaker: notes, not a dialogue."""
    best_of_session: float = 0.204
    """Of the best turn of its session."""
    session: float = 0.141
    """Of what all turns of its session match together."""
    session_saturation: float = 0.431
    """BM25's k1, for sessions."""
    session_length: float = 0.886
    """BM25's b, for sessions."""
    typical_session: float = 300.0
    """Tokens of a usual session."""
    # The turn itself, and the turns around it, by their meaning.
    words: float = 0.421
    """Of the words of the best passage."""
    meaning: float = 1.32
    """Of the cosine between query and the best passage."""
    meaning_next: float = 0.161
    meaning_previous: float = 0.121
    meaning_of_session: float = 0.424
    """Of the best turn of its session."""
    speaker: float = 0.205
    """The query names its speaker."""
    role: float = 0.148
    """The query asks about its role: "my" means the user, "you" the assistant."""
    assistant: float = 0.356
    """Subtracted from a turn of the assistant: what a person said about themselves is what is asked for."""
    replies: float = 0.3
    """Added to a turn of the assistant if the query asks for what the assistant said."""
    question: float = 0.0768
    """Subtracted if it ends in a question."""
    repeat: float = 2.0
    """Subtracted if it asks what the query asks: it holds no answer."""
    asks_when: float = 0.181
    """The query asks when, and the turn names a time."""
    date: float = 0.429
    """Its time is near to one that the query means."""
    # Confidence.
    neighbour_coverage: float = 0.7
    """Factor of what a neighbour covers of the query."""
    presence_floor: float = 0.8
    """Least that a word counts as covered if it occurs, however long the turn is."""
    time_mass: float = 6.0
    """Weight of a time that the query means, among its tokens."""
    sure_of_score: float = 2.19
    """Log odds for a turn's score, where passages have vectors."""
    sure_of_meaning: float = 2.19
    """Log odds for the cosine between query and turn."""
    sure_of_nothing: float = -2.95
    """Log odds without either."""
    sure_of_words: float = 5.35
    """Log odds for the share of the query's information that a turn covers, where passages have no vectors."""
    sure_of_centroids: float = 5.1
    """Log odds for the likeness of query and turn by the centroids of their words, there."""
    sure_of_no_words: float = -2.7
    """Log odds if it covers nothing."""
    asks: float = 8
    """Factor of the log odds that the query calls for memory, as far as they are below 0, as of "thanks!"."""
    telling: float = 1.2
    """How rare the words of a turn must be, as a sum of logarithms, to be an answer although the query seems not to
    call for memory: "heron" may be all that is asked."""
    informative: float = 10.0
    """The same for a query of two words, by what they weigh in the namespace. Of one word, nobody knows what it calls
    for."""


DEFAULT = Weights()
