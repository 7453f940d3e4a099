"""Requests and responses of REST and of the MCP tools for arcs.

Owns the pydantic models for both, as `schemas` does for engrams.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from engram.serve.api.schemas import (
    ID_EXAMPLE,
    MAX_LISTED,
    MAX_TOOL_BUDGET,
    AsFarAsRead,
    AsItWas,
    AtTime,
    LeftOut,
    Name,
    NamespaceParameter,
    ToolArguments,
)

ArcId = Annotated[Name, Field(description="The id of an arc, or a name that its turns share.", examples=["lisbon"])]


class ArcsParameters(NamespaceParameter):
    """Which arcs of a namespace."""

    at: LeftOut[AtTime] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="Maximum number of arcs.")] = 50


class ArcParameters(NamespaceParameter):
    """How much of one arc."""

    at: LeftOut[AtTime] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="How many of its last turns are read.")] = 200


class ArcForm(BaseModel):
    """A chain of turns that share a person, a place or a thing."""

    id: Annotated[str, Field(description="The same while the arc grows.", examples=["lisbon"])]
    title: Annotated[str, Field(description="What the turns share, in their own words.", examples=["Lisbon, Mara"])]
    first: Annotated[datetime, Field(description="The time of the first turn.")]
    last: Annotated[datetime, Field(description="The time of the last turn.")]
    turns: int
    sessions: int


class ArcsFound(AsFarAsRead):
    """Arcs, those of the most sessions first."""

    namespace: str
    arcs: list[ArcForm]


class QuoteForm(BaseModel):
    """Sentences of a turn that follow each other."""

    text: Annotated[str, Field(description="The sentences, verbatim.")]
    at: Annotated[datetime, Field(description="When they were said.")]
    role: str
    origin: str
    speaker: str | None
    session: str
    engram: Annotated[str, Field(description="The id of the engram.", examples=[ID_EXAMPLE])]
    span: Annotated[tuple[int, int], Field(description="Where they begin and end in its text, in characters.")]


class ThingForm(BaseModel):
    """A person, a place or a thing in an arc."""

    name: str
    turns: Annotated[int, Field(description="Turns that name it, of those that were read.")]
    latest: Annotated[list[QuoteForm], Field(description="What was last said of it and no later turn has replaced.")]


class OpenEndForm(QuoteForm):
    """What was asked, planned or put down as a task, and is not answered or done as far as the turns tell."""

    kind: Literal["question", "task", "plan"]


class ArcFound(ArcForm, AsFarAsRead):
    """One arc with its turns."""

    namespace: str
    quotes: Annotated[list[QuoteForm], Field(description="In the order of time.")]
    left_out: Annotated[int, Field(description="Earlier turns that were not read, because of `limit`.")]
    things: list[ThingForm]
    open_ends: Annotated[list[OpenEndForm], Field(description="In the order of time.")]


class ArcsArguments(ToolArguments):
    """The arguments of `arcs`."""

    at: AsItWas = None
    limit: Annotated[int, Field(ge=1, le=100, description="How many arcs at most.")] = 20


class ArcArguments(ToolArguments):
    """The arguments of `arc`."""

    id: Annotated[str, Field(description="The id of an arc, or a name that turns share.")]
    at: AsItWas = None
    budget: Annotated[int, Field(ge=1, le=MAX_TOOL_BUDGET, description="How many tokens at most.")] = 2_000
