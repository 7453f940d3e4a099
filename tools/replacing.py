"""Fit the network that puts what holds now before what held, `reflection.replacing`: `python -m tools.replacing`.

Its pairs come from invented lives made of `tools/data/chains` (what someone told, what changed later, questions for
both) among statements of `tools/data/siblings` with their questions, which nothing has changed. Each question is
recalled in a real memory; of the first ten turns each pair of which one is right is an example. So the network
learns when the newer one is right, not that it always is. What a sentence says is told by networks
that were fitted without its chain.

Prints how well it holds for lives that were left out, each fifth once, and writes it to the package. Comes after
`tools.labels`.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engram import Memory
from engram.meaning.base import Vectors
from engram.meaning.network import Floats, Network
from engram.meaning.sentences import SentenceEncoder, default_encoder
from engram.recall.result import Hit
from engram.reflection.labels import ASKS, SAYS, Asked, asked_from, labels_from
from engram.reflection.replacing import OUTLIER, Replaces, Said, numbers_of_pair
from engram.reflection.sentences import statements_of
from engram.reflection.values import values_of
from tools.labels import BATCH, FOLDS, Chain, fitted, questions, read_chains, sentences
from tools.told import SIBLINGS, lines_of

WRITTEN = Path(str(files("engram.reflection") / "data" / "replacing.npz"))
CHAINS_OF_LIFE, OTHERS_OF_LIFE, DAYS = 20, 60, 330
"""Chains and other statements of an invented life, and over how many days they are told."""
ENDED = 0.2
"""Share of the chains that end."""
BEGIN = datetime(2025, 1, 5, 9, tzinfo=UTC)
FIRST = 10
"""Turns whose pairs are read."""
HIDDEN, NETWORKS = 16, 3
"""Hidden values of a network; networks that stand side by side in the one that is written."""


class Turn(NamedTuple):
    """A turn of an invented life."""

    day: float
    key: str
    text: str
    fold: int
    """The fold whose networks have not read it."""


class Question(NamedTuple):
    """A question, the key of the turn that answers it, and its fold."""

    text: str
    key: str
    fold: int


class Life(NamedTuple):
    """An invented life."""

    name: str
    turns: list[Turn]
    questions: list[Question]


class Pairs(NamedTuple):
    """Examples: what the network reads, whether the newer one is right, and the fold of the life."""

    numbers: Floats
    newer: Floats
    folds: Floats


def fold_of(name: str) -> int:
    """Return the fold of a chain or a life."""
    return zlib.crc32(name.encode()) % FOLDS


def statements_by_language() -> Mapping[str, list[tuple[str, list[str]]]]:
    """Return statements that nothing changes, each with its questions in the same language, by language."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for _, line in lines_of(SIBLINGS):
        same = line.get("asked_lang", line["lang"]) == line["lang"]
        for told in line["told"]:
            found.setdefault(line["lang"], []).append((told["text"], list(told["asked"]) if same else []))
    return found


def lives(chains: Sequence[Chain], rng: random.Random) -> Iterator[Life]:
    """Yield invented lives: chains of one language with other statements between."""
    others = statements_by_language()
    for language in sorted({chain.lang for chain in chains}):
        of_language = [chain for chain in chains if chain.lang == language]
        rng.shuffle(of_language)
        for start in range(0, len(of_language), CHAINS_OF_LIFE):
            known = others.get(language, [])
            part = of_language[start : start + CHAINS_OF_LIFE]
            yield life(f"{language}{start}", part, rng.sample(known, min(OTHERS_OF_LIFE, len(known))), rng)


def life(name: str, chains: Sequence[Chain], others: Sequence[tuple[str, list[str]]], rng: random.Random) -> Life:
    """Return an invented life."""
    turns, asked = list[Turn](), list[Question]()
    for chain in chains:
        fold = fold_of(chain.name)
        days = sorted(rng.random() * DAYS for _ in range(3))
        told = [("old", chain.old), ("same", chain.same), ("new", chain.new)]
        turns += [Turn(day, f"{chain.name} {key}", text, fold) for day, (key, text) in zip(days, told, strict=True)]
        turns.append(Turn(rng.random() * DAYS, f"{chain.name} other", chain.other, fold))
        right = "new"
        if rng.random() < ENDED:
            right = "end"
            turns.append(Turn(days[2] + rng.random() * (DAYS + 10 - days[2]), f"{chain.name} end", chain.end, fold))
        asked += [Question(text, f"{chain.name} {right}", fold) for text in chain.now]
    for number, (text, questions_of_text) in enumerate(others):
        turns.append(Turn(rng.random() * DAYS, f"other {number}", text, fold_of(name)))
        asked += [Question(question, f"other {number}", fold_of(name)) for question in questions_of_text]
    return Life(name, sorted(turns), asked)


