"""The command line: `engram remember`, `engram recall`, and the other commands.

Owns the process edge: every error becomes one line on stderr and an exit code (docs/cli.md), never a traceback. The
commands are in the other modules of this package; they are imported when `main` runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from engram.errors import EngramError, MissingExtra

INTERRUPTED = 130
INTERNAL_ERROR = 70


def main(args: Sequence[str] | None = None) -> int:
    """Run `engram` with `args` (None: the arguments of the process); return the exit code."""
    words = list(sys.argv[1:] if args is None else args) or ["--help"]
    wants_json = "--json" in words[: words.index("--") if "--" in words else None]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A character that the terminal cannot show is printed as its number.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(words, wants_json)
    except EngramError as error:
        return _fail(type(error).__name__, str(error), error.exit_code, wants_json)
    except OSError as error:
        return _fail(type(error).__name__, str(error), EngramError.exit_code, wants_json)
    except Exception as error:
        # Process edge: any other exception is a bug, and is reported as one.
        if os.environ.get("ENGRAM_DEBUG"):
            raise
        message = f"internal error, {type(error).__name__}: {error} (ENGRAM_DEBUG=1 shows the traceback)"
        return _fail("InternalError", message, INTERNAL_ERROR, wants_json)


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
        from engram.cli.usage import plain_message

        message = plain_message(error)
        return _fail("UsageError", message, error.exit_code, wants_json, hint=_hint(error))
    return code if isinstance(code, int) else 0


def _hint(error: object) -> str:
    context = getattr(error, "ctx", None)
    return "" if context is None else f" (see: {context.command_path} --help)"


def _fail(kind: str, message: str, code: int, wants_json: bool, hint: str = "") -> int:
    """Print an error as one line on stderr, and with --json also as an object on stdout; return the exit code."""
    from engram.cli.output import escape_line
    from engram.records import to_json

    if wants_json:
        sys.stdout.write(to_json({"error": {"type": kind, "message": message, "exit_code": code}}) + "\n")
    sys.stderr.write(f"engram: {escape_line(message)}{hint}\n")
    return code
