"""What is wrong with the value of an option, in plain words.

Owns the sentences. typer checks values with pydantic and shows its messages, which are about validators.
"""

from __future__ import annotations

import typer

LONGEST = 200
"""Characters of a sentence; it can hold the value."""

SENTENCES = {
    "int_parsing": "{input!r} is no whole number",
    "int_parsing_size": "{input!r} has too many digits",
    "float_parsing": "{input!r} is no number",
    "bool_parsing": "{input!r} is neither true nor false",
    "greater_than_equal": "{input} is too small; the least is {ge}",
    "less_than_equal": "{input} is too large; the most is {le}",
    "value_error": "{error}",
}
"""By pydantic's type of error. The fields are the value and those of the error's context."""


def plain_message(error: typer.TyperException) -> str:
    """Return the message of a usage error, with plain words in place of pydantic's."""
    # Imported here: typer imports it, too, but not for every command.
    from pydantic import ValidationError

    cause = error.__cause__
    if isinstance(error, typer.BadParameter) and isinstance(cause, ValidationError):
        first = cause.errors(include_url=False)[0]
        given = first["input"][:80] if isinstance(first["input"], str) else first["input"]
        if (sentence := SENTENCES.get(first["type"])) is not None:
            message = sentence.format(**{"input": given, **first.get("ctx", {})}).rstrip(".")
            error.message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
    return error.format_message()
