"""Loads kernel.so, if it belongs to this source.

Owns the checks that a compiled library fits: it was compiled from the sources in the same folder, and its structs have
the fields that Python expects, by name, offset and size.
"""

from __future__ import annotations

import ctypes
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SIGNATURES = {  # Result, and a letter for each argument.
    "engram_find_rows": (ctypes.c_int64, "plpllllppppp"),
    "engram_copy_tokens": (ctypes.c_int32, "pipplpupp"),
    "engram_match": (ctypes.c_int32, "p"),
    "engram_link": (ctypes.c_int32, "p"),
    "engram_best_in_sessions": (None, "pllplplp"),
    "engram_encode": (ctypes.c_int32, "plpppplp"),
    "engram_encode_context": (ctypes.c_int32, "plppplp"),
    "engram_nearest_signs": (ctypes.c_int64, "plllpplppl"),
    "engram_copy_codes": (ctypes.c_int64, "plplplpp"),
    "engram_compare_codes": (ctypes.c_int32, "pllpffp"),
    "engram_layout": (ctypes.c_int64, "pl"),
}
SOURCES = (
    *("kernel.c", "product.c", "sentences.c", "context.c"),
    *("product.h", "floats.h", "forms.h", "sentences.h", "context.h"),
)
"""What the library is compiled from, in the order of its checksum. hatch_build.py has the same list."""
TYPES = {"p": ctypes.c_void_p, "l": ctypes.c_int64, "i": ctypes.c_int32, "u": ctypes.c_uint64, "f": ctypes.c_float}

Layout = dict[str, tuple[int, int]]
"""Offset and size in bytes of each field, in order."""


class Library(NamedTuple):
    """One library, loaded twice, and the layout of a row in it."""

    reading: Any
    """Lets other threads run during a call: for calls that may wait for a disk."""
    computing: Any
    """Keeps the interpreter's lock: for calls that take less time than giving it away would."""
    row: Layout


class Unusable(Exception):
    """The library cannot be used. The message says why, as the end of "kernel.so is not used: ..."."""


def load(folder: Path, structs: Sequence[type[ctypes.Structure]]) -> Library | None:
    """Return the library in `folder`; None if there is none. Raises `Unusable` if it does not fit.

    structs: the structures that follow the row in what `engram_layout` says.
    """
    path = folder / "kernel.so"
    if not path.exists():
        return None
    if not is_complete(path):
        raise Unusable("the file is cut off")
    if sys.byteorder != "little":
        raise Unusable("this machine is big-endian")
    try:
        reading, computing = (loader(str(path)) for loader in (ctypes.CDLL, ctypes.PyDLL))
        checked_source(computing, folder)
        for library in (reading, computing):
            for name, (result, arguments) in SIGNATURES.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, [TYPES[letter] for letter in arguments]
    except (OSError, AttributeError) as error:
        raise Unusable(str(error)) from error
    row, *layouts = layouts_of(computing)
    for struct, layout in zip(structs, layouts, strict=True):
        if wrong := difference(layout_of_struct(struct), layout):
            raise Unusable(f"{struct.__name__}: {wrong}")
    return Library(reading, computing, row)


def is_complete(path: Path) -> bool:
    """Return whether an ELF file holds all its section headers, which are last: a process that maps less is killed."""
    with path.open("rb") as file:
        head = file.read(64)
    if len(head) < 64 or head[:5] != b"\x7fELF\x02":
        return True
    headers, size, count = (int.from_bytes(head[a:b], "little") for a, b in ((40, 48), (58, 60), (60, 62)))
    return path.stat().st_size >= headers + size * count


def checked_source(library: Any, folder: Path) -> None:
    """Raise `Unusable` unless `library` was compiled from the sources in `folder`."""
    checksum = 0
    for source in SOURCES:
        checksum = zlib.crc32((folder / source).read_bytes(), checksum)
    if library.engram_source() & 0xFFFFFFFF != checksum:
        changed = ", ".join(str(folder / source) for source in SOURCES)
        raise Unusable(f"it is out of date: one of {changed} has changed since it was compiled")


def layouts_of(library: Any) -> list[Layout]:
    """Return the layouts that the library states."""
    text = ctypes.create_string_buffer(4096)
    length = library.engram_layout(text, len(text))
    layouts = []
    for line in text.raw[: max(length, 0)].decode().splitlines():
        fields = [field.split(":") for field in line.split(";") if field]
        layouts.append({name: (int(offset), int(size)) for name, offset, size in fields})
    return layouts


def layout_of_struct(struct: type[ctypes.Structure]) -> Layout:
    """Return the layout of a ctypes structure."""
    fields = [(field[0], getattr(struct, field[0])) for field in struct._fields_]
    return {name: (field.offset, field.size) for name, field in fields}


def layout_of_dtype(dtype: np.dtype[Any]) -> Layout:
    """Return the layout of a structured dtype."""
    return {name: (field[1], field[0].itemsize) for name, field in (dtype.fields or {}).items()}


def difference(expected: Layout, compiled: Layout) -> str:
    """Say which field of two layouts differs first; "" if none does."""
    for name in [*expected, *compiled]:
        ours, theirs = expected.get(name), compiled.get(name)
        if ours is None or theirs is None:
            return f"the field {name!r} is missing in {'the kernel' if theirs is None else 'Python'}"
        if ours != theirs:
            return (
                f"the field {name!r} is at byte {ours[0]} with {ours[1]} bytes in Python, "
                f"but at byte {theirs[0]} with {theirs[1]} bytes in the kernel"
            )
    return ""