class Reader:
    """Reads sentences and questions with the networks that have not read them."""

    def __init__(self, chains: Sequence[Chain]) -> None:
        self._encoder = default_encoder()
        self._says = self._left_out([(e.text, e.group, e.labels) for e in sentences(chains)], SAYS)
        self._asks = self._left_out([(e.text, e.group, e.labels) for e in questions(chains)], ASKS)

    def _left_out(self, examples: Sequence[tuple[str, str, tuple[int, ...]]], sizes: tuple[int, ...]) -> list[Network]:
        vectors = encoded(self._encoder, [text for text, _, _ in examples]).astype(float)
        labels = np.array([labels for _, _, labels in examples])
        folds = np.array([fold_of(group) for _, group, _ in examples])
        return [fitted(vectors[folds != fold], labels[folds != fold], sizes) for fold in range(FOLDS)]

    def asked(self, question: Question) -> tuple[Asked, Vectors]:
        """Return what a question asks for, and the vector of what answers it."""
        vectors = self._encoder.encode([question.text])
        return asked_from(self._asks[question.fold], vectors), self._encoder.towards_answers(vectors)[0]

    def said(self, hits: Sequence[Hit], turns: Mapping[str, Turn], towards: Vectors) -> list[tuple[str, Said]]:
        """Return the key of each hit, and its sentence that is nearest to what is asked for."""
        found = []
        for rank, hit in enumerate(hits):
            turn = turns[hit.engram.id]
            texts = [turn.text[a:b] for a, b in statements_of(turn.text)] or [turn.text]
            vectors = self._encoder.encode(texts)
            labels = labels_from(self._says[turn.fold], vectors)
            near = vectors @ towards
            best = int(near.argmax())
            found.append(
                (
                    turn.key,
                    Said(
                        hit.seq, hit.engram.session, turn.day, rank, sum(hit.why.values()), float(near[best]),
                        vectors[best], labels.slots[best], labels.effects[best], float(labels.own[best]),
                        float(labels.lasting[best]), len(texts[best]), values_of(texts[best]),
                    ),
                )
            )  # fmt: skip
        return found


def encoded(encoder: SentenceEncoder, texts: Sequence[str]) -> Vectors:
    """Return the vectors of many texts."""
    return np.concatenate([encoder.encode(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])


def pairs_of(life: Life, reader: Reader) -> Iterator[tuple[list[float], float]]:
    """Yield what the network reads of each pair of hits of which one is right, and whether it is the newer one."""
    with Memory(":memory:") as memory:
        items = [
            {"text": turn.text, "session": f"day {int(turn.day) // 3}", "at": BEGIN + timedelta(days=turn.day)}
            for turn in life.turns
        ]
        turns = {each.id: turn for each, turn in zip(memory.remember_many(items), life.turns, strict=True)}
        memory.flush()
        for question in life.questions:
            hits = memory.recall(question.text, limit=FIRST, floor=0, now=BEGIN + timedelta(days=DAYS + 20))
            asked, towards = reader.asked(question)
            said = reader.said(hits, turns, towards)
            for key, newer in said:
                for other, older in said[: newer.rank]:
                    if older.told_before(newer) and (key == question.key) != (other == question.key):
                        yield numbers_of_pair(asked, older, newer), float(key == question.key)


def read_pairs() -> Pairs:
    """Return the examples of all invented lives."""
    chains, rng = read_chains(), random.Random(3)
    reader = Reader(chains)
    numbers, newer, folds = list[list[float]](), list[float](), list[int]()
    for each in lives(chains, rng):
        for pair, right in pairs_of(each, reader):
            numbers.append(pair)
            newer.append(right)
            folds.append(fold_of(each.name))
        print(f"\r{each.name}: {len(numbers):,} pairs", end="", flush=True)
    print()
    return Pairs(np.array(numbers, np.float32), np.array(newer, np.float32), np.array(folds, np.float32))


def network_of(pairs: Pairs, seed: int) -> Network:
    """Return a network fitted to scaled examples, with two outputs of which the difference counts, as one."""
    network = fitted(
        pairs.numbers.astype(float), pairs.newer.astype(np.int64)[:, None], (2,), seed, hidden_values=HIDDEN, scale=1.0
    )
    outer, offset = network.outer[:, 1:] - network.outer[:, :1], network.offset[1:] - network.offset[:1]
    return Network(network.inner, network.shift, outer, offset)


def replaces_of(pairs: Pairs) -> Replaces:
    """Return the mean of some networks, as one."""
    mean = pairs.numbers.mean(axis=0)
    deviation = pairs.numbers.std(axis=0) + np.float32(1e-6)
    scaled = pairs._replace(numbers=np.clip((pairs.numbers - mean) / deviation, -OUTLIER, OUTLIER))
    networks = [network_of(scaled, seed) for seed in range(NETWORKS)]
    return Replaces(
        mean, deviation,
        Network(
            np.concatenate([each.inner for each in networks], axis=1),
            np.concatenate([each.shift for each in networks]),
            np.asarray(np.concatenate([each.outer for each in networks]) / NETWORKS, np.float32),
            np.asarray(np.mean([each.offset for each in networks], axis=0), np.float32),
        ),
    )  # fmt: skip


def main() -> None:
    """Fit, report and write."""
    pairs = read_pairs()
    held = np.zeros(len(pairs.newer), np.float32)
    for fold in range(FOLDS):
        used = pairs.folds != fold
        held[~used] = replaces_of(Pairs(*(part[used] for part in pairs))).odds(pairs.numbers[~used])
    newer = pairs.newer > 0
    greater = (np.searchsorted(np.sort(held[~newer]), held[newer])).mean() / max(1, (~newer).sum())
    print(f"{len(newer):,} pairs, the newer one is right in {newer.mean():.3f}; area under the curve {greater:.3f}")
    for least in (0.4, 0.5, 0.6, 0.7):
        taken = held >= np.log(least / (1 - least))
        right, share, found = newer[taken].mean(), taken.mean(), taken[newer].mean()
        print(f"from {least}: {share:.3f} of the pairs, right {right:.3f}; of those to be found {found:.3f}")
    fitted_on_all = replaces_of(pairs)
    parts = fitted_on_all.network._asdict() | {"mean": fitted_on_all.mean, "deviation": fitted_on_all.deviation}
    np.savez_compressed(WRITTEN, **{name: part.astype(np.float32) for name, part in parts.items()})


if __name__ == "__main__":
    main()
