"""Vectors of a memory whose processes are killed while they index and encode."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

from engram.memory import Memory
from engram.opening import open_analyzer, open_search, open_store
from tests.search.concepts import ConceptEncoder

from .conftest import Fork

KILLS = 12


@pytest.mark.slow
def test_every_passage_has_its_own_vector_after_kills_while_encoding(tmp_path: Path, fork: Fork) -> None:
    path, rng, encoder = tmp_path / "memory.db", random.Random(3), ConceptEncoder()
    for seed in range(KILLS):
        child = fork("encode", path, seed)
        assert child.stdout.readline() == "open\n"
        time.sleep(0.1 + rng.random() * 0.4)
        _, err = child.kill()
        assert "Traceback" not in err, err
    store = open_store(path)
    search = open_search(store, open_analyzer(), encoder)
    with Memory(store=store, search=search) as memory:
        assert memory.flush(60)
        assert (memory.stats().unencoded, memory.stats().index_trouble) == (0, None)
        reader, number = search.reader(), store.namespace_number("default")
        assert number is not None
        # Passages of the long texts are alike.
        engrams = [engram for engram in memory.engrams() if len(engram.text) < 120]
        assert len(engrams) > KILLS
        for engram in rng.sample(engrams, 60):
            vector = encoder.encode([engram.text])[0]
            rows = reader.similar(number, vector, 3)
            found = store.by_seq(number, reader.seqs(rows).tolist())
            assert engram.id in [found[seq].id for seq in reader.seqs(rows).tolist()]
        turns = reader.take(np.arange(1, reader.index.rows + 1))
        assert turns.codes.any(axis=1).all()
