"""Fit the classifiers of messages, `meaning.asking`: `python -m tools.asking`, with the options of `tools.fit`.

Which messages call for memory is learned from `tools/data/asking.tsv` (label, language and text of a line; written for
this), the questions of the lives that are not held out, the half of the messages that is not held out, and the
questions for which the encoder is tuned (`tools.told`); with the paths of LoCoMo, BEAM and MemDaily, from their
questions, too. Of these four, each counts like `OF_A_SET` messages. Which ones ask for what the assistant said is
learned from `tools/data/whose.tsv`, these questions and, as others, the messages of `asking.tsv`.

Prints how well the networks separate messages that were left out of the fit, each fifth once, and writes them to the
package.
"""

from __future__ import annotations

import argparse
import csv
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from bench.datasets import Conversation, Question, read_locomo, read_transcripts
from bench.lives import read_lives, read_messages
from bench.metrics import area_under_curve
from engram.meaning.network import Network
from engram.opening import open_encoder
from tools.adam import Adam, Floats
from tools.told import read_items

Labelled = tuple[bool, str, str]
"""Label, source or language, and text of a message."""

DATA = Path(__file__).parent / "data"
ASKING, WHOSE = DATA / "asking.tsv", DATA / "whose.tsv"
SETS = frozenset(["locomo", "beam", "memdaily", "told", "others"])
"""The sources whose questions count together like `OF_A_SET` messages."""
CALLS = 2.0
"""What a message that calls for memory weighs against one that does not: a note too few is worse than one too many."""
HIDDEN, SEEDS = 32, 3
"""Hidden values of a network, and the networks that are averaged: they differ in what a step takes and leaves out."""
SCALE = 22.0
"""Factor of the vectors: about the root of their length, so that each value is of the order of 1."""
RATE, DECAY = 2e-3, 0.2
"""Step of Adam, and the share of the weights that is taken off in a step, in steps of the rate."""
DROPPED = 0.3
"""Share of the hidden values that a step leaves out."""
STEPS, BATCH = 2_000, 256
SMOOTH = 0.02
"""Share of the messages whose label is taken to be wrong."""
FOLDS = 5
OF_A_SET = 200
"""Messages that the questions of a set count like, whatever their number."""


def fitted(vectors: Floats, labels: Floats, counts: Floats, positive: float) -> Network:
    """Return the mean of some networks as one. positive: what label 1 weighs against label 0."""
    found = [fitted_once(vectors, labels, counts, positive, seed) for seed in range(SEEDS)]
    inner, shift, outer, offset = (list(parts) for parts in zip(*found, strict=True))
    outer, offset = [part / SEEDS for part in outer], [np.mean(offset, axis=0)]
    joined = [np.concatenate(parts, axis=-1).astype(np.float32) for parts in (inner, shift, outer, offset)]
    return Network(*joined)


