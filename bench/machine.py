"""Description of the machine: processor, memory, versions, commit, file system."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

import engram
from engram import accel

GIGABYTE = 1 << 30


def describe(folder: Path) -> list[tuple[str, str]]:
    """Properties of the machine by name; `folder` is the folder of the databases."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "tantivy"))
    return [
        ("processor", processor()),
        ("cores", str(cores())),
        ("memory", f"{memory_bytes() / GIGABYTE:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("files on", file_system(folder)),
        ("versions", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"),
        ("Engram", f"{engram.__version__}, commit {commit()}, recall {'compiled' if accel.available else 'in numpy'}"),
        ("load before", " ".join(f"{load:.2f}" for load in os.getloadavg())),
    ]


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def file_system(folder: Path) -> str:
    """The file system type of a folder: in a file system in RAM nothing is durable and writes cost nothing."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown"
    best = ("", "unknown")
    path = str(folder.resolve()) + "/"
    for line in mounts.read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        if path.startswith(mounted.rstrip("/") + "/") and len(mounted) >= len(best[0]):
            best = (mounted, kind)
    return best[1]


def commit() -> str:
    """The commit of this copy of Engram, with "-dirty" if it has changes; "unknown" outside of git."""
    here = Path(__file__).parent
    try:
        description = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        tracked = subprocess.run(["git", "-C", str(here), "ls-files", "__init__.py"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return description.stdout.strip() if tracked.stdout else "unknown"
