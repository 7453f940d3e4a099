"""Score and confidence: how well each turn answers a query, and how sure that is.

Owns the formula; this is its only copy. A score ranks the turns of one query and is the sum of `PARTS`. A confidence, 0
to 1, means the same for short and long queries and for small and large memories. Pure numpy; its numbers are
`recall.weights`, and what it reads of the turns is `recall.features`.

Arrays are float32 and small, so the number of numpy calls is what costs time: `take` instead of indexing, and `out=`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.engram import ROLES
from engram.recall.features import CENTROIDS, Features, Floats
from engram.recall.proximity import closeness
from engram.recall.query import ParsedQuery
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import Array, Ints
from engram.text.base import ASKS, QUESTION, SIMILARITY_STEP, TIME

ASSISTANT = ROLES.index("assistant")

TokenWeights = npt.NDArray[np.float64]
"""How much each token of a query counts: shape (q,)."""

PARTS = ("words", "meaning", "next", "previous", "session", "speaker", "question", "time")
"""Names of the parts of a score, in the order of `hit.why`."""

FLOOR = 0.15
"""If the best hit has a lower confidence, recall returns nothing."""

LITTLE, MOST = 0.3, 0.55
"""Shares of the query's information: a turn that covers less than the first does not answer it by its words, and one
that covers more than the second does."""

FAR, NEAR = 0.32, 0.45
"""Cosines: if a query seems not to call for memory, a turn over the second proves the contrary, and one under the
first does not."""

SURELY_NOT, HARDLY = -3.5, -2.5
"""Log odds of a query: that it calls for memory is disproved under the first, whatever is near, and not over the
second."""

MOST_ODDS = 80.0
"""Log odds below 0 from which a confidence is 0."""

QUOTED, LONG_QUOTATION = 0.95, 6
"""Share of the query's information from which a turn is quoted by it, and words of a long quotation."""

EVERYDAY = 1e-3
"""Share among all words of a language above which a word is an everyday one."""

HEAD = 64
"""Number of best turns whose coverage is computed. Below them, confidence falls with the score."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of n turns for q tokens."""

    total: Floats
    """What turns are ranked by, higher is better: shape (n,)."""
    parts: dict[str, Floats]
    """The terms of the total, by name: shape (n,) each."""
    order: Ints
    """Indices of the turns, best first; of equal ones the later first: shape (n,)."""
    matched: Floats
    """How well each turn matches each token, 0 to about 1.2, and a last column of zeros: shape (q, n + 1)."""
    when: Floats
    """How near each turn is to a time that the query means, 0 to 1: shape (n,)."""
    of_passages: Floats
    """What each passage's own words and meaning count, higher is better: shape (p,)."""


class Tables(NamedTuple):
    """Factors that depend on the weights alone, float32."""

    near: Floats
    """What a near word matches in a turn of length 0, by its similarity in steps of 1/255: shape (256,)."""
    saturation: Floats
    """BM25's k1 * (1 - b + b * length), by the turn's number of tokens; longer turns have the last entry."""
    previous: Floats
    """Factor of the previous turn, by that turn's marks: shape (8,)."""
    replied: Floats
    """Factor of the previous turn, for a turn of the assistant: shape ()."""
    others: Floats
    """Factor of the turn before the previous one, of the next, and of the next but one: shape (3, 1)."""
    voice: Floats
    """Factor of a neighbour by another speaker, and by the same: shape (2,)."""
    question: Floats
    """The part "question", by the turn's marks: shape (8,)."""


@lru_cache(8)
def tables(weights: Weights) -> Tables:
    """Return the tables for some weights."""
    w, marks = weights, np.arange(8)
    near = np.maximum(np.arange(256) * SIMILARITY_STEP - w.least_similarity, 0) / (1 - w.least_similarity)
    length = np.minimum(np.arange(int(w.longest * w.typical_length) + 2) / w.typical_length, w.longest)
    made = (
        w.near * near**w.near_power * (1 + w.saturation),
        w.saturation * (1 - w.length + w.length * length),
        w.previous + w.answered * (marks & ASKS != 0),
        np.array(w.replied),
        np.array([[w.previous_but_one], [w.next], [w.next_but_one]]),
        np.array([1, w.monologue]),
        -w.question * (marks & QUESTION != 0),
    )
    return Tables(*(table.astype(np.float32) for table in made))


