"""Tune the sentence encoder so that a question is near to what answers it: `python -m tools.answering`.

Reads `tools/data/told/*.jsonl`: statements, each with two questions that it answers and one that it does not answer,
written for this in the languages of the encoder. Fits the last layers of the encoder, which a text passes once, and a
map for questions alone: a question must be nearer to its statement than to the others of a batch (cross-entropy),
and no vector may go far from where the model puts it. Writes both to the package.

Prints how often the statement is the nearest of all, among the three and the ten nearest, and how well questions that a
statement does not answer are told from those that it does: of the model, and of a first fit without a fifth of the
statements, both for this fifth. Nothing of LoCoMo, BEAM, MemDaily, the lives and the facts is read here.

Whenever it is run, `tools.asking` and `tools.fit` come after it. Takes about three minutes on two cores.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.metrics import area_under_curve
from engram.meaning.plain import PlainEncoder, unpacked
from engram.meaning.sentences import DATA, TUNED, WEIGHTS, SentenceEncoder
from engram.meaning.tuned import TUNED_LAYERS
from engram.meaning.weights import FEATURES, HIDDEN, MATRICES, WIDTH, Weights, read_weights
from tools.sentence_weights import write_arrays

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Values = dict[str, Floats]
"""The fitted arrays by name: the tuned layers, the bias of the first, and the map, "matrix" and "shift"."""

TEXTS = Path(__file__).parent / "data" / "told"
RANK = 64
"""Rank of the map that is written."""
SHARPNESS = 20.0
"""Factor of the cosines in the cross-entropy."""
STAY = 15.0
"""Weight of the squared distance between a vector and that of the model."""
RIDGE = 0.02
"""Weight of the squared entries of the map."""
RATES = {"matrix": 2e-3, "shift": 2e-3}
RATE = 1e-4
"""Step of Adam for the map, and for the layers."""
DROPPED = 0.1
"""Share of the inputs of layers that a step leaves out."""
EPOCHS, BATCH = 15, 256
SEEDS = 3
"""Fits whose values are averaged: they differ in the order of the statements and in what a step leaves out."""
LEFT_OUT = 5
"""One statement of so many is left out of the first fit."""


class Texts(NamedTuple):
    """What the last layers read of n texts."""

    features: Floats
    """Shape (n, FEATURES)."""
    pieces: Floats
    """Shape (n, 1)."""

    def kept(self, rows: Rows) -> Texts:
        """Return some of them."""
        return Texts(self.features[rows], self.pieces[rows])


class Told(NamedTuple):
    """n statements, 2n questions that they answer, by twos, and n that they do not."""

    told: Texts
    asked: Texts
    near: Texts

    def kept(self, rows: Rows) -> Told:
        """Return some of them."""
        return Told(self.told.kept(rows), self.asked.kept(twice(rows)), self.near.kept(rows))


class Passed(NamedTuple):
    """The values between the layers, which the gradient needs, and the vectors: one row for each text."""

    joined: Floats
    entered: Floats
    inner: Floats
    middle: Floats
    left: Floats
    vectors: Floats
    lengths: Floats


def twice(rows: Rows) -> Rows:
    """Return the rows of the questions of some statements."""
    return np.stack([2 * rows, 2 * rows + 1], axis=1).ravel()


def read_items() -> list[dict[str, Any]]:
    """Return the statements with their questions."""
    lines = (line for path in sorted(TEXTS.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines())
    return list(map(json.loads, lines))


def read(weights: Weights) -> Told:
    """Return what the last layers read of all statements and questions."""
    items = read_items()
    told = [item["told"] for item in items]
    asked, near = [question for item in items for question in item["asked"]], [item["near"] for item in items]
    plain, tokenizer = PlainEncoder(weights), SentenceEncoder(tuned=False)
    return Told(*(read_texts(texts, plain, tokenizer) for texts in (told, asked, near)))


def read_texts(texts: Sequence[str], plain: PlainEncoder, tokenizer: SentenceEncoder) -> Texts:
    """Return what the last layers read of each text."""
    result = Texts(np.zeros((len(texts), FEATURES), np.float32), np.ones((len(texts), 1), np.float32))
    for row, text in enumerate(texts):
        pieces = tokenizer.pieces(text)
        result.features[row], result.pieces[row] = plain.features(np.array(pieces)), len(pieces)
    return result


def untuned(weights: Weights) -> Values:
    """Return the values of the model, and a map that changes nothing."""
    values = {name: unpacked(weights.layers[name]) * weights.layers[name].scales for name in TUNED_LAYERS}
    values["join.bias"] = weights.vectors["join.bias"].copy()
    return values | {"matrix": np.zeros((WIDTH, WIDTH), np.float32), "shift": np.zeros(WIDTH, np.float32)}


def passed(values: Values, texts: Texts, rng: np.random.Generator | None = None) -> Passed:
    """Pass texts through the layers. rng: for what a step of the fit leaves out; None for nothing."""
    root: Floats = np.sqrt(texts.pieces)
    joined = thinned(texts.features / root @ values["join"] + root * values["join.bias"], rng)
    entered = joined @ values["enter"]
    inner = np.maximum(entered[:, :HIDDEN], 0)
    middle = thinned(np.maximum(inner @ values["inner"] + entered[:, HIDDEN:], 0), rng)
    left = middle @ values["leave"]
    raw = np.tanh(left[:, WIDTH:] + np.maximum(left[:, :WIDTH], 0) @ values["last"])
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    return Passed(joined, entered, inner, middle, left, raw / lengths, lengths)


def thinned(rows: Floats, rng: np.random.Generator | None) -> Floats:
    """Return rows of which a share of the values is left out, and the others are raised for it."""
    if rng is None:
        return rows
    return np.asarray(rows * (rng.random(rows.shape, np.float32) >= DROPPED) / np.float32(1 - DROPPED))


def gradients(values: Values, texts: Texts, layers: Passed, back: Floats) -> Values:
    """Return the gradient of the layers' values by that of the vectors, `back`, shape (n, WIDTH)."""
    raw = layers.vectors * layers.lengths
    back = back - layers.vectors * np.einsum("nd,nd->n", back, layers.vectors)[:, None]
    back = back / layers.lengths * (1 - raw**2)
    turned = np.maximum(layers.left[:, :WIDTH], 0)
    result = {"last": turned.T @ back}
    of_left = np.concatenate([(back @ values["last"].T) * (turned > 0), back], axis=1)
    result["leave"] = layers.middle.T @ of_left
    # What was left out of a row is 0 there, and so gets no gradient.
    raised = np.float32(1 / (1 - DROPPED))
    of_middle = of_left @ values["leave"].T * (layers.middle > 0) * raised
    result["inner"] = layers.inner.T @ of_middle
    of_entered = np.concatenate([(of_middle @ values["inner"].T) * (layers.inner > 0), of_middle], axis=1)
    result["enter"] = layers.joined.T @ of_entered
    of_joined = of_entered @ values["enter"].T * (layers.joined != 0) * raised
    root: Floats = np.sqrt(texts.pieces)
    result["join"] = (texts.features / root).T @ of_joined
    result["join.bias"] = (of_joined * root).sum(axis=0)
    return result