def fitted_once(
    vectors: Floats, labels: Floats, counts: Floats, positive: float, seed: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the values of the network with the least cross-entropy, by Adam, in the order of `Network`."""
    rng = np.random.default_rng(seed)
    weight = counts * np.where(labels > 0, positive / (counts @ labels), 1 / (counts @ (1 - labels)))
    x, dimensions = vectors * SCALE, vectors.shape[1]
    values = [
        rng.uniform(-1, 1, (dimensions, HIDDEN)) / np.sqrt(dimensions),
        np.zeros(HIDDEN),
        rng.uniform(-1, 1, HIDDEN) / np.sqrt(HIDDEN),
        np.zeros(1),
    ]
    adam = Adam(values, DECAY)
    for rows in rng.choice(len(x), (STEPS, BATCH), p=weight / weight.sum()):
        kept = (rng.random((BATCH, HIDDEN)) >= DROPPED) / (1 - DROPPED)
        entered = x[rows] @ values[0] + values[1]
        hidden = np.maximum(entered, 0) * kept
        odds = hidden @ values[2] + values[3]
        wrong = (1 / (1 + np.exp(-odds)) - labels[rows] * (1 - 2 * SMOOTH) - SMOOTH) / BATCH
        back = np.outer(wrong, values[2]) * kept * (entered > 0)
        adam.step([x[rows].T @ back, back.sum(axis=0), hidden.T @ wrong, wrong.sum(keepdims=True)], RATE)
    return values[0] * SCALE, values[1], values[2], values[3]


def fitted_and_reported(name: str, messages: Sequence[Labelled], vectors: Floats, positive: float) -> Network:
    """Print how well a network holds for messages that were left out of its fit, and return that of all of them."""
    sizes = Counter(source for _, source, _ in messages)
    counts = np.array([OF_A_SET / sizes[source] if source in SETS else 1.0 for _, source, _ in messages])
    labels = np.array([float(label) for label, _, _ in messages])
    fold = np.array([zlib.crc32(text.encode()) % FOLDS for _, _, text in messages])
    held = np.zeros(len(messages))
    for left_out in range(FOLDS):
        used = fold != left_out
        held[~used] = fitted(vectors[used], labels[used], counts[used], positive).outputs(vectors[~used])
    area = area_under_curve(held[labels > 0].tolist(), held[labels == 0].tolist())
    wrong = (held[labels > 0] < 0).mean(), (held[labels == 0] > 0).mean()
    print(f"{name}: {len(messages):,} messages; left out: area {area:.3f}, wrong {wrong[0]:.3f}; {wrong[1]:.3f}")
    for source in sorted(set(sizes) & (SETS | {"lives", "nothing"})):
        chosen = np.array([of == source for _, of, _ in messages])
        print(f"  {source}: wrong {((held > 0) != (labels > 0))[chosen].mean():.3f}")
    return fitted(vectors, labels, counts, positive)


def read_lines(path: Path, positive: str) -> list[Labelled]:
    """Return the messages of a file with lines of label, language and text."""
    with open(path, encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(label == positive, language, text) for label, language, text in rows]


def of_lives() -> list[Question]:
    """Return the questions of the lives that are not held out."""
    return [question for life in read_lives() if not life.held_out for question in life.questions]


def read() -> list[Labelled]:
    """Return the messages that call for memory or not, each text once."""
    found = {text: (label, language) for label, language, text in read_lines(ASKING, "1")}
    found |= {message.text: (False, "nothing") for message in read_messages() if not message.held_out}
    found |= {question.text: (True, "lives") for question in of_lives()}
    return [(label, source, text) for text, (label, source) in found.items()]


def read_whose(options: argparse.Namespace) -> list[Labelled]:
    """Return the questions for what the assistant said, and other messages."""
    found = [(False, "others", text) for _, _, text in read_lines(ASKING, "1")]
    found += [(question.kind == "assistant", "lives", question.text) for question in of_lives()]
    for name, conversations in sets(options):
        for conversation in conversations:
            said = {turn.key for turn in conversation.turns if turn.role == "assistant"}
            found += [(said.issuperset(q.evidence), name, q.text) for q in conversation.questions if q.evidence]
    return read_lines(WHOSE, "a") + found


def sets(options: argparse.Namespace) -> Iterator[tuple[str, list[Conversation]]]:
    """Yield name and conversations of each given set."""
    for name, reader in {"locomo": read_locomo, "beam": read_transcripts, "memdaily": read_transcripts}.items():
        if getattr(options, name) is not None:
            yield name, reader(getattr(options, name))


def questions(options: argparse.Namespace) -> list[Labelled]:
    """Return the questions for memory of `tools.answering` and of the given sets, as `read` returns messages."""
    told = [(True, "told", question) for item in read_items() for question in item.asked]
    return told + [
        (True, name, question.text)
        for name, conversations in sets(options)
        for conversation in conversations
        for question in conversation.questions
        if question.evidence
    ]


def main() -> None:
    """Fit the networks, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("locomo", "beam", "memdaily"):
        parser.add_argument(f"--{name}", type=Path)
    options, encoder = parser.parse_args(), open_encoder()
    arrays = {"encoder": np.array(encoder.fingerprint)}
    for name, messages, positive in (
        ("memory", read() + questions(options), CALLS),
        ("replies", read_whose(options), 1.0),
    ):
        vectors = encoder.encode([text for _, _, text in messages]).astype(np.float64)
        network = fitted_and_reported(name, messages, vectors, positive)
        arrays |= {f"{name}.{part}": value for part, value in network._asdict().items()}
    np.savez(str(files("engram.meaning") / "data" / "asking.npz"), allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
