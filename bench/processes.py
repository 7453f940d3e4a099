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
from bench.figures import Progress
from bench.worker import PROGRESS_PREFIX
from engram.errors import EngramError


class WorkerFailed(EngramError):
    """The process of a measurement failed; the message holds the end of its output."""


def run_task(task: str, progress: Progress, label: str, module: str = "worker", /, **arguments: Any) -> dict[str, Any]:
    """Run one task of a module of `bench`; returns its result. `label` precedes the progress that the task reports."""
    values = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    output = run_python(["-m", f"bench.{module}", task, json.dumps(values)], progress, label)
    result: dict[str, Any] = json.loads(output)
    return result


def run_python(arguments: Sequence[str], progress: Progress, label: str) -> str:
    """Run a new interpreter with `arguments`; returns its output. Raises `WorkerFailed` if the exit code is not 0."""
    command = [sys.executable, *arguments]
    # The output goes to a file, because a full pipe that is not read would block the process.
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stderr is not None
            errors = forward_progress(process.stderr, progress, label)
        if process.returncode:
            end = "".join(errors[-20:])
            raise WorkerFailed(f"{label}: its process ended with exit code {process.returncode}:\n{end}")
        output.seek(0)
        return output.read().decode()


def forward_progress(lines: IO[str], progress: Progress, label: str) -> list[str]:
    """Forward progress as it arrives; returns all other lines."""
    other_lines = []
    for line in lines:
        if line.startswith(PROGRESS_PREFIX):
            progress(f"{label}: {line[len(PROGRESS_PREFIX) :].strip()}")
        else:
            other_lines.append(line)
    return other_lines


def environment() -> dict[str, str]:
    """The environment for a new process: a copy of this one that imports the same `engram` and `bench`."""
    source, root = Path(engram.__file__).parent.parent, Path(__file__).parent.parent
    paths = [str(source), str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
