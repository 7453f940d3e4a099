"""Quotes: the parts of a text that stand within quotation marks, which are somebody else's words.

Owns which marks belong together, in the languages of the package. Single marks are left out: they are apostrophes, too.
Pure functions in time proportional to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engram.text.passages import Span

LONGEST = 2_000
"""Characters of a quote. One that does not end within so many, or has an empty line in it, is none."""
SHORTEST = 3
_PAIRS = (("“", "”"), ("„", '“”"'), ("«", "»"), ("»", "«"), ("「", "」"), ("『", "』"))
"""Marks that open a quote, with those that may close it."""


def _quote(opening: str, closing: str) -> str:
    # No mark of the pair stands inside, so that a text of opening marks is read once.
    inside = rf"(?:[^{opening}{closing}\n]|\n(?![^\S\n]{{0,80}}\n)){{{SHORTEST},{LONGEST}}}"
    return f"{opening}{inside}[{closing}]"


_STRAIGHT = '(?<![\\w"])' + _quote('"', '"') + r"(?!\w)"
_QUOTED = re.compile("|".join((_STRAIGHT, *(_quote(*pair) for pair in _PAIRS))))


def quotes_in(text: str) -> Sequence[Span]:
    """Return where the quotes of a text begin and end, their marks included."""
    return [match.span() for match in _QUOTED.finditer(text)]


def outside_quotes(text: str) -> str:
    """Return a text with its quotes as one sign each."""
    return _QUOTED.sub(" \N{HORIZONTAL ELLIPSIS} ", text)
