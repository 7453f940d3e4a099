"""Fit which turns last, `reflection.lasting`: `python -m tools.lasting`.

`tools/data/turns.tsv` holds invented chats, in the languages of the encoder: number of the chat, language, writer,
whether the turn tells something of its writer that is worth knowing later (1 or 0; - for an assistant's turn, which is
not weighed), and text. No set that is measured was read for the fit.

Prints how well it is told of the turns of chats that were left out of the fit, each tenth once, and writes the weights
to the package. `python -m bench --only lasting` measures them on LoCoMo. To run after every fit of the labels.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.lasting import f1
from engram.meaning.base import Encoder
from engram.opening import open_encoder
from engram.reflection.labels import made_by
from engram.reflection.lasting import LASTS, numbers_of, told_in

CHATS = Path(__file__).parent / "data" / "turns.tsv"
WRITTEN = Path(str(files("engram.reflection") / "data" / "lasting.npz"))
COST, STEPS = 30.0, 20
"""What a weight costs, of numbers with the variance 1, and the steps of Newton's method."""
FOLDS = 10

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Chat(NamedTuple):
    """An invented chat."""

    language: str
    texts: tuple[str, ...]
    lasts: tuple[bool | None, ...]
    """Of each turn whether it lasts; None for an assistant's."""


class Line(NamedTuple):
    """A decision by a linear function of some numbers."""

    weights: Floats
    offset: float

    def chances(self, numbers: npt.NDArray[np.floating]) -> Floats:
        """Return the probabilities of n turns: shape (n,)."""
        return np.asarray(1 / (1 + np.exp(-(numbers @ self.weights + self.offset))), np.float64)


def read_chats(path: Path = CHATS) -> list[Chat]:
    """Return the chats of a file."""
    with open(path, encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    chats = []
    for _, turns in groupby(rows, key=lambda row: row[0]):
        _, languages, _, marks, texts = zip(*turns, strict=True)
        chats.append(Chat(languages[0], texts, tuple({"1": True, "0": False, "-": None}[mark] for mark in marks)))
    return chats


def fitted(numbers: Floats, lasts: Bools) -> Line:
    """Return the logistic regression with the least cross-entropy and cost of its weights, by Newton's method."""
    mean, spread = numbers.mean(axis=0), numbers.std(axis=0) + 1e-9
    x = np.column_stack([(numbers - mean) / spread, np.ones(len(numbers))])
    cost, values = np.append(np.full(numbers.shape[1], COST), 0.0), np.zeros(x.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-x @ values))
        curved = (x * (chance * (1 - chance))[:, None]).T @ x + np.diag(cost)
        values -= np.linalg.solve(curved, x.T @ (chance - lasts) + cost * values)
    weights = values[:-1] / spread
    return Line(weights, float(values[-1] - weights @ mean))


def examples(chats: Sequence[Chat], encoder: Encoder) -> tuple[Floats, Bools, npt.NDArray[np.int64]]:
    """Return the numbers of the turns that are weighed, whether they last, and of which chat each is."""
    parts = [numbers_of(chat.texts, told_in(chat.texts, encoder)) for chat in chats]
    lasts = [last for chat in chats for last in chat.lasts]
    known = np.array([last is not None for last in lasts])
    chat_of = np.repeat(np.arange(len(chats)), [len(part) for part in parts])
    return np.concatenate(parts).astype(float)[known], np.array(lasts, object)[known].astype(bool), chat_of[known]


def left_out(numbers: Floats, lasts: Bools, chat_of: npt.NDArray[np.int64]) -> Floats:
    """Return the probabilities of turns by fits without their chats."""
    chances = np.zeros(len(lasts))
    for fold in range(FOLDS):
        used = chat_of % FOLDS != fold
        chances[~used] = fitted(numbers[used], lasts[used]).chances(numbers[~used])
    return chances


def main() -> None:
    """Fit, report and write."""
    chats, encoder = read_chats(), open_encoder()
    numbers, lasts, chat_of = examples(chats, encoder)
    found = left_out(numbers, lasts, chat_of) >= LASTS
    english = np.array([chats[chat].language == "en" for chat in chat_of])
    print(f"{len(lasts):,} turns of {len(chats)} chats left out, {lasts.mean():.3f} last: F1 {f1(found, lasts):.3f}")
    print(f"{(~english).sum()} turns in other languages: F1 {f1(found[~english], lasts[~english]):.3f}")
    line = fitted(numbers, lasts)
    np.savez_compressed(WRITTEN, weights=line.weights, offset=line.offset, labels=np.array(made_by()))


if __name__ == "__main__":
    main()