def token_weights(query: ParsedQuery, engrams: int, frequencies: Ints, weights: Weights = DEFAULT) -> TokenWeights:
    """Return how much each token counts, by how rare it is in the namespace and in plain language: shape (q,).

    engrams: number of engrams of the namespace. frequencies: number of them that hold each token, shape (q,).
    """
    in_a_turn = 1 - (1 - query.probabilities) ** weights.typical_length
    expected = frequencies + weights.idf_prior * in_a_turn + 0.5
    rarity = np.log((engrams + weights.idf_prior + 1) / expected) - weights.rarity_shift
    return np.maximum(rarity, 0.02) ** weights.rarity_power


def score(query: ParsedQuery, features: Features, token_weight: TokenWeights, weights: Weights = DEFAULT) -> Scores:
    """Score at least one turn; `token_weight` as `token_weights` returns it."""
    f, w, table = features, weights, tables(weights)
    q, n, columns = len(f.counts), len(f.turns.rows), f.turns.columns
    marks, share = columns["marks"], shares(query, token_weight, w)
    of_passages = match(f, w)
    # A row for each token, and one for their sum. The last column is 0: what index -1, a missing neighbour, finds.
    matched = np.zeros((q + 1, n + 1), np.float32)
    matched[:q, :n] = f.in_turns(of_passages)
    # einsum, not BLAS: BLAS starts threads, which costs more than such small products (docs/LOG.md).
    words_of_passages = np.einsum("q,qp->p", share, of_passages)
    words, meaning = matched[q], np.zeros(n + 1, np.float32)
    words[:n], meaning[:n] = f.in_turns(words_of_passages), np.float32(query.worth) * f.in_turns(f.meaning)
    replies = columns["role"] == ASSISTANT
    previous, following = score_neighbours(words, marks, replies, f, table)
    when = closeness(columns["at"], list(query.periods)) if query.periods else np.zeros(n, np.float32)
    for tokens in query.days:
        np.maximum(when, f.in_turns(f.counts)[list(tokens)].min(axis=0) > 0, out=when)
    in_session = np.maximum.reduceat(meaning.take(f.by_session), f.starts).take(f.session)
    parts = {
        "words": w.words * words[:n],
        "meaning": w.meaning * meaning[:n],
        "next": following + w.meaning_next * meaning.take(f.around[2]),
        "previous": previous + w.meaning_previous * meaning.take(f.around[0]),
        "session": score_sessions(matched, share, f, w).take(f.session) + w.meaning_of_session * in_session,
        "speaker": score_speaker(query, f, replies, w),
        "question": np.subtract(table.question.take(marks), w.repeat * repeats(f), dtype=np.float32),
        "time": w.date * when if query.periods else when,
    }
    if query.asks_when:
        parts["time"] = parts["time"] + np.float32(w.asks_when) * ((marks & TIME) != 0)
    total = np.add.reduce(np.concatenate(list(parts.values()), dtype=np.float32).reshape(len(parts), n))
    order = n - 1 - (-total[::-1]).argsort(kind="stable")
    said = w.words * words_of_passages + w.meaning * query.worth * f.meaning
    return Scores(total, parts, order, matched[:q], when, said)


def repeats(features: Features) -> npt.NDArray[np.bool_]:
    """Return whether each turn asks what the query asks: all its words are the query's, and at least half as many."""
    turns = features.turns
    same = (features.held == turns.lengths) & (2 * turns.lengths >= len(features.counts))
    return np.asarray(same & (turns.columns["marks"] & ASKS != 0))


def match(features: Features, weights: Weights) -> Floats:
    """Return how well each passage matches each token, exactly or by a near word, 0 to about 1.2: shape (q, p).

    An exact match saturates with its count, and any match counts less in a longer passage, as in BM25.
    """
    table, counts = tables(weights), features.counts
    saturation = table.saturation.take(features.turns.passage_lengths, mode="clip")
    near = table.near.take(features.nearness)
    near /= 1 + saturation
    exact = counts + saturation
    np.divide(counts, exact, out=exact)
    exact *= np.float32(1 + weights.saturation)
    return np.asarray(np.maximum(near, exact, out=near))