def mapped(values: Values, vectors: Floats) -> Floats:
    """Return the vectors by which the answers to questions are looked for, of length 1."""
    turned = vectors + vectors @ values["matrix"] + values["shift"]
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True), np.float32)


def fit(told: Told, start: Values) -> Values:
    """Return the mean of the values of some fits."""
    fits = [fit_once(told, start, seed) for seed in range(SEEDS)]
    return {name: np.mean([values[name] for values in fits], axis=0) for name in start}


def fit_once(told: Told, start: Values, seed: int) -> Values:
    """Return the values with the least cost, by Adam from `start`."""
    rng = np.random.default_rng(seed)
    values = {name: array.copy() for name, array in start.items()}
    first = {name: np.zeros_like(array) for name, array in values.items()}
    second = {name: np.zeros_like(array) for name, array in values.items()}
    model = passed(start, told.told).vectors, passed(start, told.asked).vectors
    count, step = len(told.told.pieces), 0
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(count), max(1, count // BATCH)):
            step += 1
            for name, gradient in step_of(
                values, told.kept(rows), (model[0][rows], model[1][twice(rows)]), rng
            ).items():
                first[name] += 0.1 * (gradient - first[name])
                second[name] += 0.001 * (gradient**2 - second[name])
                mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
                values[name] -= RATES.get(name, RATE) * mean / (np.sqrt(square) + 1e-8)
    return values


def step_of(values: Values, told: Told, model: tuple[Floats, Floats], rng: np.random.Generator) -> Values:
    """Return the gradient of the cost of a batch. model: what the model itself gives for statements and questions."""
    statements, questions = passed(values, told.told, rng), passed(values, told.asked, rng)
    count, asked = len(statements.vectors), questions.vectors
    turned = asked + asked @ values["matrix"] + values["shift"]
    lengths = np.linalg.norm(turned, axis=1, keepdims=True)
    turned = turned / lengths
    odds = np.exp(SHARPNESS * (turned @ statements.vectors.T - 1))
    odds /= odds.sum(axis=1, keepdims=True)
    odds[np.arange(2 * count), np.arange(2 * count) // 2] -= 1
    odds *= np.float32(SHARPNESS / (2 * count))
    of_turned = odds @ statements.vectors
    of_turned = (of_turned - turned * np.einsum("nd,nd->n", of_turned, turned)[:, None]) / lengths
    of_statements = odds.T @ turned + 2 * STAY / count * (statements.vectors - model[0])
    of_asked = of_turned + of_turned @ values["matrix"].T + 2 * STAY / (2 * count) * (asked - model[1])
    result = gradients(values, told.told, statements, of_statements)
    for name, gradient in gradients(values, told.asked, questions, of_asked).items():
        result[name] = result[name] + gradient
    result["matrix"] = asked.T @ of_turned + 2 * RIDGE * values["matrix"]
    result["shift"] = of_turned.sum(axis=0) + 2 * RIDGE * values["shift"]
    return result


def report(label: str, told: Told, values: Values) -> None:
    """Print how near the right statements of `told` are, and how well near misses are told apart."""
    statements = passed(values, told.told).vectors
    cosines = mapped(values, passed(values, told.asked).vectors) @ statements.T
    right = cosines[np.arange(len(cosines)), np.arange(len(cosines)) // 2]
    rank = (cosines > right[:, None]).sum(axis=1)
    shares = "  ".join(f"{(rank < k).mean():.3f}" for k in (1, 3, 10))
    missed = np.einsum("nd,nd->n", mapped(values, passed(values, told.near).vectors), statements)
    area = area_under_curve(right.tolist(), missed.tolist())
    print(f"{label}: first, among 3, among 10: {shares}; answered or not, area: {area:.3f}", flush=True)


def arrays_of(values: Values) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the file: layers as int8 with a scale for each output, and the map with a rank of `RANK`."""
    arrays: dict[str, npt.NDArray[Any]] = {"join.bias": values["join.bias"].astype(np.float32)}
    for name in TUNED_LAYERS:
        inputs, outputs = MATRICES[name]
        scales = np.asarray(np.abs(values[name]).max(axis=0) / 127, np.float32)
        integers = np.rint(values[name] / scales).astype(np.int8)
        arrays[name] = np.ascontiguousarray(integers.reshape(inputs // 4, 4, outputs).transpose(0, 2, 1))
        arrays[f"{name}.sums"] = integers.sum(axis=0, dtype=np.float32)[None]
        arrays[f"{name}.scales"] = scales
    left, sizes, right = np.linalg.svd(values["matrix"])
    root = np.sqrt(sizes[:RANK])
    arrays["into"] = np.ascontiguousarray(left[:, :RANK] * root)
    arrays["out"] = np.ascontiguousarray(root[:, None] * right[:RANK])
    return arrays | {"shift": values["shift"]}


def main() -> None:
    """Fit, print how well the fit holds, and write it."""
    weights = read_weights(DATA / WEIGHTS)
    told, start = read(weights), untuned(weights)
    count = len(told.told.pieces)
    left_out = np.arange(count) % LEFT_OUT == 0
    others, held = told.kept(np.flatnonzero(~left_out)), told.kept(np.flatnonzero(left_out))
    print(f"{count:,} statements, {left_out.sum():,} of them left out")
    report("left out, the model", held, start)
    report("left out, tuned    ", held, fit(others, start))
    write_arrays(DATA / TUNED, arrays_of(fit(told, start)), "tuned")


if __name__ == "__main__":
    main()
