"""Processes of Engram's server and of its upstream model, for measurements.

Owns their start, end and resource usage. Does not know which requests they serve.
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

TIMEOUT = 60.0
"""Seconds that a server may take to start or to stop."""
LISTENING = "listening"
"""The log message that holds the server's URL."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that a process uses at one moment."""

    resident: int
    """Bytes in RAM, including pages of mapped files, which the system can reclaim."""
    anonymous: int
    """Bytes of the resident memory that belong to no file."""
    cpu_seconds: float
    """CPU seconds since its start."""


class Server:
    """A running `engram serve`."""

    def __init__(self, memory: Path, upstream: str, log: Path, options: Sequence[str] = ()) -> None:
        """Start the server, and wait until it listens. Raises `WorkerFailed` with the end of its log if it does not."""
        command = [sys.executable, "-m", "engram", "serve", "--memory", str(memory), "--port", "0"]
        variables = {name: value for name, value in environment().items() if not name.startswith("ENGRAM_")}
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*command, "--upstream", upstream, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=variables,
            )
        self.url = self._wait_for_url()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            for line in self._log.read_text(errors="replace").splitlines():
                if f'"{LISTENING}"' in line:
                    return str(json.loads(line)["url"]).rstrip("/")
            time.sleep(0.02)
        self.kill()
        end = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
        raise WorkerFailed(f"the server does not listen:\n{end}")

    def usage(self) -> Usage:
        """The resources of the server and its child processes."""
        pid = self._process.pid
        return total([usage(process) for process in (pid, *children(pid))])

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop the server with SIGTERM. Raises `WorkerFailed` if it does not end, or ends with an error."""
        self._process.terminate()
        try:
            code = self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise WorkerFailed(f"the server did not end in {TIMEOUT:.0f} s after SIGTERM") from None
        if code:
            raise WorkerFailed(f"the server ended with exit code {code}: {self._log.read_text()[-2000:]}")


@contextmanager
def running_server(memory: Path, upstream: str, log: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """A running server, stopped at the end of the block."""
    server = Server(memory, upstream, log, options)
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@contextmanager
def scripted_model(seed: int) -> Iterator[str]:
    """The URL of a scripted model (`bench.upstream`), which runs until the end of the block."""
    command = [sys.executable, "-m", "bench.upstream", str(seed)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        port = process.stdout.readline()
        if not port:
            raise WorkerFailed("the scripted model does not listen")
        yield f"http://127.0.0.1:{int(port)}"
        process.stdin.close()


class StolenTime:
    """CPU time that the host took from this virtual machine since the object was created."""

    def __init__(self) -> None:
        self._before = cpu_ticks()

    @property
    def share(self) -> float:
        """Stolen time as a share of the CPU time that was not idle, 0 to 1; NaN if the system does not report it."""
        stolen, busy = (now - before for now, before in zip(cpu_ticks(), self._before, strict=True))
        return stolen / busy if busy else float("nan")


def cpu_ticks() -> tuple[int, int]:
    """Ticks stolen by the host, and all ticks that were not idle including those; (0, 0) if not reported."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0, 0
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return steal, user + nice + system + irq + softirq + steal


def children(process: int) -> list[int]:
    """The child processes of a process, if the system reports them."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text().split()]


def total(parts: Sequence[Usage]) -> Usage:
    """The sum of the resources of several processes."""
    return Usage(
        sum(part.resident for part in parts),
        sum(part.anonymous for part in parts),
        sum(part.cpu_seconds for part in parts),
    )


def usage(process: int) -> Usage:
    """The resources of a process; without /proc only its resident memory."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        listed = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
        return Usage(int(listed.stdout) * 1024, 0, float("nan"))
    sizes = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.read_text().splitlines())
        if name in ("VmRSS", "RssAnon")
    }
    # After the name in parentheses, which may contain spaces: fields 14 and 15 are ticks in user and system mode.
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    # A zombie process has no memory.
    return Usage(sizes.get("VmRSS", 0), sizes.get("RssAnon", 0), sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))
