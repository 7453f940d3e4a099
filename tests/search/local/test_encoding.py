"""When passages get their vectors, and what is left of them after crashes, deletions, failures and other encoders."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from engram.engram import Engram, draft
from engram.errors import EngramError
from engram.meaning import encoders
from engram.meaning.codes import NO_CODES
from engram.meaning.sentences import DATA, TOKENIZER, TUNED, WEIGHTS, SentenceEncoder
from engram.memory import Memory
from engram.search.base import Array, IndexDamaged
from engram.search.local import indexer, pending
from engram.search.local.build import IndexBuild
from engram.search.local.folder import IndexFolder
from engram.search.local.growing import GrowingArray
from engram.search.local.index import LocalIndex
from engram.store.base import Filter
from engram.store.sqlite.store import SqliteStore
from tests.search.concepts import ConceptEncoder
from tests.search.conformance import ANALYZER

DOG = "The spaniel of our neighbour barks."


@contextmanager
def opened(
    folder: Path, encoder: ConceptEncoder | None, *, read_only: bool = False, quick: bool = False
) -> Iterator[tuple[SqliteStore, LocalIndex]]:
    """The memory in a folder, as one process opens it."""
    with closing(SqliteStore(folder / "memory.db", read_only=read_only)) as store:
        coder = NO_CODES if encoder is None else encoder.coder
        files = IndexFolder(folder / "index", ANALYZER.fingerprint, ANALYZER.token_type, store.identity, coder)
        index = LocalIndex(store, files, ANALYZER, encoder)
        try:
            yield store, index
        finally:
            index.close(quick)


def some(count: int, first: int = 0) -> list[Engram]:
    return [draft(f"note{i} about parking", session=f"s{i % 3}") for i in range(first, first + count)]


def nearest(store: SqliteStore, index: LocalIndex, encoder: ConceptEncoder, text: str = "my puppy") -> list[str]:
    """The texts of the three engrams that are nearest to a text."""
    reader, number = index.reader(), store.namespace_number("default")
    assert number is not None
    rows = reader.similar(number, encoder.encode([text])[0], 3)
    found = store.by_seq(number, reader.seqs(rows).tolist())
    return [found[seq].text for seq in reader.seqs(rows).tolist()]


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_engram_is_found_by_meaning_right_after_it_was_remembered(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        for number in range(5):
            store.append(some(5, 5 * number))
            store.append([draft(DOG.replace("barks", f"barks{number}"))])
            reader = index.reader()
            assert (reader.unencoded, reader.index.rows) == (0, 0)
        assert all("spaniel" in text for text in nearest(store, index, encoder))
        # Every text once, whatever came after it.
        assert len(encoder.encoded) == 30 + 1


def test_what_a_reading_process_has_encoded_is_not_encoded_again_for_the_index(tmp_path: Path) -> None:
    here, there = ConceptEncoder(), ConceptEncoder()
    with opened(tmp_path, here) as (store, index):
        store.append([draft(DOG), *some(5)])
        with opened(tmp_path, there, read_only=True) as (_, other):
            assert other.encoded().codes == {}
            other.reader()
            encoded = other.encoded()
            assert len(encoded.codes) == len(there.encoded) == 6
            assert other.encoded().codes == {}
        index.take_encoded(encoded._replace(made_by="another"))
        index.take_encoded(encoded._replace(codes=dict(list(encoded.codes.items())[:5])))
        assert index.flush(30)
        assert here.encoded == [some(5)[-1].text]
        assert DOG in nearest(store, index, here)
        assert index.encoded().codes == {}


def test_codes_of_another_process_have_a_bound_and_must_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "TAKEN_MOST", 3)
    monkeypatch.setattr(pending, "KNOWN_MOST", 4)
    here, there = ConceptEncoder(), ConceptEncoder()
    with opened(tmp_path, here) as (store, index), opened(tmp_path, there, read_only=True) as (_, other):
        store.append([draft(DOG), *some(5)])
        other.reader()
        encoded = other.encoded()
        assert len(encoded.codes) == 4
        index.take_encoded(encoded)
        index.take_encoded(encoded._replace(codes={key: np.tile(each, (2, 1)) for key, each in encoded.codes.items()}))
        assert DOG in nearest(store, index, here)
        assert len(here.encoded) == 6 + 1


@pytest.mark.parametrize("array", ["tokens", "passages", "rows", "codes"])
def test_reader_searches_by_meaning_while_the_tail_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, array: str
) -> None:
    encoder = ConceptEncoder()
    vector, found = encoder.encode(["my puppy"])[0], list[int]()
    with opened(tmp_path, encoder) as (store, index):
        store.append([draft(DOG), *some(20)])
        reader, number = index.reader(), store.namespace_number("default")
        assert number is not None
        assert len(reader.similar(number, vector, 3)) == 3
        forward, append = reader.tail.forward, GrowingArray.append
        grown = forward.vectors.codes if array == "codes" else getattr(forward, array)

        def append_while_read(self: GrowingArray, values: Array) -> None:
            append(self, values)
            if self is grown:
                found.append(len(reader.similar(number, vector, 3)))

        monkeypatch.setattr(GrowingArray, "append", append_while_read)
        store.append(some(3, 20))
        index.reader()
    assert found
    assert set(found) == {3}


def test_nothing_is_encoded_when_a_memory_is_opened_and_written(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append(some(20))
        index.added(20)
    assert encoder.encoded == []


def test_words_are_indexed_before_vectors_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = ConceptEncoder()
    monkeypatch.setattr(indexer, "BATCH", 300)
    with opened(tmp_path, encoder) as (store, index):
        store.append([*some(1_000), draft(DOG)])
        assert index.flush(30, vectors=False)
        assert index.stats().unindexed == 0
        assert index.flush(30)
        assert (index.stats().unencoded, index.reader().unencoded) == (0, 0)
        assert nearest(store, index, encoder)[0] == DOG
        assert len(encoder.encoded) == 1_001 + 1


def test_reader_of_a_backlog_finds_by_words_and_starts_to_encode(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append([*some(300), draft(DOG)])
        assert index.reader().unencoded == 301
        until(lambda: index.reader().unencoded == 0)
        assert nearest(store, index, encoder)[0] == DOG


@pytest.mark.parametrize("reading", [False, True])
def test_few_engrams_reach_the_index_soon_whether_the_memory_is_read_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reading: bool
) -> None:
    monkeypatch.setattr(indexer, "SOON", 0.2)
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append(some(pending.FEW + 1))
        index.added(pending.FEW + 1)
        # The readers come more often than every 0.2 s.
        until(lambda: (not reading or bool(index.reader())) and index.stats().unindexed == 0)
        assert index.flush(30)
        assert (index.stats().unencoded, index.reader().unencoded) == (0, 0)


def test_closing_indexes_few_engrams_so_that_no_process_encodes_them_again(tmp_path: Path) -> None:
    encoder, other = ConceptEncoder(), ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        for number in range(10):
            store.append(some(4, 4 * number))
            index.added(4)
            index.reader()
    assert len(encoder.encoded) == 40
    with opened(tmp_path, other) as (_, index):
        assert (index.reader().unencoded, index.stats().unindexed) == (0, 0)
    assert other.encoded == []


def test_encoding_goes_on_where_another_process_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "ENCODING", 0.0)
    encoder, other = ConceptEncoder(), ConceptEncoder()
    with opened(tmp_path, encoder, quick=True) as (store, index):
        store.append([*some(1_000), draft(DOG)])
        assert index.flush(30, vectors=False)
        until(lambda: index.stats().unencoded < 1_001)
    with opened(tmp_path, other) as (store, index):
        left = index.stats().unencoded
        assert left < 1_001
        assert index.flush(30)
        assert len(other.encoded) == left
        assert nearest(store, index, other)[0] == DOG


def test_codes_that_were_not_published_are_made_again_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder, quick=True) as (store, index):
        store.append(some(400))
        assert index.flush(30, vectors=False)
        with monkeypatch.context() as crash:
            # What was appended is in the files, and nothing says so.
            crash.setattr(IndexFolder, "publish", lambda self: None)
            index._indexer.wake(urgent=True)
            until(lambda: len(encoder.encoded) == 400)
    state = json.loads((tmp_path / "index" / "state.json").read_text())
    again = ConceptEncoder()
    with opened(tmp_path, again) as (store, index):
        store.append([draft(DOG)])
        assert index.flush(30)
        assert len(again.encoded) == 401 - state["coded"]
        turns = index.reader().take(np.arange(1, 402))
        assert turns.codes.any(axis=1).all()
        assert nearest(store, index, again)[0] == DOG


def test_another_encoder_encodes_again_and_words_stay(tmp_path: Path) -> None:
    one, other = ConceptEncoder(), ConceptEncoder("concepts 2", seed=5)
    with opened(tmp_path, one) as (store, index):
        store.append([*some(300), draft(DOG)])
        assert index.flush(30)
    before = json.loads((tmp_path / "index" / "state.json").read_text())
    with opened(tmp_path, other) as (store, index):
        assert index.stats().unencoded == 301
        assert index.reader().index.rows == 301
        assert index.flush(30)
        assert nearest(store, index, other)[0] == DOG
    after = json.loads((tmp_path / "index" / "state.json").read_text())
    assert (after["build"], after["coder"]) == (before["build"], other.coder.fingerprint)
    names = {path.name for path in (tmp_path / "index" / after["build"]).iterdir()}
    assert not [name for name in names if name.endswith(one.coder.fingerprint)]


def test_process_without_an_encoder_keeps_the_vectors(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append([*some(300), draft(DOG)])
        assert index.flush(30)
    with opened(tmp_path, None) as (store, index):
        store.append(some(300, 300))
        assert index.flush(30)
        reader = index.reader()
        assert (reader.unencoded, index.stats().unencoded) == (0, 0)
        assert reader.similar(1, np.ones(96, np.float32), 5).tolist() == []
        assert reader.take(np.array([1, 2])).codes.shape == (2, 0)
    again = ConceptEncoder()
    with opened(tmp_path, again) as (store, index):
        assert index.flush(30)
        assert len(again.encoded) == 300
        assert nearest(store, index, again)[0] == DOG


def test_two_encoders_do_not_replace_each_other_forever(tmp_path: Path) -> None:
    one, other = ConceptEncoder(), ConceptEncoder("concepts 2")
    with ExitStack() as stack:
        store, index = stack.enter_context(opened(tmp_path, one))
        store.append(some(300))
        assert index.flush(30)
        _, second = stack.enter_context(opened(tmp_path, other))
        assert second.flush(30)
        with pytest.raises(EngramError, match="another encoder"):
            index.flush(30)
        assert "another encoder" in str(index.stats().trouble)
        assert (index.stats().unindexed, second.stats().unencoded) == (0, 0)
        assert len(index.reader().candidates(1, ["park"], 400)) == 300


def test_failing_encoder_leaves_recall_by_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = ConceptEncoder()
    encoder.failure = OSError("sentences.safetensors is missing")
    with opened(tmp_path, encoder) as (store, index):
        store.append(some(20))
        reader = index.reader()
        assert len(reader.candidates(1, ["park"], 400)) == 20
        assert reader.similar(1, np.ones(96, np.float32), 5).tolist() == []
        store.append(some(400, 20))
        with pytest.raises(EngramError, match=r"cannot be encoded: OSError.*sentences\.safetensors"):
            index.flush(30)
        assert index.flush(30, vectors=False)
        assert "sentences.safetensors" in str(index.stats().trouble)
    assert len([record for record in caplog.records if "recall continues by words" in record.message]) == 1


def test_engram_that_was_forgotten_before_it_was_encoded_is_not(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder, quick=True) as (store, index):
        store.append([*some(300), draft(DOG)])
    with opened(tmp_path, None) as (store, index):
        assert index.flush(30)
    secret = store_texts(tmp_path)[300]
    with opened(tmp_path, encoder) as (store, index):
        assert store.forget(Filter(), secret.id) == 1
        index.deleted()
        assert index.flush(30)
        assert DOG not in encoder.encoded
        assert not index.reader().index.forward.vectors.take(np.array([300])).any()
        assert DOG not in nearest(store, index, encoder)


def store_texts(folder: Path) -> list[Engram]:
    with closing(SqliteStore(folder / "memory.db", read_only=True)) as store:
        return list(store.engrams(Filter()))


def test_forgotten_engram_is_not_found_and_leaves_no_vector_after_compacting(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        secret = draft(DOG)
        store.append([*some(300), secret, draft("a dog on the beach")])
        assert index.flush(30)
        (code,) = index.reader().take(np.array([301])).codes
        files = index._folder.folder
        assert files is not None
        rest = bytes(code[encoder.coder.scanned // 8 :].tolist())
        assert any(rest in path.read_bytes() for path in files.rglob("codes-*"))
        assert store.forget(Filter(), secret.id) == 1
        assert DOG not in nearest(store, index, encoder)
        index.deleted()
        assert index.flush(30)
        assert DOG not in nearest(store, index, encoder)
        store.compact()
        encoded = len(encoder.encoded)
        index.purge()
        assert index.flush(30)
        # The other engrams keep their vectors.
        assert len(encoder.encoded) == encoded
        assert not any(rest in path.read_bytes() for path in files.rglob("*") if path.is_file())
        assert nearest(store, index, encoder)[0] == "a dog on the beach"


def test_rebuilt_index_takes_over_the_vectors_of_what_it_shares(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    long = draft(
        "We talked about the garden, and about the old trees. " * 20 + "The hound barks. " + "And the roof. " * 60
    )
    with opened(tmp_path, encoder) as (store, index):
        engrams = [*some(200), long, *some(200, 200), draft(DOG)]
        store.append(engrams)
        assert index.flush(30)
        codes = index.reader().take(np.arange(1, 403)).codes
        assert store.forget(Filter(), engrams[3].id) == 1
        store.append(some(20, 400))
        encoder.encoded.clear()
        assert index.rebuild(30)
        assert sorted(set(encoder.encoded)) == sorted(engram.text for engram in some(20, 400))
        after = index.reader().take(np.arange(1, 422)).codes
        assert np.array_equal(after[: len(codes) - 1], np.delete(codes, 3, axis=0))
        assert after.any(axis=1).all()
        assert set(nearest(store, index, encoder)) > {DOG, long.text}


def test_read_only_memory_encodes_the_newest_first(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, None) as (store, _):
        store.append([draft(DOG), *some(100), draft("a dog on the beach")])
    with opened(tmp_path, encoder, read_only=True) as (store, index):
        assert index.reader().unencoded == 102 - pending.FEW
        assert nearest(store, index, encoder)[0] == "a dog on the beach"
        until(lambda: index.reader().unencoded == 0)
        assert {DOG, "a dog on the beach"} < set(nearest(store, index, encoder))
        assert len(set(encoder.encoded)) == 102 + 1


def long(passages: int) -> Engram:
    return draft("\n\n".join(f"Paragraph {number} " + "of a long report " * 20 for number in range(passages)))


def test_a_reader_encodes_few_passages_and_leaves_a_longer_text_to_the_indexer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "FEW_PASSAGES", 8)
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append([draft(DOG), *(long(length) for length in (5, 5, 30, 30))])
        assert index.reader().unencoded == 4
        assert len(encoder.encoded) == 5
        assert index.reader().unencoded == 2
        assert encoder.encoded[5] == DOG
        until(lambda: index.reader().unencoded == 0)


def test_a_read_only_memory_encodes_no_text_that_stalls_recall(tmp_path: Path) -> None:
    encoder, huge = ConceptEncoder(), "<|" * (1 << 18)
    with opened(tmp_path, None) as (store, _):
        store.append([draft(DOG), draft(huge), draft("a dog on the beach"), draft(huge + "<|")])
    with opened(tmp_path, encoder, read_only=True) as (store, index):
        assert index.reader().unencoded == 2
        assert sorted(encoder.encoded) == [DOG, "a dog on the beach"]
        assert set(nearest(store, index, encoder)) >= {DOG, "a dog on the beach"}


@pytest.mark.parametrize("part", ["codes", "signs", "passages"])
def test_damaged_vectors_are_noticed_and_made_again(tmp_path: Path, part: str) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append([*some(300), draft(DOG)])
        assert index.flush(30)
    (path,) = (tmp_path / "index").glob(f"generation-*/{part}*")
    content = bytearray(path.read_bytes())
    content[::7] = bytes(byte ^ 0x55 for byte in content[::7])
    path.write_bytes(bytes(content))
    with opened(tmp_path, encoder) as (store, index):
        reader = index.reader()
        with pytest.raises(EngramError) as caught:
            reader.take(np.arange(1, 302))
        index.damaged(reader, caught.value)  # type: ignore[arg-type]
        assert index.flush(30)
        assert nearest(store, index, encoder)[0] == DOG


@pytest.mark.parametrize("part", ["codes", "signs", "passages", "rows"])
@pytest.mark.parametrize("seed", range(12))
def test_damage_is_noticed_or_leads_to_no_other_namespace(tmp_path: Path, part: str, seed: int) -> None:
    encoder, rng = ConceptEncoder(), np.random.default_rng(seed)
    with opened(tmp_path, encoder) as (store, index):
        store.append([draft(f"dog number {i}", namespace=f"n{i % 3}") for i in range(300)])
        assert index.flush(30)
    (path,) = (tmp_path / "index").glob(f"generation-*/{part}*")
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    for place in rng.integers(0, len(content), int(rng.choice([1, 30, 3_000]))):
        content[place : place + int(rng.choice([1, 4, 64]))] = rng.choice([0, 0x7F, 0xFF, rng.integers(256)])
    path.write_bytes(content.tobytes())
    with opened(tmp_path, encoder) as (store, index):
        reader, number = index.reader(), store.namespace_number("n1")
        assert number is not None
        try:
            rows = reader.similar(number, encoder.encode(["a dog"])[0], 50)
            assert len(rows) <= 50
            assert set(reader.columns(rows)["namespace"].tolist()) <= {number}
            turns = reader.take(np.sort(rows))
            assert len(reader.similarities(turns.codes, encoder.encode(["a dog"])[0])) == len(turns.passage_lengths)
        except IndexDamaged as error:
            index.damaged(reader, error)
            assert index.flush(30)
            assert len(index.reader().similar(number, encoder.encode(["a dog"])[0], 50)) == 50


def test_full_disk_while_encoding_is_reported_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append([*some(300), draft(DOG)])
        with monkeypatch.context() as full:

            def no_room(*_: object) -> None:
                raise OSError(28, "No space left on device")

            full.setattr(IndexBuild, "encode", no_room)
            with pytest.raises(EngramError, match="No space left"):
                index.flush(30)
            assert index.reader().tail.cursor == store.head()
        until(lambda: index.reader().unencoded == 0)
        assert nearest(store, index, encoder)[0] == DOG


def test_many_namespaces_are_scanned_apart(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        texts = ["a dog", "a boat", "the kettle", "an invoice"]
        store.append([draft(text, namespace=f"n{i}") for i in range(200) for text in texts])
        assert index.flush(30)
        store.append([draft("a puppy", namespace="n7")])
        reader = index.reader()
        number = store.namespace_number("n7")
        assert number is not None
        rows = reader.similar(number, encoder.encode(["dog"])[0], 2)
        assert reader.seqs(rows).tolist() == sorted(reader.seqs(rows).tolist())
        assert set(reader.columns(rows)["namespace"].tolist()) == {number}
        assert len(reader.similar(number, encoder.encode(["dog"])[0], 99)) == 5


def test_forked_reader_of_a_read_only_folder_finds_by_meaning(tmp_path: Path) -> None:
    encoder = ConceptEncoder()
    with opened(tmp_path, encoder) as (store, index):
        store.append([*some(300), draft(DOG)])
        assert index.flush(30)
    build = next((tmp_path / "index").glob("generation-*"))
    for path in (*build.iterdir(), build, tmp_path / "index"):
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    try:
        with opened(tmp_path, encoder, read_only=True) as (store, index):
            assert nearest(store, index, encoder)[0] == DOG
    finally:
        for path in (tmp_path / "index", build):
            os.chmod(path, 0o755)


def test_memory_opens_and_finds_by_words_while_the_encoder_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in (WEIGHTS, TOKENIZER, TUNED):
        shutil.copy(DATA / name, folder / name)
    monkeypatch.setitem(encoders.ENCODERS, "use", lambda: SentenceEncoder(folder))
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("The heron stood in the reeds.")
        memory.flush()
    content = (folder / TUNED).read_bytes()
    (folder / TUNED).write_bytes(content[:-1])
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("The otter left prints.")
        assert [memory.recall(word)[0].engram.text[:8] for word in ("heron", "otter")] == ["The hero", "The otte"]
    assert f"{TUNED} has " in caplog.text
    assert "install Engram again" in caplog.text
    (folder / TUNED).write_bytes(content)
    with Memory(tmp_path / "memory.db") as memory:
        memory.flush()
        assert memory.stats().unencoded == 0
