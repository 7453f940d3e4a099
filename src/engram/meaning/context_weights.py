"""The weights of the contextual part of the sentence encoder, as they lie in the package's files.

Owns the names and shapes of the arrays of `context.safetensors`, in the format of `engram.meaning.weights`, and the
vocabulary in `context.txt`, a piece a line. `tools/context.py` writes both. Knows no text and no arithmetic.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.meaning.weights import (
    WIDTH,
    DamagedWeights,
    Floats,
    Layer,
    checksum,
    header_of,
    layers_of,
    read_arrays,
)
from engram.meaning.wordpiece import BEGIN, END, MOST_PIECES, UNKNOWN

WEIGHTS, VOCABULARY = "context.safetensors", "context.txt"

LAYERS = 6
STATE = 384
"""Values of a piece between the layers."""
HEADS = 12
"""Parts of a state that attend apart from each other, of STATE / HEADS values."""
INNER = 1536
"""Values of a piece inside the second half of a layer."""

MATRICES = {
    **{f"qkv{layer}": (STATE, 3 * STATE) for layer in range(LAYERS)},
    **{f"o{layer}": (STATE, STATE) for layer in range(LAYERS)},
    **{f"up{layer}": (STATE, INNER) for layer in range(LAYERS)},
    **{f"down{layer}": (INNER, STATE) for layer in range(LAYERS)},
    "out": (STATE, WIDTH),
}
"""Inputs and outputs of each matrix, which has a vector of the same name with ".bias". Outputs of "qkv" are the query,
the key and the value."""
NORMS = ("begin", *(f"{name}{layer}" for name in ("attended", "changed") for layer in range(LAYERS)))
"""The layer norms: of the embeddings, after the attention of a layer, and at the end of a layer."""
VECTORS = {
    **{f"{name}.bias": outputs for name, (_, outputs) in MATRICES.items()},
    **{f"{name}.{part}": STATE for name in NORMS for part in ("gain", "shift")},
}
"""Lengths of the vectors."""
APART = ("words",)
"""Arrays that are not part of the checksum: reading the table at each start takes too long."""


@dataclass(frozen=True, eq=False)
class ContextWeights:
    """All weights. The arrays are read from the file when they are first used."""

    words: npt.NDArray[np.int8]
    """Shape (pieces, STATE)."""
    steps: Floats
    """The vector of a piece is its step times its row of `words`: shape (pieces,)."""
    places: Floats
    """What is added for the place of a piece in its text: shape (MOST_PIECES, STATE)."""
    layers: dict[str, Layer]
    """By the names of `MATRICES`. `sums` has one row."""
    vectors: dict[str, Floats]
    """By the names of `VECTORS`."""
    gain: float
    """Weight of the vector of this part, beside that of the sentence encoder, which is 1."""


def read_context(folder: Path) -> ContextWeights:
    """Map the weights in a folder into memory.

    Raises `DamagedWeights` if the file is not complete, or not as written outside the table of pieces.
    """
    path = folder / WEIGHTS
    arrays = read_arrays(path, APART)
    try:
        weights = ContextWeights(
            words=arrays["words"],
            steps=arrays["steps"],
            places=arrays["places"],
            layers=layers_of(arrays, MATRICES),
            vectors={name: arrays[name] for name in VECTORS},
            gain=float(arrays["gain"].item()),
        )
    except (KeyError, ValueError) as error:
        raise DamagedWeights(path, f"is not what this version reads ({error})") from error
    if wrong := misfit(weights):
        raise DamagedWeights(path, f"holds {wrong} in another shape than this version reads")
    return weights


def read_vocabulary(folder: Path) -> list[str]:
    """Return the pieces in the order of their numbers. Raises `DamagedWeights` if they are not those of the weights."""
    path = folder / VOCABULARY
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedWeights(path, "is missing") from error
    except OSError as error:
        raise DamagedWeights(path, f"cannot be read ({error.strerror})") from error
    if f"{zlib.crc32(content):08x}" != metadata_of(folder)["vocabulary"]:
        raise DamagedWeights(path, f"does not belong to {WEIGHTS}, or has changed since it was written")
    pieces = content.decode().removesuffix("\n").split("\n")
    if missing := {BEGIN, END, UNKNOWN} - set(pieces):
        raise DamagedWeights(path, f"does not hold {', '.join(sorted(missing))}")
    return pieces


def context_fingerprint(folder: Path) -> str:
    """Return what identifies weights and vocabulary. Raises `DamagedWeights` if the weights are not complete."""
    return str(metadata_of(folder)["fingerprint"])


def verify_context(folder: Path) -> None:
    """Read all data. Raises `DamagedWeights` if a file is missing, or is not as it was written."""
    weights, pieces = read_context(folder), read_vocabulary(folder)
    path = folder / WEIGHTS
    if metadata_of(folder)["rows"] != checksum({"words": weights.words}):
        raise DamagedWeights(path, "has changed since it was written")
    if len(pieces) != len(weights.words):
        raise DamagedWeights(path, f"holds {len(weights.words):,} pieces, and {VOCABULARY} {len(pieces):,}")


def metadata_of(folder: Path) -> dict[str, Any]:
    """Return the metadata of the weights. Raises `DamagedWeights` if an entry is missing."""
    metadata: dict[str, Any] = header_of(folder / WEIGHTS)[0]["__metadata__"]
    if {"fingerprint", "rows", "vocabulary"} - set(metadata):
        raise DamagedWeights(folder / WEIGHTS, "has a header that this version cannot read")
    return metadata


def misfit(weights: ContextWeights) -> str:
    """Return the name of the first array that has not the shape of the model; "" if all have."""
    table = [
        ("words", weights.words.shape[1:] == (STATE,)),
        ("steps", weights.steps.shape == weights.words.shape[:1]),
        ("places", weights.places.shape == (MOST_PIECES, STATE)),
    ]
    for name, (inputs, outputs) in MATRICES.items():
        layer = weights.layers[name]
        fits = layer.packed.shape == (inputs // 4, outputs, 4) and layer.scales.shape == (outputs,)
        table.append((name, fits and layer.sums.shape == (1, outputs)))
    table += [(name, weights.vectors[name].shape == (length,)) for name, length in VECTORS.items()]
    return next((name for name, fits in table if not fits), "")
