"""An array that grows at its end, in a file that is read through a memory map, or in RAM.

Owns appending, patching single entries and syncing. Does not know what the entries mean.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.search.base import Array, IndexDamaged, Ints

Patch = Callable[[int, str, int], None]

MOST_MAPPED = 64 << 20
"""Bytes of a file up to which entries that are read here and there are read through the map."""


class OpenFile:
    """A file that is closed once nothing refers to it: a reader may still be at work when the array has grown."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self.number)


class GrowingArray:
    """One writer appends, any number of readers hold views. A view does not change, except for patches."""

    def __init__(self, dtype: npt.DTypeLike, path: Path | None, size: int = 0) -> None:
        """Open the first `size` entries of the file at `path`, which must hold that many, or start empty in RAM."""
        self.dtype = np.dtype(dtype)
        self.path = path
        self.size = 0
        self._array: Array = np.empty(0, self.dtype)
        self._file: OpenFile | None = None
        self.resize(size)

    def view(self) -> Array:
        """Return the current entries: shape (size,)."""
        # The size first: another thread may be appending, and the array is never shorter than an earlier size.
        size = self.size
        return self._array[:size]

    def resize(self, size: int) -> None:
        """Show `size` entries: fewer after a crash, more after another process has appended. Raises `IndexDamaged`."""
        if size > len(self._array) and self.path is not None:
            if not self.path.exists() or self.path.stat().st_size < size * self.dtype.itemsize:
                raise IndexDamaged(f"{self.path} is missing or shorter than {size:,} entries")
            # As a plain array: memmap's own indexing is slow, and the map lives as long as a view of it.
            self._array = np.memmap(self.path, self.dtype, "r", shape=(size,)).view(np.ndarray)
            self._file = OpenFile(self.path) if self._array.nbytes > MOST_MAPPED and hasattr(os, "pread") else None
        self.size = size

    @property
    def read_through_map(self) -> bool:
        """Whether `take` reads what `view` shows."""
        return self._file is None

    def take(self, places: Ints) -> Array:
        """Return the entries at some places, which may lie anywhere: shape (len(places),). Raises `IndexDamaged`.

        Those of a large file are not read through the map, which would soon keep all of it in the process's memory.
        """
        file = self._file
        if file is None:
            return self.view().take(places)
        read, number, size = os.pread, file.number, self.dtype.itemsize
        content = b"".join([read(number, size, offset) for offset in (places * size).tolist()])
        if len(content) != len(places) * size:
            raise IndexDamaged(f"{self.path} is shorter than {self.size:,} entries")
        return np.frombuffer(content, self.dtype)

    def entries_in_file(self) -> int:
        """Return the number of entries in the file; in RAM, the number of current entries."""
        if self.path is None:
            return self.size
        return self.path.stat().st_size // self.dtype.itemsize if self.path.exists() else 0

    def entry(self, index: int) -> Any | None:
        """Return one entry, read from the file if it is not shown yet; None if there is none."""
        if index < self.size:
            return self._array[index]
        if self.path is None or not 0 <= index < self.entries_in_file():
            return None
        with open(self.path, "rb", buffering=0) as file:
            content = os.pread(file.fileno(), self.dtype.itemsize, index * self.dtype.itemsize)
        return np.frombuffer(content, self.dtype)[0] if len(content) == self.dtype.itemsize else None

    def append(self, values: Array) -> None:
        """Append `values`, shape (n,). A failure leaves the current entries as they are."""
        values = np.ascontiguousarray(values, dtype=self.dtype)
        needed = self.size + len(values)
        if self.path is not None:
            # If the array has entries and its file is missing, an empty file must not replace it.
            with open(self.path, "r+b" if self.size or self.path.exists() else "wb") as file:
                file.seek(self.size * self.dtype.itemsize)
                file.write(values.tobytes())
            self.resize(needed)
            return
        if needed > len(self._array):
            grown = np.empty(max(1024, needed + needed // 2), self.dtype)
            grown[: self.size] = self._array[: self.size]
            self._array = grown
        self._array[self.size : needed] = values
        self.size = needed

    @contextmanager
    def patching(self) -> Iterator[Patch]:
        """Lend a function (index, field, value) that sets one field, or with "" the whole entry, for all readers."""
        if self.path is None:
            yield self._patch
            return
        fields: dict[str, tuple[Any, ...]] = {"": (self.dtype, 0)}
        fields.update(self.dtype.fields or {})
        with open(self.path, "r+b", buffering=0) as file:
            size, number = self.dtype.itemsize, file.fileno()

            def patch(index: int, field: str, value: int) -> None:
                dtype, offset = fields[field][:2]
                os.pwrite(number, np.array(value, dtype).tobytes(), index * size + offset)

            yield patch

    def _patch(self, index: int, field: str, value: int) -> None:
        (self._array[field] if field else self._array)[index] = value

    def sync(self) -> None:
        """Flush the file to the disk."""
        if self.path is not None and self.path.exists():
            with open(self.path, "r+b") as file:
                os.fsync(file.fileno())
