"""The weights of the sentence encoder, mapped into memory as they lie in the package's file.

Owns the file's format: that of safetensors (8 bytes with the length of a JSON header, the header, the arrays), which
`tools/sentence_weights.py` writes. Knows the shapes of the model, no text and no arithmetic of a forward pass.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.errors import EngramError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

PIECES = 128_010
WIDTH = 512
"""Values of a piece's vector, and of a text's."""
BRANCH = 256
"""Values of a piece in each branch of n-grams."""
BRANCHES = ((2, 0), (3, 1), (5, 2))
"""Pieces of an n-gram, and how many of them stand before the piece that it belongs to."""
HIDDEN = 320
FEATURES = WIDTH + BRANCH * len(BRANCHES)
BITS = {"narrow": 3, "middle": 4, "wide": 5}
"""The tables of pieces, and the bits of a value in each."""

MATRICES = {
    "project": (WIDTH, BRANCH * len(BRANCHES)),
    **{f"first{n}": (n * BRANCH, BRANCH) for n, _ in BRANCHES},
    **{f"second{n}": (n * BRANCH, BRANCH) for n, _ in BRANCHES},
    "join": (FEATURES, WIDTH),
    "enter": (WIDTH, 2 * HIDDEN),
    "inner": (HIDDEN, HIDDEN),
    "leave": (HIDDEN, 2 * WIDTH),
    "last": (WIDTH, WIDTH),
}
"""Inputs and outputs of each matrix."""
VECTORS = {
    "project.bias": BRANCH * len(BRANCHES),
    "project.gain": BRANCH * len(BRANCHES),
    "project.shift": BRANCH * len(BRANCHES),
    "first.bias": BRANCH * len(BRANCHES),
    "second.bias": BRANCH * len(BRANCHES),
    "gain": FEATURES,
    "shift": FEATURES,
    "join.bias": WIDTH,
}
"""Lengths of the vectors."""
TABLE = (*BITS, "place", "step", "offset")
"""The arrays of the table of pieces. The rows, in the arrays of `BITS`, are not part of the checksum, because reading
them all at each start takes too long: a changed one gives a wrong vector for its piece."""

DTYPES = {"I8": np.int8, "U8": np.uint8, "I32": np.int32, "F16": np.float16, "F32": np.float32}


class DamagedWeights(EngramError):
    """A data file of the sentence encoder is missing or is not as it was written. The message names it and the cure."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"the sentence encoder cannot be used: {path} {reason}; install Engram again:"
            " pip install --force-reinstall --no-deps engram-layer"
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """A matrix of small integers.

    The product of inputs x and the layer is (x @ weights) * scales.
    """

    packed: npt.NDArray[np.int8]
    """Four inputs of an output beside each other: shape (inputs / 4, outputs, 4)."""
    sums: Floats
    """The sum of each output's weights in each block of inputs: shape (blocks, outputs)."""
    scales: Floats
    """Shape (outputs,)."""


@dataclass(frozen=True, eq=False)
class Weights:
    """All weights. The arrays are read from the file when they are first used."""

    narrow: npt.NDArray[np.uint8]
    """Rows of 3 bits a value: shape (rows, 192). Byte i < 128 holds the low two bits of the values i, i + 128, i + 256
    and i + 384, from the lowest bit up; byte 128 + i the third bits of the values i, i + 64, ... i + 448."""
    middle: npt.NDArray[np.uint8]
    """Rows of 4 bits a value: shape (rows, 256). Byte i holds the values i (low half) and i + 256."""
    wide: npt.NDArray[np.uint8]
    """Rows of 5 bits a value: shape (rows, 320). The low four bits as in `middle`, then the fifth as in `narrow`."""
    place: npt.NDArray[np.int32]
    """The row of each piece, counted through the three tables: shape (PIECES,)."""
    step: npt.NDArray[np.float16]
    offset: npt.NDArray[np.float16]
    """The value of a piece's vector is offset + step * the row's integer: shapes (PIECES,)."""
    layers: dict[str, Layer]
    vectors: dict[str, Floats]


