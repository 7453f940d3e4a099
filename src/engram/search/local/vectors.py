"""The vectors of passages, as codes, in arrays ordered by passage.

Owns two growing arrays: `codes`, from which similarities are computed, each with a checksum; and `signs`, which a scan
compares. Both are complete up to some passage; an index fills them later than its words. Their files' names say with
which encoder and quantisation they were made, so that codes of another one are never read or overwritten. Does not know
which passages are published.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engram.meaning.codes import Coder, Codes, Values
from engram.search.base import Array, IndexDamaged, Ints
from engram.search.local.growing import GrowingArray

CODE_FACTOR = 0x9E3779B97F4A7C15
"""Base of the factors of a code's checksum."""

NAMES = ("codes-*", "signs-*")
"""Patterns of the names of the files."""


class VectorIndex:
    """Codes by passage, from the first one on. One writer, any number of readers."""

    def __init__(self, coder: Coder, folder: Path | None = None) -> None:
        """`folder`: where the files are; None for RAM."""
        self.coder = coder
        self._folder = folder
        code = np.dtype([("values", "i1", (coder.values,)), ("check", "<u4")])
        sign = np.dtype([("bits", "<u8", (coder.signs // 64,))])
        self.codes = GrowingArray(code, None if folder is None else folder / f"codes-{coder.fingerprint}")
        self.signs = GrowingArray(sign, None if folder is None else folder / f"signs-{coder.fingerprint}")
        powers = [pow(CODE_FACTOR, n + 1, 1 << 64) for n in range(coder.values // 4 + 1)]
        self._factors = np.array(powers, np.uint64)

    @property
    def size(self) -> int:
        """Number of passages that have a code, empty ones included."""
        return self.codes.size

    # Writing.

    def append(self, codes: Codes) -> None:
        """Append the codes of the next passages."""
        self.signs.append(codes.signs.view(self.signs.dtype).reshape(-1))
        self.codes.append(self._checked(codes.values, np.arange(self.size, self.size + len(codes.values))))

    def put(self, places: Ints, codes: Codes) -> None:
        """Set the codes of some passages. In RAM only: other threads may be reading, and see each byte old or new."""
        assert self._folder is None
        self.signs.view()["bits"][places] = codes.signs
        self.codes.view()[places] = self._checked(codes.values, places)

    def erase(self, start: int, stop: int) -> None:
        """Clear the signs of the passages from `start` on, whose engram is gone, so that a scan seldom finds them.

        The values stay until the next build: a reader could see a part of them cleared, and take it for damage.
        """
        places = range(max(start, 0), min(stop, self.size))
        if places:
            with self.signs.patching() as patch:
                for place in places:
                    patch(place, "bits", 0)

    def truncate(self, size: int) -> None:
        """Show so many passages. Raises `IndexDamaged` if the files hold fewer."""
        self.signs.resize(size)
        self.codes.resize(size)

    def sync(self) -> None:
        """Flush the files to the disk."""
        self.signs.sync()
        self.codes.sync()

    def delete_others(self) -> None:
        """Delete the files of other encoders in the folder."""
        if self._folder is not None:
            for path in (path for pattern in NAMES for path in self._folder.glob(pattern)):
                if not path.name.endswith(self.coder.fingerprint):
                    path.unlink(missing_ok=True)

    # Reading.

    def take(self, places: Ints) -> Values:
        """Return the values of the codes of some passages: shape (len(places), d); all 0 where there is none yet.

        Raises `IndexDamaged` if the file does not contain the written data.
        """
        view, d = self.codes.view(), self.coder.values
        if not d or not len(view):
            return np.zeros((len(places), d), np.int8)
        here = places < len(view)
        if here.all():
            return self._verified(view.take(places), places)
        values = np.zeros((len(places), d), np.int8)
        values[here] = self._verified(view.take(places[here]), places[here])
        return values

    def _verified(self, taken: Array, places: Ints) -> Values:
        values = np.ascontiguousarray(taken["values"])
        # In RAM, codes are set while they are read, and nothing damages them.
        if self._folder is not None and not np.array_equal(self._checksums(values, places), taken["check"]):
            raise IndexDamaged(f"{self.codes.path} is not as it was written")
        return values

    def _checked(self, values: Values, places: Ints) -> Array:
        rows = np.empty(len(values), self.codes.dtype)
        rows["values"], rows["check"] = values, self._checksums(values, places)
        return rows

    def _checksums(self, values: Values, places: Ints) -> npt.NDArray[np.uint32]:
        """Return a checksum for each code, which depends on its place: shape (n,)."""
        words = np.ascontiguousarray(values).view("<u4")
        total = np.einsum("nw,w->n", words, self._factors[1:], dtype=np.uint64)
        total += (places.astype(np.uint64) + np.uint64(1)) * self._factors[0]
        return np.asarray(total ^ (total >> np.uint64(32)), np.uint64).astype(np.uint32)
