"""Engram's server and the model behind it as processes, for measuring them.

Owns their starting and ending, and what the system says of them. Knows nothing of what is asked of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import WorkerFailed, environment

PATIENCE = 60.0
"""Seconds for a server to come up or to end."""
LISTENING = "listening"
"""The message of the log that says where the server is."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process takes right now."""

    resident: int
    """Bytes in RAM, pages of mapped files among them, which the system can take back."""
    own: int
    """Bytes of that which are its own."""
    processor: float
    """Seconds of the processor that it has had."""


class Server:
    """A running `engram serve`."""

    def __init__(self, memory: Path, upstream: str, log: Path, options: Sequence[str] = ()) -> None:
        """Start it, and wait until it listens. Raises `WorkerFailed` with the end of its log if it does not."""
        command = [sys.executable, "-m", "engram", "serve", "--memory", str(memory), "--port", "0"]
        kept = {name: value for name, value in environment().items() if not name.startswith("ENGRAM_")}
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*command, "--upstream", upstream, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=kept,
            )
        self.url = self._listening()

    def _listening(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in self._log.read_text(errors="replace").splitlines():
                if f'"{LISTENING}"' in line:
                    return str(json.loads(line)["url"]).rstrip("/")
            time.sleep(0.02)
        self.kill()
        end = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        raise WorkerFailed(f"the server does not listen:\n{end}")

    def usage(self) -> Usage:
        """What it takes."""
        own = self._process.pid
        return total([usage(process) for process in (own, *children(own))])

    def kill(self) -> None:
        """End it at once: kill -9."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it as it should be ended. Raises `WorkerFailed` if it does not."""
        self._process.terminate()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise WorkerFailed(f"the server did not end in {PATIENCE:.0f} s after SIGTERM") from None
        if code:
            raise WorkerFailed(f"the server ended with exit code {code}: {self._log.read_text()[-2000:]}")


@contextmanager
def serving(memory: Path, upstream: str, log: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """A server that is gone when it is no longer needed."""
    server = Server(memory, upstream, log, options)
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@contextmanager
def scripted(seed: int) -> Iterator[str]:
    """The URL of a scripted model (`bench.upstream`), while it is needed."""
    command = [sys.executable, "-m", "bench.upstream", str(seed)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        port = process.stdout.readline()
        if not port:
            raise WorkerFailed("the scripted model does not listen")
        yield f"http://127.0.0.1:{int(port)}"
        process.stdin.close()


class Host:
    """What the machine under a virtual one took of its processors, since this was made."""

    def __init__(self) -> None:
        self._before = taken()

    @property
    def share(self) -> float:
        """Of the time of all processors that was not idle, 0 to 1; not a number where the system does not say."""
        stolen, busy = (now - before for now, before in zip(taken(), self._before, strict=True))
        return stolen / busy if busy else float("nan")


def taken() -> tuple[int, int]:
    """Ticks that the host took away, and all that were not idle, those among them; (0, 0) where nobody says."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0, 0
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return steal, user + nice + system + irq + softirq + steal


def children(process: int) -> list[int]:
    """The processes that a process has started, as far as the system says."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for found in lists for child in found.read_text().split()]


def total(parts: Sequence[Usage]) -> Usage:
    """What several processes take together."""
    return Usage(
        sum(part.resident for part in parts), sum(part.own for part in parts), sum(part.processor for part in parts)
    )


def usage(process: int) -> Usage:
    """What a process takes. Where the system says nothing of it, as in Linux' /proc, only the resident memory."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
        return Usage(int(said.stdout) * 1024, 0, float("nan"))
    sizes = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.read_text().splitlines())
        if name in ("VmRSS", "RssAnon")
    }
    # Behind the name in parentheses, which may hold spaces: fields 14 and 15 are ticks in user and system mode.
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    # One that has ended, and that nobody has asked about yet, takes none.
    return Usage(sizes.get("VmRSS", 0), sizes.get("RssAnon", 0), sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))
