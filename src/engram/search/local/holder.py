"""The process that holds a file's lock, as far as the system tells: Linux does, in /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

LOCKS = Path("/proc/locks")

STOPPED = ("T", "t")
"""States of a process that a signal or a debugger has stopped."""


class Holder(NamedTuple):
    """A process that holds a lock."""

    pid: int
    stopped: bool
    """Whether it does not run until somebody continues it."""

    def __str__(self) -> str:
        advice = f"continue it (kill -CONT {self.pid}) or end it" if self.stopped else "end it"
        return f"process {self.pid}{' is stopped and' if self.stopped else ''} holds the index; {advice}"


def holder_of(path: Path) -> Holder | None:
    """Return the process that holds a `flock` on a file; None if there is none, or if it cannot be known."""
    try:
        found = os.stat(path)
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return None
    name = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF. A process that waits has "->" after the number.
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == name and int(fields[4]) > 0:
            return Holder(int(fields[4]), _is_stopped(int(fields[4])))
    return None


def _is_stopped(pid: int) -> bool:
    try:
        # PID (NAME) STATE ...; the name may hold anything.
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in STOPPED
