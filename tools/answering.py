"""Tune the sentence encoder so that a question is near to what answers it: `python -m tools.answering`.

Needs PyTorch (`pip install torch==2.13.0`), which Engram itself does not. Reads the statements and questions of
`tools.told`. Fits all layers of the encoder, not its table of pieces, and a map for questions alone: a question must be
nearer to its statement than to the others of a batch (cross-entropy), which holds the other statements of its matter,
and nearer than any question to a wrong statement (logistic loss). Vectors must stay near to those of the model, which
knows far more text. Prints how many questions of statements
that are left out find theirs, before and after. Nothing of LoCoMo, BEAM, MemDaily, the lives and the facts is read.

    python -m tools.answering --left-out     fit on nine tenths, and report on the rest
    python -m tools.answering                fit on all, and write the package's data
    python -m tools.answering --current      the same, from what the package holds: for further statements

Whenever it is written, `tools.asking` and `tools.fit` come after it. Takes about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engram.meaning.plain import rows_of, unpacked
from engram.meaning.sentences import DATA, TUNED, WEIGHTS, SentenceEncoder
from engram.meaning.tuned import Tuned, read_tuned
from engram.meaning.weights import (
    BRANCH,
    BRANCHES,
    FEATURES,
    HIDDEN,
    MATRICES,
    VECTORS,
    WIDTH,
    Weights,
    blocks_of,
    read_weights,
)
from tools.sentence_weights import write_arrays
from tools.told import Item, read_items

Pieces = Sequence[int]
"""The numbers of a text's pieces, among those of all texts."""

RANK = 64
"""Rank of the map that is written."""
SHARPNESS = 20.0
"""Factor of the cosines in the cross-entropy."""
ABSOLUTE = 0.3
"""Weight of the logistic loss of all pairs by their cosines alone: a cosine shall mean the same for every question."""
STAY = 3.0
"""Weight of the squared distance between a vector and that of the model."""
RIDGE = 0.02
"""Weight of the squared entries of the map."""
RATE, RATE_OF_MAP, RATE_OF_EVEN = 2e-4, 2e-3, 1e-2
"""Steps of Adam at the start; they fall to nothing in a straight line."""
DROPPED = 0.1
"""Share of the inputs of the last layers that a step leaves out."""
EPOCHS, BATCH = 8, 256
LONGEST = 160
"""Pieces of a text that are read."""
APART = 2
"""Empty places between texts: no n-gram reaches over them."""
LEFT_OUT = 10
"""With --left-out, one matter of so many is left out."""


class Encoder(nn.Module):  # type: ignore[misc]
    """The encoder, and the map of questions (`mapped`)."""

    def __init__(self, weights: Weights, used: npt.NDArray[np.int64]) -> None:
        """`used`: numbers of the pieces of all texts."""
        super().__init__()
        step, offset = (array[used].astype(np.float32)[:, None] for array in (weights.step, weights.offset))
        self.pieces = torch.tensor(offset + step * rows_of(weights, used))
        layers = {name: unpacked(layer) * layer.scales for name, layer in weights.layers.items()}
        begin = {"matrix": np.zeros((WIDTH, WIDTH)), "map": np.zeros(WIDTH), "even": 0.4}
        named = {**layers, **weights.vectors, **begin}
        self.values = nn.ParameterDict(
            {name.replace(".", "_"): torch.tensor(np.array(array, np.float32)) for name, array in named.items()}
        )

    def begin_with(self, tuned: Tuned) -> None:
        """Take the layers and the map of a file."""
        arrays = {name: unpacked(layer) * layer.scales for name, layer in tuned.layers.items()}
        arrays |= {**tuned.vectors, "matrix": tuned.into @ tuned.out, "map": tuned.shift}
        with torch.no_grad():
            for name, array in arrays.items():
                self.value(name).copy_(torch.tensor(np.array(array, np.float32)))

    def value(self, name: str) -> Tensor:
        """Return the parameter with the name that it has in `MATRICES` or `VECTORS`.

        "matrix" and "map" are those of the map, "even" is the cosine at which a statement as likely answers as not.
        """
        return self.values[name.replace(".", "_")]

    def forward(self, texts: Sequence[Pieces]) -> Tensor:
        """Return a vector of length 1 for each text: shape (len(texts), WIDTH)."""
        flat, owner = list[int](), list[int]()
        for number, pieces in enumerate(texts):
            flat += [*pieces[:LONGEST], *[0] * APART]
            owner += [number] * len(pieces[:LONGEST]) + [-1] * APART
        owners = torch.tensor(owner)
        filled = (owners >= 0)[:, None].float()
        values = self.pieces[torch.tensor(flat)]
        projected = values @ self.value("project") + self.value("project.bias")
        features = [values]
        for branch, (n, before) in enumerate(BRANCHES):
            part = slice(branch * BRANCH, (branch + 1) * BRANCH)
            gain, shift = self.value("project.gain")[part], self.value("project.shift")[part]
            states = functional.layer_norm(projected[:, part], (BRANCH,), gain, shift, 1e-12) * filled
            states = ngrams(states, self.value(f"first{n}"), self.value("first.bias")[part], n, before) * filled
            features.append(ngrams(states, self.value(f"second{n}"), self.value("second.bias")[part], n, before))
        whole = functional.layer_norm(
            torch.cat(features, 1), (FEATURES,), self.value("gain"), self.value("shift"), 1e-12
        )
        sums = torch.zeros(len(texts), FEATURES).index_add(0, owners[owners >= 0], whole[owners >= 0].float())
        return self.head(sums, torch.bincount(owners[owners >= 0], minlength=len(texts))[:, None].float())

    def head(self, sums: Tensor, counts: Tensor) -> Tensor:
        """Return the vectors of texts by the sums of their features, shape (n, FEATURES), and numbers of pieces."""
        root = counts.sqrt()
        joined = self.thinned(sums / root @ self.value("join") + root * self.value("join.bias"))
        entered = joined @ self.value("enter")
        inner = functional.relu(entered[:, :HIDDEN]) @ self.value("inner")
        left = self.thinned(functional.relu(inner + entered[:, HIDDEN:])) @ self.value("leave")
        raw = torch.tanh(left[:, WIDTH:] + functional.relu(left[:, :WIDTH]) @ self.value("last"))
        return functional.normalize(raw.float(), dim=1)

    def thinned(self, rows: Tensor) -> Tensor:
        """Return rows of which, in training, a share of the values is left out."""
        return functional.dropout(rows, DROPPED, self.training)

    def mapped(self, vectors: Tensor) -> Tensor:
        """Return the vectors by which the answers to questions are looked for, of length 1."""
        return functional.normalize(vectors + vectors @ self.value("matrix") + self.value("map"), dim=1)


