"""The arguments of a function tool: their JSON schema, and the check of what a model sent.

Owns the kinds of arguments, and the error that a model reads. Does not know which functions there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from engram.engram import byte_length, check_no_nul
from engram.errors import InvalidEngram
from engram.records import RepeatedKey, from_json

LONGEST_ARGUMENTS = 1 << 16
"""Characters of JSON text that the arguments of one call may have."""

SHOWN_NAME = 60
"""Characters of a name in an error that a model reads."""

Values = dict[str, str | int]


class ToolError(Exception):
    """What is wrong with a call, and what the model should do: becomes the result of the call."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument."""

    name: str
    kind: Literal["string", "integer"]
    description: str
    required: bool = True
    longest: int = 0
    """Characters that a string may have."""
    least: int = 0
    """The smallest integer, or the fewest characters of a string."""
    most: int = 0
    """The largest integer."""

    def schema(self) -> dict[str, object]:
        """Return its JSON schema."""
        shape: dict[str, object] = {"type": self.kind, "description": self.description}
        if self.kind == "integer":
            return {**shape, "minimum": self.least, "maximum": self.most}
        return {**shape, "minLength": self.least, "maxLength": self.longest}

    def checked(self, value: object) -> str | int:
        """Return a value. Raises `ToolError` unless it is of this kind and within the limits."""
        return self._integer(value) if self.kind == "integer" else self._string(value)

    def _integer(self, value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ToolError(f"{self.name} is {kind_of(value)}; give an integer from {self.least} to {self.most}")
        if not self.least <= value <= self.most:
            raise ToolError(f"{self.name} is out of range; give an integer from {self.least} to {self.most}")
        return value

    def _string(self, value: object) -> str:
        if not isinstance(value, str):
            raise ToolError(f"{self.name} is {kind_of(value)}; give a string")
        if len(value) < self.least or (self.least and not value.strip()):
            raise ToolError(f"{self.name} is empty; give at least one character that is no space")
        if len(value) > self.longest:
            raise ToolError(f"{self.name} has {len(value):,} characters; the limit is {self.longest:,}: send less")
        try:
            byte_length(self.name, value)
            check_no_nul(self.name, value)
        except InvalidEngram as error:
            raise ToolError(str(error)) from None
        return value


def object_schema(arguments: Sequence[Argument]) -> dict[str, object]:
    """Return the JSON schema of the arguments of one function."""
    return {
        "type": "object",
        "properties": {argument.name: argument.schema() for argument in arguments},
        "required": [argument.name for argument in arguments if argument.required],
        "additionalProperties": False,
    }


def read_arguments(arguments: Sequence[Argument], given: object) -> Values:
    """Return the checked arguments of a call, by name; those that were left out, or are null, are missing.

    given: a mapping, or the JSON text of an object; "" counts as no arguments. Raises `ToolError` for all else, with
    the name of what is wrong.
    """
    fields = fields_of(given)
    names = [argument.name for argument in arguments]
    takes = f"it takes {', '.join(names)}" if names else "it takes no arguments"
    for name in fields:
        if name not in names:
            raise ToolError(f"there is no argument {shown(name)}; {takes}")
    values: Values = {}
    for argument in arguments:
        value = fields.get(argument.name)
        if value is not None:
            values[argument.name] = argument.checked(value)
        elif argument.required:
            raise ToolError(f"{argument.name} is missing; {takes}")
    return values


def fields_of(given: object) -> Mapping[object, object]:
    """Return the arguments of a call as a mapping. Raises `ToolError` if they are none."""
    if isinstance(given, str):
        if len(given) > LONGEST_ARGUMENTS:
            raise ToolError(f"the arguments have {len(given):,} characters; the limit is {LONGEST_ARGUMENTS:,}")
        try:
            given = from_json(given) if given.strip() else {}
        except RepeatedKey as error:
            raise ToolError(f"the argument {shown(error.key)} came twice; send it once") from None
        except ValueError as error:
            raise ToolError(f"the arguments are not JSON ({error}); send one JSON object") from None
        except RecursionError:
            raise ToolError("the arguments are nested too deeply; send one flat JSON object") from None
    if not isinstance(given, Mapping):
        raise ToolError(f"the arguments are {kind_of(given)}; send one JSON object")
    return given


def kind_of(value: object) -> str:
    """Return the kind of a value in JSON's terms, with its article."""
    names: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"), (str, "a string"), (int, "a number"), (float, "a number"),
        (Mapping, "an object"), (list, "a list"), (type(None), "null"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "no JSON value")


def shown(name: object) -> str:
    """Return a name that a model sent, quoted and cut, in ASCII."""
    text = str(name)
    return ascii(text if len(text) <= SHOWN_NAME else text[: SHOWN_NAME - 3] + "...")
