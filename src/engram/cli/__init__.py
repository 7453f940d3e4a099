"""The command line: `engram remember`, `engram recall`, and the rest.

Owns the process edge: every error becomes one line on stderr and an exit code (docs/cli.md), never a traceback. The
commands are one file a group beside this one; this file imports none of them until it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from engram.errors import EngramError, MissingExtra

INTERRUPTED = 130
BUG = 70


def main(args: Sequence[str] | None = None) -> int:
    """Run `engram` with `args` (the process's own if None); returns the exit code."""
    words = list(sys.argv[1:] if args is None else args) or ["--help"]
    wants_json = "--json" in words[: words.index("--") if "--" in words else None]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character shows its number.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(words, wants_json)
    except EngramError as error:
        return _failed(type(error).__name__, str(error), error.exit_code, wants_json)
    except OSError as error:
        return _failed(type(error).__name__, str(error), EngramError.exit_code, wants_json)
    except Exception as error:
        # The edge of the process: what is left is a bug of ours, and is said so.
        if os.environ.get("ENGRAM_DEBUG"):
            raise
        message = f"internal error, {type(error).__name__}: {error} (ENGRAM_DEBUG=1 shows where)"
        return _failed("InternalError", message, BUG, wants_json)


def _run(words: list[str], wants_json: bool) -> int:
    try:
        import typer

        from engram.cli.app import command
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("engram"):
            raise
        raise MissingExtra(f"the command line needs {error.name}; run: pip install engram-layer") from None
    try:
        code = command().main(words, prog_name="engram", standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except typer.TyperException as error:
        message = error.format_message()
        return _failed("UsageError", message, error.exit_code, wants_json, hint=_hint(error))
    return code if isinstance(code, int) else 0


def _hint(error: object) -> str:
    context = getattr(error, "ctx", None)
    return "" if context is None else f" (see: {context.command_path} --help)"


def _failed(kind: str, message: str, code: int, wants_json: bool, hint: str = "") -> int:
    """One line on stderr for people; with --json also an object on stdout, where a program looks for its answer."""
    from engram.cli.output import one_line
    from engram.records import to_json

    if wants_json:
        sys.stdout.write(to_json({"error": {"type": kind, "message": message, "exit_code": code}}) + "\n")
    sys.stderr.write(f"engram: {one_line(message)}{hint}\n")
    return code
