"""What Engram has tuned in the sentence encoder: its layers, and the map of questions.

Owns the file's format, which is that of `weights`. `tools/answering.py` fits it on statements and questions written for
that, in the languages of the encoder, so that a question comes near to what answers it. Knows no text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engram.meaning.weights import (
    MATRICES,
    VECTORS,
    WIDTH,
    DamagedWeights,
    Floats,
    Layer,
    Weights,
    header_of,
    layers_of,
    misfit,
    read_arrays,
)


@dataclass(frozen=True, eq=False)
class Tuned:
    """The tuned arrays. The map adds (v `into`) `out` + `shift` to the vector v of a question."""

    path: Path
    layers: dict[str, Layer]
    vectors: dict[str, Floats]
    into: Floats
    """Shape (WIDTH, rank)."""
    out: Floats
    """Shape (rank, WIDTH)."""
    shift: Floats
    """Shape (WIDTH,)."""

    def applied_to(self, weights: Weights) -> Weights:
        """Return weights with the tuned layers. Raises `DamagedWeights` if one has another shape."""
        result = replace(weights, layers=self.layers, vectors=self.vectors)
        if wrong := misfit(result):
            raise DamagedWeights(self.path, f"holds {wrong} in another shape than this version reads")
        return result


def tuned_fingerprint(path: Path) -> str:
    """Return what identifies the layers of a file. Raises `DamagedWeights` if it is not complete."""
    fingerprint = header_of(path)[0]["__metadata__"].get("fingerprint")
    if not isinstance(fingerprint, str):
        raise DamagedWeights(path, "has a header that this version cannot read")
    return fingerprint


def read_tuned(path: Path) -> Tuned:
    """Map a file into memory. Raises `DamagedWeights` if it is not complete, or not as written."""
    arrays = read_arrays(path)
    try:
        tuned = Tuned(
            path,
            layers_of(arrays, MATRICES),
            {name: arrays[name] for name in VECTORS},
            *(arrays[name] for name in ("into", "out", "map")),
        )
    except KeyError as error:
        raise DamagedWeights(path, f"is not what this version reads ({error})") from error
    rank = tuned.into.shape[-1]
    if (tuned.into.shape, tuned.out.shape, tuned.shift.shape) != ((WIDTH, rank), (rank, WIDTH), (WIDTH,)):
        raise DamagedWeights(path, "holds a map in another shape than this version reads")
    return tuned
