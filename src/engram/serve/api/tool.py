"""One MCP tool: its description for a model, its arguments, and their check.

Owns the form of a tool and of its JSON schemas. Does not know which tools there are (`tools`), nor the protocol
(`mcp`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from engram.errors import InvalidEngram
from engram.memory import Memory
from engram.serve.api import schemas

A = TypeVar("A", bound=schemas.ToolArguments)


@dataclass(frozen=True, slots=True)
class MemoryTool(Generic[A]):
    """One tool: its description for a model, the right that it needs, and its function."""

    name: str
    title: str
    description: str
    right: Literal["read", "write", "erase"]
    """The right that a caller needs."""
    reads_only: bool
    destroys: bool
    idempotent: bool
    """Whether a second call with the same arguments changes nothing more."""
    arguments: type[A]
    result: type[BaseModel]
    run: Callable[[Memory, str, A, tzinfo], tuple[BaseModel, str]]
    """Takes the memory, the namespace, the arguments, and the caller's time zone."""
    forgets: bool = False
    """Whether it deletes engrams, so that what waits to be written must be written before."""

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments."""
        schema = short_schema(self.arguments.model_json_schema())
        # The namespace comes last because it is needed least.
        schema["properties"]["namespace"] = schema["properties"].pop("namespace")
        return schema

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the result."""
        return short_schema(self.result.model_json_schema(mode="serialization"))

    def read(self, arguments: dict[str, Any] | None, zone: tzinfo = UTC) -> A:
        """Return the checked arguments of a call. Times without a zone are in `zone`.

        Raises `InvalidEngram` with the names of the wrong fields; the message does not quote other values.
        """
        try:
            return self.arguments.model_validate(arguments or {}, context={schemas.ZONE: zone})
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
        for problem in problems:
            # Times and ids: the message names the field already.
            if isinstance(cause := problem.get("ctx", {}).get("error"), InvalidEngram):
                raise InvalidEngram(str(cause))
        wrong = "; ".join(f"{field_of(problem['loc'])}: {problem['msg']}" for problem in problems)
        raise InvalidEngram(f"{self.name}: {wrong.replace(' after validation', '')}")


def field_of(steps: Sequence[str | int]) -> str:
    """Return the name of a wrong argument and the numbers inside it, without pydantic's names of validators."""
    return ".".join(str(step) for number, step in enumerate(steps) if number == 0 or isinstance(step, int))


def short_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema without what a model need not read: titles, class descriptions, and null as a default."""

    def stripped(value: Any, inside_properties: bool = False) -> Any:
        if isinstance(value, list):
            return [stripped(item) for item in value]
        if not isinstance(value, dict):
            return value
        if not inside_properties:
            value = {name: item for name, item in value.items() if name != "title" and (name, item) != NULL_DEFAULT}
        return {name: stripped(item, name in ("properties", "$defs")) for name, item in value.items()}

    result: dict[str, Any] = stripped(schema)
    result.pop("description", None)
    return result


NULL_DEFAULT = ("default", None)
