"""The fields of an engram: every interface that accepts them has all of them, with the same defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from engram.engram import draft
from engram.memory import Memory
from engram.records import FIELDS, to_record

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'engram-layer[serve]'")

from engram.cli.remember import remember
from engram.serve.api.schemas import EngramForm, RememberArguments, Turn


def defaults(function: Callable[..., Any]) -> dict[str, object]:
    """Return the default of each parameter that is a field of an engram; `...` for a required one."""
    parameters = inspect.signature(function).parameters
    return {
        name: ... if parameters[name].default is inspect.Parameter.empty else parameters[name].default
        for name in FIELDS
        if name in parameters
    }


def model_defaults(model: Any) -> dict[str, object]:
    """Return the default of each field of a pydantic model; `...` for a required one."""
    fields = model.model_fields
    return {name: ... if fields[name].is_required() else fields[name].default for name in FIELDS if name in fields}


EXPECTED = defaults(draft)


def without(*names: str) -> dict[str, object]:
    return {name: default for name, default in EXPECTED.items() if name not in names}


def test_draft_takes_every_field() -> None:
    assert tuple(EXPECTED) == FIELDS
    assert tuple(to_record(draft("x"))) == FIELDS


def test_every_way_to_remember_takes_the_fields_with_their_defaults() -> None:
    assert defaults(Memory.remember) == without("recorded_at", "quarantined")
    # What is typed at the command line is of the user, or of the role that the user states.
    assert defaults(remember) == without("recorded_at", "id", "origin", "quarantined")
    # REST never takes an id: callers must not learn whether one exists. The namespace is a field of the request.
    assert model_defaults(Turn) == without("recorded_at", "id", "namespace", "quarantined")


def test_a_rest_response_has_every_field() -> None:
    assert tuple(EngramForm.model_fields) == FIELDS


def test_the_mcp_tool_omits_the_fields_that_a_model_cannot_know() -> None:
    expected = without("recorded_at", "id", "kind", "source", "metadata", "origin", "quarantined") | {
        "namespace": None,
        "session": None,
    }
    assert model_defaults(RememberArguments) == expected