def ngrams(states: Tensor, matrix: Tensor, bias: Tensor, n: int, before: int) -> Tensor:
    """Return states and what the layer gives for the n-gram around each: shape (places, BRANCH)."""
    products = states @ torch.cat([matrix[k * BRANCH : (k + 1) * BRANCH] for k in range(n)], 1)
    total = bias
    for k in range(n):
        product, ahead = products[:, k * BRANCH : (k + 1) * BRANCH], k - before
        total = total + functional.pad(
            product[max(ahead, 0) : len(product) + min(ahead, 0)], (0, 0, max(-ahead, 0), max(ahead, 0))
        )
    return functional.relu(total) + states


class Texts:
    """The pieces of all statements and questions."""

    def __init__(self, items: Sequence[Item]) -> None:
        tokenizer = SentenceEncoder(tuned=False)
        told = [tokenizer.pieces(item.told) for item in items]
        asked = [tokenizer.pieces(question) for item in items for question in item.asked]
        self.used = np.unique(np.concatenate([np.array(pieces) for pieces in (*told, *asked)]))
        place = {piece: place for place, piece in enumerate(self.used.tolist())}
        self.told, self.asked = ([[place[piece] for piece in pieces] for pieces in part] for part in (told, asked))


def encoded(encoder: Encoder, texts: Sequence[Pieces]) -> Tensor:
    """Return the vectors of many texts, without anything left out: shape (len(texts), WIDTH)."""
    encoder.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return torch.cat([encoder(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)])


