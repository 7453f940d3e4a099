"""Tests that every `SearchReader` must pass: inherit `SearchReaderSuite`, and define the fixture `searchable`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from engram.engram import ORIGINS, ROLES, Engram, draft
from engram.search.base import MOST_TELLING, ROW, SearchReader, Span, kind_code
from engram.store.base import Filter, Store
from engram.text.analyzer import TableAnalyzer
from engram.text.passages import passages
from engram.text.vectors import default_table
from engram.times import microseconds

from .concepts import ConceptEncoder

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANALYZER = TableAnalyzer(default_table())
ENCODER = ConceptEncoder()

HARBOUR = [
    ("Ana", "user", "The harbour was full of boats this morning."),
    ("Bo", "assistant", "Which boats did you see?"),
    ("Ana", "user", "A ferry, two trawlers and a pilot cutter."),
    ("Bo", "assistant", "Trawlers, trawlers everywhere."),
]
KITCHEN = [
    ("Ana", "user", "The kettle in the kitchen leaks again."),
    (None, "assistant", "Shall I order a new kettle?"),
    ("Cy", "user", "No kettle, thank you."),
]
LONG = [
    (
        "Ana",
        "user",
        "We talked about the garden for a while, and about the old trees that could stay where they are. " * 5
        + "The spaniel of our neighbour sleeps on the sofa. "
        + "Then we talked about the roof, and about who could mend it before the winter comes. " * 5,
    )
]
"""One turn of several passages, one of which is about a dog."""
FILLER = [(None, "user", f"Report {number} of the committee about parking and boats.") for number in range(40)]


@dataclass
class Searchable:
    """A store, and a function that makes its engrams searchable."""

    store: Store
    reader: Callable[[], SearchReader]
    """Returns a reader that covers all engrams of the store."""
    half_way: Callable[[], None] = lambda: None
    """Called once, when half of the engrams are in the store."""


@dataclass
class Known:
    """The engrams of the suite, with their reader."""

    searchable: Searchable
    reader: SearchReader
    engrams: dict[int, Engram]
    """By row."""

    def namespace(self, name: str) -> int:
        number = self.searchable.store.namespace_number(name)
        assert number is not None
        return number

    def rows(self, namespace: str, session: str | None = None) -> list[int]:
        """The rows of a namespace, or of one of its sessions, in the order of appending."""
        return [row for row, e in self.engrams.items() if e.namespace == namespace and session in (None, e.session)]

    def texts(self, rows: np.ndarray) -> list[str]:
        """The texts of the engrams with these rows that were not deleted, in the order of `rows`."""
        present = set(self.reader.take(np.unique(rows)).rows.tolist())
        return [self.engrams[row].text for row in rows.tolist() if row in present]


def spoken(namespace: str, session: str, turns: list[tuple[str | None, str, str]], start: datetime) -> list[Engram]:
    """Turns as engrams, one a minute."""
    return [
        draft(
            text,
            namespace=namespace,
            session=session,
            speaker=speaker,
            role=role,
            at=start + timedelta(minutes=minute),
            kind="fact" if minute == 3 else "turn",
        )
        for minute, (speaker, role, text) in enumerate(turns)
    ]


def term(word: str) -> str:
    return ANALYZER.analyse(word).terms[0]


class SearchReaderSuite:
    """Inherit, and define a fixture `searchable` with an empty store."""

    @pytest.fixture
    def known(self, searchable: Searchable) -> Known:
        harbour, kitchen = spoken("a", "harbour", HARBOUR, T0), spoken("a", "kitchen", KITCHEN, T0)
        other = spoken("b", "harbour", HARBOUR, T0 + timedelta(days=1))
        filler, long = spoken("a", "committee", FILLER, T0), spoken("a", "garden", LONG, T0)
        # Sessions alternate, and each continues in the second half.
        first = [*harbour[:2], *kitchen[:1], *long, *other[:2], *filler[:20]]
        second = [*kitchen[1:], *filler[20:], *other[2:], *harbour[2:]]
        searchable.store.append(first)
        searchable.half_way()
        searchable.store.append(second)
        reader, engrams = searchable.reader(), {}
        for engram in (*first, *second):
            number, seq = searchable.store.keys([engram.id])[engram.id]
            (row,) = reader.rows_of(number, np.array([seq]))
            assert reader.seqs(np.array([row])).tolist() == [seq]
            engrams[int(row)] = engram
        return Known(searchable, reader, engrams)

    def test_empty_store_has_no_candidates(self, searchable: Searchable) -> None:
        reader, none = searchable.reader(), np.empty(0, np.int64)
        assert (reader.size(1), reader.unsearched) == (0, 0)
        assert reader.frequencies(1, ["boat"]).tolist() == [0]
        timed = reader.rows_between(1, [Span(0, 1)], 5).rows
        for rows in (reader.candidates(1, ["boat"], 5), reader.all_rows(1, 5), timed, reader.neighbours(none)):
            assert (rows.dtype, rows.tolist()) == (np.int64, [])
        assert reader.take(none).tokens.tolist() == []
        assert reader.session_lengths(np.array([1])).tolist() == [0]

    def test_size_counts_the_engrams_of_one_namespace(self, known: Known) -> None:
        assert known.reader.size(known.namespace("a")) == len(HARBOUR) + len(KITCHEN) + len(LONG) + len(FILLER)
        assert known.reader.size(known.namespace("b")) == len(HARBOUR)
        assert known.reader.size(10_000) == 0
        assert known.reader.unsearched == 0

    def test_frequency_counts_engrams_and_not_occurrences(self, known: Known) -> None:
        terms = [term(word) for word in ("boats", "trawlers", "kettle", "zirconium")]
        frequencies = known.reader.frequencies(known.namespace("a"), terms)
        assert (frequencies.dtype, frequencies.tolist()) == (np.int64, [2 + len(FILLER), 2, 3, 0])
        assert known.reader.frequencies(known.namespace("b"), terms).tolist() == [2, 2, 0, 0]
        assert known.reader.frequencies(known.namespace("a"), []).tolist() == []

    def test_similar_terms_are_those_with_few_typing_errors(self, known: Known) -> None:
        namespace = known.namespace("a")
        for error in ("trawer", "trawller", "trawlir", "trwaler", "xtrawler", "drawler"):
            assert known.reader.similar_terms(namespace, error, 1)[term("trawlers")] == 1, error
            assert known.reader.similar_terms(namespace, error, 2)[term("trawlers")] == 1, error
        assert term("trawlers") not in known.reader.similar_terms(namespace, "trolwer", 1)
        assert term("trawlers") not in known.reader.similar_terms(namespace, term("trawlers"), 1)
        assert known.reader.similar_terms(namespace, "tramlar", 2)[term("trawlers")] == 2

    def test_similar_terms_keep_to_the_namespace(self, known: Known) -> None:
        assert term("kettle") in known.reader.similar_terms(known.namespace("a"), "kattl", 1)
        assert known.reader.similar_terms(known.namespace("b"), "kattl", 1) == {}
        assert known.reader.similar_terms(10_000, "kattl", 1) == {}

    def test_candidates_come_best_first(self, known: Known) -> None:
        words = [term("boats"), term("trawlers"), term("harbour")]
        rows = known.reader.candidates(known.namespace("a"), words, 100)
        assert rows.dtype == np.int64
        assert len(set(rows.tolist())) == len(rows) == 4 + len(FILLER)
        # Turns with a rare word precede all turns with the common word only.
        assert set(known.texts(rows)[:3]) == {HARBOUR[0][2], HARBOUR[2][2], HARBOUR[3][2]}

    def test_candidates_are_limited_to_the_best(self, known: Known) -> None:
        namespace, words = known.namespace("a"), [term("boats"), term("ferry"), term("pilot")]
        rows = known.reader.candidates(namespace, words, 10)
        assert len(rows) == 10
        assert known.texts(rows)[0] == HARBOUR[2][2]
        assert known.reader.candidates(namespace, words, 1).tolist() == rows[:1].tolist()
        assert known.reader.candidates(namespace, [], 5).tolist() == []
        assert known.reader.candidates(namespace, ["zirconium"], 5).tolist() == []

    def test_candidates_keep_to_the_namespace(self, known: Known) -> None:
        words = [term("boats"), term("kettle")]
        rows = known.reader.candidates(known.namespace("b"), words, 100).tolist()
        assert sorted(rows) == [row for row in known.rows("b") if "boats" in known.engrams[row].text]
        assert known.reader.candidates(10_000, words, 100).tolist() == []

    def near(self, known: Known, namespace: str, text: str, limit: int = 5) -> list[str]:
        """The texts of the engrams that are nearest to a text by meaning."""
        rows = known.reader.similar(known.namespace(namespace), ENCODER.encode([text])[0], limit)
        assert rows.dtype == np.int64
        assert len(set(rows.tolist())) == len(rows) <= limit
        assert known.texts(rows) == [known.engrams[row].text for row in rows.tolist()]
        return known.texts(rows)

    def test_similar_engrams_are_found_in_other_words(self, known: Known) -> None:
        assert known.reader.unencoded == 0
        for namespace, text, turns in (("b", "a ship in the port", HARBOUR), ("a", "the teapot", KITCHEN)):
            assert set(self.near(known, namespace, text, len(turns))) == {turn[2] for turn in turns}

    def test_similar_engrams_keep_to_the_namespace(self, known: Known) -> None:
        assert set(self.near(known, "b", "the teapot boils", 99)) <= {turn[2] for turn in HARBOUR}
        assert known.reader.similar(10_000, ENCODER.encode(["a boat"])[0], 5).tolist() == []

    def test_similar_engrams_come_best_first_and_limited(self, known: Known) -> None:
        five = self.near(known, "a", "Which ships did you see?", 5)
        assert five[0] == HARBOUR[1][2]
        assert self.near(known, "a", "Which ships did you see?", 2) == five[:2]
        assert self.near(known, "a", "Which ships did you see?", 0) == []
        assert len(self.near(known, "a", "Which ships did you see?", 999)) > len(FILLER)

    def test_long_engram_is_found_by_the_best_of_its_passages(self, known: Known) -> None:
        assert self.near(known, "a", "a puppy on the sofa", 1) == [LONG[0][2]]
        (row,) = known.rows("a", "garden")
        turns = known.reader.take(np.array([row]))
        parts = [LONG[0][2][start:end] for start, end in passages(LONG[0][2])]
        assert (turns.passages.tolist(), len(turns.codes)) == ([len(parts)], len(parts))
        assert len(parts) > 1
        assert turns.passage_lengths.tolist() == [len(ANALYZER.analyse(part).ids) for part in parts]
        best = known.reader.similarities(turns.codes, ENCODER.encode(["a puppy on the sofa"])[0]).argmax()
        assert "spaniel" in parts[int(best)]

    def test_similarities_are_those_of_the_vectors(self, known: Known) -> None:
        rows = np.array([row for row in known.engrams if known.engrams[row].text != LONG[0][2]], np.int64)
        turns, query = known.reader.take(np.sort(rows)), ENCODER.encode(["a ferry and a kettle"])[0]
        exact = ENCODER.encode([known.engrams[row].text for row in turns.rows.tolist()]) @ query
        found = known.reader.similarities(turns.codes, query)
        assert (found.dtype, found.shape) == (np.float32, (len(rows),))
        assert np.abs(found - exact).max() < 0.3
        assert np.corrcoef(found, exact)[0, 1] > 0.9

    def test_all_rows_are_those_of_the_namespace(self, known: Known) -> None:
        for name in ("a", "b"):
            rows = known.reader.all_rows(known.namespace(name), 1_000).tolist()
            assert sorted(rows) == sorted(known.rows(name))
        assert len(known.reader.all_rows(known.namespace("a"), 5)) == 5
        assert known.reader.all_rows(10_000, 5).tolist() == []

    def test_rows_between_are_those_of_the_times_in_the_namespace(self, known: Known) -> None:
        reader, namespace = known.reader, known.namespace("a")
        start, minute = microseconds(T0), 60_000_000
        spans = [Span(start, start + minute), Span(start + 2 * minute, start + 3 * minute)]
        rows = reader.rows_between(namespace, spans, 100).rows
        assert rows.dtype == np.int64
        times = (T0, T0 + timedelta(minutes=2))
        expected = [row for row in known.rows("a") if known.engrams[row].at in times]
        assert sorted(rows.tolist()) == sorted(expected)
        assert len(expected) > 4
        # An end is no part of its span, and engrams that spans share come once.
        assert reader.rows_between(namespace, [Span(start - minute, start)], 100).rows.tolist() == []
        both = [Span(start, start + 2 * minute), Span(start + minute, start + 3 * minute)]
        shared = reader.rows_between(namespace, both, 100).rows.tolist()
        assert len(shared) == len(set(shared)) > len(expected)
        for nowhere, none in ((known.namespace("b"), spans), (10_000, spans), (namespace, [])):
            assert reader.rows_between(nowhere, none, 100).rows.tolist() == []

    def test_rows_between_come_the_most_telling_first(self, known: Known) -> None:
        namespace, day = known.namespace("a"), Span(microseconds(T0), microseconds(T0 + timedelta(days=1)))
        rows, worth = known.reader.rows_between(namespace, [day], 100)
        assert sorted(rows.tolist()) == sorted(known.rows("a"))
        assert worth.tolist() == sorted(worth.tolist(), reverse=True)
        assert 0 < worth.max() <= MOST_TELLING
        told = {known.engrams[row].text: value for row, value in zip(rows.tolist(), worth.tolist(), strict=True)}
        statement, answer, question, other = HARBOUR[0][2], KITCHEN[2][2], HARBOUR[1][2], HARBOUR[3][2]
        assert told[statement] > told[answer] > told[other] > told[question]
        few = known.reader.rows_between(namespace, [day], 5)
        assert few.telling.tolist() == worth.tolist()[:5]
        assert known.reader.columns(few.rows)["role"].tolist() == [ROLES.index("user")] * 5

    def test_rows_between_find_any_time(self, searchable: Searchable) -> None:
        early, late = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
        searchable.store.append([draft("the first day", namespace="n", at=early)])
        searchable.half_way()
        searchable.store.append([draft("the last day", namespace="n", at=late)])
        reader, namespace = searchable.reader(), searchable.store.namespace_number("n")
        assert namespace is not None
        for moment in (early, late):
            at = microseconds(moment)
            (row,) = reader.rows_between(namespace, [Span(at, at + 1)], 9).rows.tolist()
            assert reader.columns(np.array([row]))["at"].tolist() == [at]

    def test_take_returns_columns_and_tokens(self, known: Known) -> None:
        rows = np.array(sorted(known.engrams), np.int64)
        turns = known.reader.take(rows)
        assert turns.rows.tolist() == rows.tolist()
        assert (turns.columns.dtype, turns.lengths.dtype) == (ROW, np.int64)
        assert turns.tokens.dtype == ANALYZER.token_type
        assert (turns.passages.dtype, turns.passage_lengths.dtype) == (np.int64, np.int64)
        assert turns.codes.dtype == np.uint8
        assert turns.passages.sum() == len(turns.passage_lengths) == len(turns.codes)
        assert np.add.reduceat(turns.passage_lengths, turns.passages.cumsum() - turns.passages).tolist() == (
            turns.lengths.tolist()
        )
        ends = turns.lengths.cumsum()
        speakers: dict[tuple[str, str | None], int] = {}
        for index, row in enumerate(rows.tolist()):
            engram, columns = known.engrams[row], turns.columns[index]
            analysis = ANALYZER.analyse(engram.text)
            assert turns.tokens[ends[index] - turns.lengths[index] : ends[index]].tolist() == analysis.ids
            assert columns["namespace"] == known.namespace(engram.namespace)
            assert columns["role"] == ROLES.index(engram.role)
            assert columns["at"] == microseconds(engram.at)
            assert columns["kind"] == kind_code(engram.kind)
            assert columns["origin"] == ORIGINS.index(engram.origin)
            assert columns["marks"] == analysis.marks
            assert columns["centroid"].tolist() == ANALYZER.centroids([analysis.ids])[0].tolist()
            speaker = speakers.setdefault((engram.namespace, engram.speaker), int(columns["speaker"]))
            assert columns["speaker"] == speaker
            assert (speaker == 0) == (engram.speaker is None)

    def test_columns_are_those_of_take_in_the_order_of_the_rows(self, known: Known) -> None:
        rows = np.array(sorted(known.engrams), np.int64)
        columns = known.reader.columns(rows[::-1])
        assert columns.dtype == ROW
        taken = known.reader.take(rows).columns
        for name in ("namespace", "session", "speaker", "at", "role", "kind", "origin"):
            assert columns[name].tolist() == taken[name][::-1].tolist()

    def test_take_ignores_rows_that_name_no_engram(self, known: Known) -> None:
        first, last = min(known.engrams), max(known.engrams)
        assert known.reader.take(np.array([-5, 0, first, last + 1, 2**31])).rows.tolist() == [first]
        assert known.reader.neighbours(np.array([-5, 0, last + 1])).tolist() == []

    @pytest.mark.parametrize(("namespace", "session"), [("a", "harbour"), ("a", "kitchen"), ("b", "harbour")])
    def test_neighbours_are_those_of_the_session(self, known: Known, namespace: str, session: str) -> None:
        rows = known.rows(namespace, session)
        for index, row in enumerate(rows):
            expected = {rows[i] for i in (index - 1, index + 1) if 0 <= i < len(rows)}
            assert set(known.reader.neighbours(np.array([row])).tolist()) == expected
        assert set(known.reader.neighbours(np.array(rows)).tolist()) == set(rows)
        columns = known.reader.take(np.array(rows)).columns
        assert len(set(columns["session"].tolist())) == 1
        assert columns["previous"].tolist() == [0, *rows[:-1]]

    def test_later_turns_of_a_session_have_greater_rows(self, known: Known) -> None:
        for namespace, session in (("a", "harbour"), ("a", "committee"), ("b", "harbour")):
            assert all(a < b for a, b in pairwise(known.rows(namespace, session)))

    def test_session_lengths_count_tokens(self, known: Known) -> None:
        numbers, expected = [], []
        for namespace, session in (("a", "harbour"), ("a", "kitchen"), ("b", "harbour"), ("a", "committee")):
            rows = known.rows(namespace, session)
            numbers.append(int(known.reader.take(np.array(rows[:1])).columns["session"][0]))
            expected.append(sum(len(ANALYZER.analyse(known.engrams[row].text).ids) for row in rows))
        lengths = known.reader.session_lengths(np.array([*numbers, 10_000]))
        assert (lengths.dtype, lengths.tolist()) == (np.int64, [*expected, 0])

    def test_version_grows_with_a_newer_engram(self, known: Known) -> None:
        again = known.searchable.reader()
        assert again.version == known.reader.version
        known.searchable.store.append([draft("a lighthouse", namespace="b")])
        assert known.searchable.reader().version > known.reader.version

    def test_reader_does_not_change_when_an_engram_is_added(self, known: Known) -> None:
        namespace = known.namespace("b")
        known.searchable.store.append([draft("more boats", namespace="b", session="harbour")])
        newer = known.searchable.reader()
        assert (known.reader.size(namespace), newer.size(namespace)) == (len(HARBOUR), len(HARBOUR) + 1)
        assert known.texts(known.reader.candidates(namespace, [term("boats")], 9)) != []
        assert "more boats" not in known.texts(known.reader.all_rows(namespace, 99))
        assert len(newer.candidates(namespace, [term("boats")], 9)) == 3

    def test_reader_since_a_time_leaves_earlier_turns_out(self, known: Known) -> None:
        namespace, at = known.namespace("a"), T0 + timedelta(minutes=2)
        reader = known.reader.since(microseconds(at))
        rows = np.array(known.rows("a"))
        later = [row for row in rows.tolist() if known.engrams[row].at >= at]
        assert 0 < len(later) < len(rows)
        turns = reader.take(rows)
        assert turns.rows.tolist() == later
        assert turns.tokens.tolist() == known.reader.take(np.array(later)).tokens.tolist()
        assert len(turns.codes) == turns.passages.sum() == len(turns.passage_lengths)
        (boats,) = ENCODER.encode(["boats"])
        similar = reader.similar(namespace, boats, 100).tolist()
        assert set(similar) == set(later) & set(known.reader.similar(namespace, boats, 100).tolist())
        assert reader.since(0).take(rows).rows.tolist() == later
        assert known.reader.take(rows).rows.tolist() == rows.tolist()
        assert (reader.version, reader.unsearched) == (known.reader.version, known.reader.unsearched)

    def test_deleted_turns_are_absent(self, known: Known) -> None:
        store, rows, namespace = known.searchable.store, known.rows("a", "harbour"), known.namespace("a")
        seqs = known.reader.seqs(np.array(rows))
        for row in (rows[1], rows[3]):
            assert store.forget(Filter("a"), known.engrams[row].id) == 1
        # Rows of different readers must not be mixed: these rows are of the new reader.
        reader, left = known.searchable.reader(), seqs[[0, 2]].tolist()
        turns = reader.take(np.unique(reader.rows_of(namespace, seqs)))
        assert reader.seqs(turns.rows).tolist() == left
        candidates = reader.candidates(namespace, [term("trawlers"), term("which")], 9)
        every = reader.all_rows(namespace, 1_000)
        similar = reader.similar(namespace, ENCODER.encode([HARBOUR[3][2]])[0], 1_000)
        assert len(similar)
        day = Span(microseconds(T0), microseconds(T0 + timedelta(days=1)))
        timed = reader.rows_between(namespace, [day], 1_000).rows
        for rows in (candidates, every, similar, timed):
            present = reader.seqs(reader.take(np.unique(rows)).rows).tolist()
            assert not set(present) & set(seqs[[1, 3]].tolist())
        assert reader.session_lengths(turns.columns["session"][:1].astype(np.int64))[0] >= turns.lengths.sum()