def shares(query: ParsedQuery, token_weight: TokenWeights, weights: Weights) -> Floats:
    """Return each token's weight as a share of the query's whole weight: shape (q,)."""
    whole = max(float(token_weight.sum()), 0.1) ** weights.total_power
    share = np.asarray(token_weight * (1 / whole), np.float32)
    if query.speakers:
        share[query.names] *= weights.name
    return share


def score_neighbours(
    words: Floats, marks: Array, replies: Array, features: Features, table: Tables
) -> tuple[Floats, Floats]:
    """Return what each turn gains from the words of the turns before it, and of those after it: shape (n,) each.

    words: shape (n + 1,), the last one 0. marks, and whether it is the assistant's (`replies`): shape (n,).
    """
    around = words.take(features.around)
    around[0] *= np.where(replies, table.replied, table.previous.take(marks).take(features.around[0]))
    around[1:] *= table.others
    before, after = around.reshape(2, 2, -1).sum(axis=1) * table.voice.take(features.same_speaker)
    return before, after


def score_sessions(matched: Floats, share: Floats, features: Features, weights: Weights) -> Floats:
    """Return what each session gives its turns: shape (s,).

    That is its best turn's words, and what all its turns match together. Together they match a token by the best match,
    saturated, and less in a long session. matched: the rows of the tokens and that of their sum, shape (q + 1, n + 1).
    """
    f, w, k, b = features, weights, weights.session_saturation, weights.session_length
    best = accel.in_use().best_in_sessions(matched, f.by_session, f.starts)
    tokens, words = best[:-1], best[-1]
    saturation = f.session_lengths * (k * b / w.typical_session) + k * (1 - b)
    together = np.einsum("q,qs->s", share * (w.session * (1 + k)), tokens / (tokens + saturation))
    return np.asarray(w.best_of_session * words + together, np.float32)


def score_speaker(query: ParsedQuery, features: Features, replies: Array, weights: Weights) -> Floats:
    """Return what each turn gains or loses by who said it: shape (n,).

    It gains if the query names its speaker, or asks about its role. The assistant's turns (`replies`, shape (n,)) lose
    as far as the query does not ask for what the assistant said.
    """
    columns, w = features.turns.columns, weights
    of_replies = 0.0 if query.replies is None else 1 / (1 + math.exp(-query.replies))
    values, wanted, worth = columns["role"], query.roles, w.role * (1 - of_replies)
    if query.speakers:
        values, wanted, worth = columns["speaker"], query.speakers, w.speaker
    by_wanted = np.zeros(len(columns), np.bool_)
    for number in wanted:
        by_wanted |= values == number
    result = by_wanted * np.float32(worth)
    result += replies * np.float32(w.replies * of_replies - w.assistant * (1 - of_replies))
    return result


def confidence(
    query: ParsedQuery, features: Features, token_weight: TokenWeights, scores: Scores, weights: Weights = DEFAULT
) -> Floats:
    """Return the confidence of each turn, 0 to 1: shape (n,). It never rises along `scores.order`.

    It is a logistic function of the score (`told_by`), of the cosine between query and turn, and of whether the query
    calls for memory at all, which a near turn proves. For a turn without a vector, the share of the query's information
    that the turn and its neighbours cover takes the place of score and cosine. A word that the memory does not hold
    counts as not covered; this is why a token's weight depends on plain language too.
    """
    w, order, head = weights, scores.order, scores.order[:HEAD]
    encoded = features.encoded.take(head)
    cosines = np.where(encoded, features.in_turns(features.meaning).take(head), np.float32(0))
    covered = np.zeros(len(head))
    odds = w.sure_of_nothing + w.sure_of_score * told_by(scores).take(head) + w.sure_of_meaning * cosines
    without_vector = not encoded.all()
    if without_vector or query.asks < 0:
        covered = coverage(query, features, token_weight, scores, head, w)
    if without_vector:
        by_words = w.sure_of_no_words + w.sure_of_words * covered
        if query.vector is not None:
            by_words += w.sure_of_centroids * CENTROIDS * features.centroid_similarity.take(head)
        odds = np.where(encoded, odds, by_words)
    if query.asks < 0:
        said = (features.held == features.turns.lengths).take(head)
        odds = odds + w.asks * query.asks * (1 - answering(query, token_weight, covered, said, cosines, w))
    sure = 1 / (1 + np.exp(np.minimum(-odds, MOST_ODDS)))
    # The first turns are at least as sure as those behind them.
    calibrated = np.maximum.accumulate(sure[::-1])[::-1]
    # All turns of a session share the session's part, so it does not tell them apart; a repeated query is no less sure.
    falling = (scores.total - scores.parts["session"] - scores.parts["question"]).take(order)
    falling *= calibrated[0] / max(float(falling[0]), 1e-6)
    falling[0] = calibrated[0]
    np.minimum(falling[: len(head)], calibrated, out=falling[: len(head)], casting="same_kind")
    np.minimum.accumulate(falling, out=falling)
    result = np.empty(len(order), np.float32)
    result[order] = np.maximum(falling, 0, out=falling)
    return result