def header_of(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header and the number of bytes before the arrays. Raises `DamagedWeights`."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > 1 << 20:
                raise DamagedWeights(path, "does not begin with a header")
            header = json.loads(file.read(length))
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise DamagedWeights(path, "is missing") from error
    except OSError as error:
        raise DamagedWeights(path, f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DamagedWeights(path, "does not begin with a header") from error
    try:
        expected = 8 + length + max(entry["data_offsets"][1] for name, entry in header.items() if name[0] != "_")
        if not isinstance(header["__metadata__"], dict):
            raise TypeError
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DamagedWeights(path, "has a header that this version cannot read") from error
    if size != expected:
        raise DamagedWeights(path, f"has {size:,} bytes instead of {expected:,}")
    return header, 8 + length


def read_arrays(path: Path, apart: Collection[str] = tuple(BITS)) -> dict[str, Array]:
    """Map the arrays of a file into memory, by name. apart: names of arrays that are not part of the checksum.

    Raises `DamagedWeights` if it is not complete, or not as written outside the arrays that stand apart.
    """
    header, begin = header_of(path)
    content = np.memmap(path, np.uint8, mode="r")
    try:
        arrays: dict[str, Array] = {}
        for name in (name for name in header if name != "__metadata__"):
            first, last = header[name]["data_offsets"]
            dtype = np.dtype(DTYPES[header[name]["dtype"]])
            arrays[name] = np.asarray(content[begin + first : begin + last]).view(dtype).reshape(header[name]["shape"])
        small = {name: array for name, array in arrays.items() if name not in apart}
        if header["__metadata__"]["checksum"] != checksum(small):
            raise DamagedWeights(path, "has changed since it was written")
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedWeights(path, f"is not what this version reads ({error})") from error
    return arrays


def layers_of(arrays: dict[str, Array], names: Iterable[str]) -> dict[str, Layer]:
    """Return the layers with these names. Raises KeyError if one is missing."""
    return {name: Layer(arrays[name], arrays[f"{name}.sums"], arrays[f"{name}.scales"]) for name in names}


def read_weights(path: Path) -> Weights:
    """Map the file into memory. Raises `DamagedWeights` if it is not complete, or not as written outside the rows."""
    arrays = read_arrays(path)
    try:
        table = {name: arrays[name] for name in TABLE}
        vectors = {name: arrays[name] for name in VECTORS}
        weights = Weights(**table, layers=layers_of(arrays, MATRICES), vectors=vectors)
    except KeyError as error:
        raise DamagedWeights(path, f"is not what this version reads ({error})") from error
    if wrong := misfit(weights):
        raise DamagedWeights(path, f"holds {wrong} in another shape than this version reads")
    return weights


def verify_weights(path: Path) -> None:
    """Read the whole file. Raises `DamagedWeights` if it is not as it was written."""
    weights = read_weights(path)
    rows = checksum({name: getattr(weights, name) for name in BITS})
    if header_of(path)[0]["__metadata__"].get("rows") != rows:
        raise DamagedWeights(path, "has changed since it was written")


def checksum(arrays: dict[str, Array]) -> str:
    """Return the CRC-32 of arrays, in the order of their names, in hexadecimal digits."""
    value = 0
    for name in sorted(arrays):
        value = zlib.crc32(arrays[name].tobytes(), value)
    return f"{value:08x}"


def misfit(weights: Weights) -> str:
    """Return the name of the first array that has not the shape of the model; "" if all have."""
    table = [(name, getattr(weights, name).shape[1:] == (WIDTH * bits // 8,)) for name, bits in BITS.items()]
    rows = sum(len(getattr(weights, name)) for name in BITS)
    table += [(name, getattr(weights, name).shape == (PIECES,)) for name in ("place", "step", "offset")]
    table.append(("place", rows == PIECES))
    for name, (inputs, outputs) in MATRICES.items():
        layer = weights.layers[name]
        fits = layer.packed.shape == (inputs // 4, outputs, 4) and layer.scales.shape == (outputs,)
        table.append((name, fits and layer.sums.shape == (len(blocks_of(name)), outputs)))
    table += [(name, weights.vectors[name].shape == (length,)) for name, length in VECTORS.items()]
    return next((name for name, fits in table if not fits), "")


def blocks_of(name: str) -> list[slice]:
    """Return the inputs of a matrix in blocks: one for each piece of an n-gram, else one."""
    inputs, _ = MATRICES[name]
    width = BRANCH if name.startswith(("first", "second")) else inputs
    return [slice(begin, begin + width) for begin in range(0, inputs, width)]
