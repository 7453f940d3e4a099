"""Runs measurements in processes of their own, and hands their progress on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import engram
from bench.figures import Tell
from bench.worker import PROGRESS
from engram.errors import EngramError


class WorkerFailed(EngramError):
    """A measurement's process ended in failure; the message holds the end of what it said."""


def run_task(task: str, tell: Tell, about: str, module: str = "worker", /, **arguments: Any) -> dict[str, Any]:
    """The result of one task of a module of `bench`; `about` stands in front of the progress it reports."""
    values = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    output = run_python(["-m", f"bench.{module}", task, json.dumps(values)], tell, about)
    result: dict[str, Any] = json.loads(output)
    return result


def run_python(arguments: Sequence[str], tell: Tell, about: str) -> str:
    """What a new interpreter prints when it is given `arguments`."""
    command = [sys.executable, *arguments]
    # To a file, because a pipe that nobody empties yet would stop a process with much to say.
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stderr is not None
            said = relayed(process.stderr, tell, about)
        if process.returncode:
            end = "".join(said[-20:])
            raise WorkerFailed(f"{about}: its process ended with exit code {process.returncode}:\n{end}")
        output.seek(0)
        return output.read().decode()


def relayed(lines: IO[str], tell: Tell, about: str) -> list[str]:
    """Hand progress on as it comes; returns the lines that were none."""
    other = []
    for line in lines:
        if line.startswith(PROGRESS):
            tell(f"{about}: {line[len(PROGRESS) :].strip()}")
        else:
            other.append(line)
    return other


def environment() -> dict[str, str]:
    """The environment of a new process: as here, and with the same `engram` and `bench` to import."""
    source, root = Path(engram.__file__).parent.parent, Path(__file__).parent.parent
    paths = [str(source), str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
