"""Progress on standard error: one line that changes on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.figures import Progress


@contextmanager
def show_progress() -> Iterator[Progress]:
    """A `Progress` that prints to standard error."""
    started = time.monotonic()
    if not sys.stderr.isatty():
        yield lambda text: print_line(started, text)
        return
    try:
        from rich.console import Console
    except ImportError:
        yield lambda text: print_line(started, text)
        return
    with Console(stderr=True).status("starting") as status:
        yield lambda text: status.update(f"{time.monotonic() - started:5.0f} s  {text.replace('[', chr(92) + '[')}")


def print_line(started: float, text: str) -> None:
    """Print a line that begins with the seconds since the start."""
    sys.stderr.write(f"{time.monotonic() - started:6.1f} s  {text}\n")
    sys.stderr.flush()