def batches(matters: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the numbers of the statements of some matters, in batches in which a matter is whole."""
    mixed = random.sample(matters, len(matters))
    result: list[list[int]] = [[]]
    for matter in mixed:
        if len(result[-1]) >= BATCH:
            result.append([])
        result[-1] += matter
    return result


def distance(vectors: Tensor, others: Tensor) -> Tensor:
    """Return the mean squared distance of vectors: shape ()."""
    return ((vectors - others) ** 2).sum(1).mean()


def fit(encoder: Encoder, texts: Texts, matters: Sequence[Sequence[int]], model: tuple[Tensor, Tensor]) -> None:
    """Fit the encoder to the statements of some matters. model: the model's vectors of all statements and questions."""
    of_map = [encoder.value("matrix"), encoder.value("map")]
    layers = [encoder.value(name) for name in (*MATRICES, *VECTORS)]
    even = [encoder.value("even")]
    rates = ((layers, RATE), (of_map, RATE_OF_MAP), (even, RATE_OF_EVEN))
    adam = torch.optim.Adam([{"params": values, "lr": rate} for values, rate in rates])
    steps = EPOCHS * len(batches(matters))
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: max(0.0, 1 - step / steps))
    for epoch in range(EPOCHS):
        encoder.train()
        costs = []
        for rows in batches(matters):
            twice = [2 * row + number for row in rows for number in (0, 1)]
            with torch.autocast("cpu", torch.bfloat16):
                told = encoder([texts.told[row] for row in rows]).float()
                asked = encoder([texts.asked[row] for row in twice]).float()
            cosines = encoder.mapped(asked) @ told.T
            own = torch.arange(len(twice)) // 2
            cost = functional.cross_entropy(SHARPNESS * cosines, own)
            apart = functional.binary_cross_entropy_with_logits(
                SHARPNESS * (cosines - encoder.value("even")),
                functional.one_hot(own, len(rows)).float(),
                reduction="sum",
            )
            moved = distance(told, model[0][rows]) + distance(asked, model[1][twice])
            penalty = ABSOLUTE * apart / len(twice) + STAY * moved + RIDGE * (encoder.value("matrix") ** 2).sum()
            adam.zero_grad()
            (cost + penalty).backward()
            adam.step()
            falling.step()
            costs.append(float(cost.detach()))
        print(f"round {epoch + 1} of {EPOCHS}: cross-entropy {np.mean(costs):.3f}", flush=True)


def report(label: str, encoder: Encoder, texts: Texts, matters: Sequence[Sequence[int]]) -> None:
    """Print how near the right statements are among those of some matters, and among those of the same matter."""
    rows = [row for matter in matters for row in matter]
    matter_of = torch.tensor([number for number, matter in enumerate(matters) for _ in matter])
    asked = encoded(encoder, [texts.asked[2 * row + number] for row in rows for number in (0, 1)])
    with torch.no_grad():
        cosines = encoder.mapped(asked) @ encoded(encoder, [texts.told[row] for row in rows]).T
    own = torch.arange(len(cosines)) // 2
    above = cosines > cosines[torch.arange(len(cosines)), own][:, None]
    shares = "  ".join(f"{(above.sum(1) < k).float().mean():.3f}" for k in (1, 3, 10))
    same = matter_of[own][:, None] == matter_of[None]
    siblings = same.sum(1) > 1
    first = (above & same).sum(1)[siblings] == 0
    print(f"{label}: first, among 3, among 10: {shares}; first of its matter: {first.float().mean():.3f}", flush=True)


def arrays_of(encoder: Encoder) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the file: layers as int8 with a scale for each output, and the map with a rank of `RANK`."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, (inputs, outputs) in MATRICES.items():
        matrix = encoder.value(name).detach().numpy()
        scales = np.asarray(np.abs(matrix).max(axis=0) / 127, np.float32)
        integers = np.rint(matrix / scales).astype(np.int8)
        arrays[name] = np.ascontiguousarray(integers.reshape(inputs // 4, 4, outputs).transpose(0, 2, 1))
        arrays[f"{name}.sums"] = np.stack([integers[block].sum(axis=0, dtype=np.float32) for block in blocks_of(name)])
        arrays[f"{name}.scales"] = scales
    arrays |= {name: encoder.value(name).detach().numpy().copy() for name in VECTORS}
    left, sizes, right = np.linalg.svd(encoder.value("matrix").detach().numpy())
    root = np.sqrt(sizes[:RANK])
    arrays["into"] = np.ascontiguousarray(left[:, :RANK] * root)
    arrays["out"] = np.ascontiguousarray(root[:, None] * right[:RANK])
    return arrays | {"map": encoder.value("map").detach().numpy().copy()}


def main() -> None:
    """Fit, and report or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--left-out", action="store_true", help="leave out a tenth, report on it, and write nothing")
    either.add_argument("--current", action="store_true", help="begin with what the package holds")
    options = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    items = read_items()
    texts, weights = Texts(items), read_weights(DATA / WEIGHTS)
    encoder = Encoder(weights, texts.used)
    rows_of_matter: dict[str, list[int]] = {}
    for row, item in enumerate(items):
        rows_of_matter.setdefault(item.matter, []).append(row)
    matters = list(rows_of_matter.values())
    print(f"{len(items):,} statements of {len(matters):,} matters", flush=True)
    model = encoded(encoder, texts.told), encoded(encoder, texts.asked)
    if not options.left_out:
        if options.current:
            encoder.begin_with(read_tuned(DATA / TUNED))
        fit(encoder, texts, matters, model)
        write_arrays(DATA / TUNED, arrays_of(encoder), "tuned")
        return
    held = matters[::LEFT_OUT]
    report("left out, the model", encoder, texts, held)
    fit(encoder, texts, [matter for number, matter in enumerate(matters) if number % LEFT_OUT], model)
    report("left out, tuned    ", encoder, texts, held)


if __name__ == "__main__":
    main()
