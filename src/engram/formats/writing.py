"""Writes engrams as JSON Lines, to a file or a stream, without loss (see docs/formats.md).

Owns how a file appears: complete or not at all, and readable by its owner only, because it contains conversations.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from engram.engram import Engram
from engram.records import to_json, to_record


def write(engrams: Iterable[Engram], stream: TextIO) -> int:
    """Write one line per engram; return the number of lines."""
    count = 0
    for engram in engrams:
        stream.write(to_json(to_record(engram)) + "\n")
        count += 1
    return count


def export(engrams: Iterable[Engram], path: str | Path) -> int:
    """Write `engrams` to the file at `path`, which is created or replaced once it is complete; return their number."""
    target = Path(path)
    if target.exists() and not target.is_file():
        # A device or a pipe cannot be replaced.
        with open(target, "w", encoding="utf-8", newline="\n") as stream:
            return write(engrams, stream)
    # A symbolic link stays, and the file that it names is replaced.
    target = target.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            count = write(engrams, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    return count
