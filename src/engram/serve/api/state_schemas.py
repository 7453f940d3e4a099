"""Requests and responses of REST and of the MCP tools for the documents of agents' states.

Owns the pydantic models for both, as `schemas` does for engrams.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from engram.documents import DEFAULT_AGENT, MAX_VERSION
from engram.serve.api.schemas import (
    MAX_LISTED,
    LeftOut,
    Name,
    NamespaceName,
    NamespaceParameter,
    NamesParameters,
    RequestBody,
    ToolArguments,
    without_fraction,
)

MAX_VERSIONS = 20
"""Versions in one page of a history; their values are up to 1 MiB each."""

AT_EXAMPLE = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)

JSON_TYPES = ["object", "array", "string", "number", "boolean", "null"]

AgentName = Annotated[Name, Field(description="The agent whose state it is.", examples=["planner"])]
DocumentName = Annotated[Name, Field(description="The name of the document.", examples=["plan"])]
Version = Annotated[
    int,
    Field(ge=1, le=MAX_VERSION, description="The number of a version.", examples=[1]),
    BeforeValidator(without_fraction),
]


# REST: requests.


class AgentParameter(NamespaceParameter):
    """The agent, for all requests that concern one."""

    agent: AgentName = DEFAULT_AGENT


class DocumentParameters(AgentParameter):
    """One document."""

    name: DocumentName


class ReadParameters(DocumentParameters):
    """One version of a document."""

    version: Annotated[LeftOut[Version], Field(description="This version. Default: the current one.")] = None


class AgentsParameters(NamesParameters, NamespaceParameter):
    """One page of the agents of a namespace."""


class DocumentsParameters(NamesParameters, AgentParameter):
    """One page of the documents of an agent."""

    prefix: Annotated[LeftOut[Name], Field(description="Only names that begin with this.")] = None


class HistoryParameters(DocumentParameters):
    """One page of the versions of a document."""

    limit: Annotated[int, Field(ge=1, le=MAX_VERSIONS, description="Maximum number of versions.")] = 10
    before: Annotated[
        LeftOut[Version], Field(description="Only versions before this one: `next` of the previous page.")
    ] = None


class StateValue(RequestBody):
    """The new value of a document."""

    value: Annotated[
        Any,
        Field(
            description="Any JSON value, up to 1 MiB as compact JSON and 100 levels, without NUL characters.",
            examples=[{"step": 3}],
        ),
    ]


class Rollback(RequestBody):
    """The document to roll back, and the version whose value is written again."""

    name: DocumentName
    version: Annotated[Version, Field(description="The old version.")]
    agent: AgentName = DEFAULT_AGENT
    namespace: NamespaceName | None = None


# REST: responses.


class DocumentInfoForm(BaseModel):
    """A document without its value."""

    namespace: Annotated[str, Field(examples=["ana"])]
    agent: Annotated[str, Field(examples=["planner"])]
    name: Annotated[str, Field(examples=["plan"])]
    version: Annotated[int, Field(description="Its number, which is in the ETag too.", examples=[3])]
    at: Annotated[datetime, Field(description="When this version was written.", examples=[AT_EXAMPLE])]


class DocumentForm(DocumentInfoForm):
    """One version of a document."""

    value: Annotated[Any, Field(description="The JSON value.", examples=[{"step": 3}])]


class Documents(BaseModel):
    """The documents of an agent, by name."""

    namespace: str
    agent: str
    documents: list[DocumentInfoForm]
    next: Annotated[str | None, Field(description="The `after` of the next page; null on the last page.")]


class History(BaseModel):
    """Versions of a document, the newest first."""

    versions: list[DocumentForm]
    next: Annotated[int | None, Field(description="The `before` of the next page; null on the last page.")]


class AgentCount(BaseModel):
    """One agent."""

    agent: Annotated[str, Field(examples=["planner"])]
    documents: Annotated[int, Field(examples=[2])]


class Agents(BaseModel):
    """The agents of a namespace that have documents, by name."""

    namespace: str
    agents: list[AgentCount]
    next: Annotated[str | None, Field(description="The `after` of the next page; null on the last page.")]


class DeletedDocument(BaseModel):
    """The number of versions that were erased."""

    deleted: Annotated[int, Field(ge=1, examples=[3])]


# MCP: arguments of the tools.

Expected = Annotated[
    LeftOut[int],
    Field(
        ge=0,
        le=MAX_VERSION,
        description="Write only if this is the current version, as state_get gives it; 0: only if there is no such"
        " document. If another write came first, nothing is written and the error says which version is current.",
    ),
]


class StateArguments(ToolArguments):
    """The argument of every tool for documents."""

    agent: Annotated[
        str, Field(description="Whose state. Leave out, unless several agents keep their states apart.")
    ] = DEFAULT_AGENT


class NamedArguments(StateArguments):
    """The arguments of the tools for one document."""

    name: Annotated[str, Field(description="The name of the document, such as plan.")]


class StateListArguments(StateArguments):
    """The arguments of `state_list`."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="How many documents at most.")] = 100
    after: Annotated[
        LeftOut[str], Field(description="Continue after the document of this name: `next` of the previous result.")
    ] = None


class StateGetArguments(NamedArguments):
    """The arguments of `state_get`."""

    version: Annotated[
        LeftOut[int], Field(ge=1, le=MAX_VERSION, description="An old version. If left out, the current one.")
    ] = None


class StateSetArguments(NamedArguments):
    """The arguments of `state_set`."""

    value: Annotated[
        Any,
        WithJsonSchema({"type": JSON_TYPES}),
        Field(description="The whole new value, as JSON: usually an object. It replaces the old value."),
    ]
    expect: Expected = None


class StateHistoryArguments(NamedArguments):
    """The arguments of `state_history`."""

    limit: Annotated[int, Field(ge=1, le=MAX_VERSIONS, description="How many versions at most.")] = 10
    before: Annotated[LeftOut[int], Field(ge=1, le=MAX_VERSION, description="Only versions before this one.")] = None


class StateRollbackArguments(NamedArguments):
    """The arguments of `state_rollback`."""

    version: Annotated[int, Field(ge=1, le=MAX_VERSION, description="The version to go back to.")]
    expect: Expected = None


class StateDeleteArguments(NamedArguments):
    """The arguments of `state_delete`."""

    expect: Annotated[
        LeftOut[int], Field(ge=0, le=MAX_VERSION, description="Erase only if this is the current version.")
    ] = None


# MCP: results of the tools.


class ShownVersion(BaseModel):
    """A document without its value, as a model sees it."""

    agent: str
    name: str
    version: int
    at: Annotated[str, Field(description="When this version was written, ISO 8601.")]


class StateListResult(BaseModel):
    """The result of `state_list`."""

    documents: Annotated[list[ShownVersion], Field(description="By name, each with its current version.")]
    next: Annotated[str | None, Field(description="after for the rest; null if this is all.")]


class StateGetResult(ShownVersion):
    """The result of `state_get`."""

    about: Annotated[str, Field(description="How to read the value.")]
    value: Annotated[Any, WithJsonSchema({"type": JSON_TYPES}), Field(description="The JSON value, exactly.")]


class StateHistoryResult(BaseModel):
    """The result of `state_history`."""

    versions: Annotated[list[ShownVersion], Field(description="The newest first; state_get gives the value of one.")]


class StateDeleteResult(BaseModel):
    """The result of `state_delete`."""

    deleted: Annotated[int, Field(description="How many versions were erased.")]
