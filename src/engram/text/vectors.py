"""Vector table: for each stem of a vocabulary a vector, the nearest stems, and how common the stem is.

Owns the file's format. `tools/distill.py` makes the English table in the package. A table for another language is a
file of the same format, read with `VectorTable.load`.
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


@dataclass(frozen=True)
class VectorTable:
    """Stems by number, 0 to size - 1.

    `vectors` (int8, shape (size, dimensions)), from which the rest was computed, is read from the file at each access.
    """

    path: Path
    fingerprint: str
    """Hash of the content. Token ids of tables with different fingerprints must not be compared."""
    stems: tuple[str, ...]
    near: npt.NDArray[np.unsignedinteger]
    """Nearest stems of each stem, the nearest first: shape (size, k); if there are fewer than k, the stem itself."""
    similarity: npt.NDArray[np.uint8]
    """Their cosines in steps of 1/255: shape (size, k); 0 if there are fewer than k."""
    probability: npt.NDArray[np.float32]
    """Share of each stem among the words of plain English: shape (size,)."""

    @property
    def vectors(self) -> npt.NDArray[np.int8]:
        """Return a vector for each stem, whose length has no meaning: shape (size, dimensions)."""
        with np.load(self.path) as arrays:
            vectors: npt.NDArray[np.int8] = arrays["vectors"]
        return vectors

    @staticmethod
    def load(path: str | os.PathLike[str]) -> VectorTable:
        """Read a table. Raises ValueError that names the file if it is not a table."""
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
        """Write a table: `vectors`, `near`, `similarity`, `probability` as the fields state, and any further arrays."""
        text = np.frombuffer("\n".join(stems).encode(), np.uint8)
        contents: dict[str, Any] = {"format": np.array(FORMAT), "stems": text, **arrays}
        np.savez(path, **contents)


@cache
def default_table() -> VectorTable:
    """Return the English table of the package; read once in a process."""
    return VectorTable.load(str(files("engram.text") / "data" / "english.npz"))
