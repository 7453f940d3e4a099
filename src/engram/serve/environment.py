"""The options of the server in environment variables, for a start without the command line.

Owns which variable sets which option. The command line reads the same variables (`cli.options`, `cli.serve`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, cast, get_args

from engram.engram import ORIGINS, Origin
from engram.errors import EngramError
from engram.notes.zones import zone_named
from engram.opening import default_path, file_of
from engram.reflection.proposals.asking import prices_of
from engram.serve.frontends.strip import VARIABLE as STRIP
from engram.serve.frontends.strip import Strip, patterns_from_environment
from engram.serve.settings import MOST_KEEP_DAYS, ProfileMode, Settings, ToolsMode
from engram.text.redaction import open_redactor, redaction_kinds

ON_WORDS, OFF_WORDS = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")
"""What the command line takes for a switch in a variable."""


def settings_from_environment() -> Settings:
    """Return the options that the environment sets; the rest have their defaults. A variable that is empty counts as
    missing.

    Raises `EngramError`, which names the variable, for a value that the option does not take.
    """
    options: dict[str, Any] = {"memory": str(default_path())}
    for variable, (option, parse) in VARIABLES.items():
        if text := os.environ.get(variable):
            try:
                options[option] = parse(text)
            except (EngramError, ValueError) as error:
                raise EngramError(f"{variable}: {error}") from None
    return Settings(**options)


def _origin(text: str) -> Origin:
    if text not in ORIGINS:
        raise ValueError(f"{text[:80]!r} is no origin; choose from {', '.join(ORIGINS)}")
    return cast(Origin, text)


def _redact(text: str) -> tuple[str, ...]:
    kinds = redaction_kinds(text)
    # A kind that does not exist, and a missing package.
    open_redactor(kinds)
    return kinds


def _days(text: str) -> int:
    if not (text.strip().isdecimal() and len(text) <= 20 and 1 <= int(text) <= MOST_KEEP_DAYS):
        raise ValueError(f"{text[:80]!r} is no whole number from 1 to {MOST_KEEP_DAYS}")
    return int(text)


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in ON_WORDS + OFF_WORDS:
        raise ValueError(f"{text[:80]!r} is no switch; write 1 or 0")
    return word in ON_WORDS


def _profile(text: str) -> ProfileMode:
    if text not in get_args(ProfileMode):
        raise ValueError(f"{text[:80]!r} is no way to attach profiles; choose from {', '.join(get_args(ProfileMode))}")
    return cast(ProfileMode, text)


def _tools(text: str) -> ToolsMode:
    if text not in get_args(ToolsMode):
        raise ValueError(f"{text[:80]!r} does not say who gets tools; choose from {', '.join(get_args(ToolsMode))}")
    return cast(ToolsMode, text)


def _tokens(text: str) -> int:
    if not (text.strip().isdecimal() and len(text) <= 9 and int(text) >= 1):
        raise ValueError(f"{text[:80]!r} is no whole number of tokens from 1 on")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{text[:80]!r} is no number from 0 on")
    return number


def _minutes(text: str) -> float:
    return 60 * _number(text)


def _patterns(_: str) -> tuple[str, ...]:
    patterns = patterns_from_environment()
    Strip(patterns)
    return patterns


VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "ENGRAM_MEMORY": ("memory", file_of),
    "ENGRAM_UPSTREAM": ("upstream", str),
    "ENGRAM_TIMEZONE": ("timezone", zone_named),
    "ENGRAM_LEAST_TRUST": ("least_trust", _origin),
    "ENGRAM_REDACT": ("redact", _redact),
    "ENGRAM_KEEP_DAYS": ("keep_days", _days),
    "ENGRAM_REFLECT": ("reflect", _switch),
    "ENGRAM_STRENGTH": ("strength", _switch),
    "ENGRAM_REFLECT_MODEL": ("reflect_model", str),
    "ENGRAM_REFLECT_QUIET": ("reflect_quiet", _minutes),
    "ENGRAM_REFLECT_TOKENS": ("reflect_tokens", _tokens),
    "ENGRAM_REFLECT_MONEY": ("reflect_money", _number),
    "ENGRAM_REFLECT_PRICES": ("reflect_prices", prices_of),
    "ENGRAM_PROFILE": ("profile", _profile),
    "ENGRAM_PROFILE_BUDGET": ("profile_budget", _tokens),
    "ENGRAM_TOOLS": ("tools", _tools),
    STRIP: ("strip", _patterns),
}
"""For each variable the option and the parser of its value."""
