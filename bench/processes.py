"""Runs each measurement in a new process and forwards its progress."""

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
    """The process of a measurement failed; the message holds the end of its output."""


def run_task(task: str, tell: Tell, about: str, module: str = "worker", /, **arguments: Any) -> dict[str, Any]:
    """The result of one task of a module of `bench`; `about` is put in front of the progress that the task reports."""
    values = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    output = run_python(["-m", f"bench.{module}", task, json.dumps(values)], tell, about)
    result: dict[str, Any] = json.loads(output)
    return result


def run_python(arguments: Sequence[str], tell: Tell, about: str) -> str:
    """The output of a new interpreter run with `arguments`. Raises `WorkerFailed` on an exit code other than 0."""
    command = [sys.executable, *arguments]
    # To a file: a full pipe that is not read yet would block a process with much output.
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stderr is not None
            errors = relayed(process.stderr, tell, about)
        if process.returncode:
            end = "".join(errors[-20:])
            raise WorkerFailed(f"{about}: its process ended with exit code {process.returncode}:\n{end}")
        output.seek(0)
        return output.read().decode()


def relayed(lines: IO[str], tell: Tell, about: str) -> list[str]:
    """Forward progress as it arrives; returns all other lines."""
    other = []
    for line in lines:
        if line.startswith(PROGRESS):
            tell(f"{about}: {line[len(PROGRESS) :].strip()}")
        else:
            other.append(line)
    return other


def environment() -> dict[str, str]:
    """The environment for a new process: a copy of this one that imports the same `engram` and `bench`."""
    source, root = Path(engram.__file__).parent.parent, Path(__file__).parent.parent
    paths = [str(source), str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
