"""The static table: for each stem of a vocabulary a vector, the stems near it, and how common it is.

Owns the file's format. `tools/distill.py` makes the English one that the package carries; a table for other languages
is another file of the same form, given to `VectorTable.load`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = 1
SIMILARITY_STEP = 1 / 255
"""Cosines are kept as bytes: similarity = byte * SIMILARITY_STEP."""


@dataclass(frozen=True)
class VectorTable:
    """Stems by number, 0 to size - 1.

    `vectors` (int8, shape (size, dimensions)) is what the rest was made from, and is read from the file only when it
    is asked for.
    """

    path: Path
    fingerprint: str
    """Names the content: what was encoded with one table cannot be compared with what another gave."""
    stems: tuple[str, ...]
    near: npt.NDArray[np.unsignedinteger]
    """Stems near each stem, the nearest first: shape (size, k); where there are fewer than k, the stem itself."""
    similarity: npt.NDArray[np.uint8]
    """Their cosines in steps of 1/255: shape (size, k); 0 where there are fewer."""
    probability: npt.NDArray[np.float32]
    """The share of each stem among the words of plain English: shape (size,)."""

    @property
    def vectors(self) -> npt.NDArray[np.int8]:
        """One vector a stem, its length carrying no meaning: shape (size, dimensions)."""
        with np.load(self.path) as arrays:
            vectors: npt.NDArray[np.int8] = arrays["vectors"]
        return vectors

    @staticmethod
    def load(path: str | os.PathLike[str]) -> VectorTable:
        """Read a table; raises ValueError naming the file if it is none."""
        try:
            with np.load(path) as arrays:
                if int(arrays["format"]) != FORMAT:
                    raise ValueError(f"it has format {int(arrays['format'])}, not {FORMAT}")
                stems = tuple(arrays["stems"].tobytes().decode().split("\n"))
                near, similarity, probability = arrays["near"], arrays["similarity"], arrays["probability"]
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is not a table of token vectors: {error}") from error
        if not len(stems) == len(near) == len(similarity) == len(probability):
            raise ValueError(f"{path} is not a table of token vectors: its arrays differ in length")
        digest = hashlib.sha256(str(FORMAT).encode())
        for part in ("\n".join(stems).encode(), near.tobytes(), similarity.tobytes()):
            digest.update(part)
        return VectorTable(Path(path), digest.hexdigest()[:16], stems, near, similarity, probability)

    @staticmethod
    def save(path: str | os.PathLike[str], stems: list[str], **arrays: npt.NDArray[Any]) -> None:
        """Write a table: `vectors`, `near`, `similarity` and `probability` as the fields say; more is kept, too."""
        text = np.frombuffer("\n".join(stems).encode(), np.uint8)
        contents: dict[str, Any] = {"format": np.array(FORMAT), "stems": text, **arrays}
        np.savez(path, **contents)


@cache
def default_table() -> VectorTable:
    """The English table that the package carries; read once in a process."""
    return VectorTable.load(str(files("engram.text") / "data" / "english.npz"))
