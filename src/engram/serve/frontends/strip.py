"""The patterns of an operator (`--strip`): what they match is left out of users' messages.

Owns their syntax, which is RE2's: its engine takes time in proportion to the text for every pattern, so that no
pattern and no message can stall the server. Does not know messages.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from typing import Any

import re2

from engram.errors import EngramError

VARIABLE = "ENGRAM_STRIP"
"""The environment variable with patterns, one a line."""


def patterns_from_environment() -> tuple[str, ...]:
    """Return the patterns in the environment, which count together with those of the command line."""
    return tuple(line for line in os.environ.get(VARIABLE, "").splitlines() if line.strip())


MOST_MATCHES = 10_000
"""Matches of one pattern that are left out of one part of a message; the rest of it stays."""


class Strip:
    """The patterns of one server. Safe to use from threads."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Raises `EngramError` for a pattern that RE2 cannot read."""
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def __call__(self, text: str) -> tuple[str, list[int]]:
        """Return a text without what the patterns match, and the characters of each match."""
        lengths: list[int] = []
        for pattern in self._patterns:
            kept: list[str] = []
            end = 0
            for match in islice(pattern.finditer(text), MOST_MATCHES):
                if match.end() > match.start():
                    kept.append(text[end : match.start()])
                    end = match.end()
                    lengths.append(match.end() - match.start())
            if kept:
                text = "".join([*kept, text[end:]]).strip()
        return text, lengths


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not valid"
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise EngramError(
            f"the pattern {pattern!r} of --strip is no regular expression: {reason}; write it in the syntax of RE2"
            " (https://github.com/google/re2/wiki/Syntax), which has no look-around and no back-references"
        ) from None