def told_by(scores: Scores) -> Floats:
    """Return the scores without what the turns lose because they ask, or because the assistant said them: shape (n,).

    Such a turn comes later than others; what it holds is no less sure.
    """
    return np.asarray(scores.total - scores.parts["question"] - np.minimum(scores.parts["speaker"], 0))


def answering(
    query: ParsedQuery,
    token_weight: TokenWeights,
    covered: npt.NDArray[np.float64],
    said: npt.NDArray[np.bool_],
    cosines: Floats,
    weights: Weights,
) -> npt.NDArray[np.float64]:
    """Return how surely turns are looked for, though the query seems not to call for memory, 0 to 1: shape (h,).

    They are if they cover most of a query whose words are rare in plain language or, of two words, in the namespace; if
    the query is one word; if it quotes them; and if they are near to it. Where the query surely asks nothing, neither a
    near turn proves much, nor a word that a sentence shares with it: "make it shorter". covered: as `coverage` returns
    it. said: whether the query holds all words of the turn. cosines: those of query and turns, 0 without a vector.
    """
    q = len(query.ids)
    says = float(np.log(EVERYDAY / np.minimum(query.probabilities, EVERYDAY)).sum()) / weights.telling
    if q < 2:
        says = max(says, 1.0)
    elif q == 2:
        says = max(says, float(token_weight.sum()) / weights.informative)
    telling = np.minimum(covered * says, 1) ** 4
    telling[covered > QUOTED] = 1
    by_words = telling * np.clip((covered - LITTLE) / (MOST - LITTLE), 0, 1)
    asking = min(max((query.asks - SURELY_NOT) / (HARDLY - SURELY_NOT), 0.0), 1.0)
    if not query.is_question and query.probabilities.max() > EVERYDAY:
        # Neither a question nor a list of keywords. A long quotation, or one of a whole turn, finds what it quotes.
        by_words *= np.where((covered > QUOTED) & (said | (q >= LONG_QUOTATION)), 1, asking)
    return np.asarray(np.maximum(by_words, asking * np.clip((cosines - FAR) / (NEAR - FAR), 0, 1)))


def coverage(
    query: ParsedQuery, features: Features, token_weight: TokenWeights, scores: Scores, turns: Ints, weights: Weights
) -> npt.NDArray[np.float64]:
    """Return the share of the query's information, 0 to 1, that each of `turns`, h indices, covers: shape (h,)."""
    f, w = features, weights
    present = np.minimum(scores.matched, 1)
    # A word that occurs in a turn (its count is 1 or more) is covered, however long the turn is.
    counts = f.in_turns(f.counts)
    np.maximum(present[:, :-1], np.minimum(counts, np.float32(w.presence_floor)), out=present[:, :-1])
    around = present.take(f.around.take(turns, axis=1), axis=1)
    sides = np.maximum(around[:, ::2], around[:, 1::2])  # (q, 2, h): before and after
    sides *= (w.neighbour_coverage * tables(w).voice).take(f.same_speaker.take(turns, axis=1))
    covered = np.maximum(present.take(turns, axis=1), np.maximum(sides[:, 0], sides[:, 1]))
    if query.speakers:
        # A name is covered because it names a speaker of the namespace.
        covered[query.names] = 1
    information, whole = np.einsum("q,qh->h", token_weight, covered), float(token_weight.sum())
    if query.periods:
        # A time that the query means counts like a token, and is covered by a turn that is near to it.
        information += w.time_mass * scores.when.take(turns)
        whole += w.time_mass
    return np.asarray(information / max(whole, 1e-6))
