"""The vectors of passages, as codes, in arrays ordered by passage.

Owns two growing arrays: `signs`, the part of a code that a scan compares, and `codes`, the rest of it with a checksum
over the whole. Both are complete up to some passage; an index fills them later than its words. Their files' names say
with which encoder and quantisation they were made, so that codes of another one are never read or overwritten. Does not
know which passages are published.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engram import accel
from engram.accel import compiled
from engram.meaning.codes import Coder, Codes
from engram.search.base import IndexDamaged, Ints
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
        sign = np.dtype([("bits", "<u8", (coder.scanned // 64,))])
        code = np.dtype([("rest", "u1", (coder.width - sign.itemsize,)), ("check", "<u4")])
        self.signs = GrowingArray(sign, None if folder is None else folder / f"signs-{coder.fingerprint}")
        self.codes = GrowingArray(code, None if folder is None else folder / f"codes-{coder.fingerprint}")
        powers = [pow(CODE_FACTOR, n + 1, 1 << 64) for n in range(coder.width // 4 + 1)]
        self._factors = np.array(powers, np.uint64)

    @property
    def size(self) -> int:
        """Number of passages that have a code, empty ones included."""
        return self.codes.size

    # Writing.

    def append(self, codes: Codes) -> None:
        """Append the codes of the next passages."""
        signs, rest = self._parts(codes, np.arange(self.size, self.size + len(codes)))
        self.signs.append(signs)
        self.codes.append(rest)

    def put(self, places: Ints, codes: Codes) -> None:
        """Set the codes of some passages, in RAM only."""
        assert self._folder is None
        signs, rest = self._parts(codes, places)
        # The signs last: a code without signs counts as empty.
        self.codes.view()[places] = rest
        self.signs.view()[places] = signs

    def erase(self, start: int, stop: int) -> None:
        """Clear the signs of the passages from `start` on, whose engram is gone: they then count as empty."""
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

    def _parts(self, codes: Codes, places: Ints) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
        """Return what the two arrays hold of codes at these places."""
        signs, rest = np.empty(len(codes), self.signs.dtype), np.empty(len(codes), self.codes.dtype)
        split = self.signs.dtype.itemsize
        signs["bits"] = np.ascontiguousarray(codes[:, :split]).view("<u8")
        rest["rest"], rest["check"] = codes[:, split:], self._checksums(codes, places)
        return signs, rest

    # Reading.

    def take(self, places: Ints) -> Codes:
        """Return the codes of some passages: shape (len(places), width); all 0 where there is none, or none yet.

        Raises `IndexDamaged` if the files do not contain the written data.
        """
        here = (places >= 0) & (places < self.size)
        if not here.all():
            codes = np.zeros((len(places), self.coder.width), np.uint8)
            codes[here] = self.take(places[here])
            return codes
        if not self.coder.width or not len(places):
            return np.zeros((len(places), self.coder.width), np.uint8)
        codes, wrong = self._read(places)
        # The writer may be erasing one at this moment, or setting one in RAM: it is read again.
        if wrong:
            codes, wrong = self._read(places)
        if wrong and self._folder is not None:
            raise IndexDamaged(f"{self.codes.path} or {self.signs.path} is not as it was written")
        return codes

    def _read(self, places: Ints) -> tuple[Codes, int]:
        """Return the codes of some passages, all 0 for erased ones, and how many are not as they were written."""
        if accel.available and self.codes.read_through_map:
            return compiled.copy_codes(self.signs.view(), self.codes.view(), places, self._factors, self.coder.width)
        signs, rest = self.signs.view().take(places), self.codes.take(places)
        codes = np.concatenate((np.ascontiguousarray(signs["bits"]).view(np.uint8), rest["rest"]), axis=1)
        here = signs["bits"].any(axis=1)
        codes[~here] = 0
        return codes, int(np.count_nonzero((self._checksums(codes, places) != rest["check"])[here]))

    def _checksums(self, codes: Codes, places: Ints) -> npt.NDArray[np.uint32]:
        """Return a checksum for each code, which depends on its place: shape (n,)."""
        words = np.ascontiguousarray(codes).view("<u4")
        total = np.einsum("nw,w->n", words, self._factors[1:], dtype=np.uint64)
        total += (places.astype(np.uint64) + np.uint64(1)) * self._factors[0]
        return np.asarray(total ^ (total >> np.uint64(32)), np.uint64).astype(np.uint32)
