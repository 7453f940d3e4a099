"""The formula on random features: every weight has an effect, and the invariants hold."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from engram.accel import plain
from engram.recall.features import LONGEST_PAUSE, Features
from engram.recall.query import ParsedQuery
from engram.recall.score import HEAD, PARTS, Scores, confidence, score, token_weights
from engram.recall.weights import DEFAULT, Weights
from engram.search.base import ROW, Turns
from engram.text.dates.parse import periods

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Q = 6


def random_features(rng: np.random.Generator, n: int) -> Features:
    columns, rows = np.zeros(n, ROW), np.arange(1, n + 1)
    columns["session"] = np.sort(rng.integers(0, max(1, n // 5), n))
    columns["previous"][1:] = np.where(np.diff(columns["session"]) == 0, rows[:-1], 0)
    for field, top in (("speaker", 3), ("role", 2), ("marks", 8)):
        columns[field] = rng.integers(0, top, n)
    # Days between sessions, minutes between turns of a session; a few turns follow a long pause.
    days, minutes = columns["session"] * 3, np.arange(n) + rng.choice([0, 1_000], n, p=[0.9, 0.1])
    columns["at"] = (int(NOW.timestamp()) - days * 86_400 - 86_400 + minutes * 60) * 10**6
    lengths = rng.integers(0, 300, n)
    counts = (rng.integers(0, 3, (Q, n)) * (rng.random((Q, n)) < 0.3)).astype(np.float32)
    # Some turns only repeat the query.
    lengths[::7] = counts[:, ::7].sum(axis=0)
    around, same_speaker, by_session, starts, session, sessions = plain.find_neighbours(rows, columns, LONGEST_PAUSE)
    return Features(
        turns=Turns.whole(rows, columns, np.zeros(lengths.sum(), np.uint16), lengths),
        starts_of_passages=np.arange(n),
        counts=counts,
        meaning=0.4 * rng.random(n).astype(np.float32),
        nearness=rng.integers(0, 256, (Q, n)).astype(np.uint8),
        centroid_similarity=rng.random(n).astype(np.float32),
        around=around,
        same_speaker=same_speaker,
        by_session=by_session,
        starts=starts,
        session=session,
        session_lengths=rng.integers(1, 3_000, len(sessions)),
        held=counts.sum(axis=0),
        encoded=np.ones(n, np.bool_),
    )


def random_query(rng: np.random.Generator, named: bool = False) -> ParsedQuery:
    return ParsedQuery(
        ids=tuple(range(Q)),
        terms=tuple("abcdef"),
        probabilities=rng.random(Q) * 1e-3,
        names=np.arange(Q) == 0,
        speakers=frozenset({1} if named else ()),
        roles=frozenset({0}),
        asks_when=True,
        is_question=True,
        periods=tuple(periods("last week", NOW)),
        asks=-0.1,
        replies=0.3,
        vector=np.ones(1, np.float32),
    )


def scored(query: ParsedQuery, features: Features, weights: Weights = DEFAULT) -> tuple[Scores, np.ndarray]:
    token_weight = token_weights(query, 10_000, np.arange(len(query.ids)) * 30, weights)
    scores = score(query, features, token_weight, weights)
    return scores, confidence(query, features, token_weight, scores, weights)


def first_tokens(query: ParsedQuery, features: Features, q: int) -> tuple[ParsedQuery, Features]:
    query = replace(
        query, ids=query.ids[:q], terms=query.terms[:q], probabilities=query.probabilities[:q], names=query.names[:q]
    )
    return query, replace(features, counts=features.counts[:q], nearness=features.nearness[:q])


BY_WORDS = (
    "neighbour_coverage",
    "presence_floor",
    "time_mass",
    "sure_of_words",
    "sure_of_no_words",
    "sure_of_centroids",
)
"""Weights that count where passages have no vectors."""


@pytest.mark.parametrize("name", [field.name for field in fields(Weights)])
def test_every_weight_changes_scores_or_confidence(name: str) -> None:
    rng = np.random.default_rng(1)
    features, query = random_features(rng, 300), random_query(rng, named=name in ("name", "speaker"))
    # More than any turn covers; turns that cover half of the query; a keyword.
    usual = replace(DEFAULT, telling=20.0, informative=60.0)
    if name in BY_WORDS:
        features = replace(features, encoded=np.zeros(300, np.bool_))
    if name in ("telling", "informative"):
        features = replace(features, counts=features.counts * 0 + (np.arange(Q) % 2 > 0)[:, None])
    if name == "informative":
        query, features = first_tokens(query, features, 2)
    changed = replace(usual, **{name: getattr(usual, name) * 1.1})
    (scores, sure), (other, other_sure) = scored(query, features, usual), scored(query, features, changed)
    assert not (np.array_equal(scores.total, other.total) and np.array_equal(sure, other_sure))


@pytest.mark.parametrize("n", [1, 2, 3, 40, 300])
def test_parts_add_up_to_the_total_and_the_order_follows_it(n: int) -> None:
    rng = np.random.default_rng(n)
    scores, _ = scored(random_query(rng), random_features(rng, n))
    assert tuple(scores.parts) == PARTS
    assert all(part.dtype == np.float32 and part.shape == (n,) for part in scores.parts.values())
    np.testing.assert_allclose(scores.total, sum(scores.parts.values()), rtol=1e-6)
    assert sorted(scores.order.tolist()) == list(range(n))
    assert np.all(np.diff(scores.total[scores.order]) <= 0)


@pytest.mark.parametrize("n", [1, 2, HEAD, 300])
def test_confidence_lies_between_0_and_1_and_never_rises_along_the_order(n: int) -> None:
    rng = np.random.default_rng(n)
    scores, sure = scored(random_query(rng), random_features(rng, n))
    assert sure.dtype == np.float32
    assert np.all((sure >= 0) & (sure <= 1))
    assert np.all(np.diff(sure[scores.order]) <= 0)


def test_a_turn_without_a_vector_is_as_sure_as_its_words_say() -> None:
    rng = np.random.default_rng(4)
    query, features = random_query(rng), random_features(rng, 100)
    # One turn holds every word of the query and the others none; no cosine tells them apart.
    features.counts[:] = np.arange(100) == 50
    features.nearness[:], features.meaning[:] = 0, 0
    _, as_if_far = scored(query, features)
    scores, sure = scored(query, replace(features, encoded=np.arange(100) != 50))
    assert scores.order[0] == 50
    assert sure[50] > 0.9 > as_if_far[50]


def test_meaning_counts_by_what_the_encoders_cosines_are_worth() -> None:
    rng = np.random.default_rng(5)
    features, query = random_features(rng, 40), random_query(rng)
    weight = token_weights(query, 40, np.full(Q, 3))
    once, twice = (score(replace(query, worth=worth), features, weight) for worth in (1.0, 2.0))
    assert np.allclose(twice.parts["meaning"], 2 * once.parts["meaning"])
    assert np.array_equal(twice.parts["words"], once.parts["words"])
    more = twice.of_passages - once.of_passages
    assert np.allclose(more, DEFAULT.meaning * features.meaning)


def test_equal_turns_are_ordered_the_later_first() -> None:
    rng = np.random.default_rng(0)
    one = random_features(rng, 1)
    columns = np.zeros(20, ROW)
    links = plain.find_neighbours(np.arange(1, 21), columns, LONGEST_PAUSE)
    features = Features(
        Turns.whole(np.arange(1, 21), columns, one.turns.tokens, one.turns.lengths.repeat(20)),
        np.arange(20),
        *(array.repeat(20, axis=-1) for array in (one.counts, one.nearness, one.meaning, one.centroid_similarity)),
        *links[:-1],
        np.array([9]),
        one.held.repeat(20),
        one.encoded.repeat(20),
    )
    scores, _ = scored(random_query(rng), features)
    assert scores.order.tolist() == list(range(19, -1, -1))


def test_missing_neighbours_add_nothing() -> None:
    rng = np.random.default_rng(3)
    features = random_features(rng, 50)
    alone = replace(features, around=np.full_like(features.around, -1))
    scores, _ = scored(random_query(rng), alone)
    assert not scores.parts["previous"].any()
    assert not scores.parts["next"].any()
