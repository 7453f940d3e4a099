"""Requests and responses of REST and of the MCP tools: fields, limits, and their descriptions for clients.

Owns the pydantic models for both. The descriptions in the MCP models are read by language models: each one contains
everything that a model needs to fill in the field. Does not know the memory, nor who may do what.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from engram.engram import DEFAULT_SESSION, MAX_NAME_BYTES, MAX_TEXT_BYTES, Origin, byte_length, canonical_id
from engram.errors import InvalidEngram
from engram.notes.zones import with_zone
from engram.reflection.slots import NONE, SLOTS
from engram.store.policy import LONGEST
from engram.times import as_utc, parse_time

MAX_ITEMS = 1_000
"""Turns in one request to remember; they are one commit."""

MAX_HITS = 200
MAX_LISTED = 1_000
MAX_KINDS = 100
MAX_BUDGET = 100_000
"""Tokens of a context."""
MAX_TOOL_BUDGET = 16_000
"""Tokens of the result of one tool."""
MAX_SECONDS = 10
"""Seconds that one request may read turns for what they state: a thread of the memory is busy for so long."""
MAX_QUERY = 32_768
"""Characters of a query."""

ID_EXAMPLE = "019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22"
NAMESPACE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"


# Fields.

T = TypeVar("T")


class NullHidden:
    """Removes null from the JSON schema of an optional field: clients leave the field out instead."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of the one variant that is not null."""
        described = handler(schema)
        (variant,) = (variant for variant in described.pop("anyOf") if variant != {"type": "null"})
        result: dict[str, Any] = variant | described
        return result


LeftOut = Annotated[T | None, NullHidden()]
"""An optional field. null is accepted, but not part of the JSON schema."""


ZONE = "zone"
"""The key of a tool's time zone in the context of validation."""


def time_in_utc(value: object) -> datetime:
    """Return the time in ISO 8601 text, in UTC. Errors name "the time": REST adds the name of the field."""
    return as_utc("the time", parse_time("the time", value))


def named_time_in_utc(value: object, info: ValidationInfo) -> datetime:
    """Return the time in ISO 8601 text, in UTC. Errors name the field. The context holds the zone of a bare time."""
    name, zone = str(info.field_name), (info.context or {}).get(ZONE, UTC)
    return as_utc(name, with_zone(parse_time(name, value), zone))


def without_fraction(value: object) -> object:
    """Return a whole float as int: JSON does not distinguish 10 and 10.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def checked_name(value: str) -> str:
    """Return a name. Raises ValueError if it is longer than 512 bytes."""
    size = byte_length("the name", value)
    if size > MAX_NAME_BYTES:
        raise ValueError(f"it is {size:,} bytes of UTF-8; the limit is {MAX_NAME_BYTES}")
    return value


def known_slot(value: str) -> str:
    """Return the name of a slot. Raises `InvalidEngram`, a ValueError, if there is no such slot."""
    if value not in SLOTS[NONE + 1 :]:
        raise InvalidEngram("the slot is none of those that the description of the API lists")
    return value


def as_list(value: object) -> object:
    """Return the list that a model wrote as JSON text, or a list of a single id; other values unchanged."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return [value]
    return parsed if isinstance(parsed, list) else [value]


Time = Annotated[
    datetime,
    BeforeValidator(time_in_utc),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-02T14:05:00Z"]}),
]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES), AfterValidator(checked_name)]
Id = Annotated[
    str,
    AfterValidator(canonical_id),
    WithJsonSchema({"type": "string", "format": "uuid", "examples": [ID_EXAMPLE]}),
]
NamespaceName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_NAME_BYTES,
        description="The namespace; the header X-Engram-Namespace sets it too. Default: the namespace of the key.",
        examples=["ana"],
        json_schema_extra={"pattern": NAMESPACE_PATTERN},
    ),
]
PolicyNamespace = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_NAME_BYTES,
        description="The namespace. Without one: the default, for all namespaces without a policy of their own.",
        examples=["ana"],
        json_schema_extra={"pattern": NAMESPACE_PATTERN},
    ),
]
Role = Literal["user", "assistant", "system", "tool"]
StatedOrigin = Literal["program", "import", "assistant", "agent", "document", "tool"]
"""What a program can say of a text. That the user typed it is known where the user types."""
QueryText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY,
        description="The question, in any words.",
        examples=["What is my dog called?"],
    ),
]
Session = Annotated[Name, Field(description="Only this session.", examples=["2026-03-02"])]
Before = Annotated[Time, Field(description="Only turns before this time (ISO 8601; without a zone: UTC).")]
After = Annotated[Time, Field(description="Only turns at this time or later.")]
Kinds = Annotated[
    list[Name],
    Field(max_length=MAX_KINDS, description="Only these kinds: turn, fact, summary, ...", examples=[["turn"]]),
]
Trust = Annotated[Origin, Field(description="Only what came in by this way or by a more trusted one.")]
Budget = Annotated[
    int,
    Field(ge=1, le=MAX_BUDGET, description="Also return the hits as notes for a prompt, within this many tokens."),
    BeforeValidator(without_fraction),
]

Slot = Annotated[
    str,
    AfterValidator(known_slot),
    Field(
        description="Only what fills this attribute of a person or thing.",
        examples=["phone"],
        json_schema_extra={"enum": list(SLOTS[NONE + 1 :])},
    ),
]
AtTime = Annotated[Time, Field(description="As it was at this time (ISO 8601; without a zone: UTC). Default: now.")]
TextBudget = Annotated[
    int, Field(ge=1, le=MAX_BUDGET, description="Maximum tokens of the text."), BeforeValidator(without_fraction)
]


class Form(BaseModel):
    """A request. An unknown field is an error: a misspelt filter must not widen the result."""

    model_config = ConfigDict(extra="forbid")

    def filters(self) -> dict[str, Any]:
        """Return those filter arguments of `Memory.recall` and `Memory.engrams` that this kind of request has."""
        names = ("session", "before", "after", "kinds", "trust")
        return {name: getattr(self, name) for name in names if name in type(self).model_fields}


# REST: request bodies.


class RequestBody(Form):
    """The JSON body of a request; no value is converted to another type."""

    model_config = ConfigDict(strict=True)


class Turn(RequestBody):
    """One turn of a conversation."""

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_TEXT_BYTES,
            description="The text, stored verbatim; up to 1 MiB of UTF-8.",
            examples=["My dog is called Biscuit."],
        ),
    ]
    session: Annotated[Name, Field(description="The session.", examples=["2026-03-02"])] = DEFAULT_SESSION
    role: Annotated[Role, Field(description="The role of the speaker, as in chat models.")] = "user"
    speaker: Annotated[Name | None, Field(description="The speaker's name.", examples=["Ana"])] = None
    at: Annotated[Time | None, Field(description="The time of the turn. Default: now.")] = None
    kind: Annotated[Name, Field(description="turn, fact, summary, ...: an open set.")] = "turn"
    source: Annotated[Name | None, Field(description="The origin of the turn.", examples=["notes"])] = None
    metadata: Annotated[
        dict[str, Any] | None,
        Field(description="A JSON object to store with it, up to 64 KiB.", examples=[{"page": 3}]),
    ] = None
    origin: Annotated[
        StatedOrigin | None,
        Field(
            description="By which way the text came in. The less trusted of this and of the default counts. The default"
            " is program for the roles user and system, and the role for the others."
        ),
    ] = None


class RememberOne(Turn):
    """One turn to remember."""

    namespace: NamespaceName | None = None


class RememberMany(RequestBody):
    """Turns to remember: all of them in one commit, or none."""

    items: Annotated[list[Turn], Field(min_length=1, max_length=MAX_ITEMS, description="In chronological order.")]
    namespace: NamespaceName | None = None


ONE, MANY = "one turn", "many turns"


def one_or_many(value: object) -> str:
    """Return which of the two forms a request has."""
    return MANY if isinstance(value, dict) and "items" in value else ONE


Remember = Annotated[
    Annotated[RememberOne, Tag(ONE)] | Annotated[RememberMany, Tag(MANY)],
    Discriminator(one_or_many),
]


class RecallQuery(RequestBody):
    """A question to the memory."""

    query: QueryText
    namespace: NamespaceName | None = None
    limit: Annotated[
        int, Field(ge=1, le=MAX_HITS, description="Maximum number of hits."), BeforeValidator(without_fraction)
    ] = 10
    session: Session | None = None
    before: Before | None = None
    after: After | None = None
    kinds: Kinds | None = None
    trust: Trust | None = None
    floor: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="There are no hits if the best one's score is lower; null is the usual floor, and 0 shows what"
            " is under it.",
        ),
    ] = None
    budget: Budget | None = None


class WorkingQuery(RequestBody):
    """A message that a model is to answer."""

    query: Annotated[QueryText, Field(description="The message, in any words.")]
    namespace: NamespaceName | None = None
    budget: TextBudget = 2_000
    agent: Annotated[Name | None, Field(description="An agent, whose state documents are part of it.")] = None
    at: LeftOut[AtTime] = None


class Reflect(RequestBody):
    """How long turns are read for what they state."""

    seconds: Annotated[
        float, Field(ge=0, le=MAX_SECONDS, description="Stop after about so long; at least one step is done.")
    ] = 1.0


class Why(RequestBody):
    """A question to the memory, and the engram whose rank is explained."""

    query: QueryText
    id: Annotated[Id, Field(description="The engram.")]
    namespace: NamespaceName | None = None


class Release(RequestBody):
    """The engram to release from quarantine."""

    id: Annotated[Id, Field(description="The engram in quarantine.")]
    namespace: NamespaceName | None = None


class Quarantine(Release):
    """The engram to move into quarantine, and the reason."""

    id: Annotated[Id, Field(description="The engram.")]
    why: Annotated[Name, Field(description="The reason.", examples=["It is not true."])]


class Forget(RequestBody):
    """The engrams to forget: those that meet all given conditions. At least one of id, session and before."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"type": "string"}}} for name in ("id", "session", "before")
            ]
        }
    )

    id: Annotated[Id | None, Field(description="This engram.")] = None
    session: Session | None = None
    before: Before | None = None
    namespace: NamespaceName | None = None

    @model_validator(mode="after")
    def _has_a_condition(self) -> Forget:
        if self.id is None and self.session is None and self.before is None:
            raise ValueError("name what to forget: id, session or before (DELETE /memory erases a whole namespace)")
        return self


class SetPolicy(RequestBody):
    """How long the engrams of a namespace are kept."""

    namespace: PolicyNamespace | None
    expire_after_seconds: Annotated[
        Annotated[int, Field(ge=1, le=int(LONGEST.total_seconds())), BeforeValidator(without_fraction)] | None,
        Field(
            description="The age in seconds, by the time of the turn, above which an engram is expired; at most 36,500"
            " days. null: keep, whatever the default says.",
            examples=[7_776_000],
        ),
    ]


# REST: query parameters.


class NamespaceParameter(Form):
    """The parameter of all requests without a body."""

    namespace: LeftOut[NamespaceName] = None


class FilterParameters(NamespaceParameter):
    """Filters on the engrams of a namespace."""

    session: LeftOut[Session] = None
    before: LeftOut[Before] = None
    after: LeftOut[After] = None
    kinds: LeftOut[Kinds] = None


class ListParameters(FilterParameters):
    """One page of the engrams of a namespace."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="Maximum number of engrams.")] = 100
    after_id: Annotated[
        LeftOut[Id], Field(description="Only engrams remembered after this one: `next` of the previous page.")
    ] = None


class FactsParameters(NamespaceParameter):
    """Which facts of a namespace."""

    slot: LeftOut[Slot] = None
    own: Annotated[
        LeftOut[bool], Field(description="Only what the writers say of themselves (true), or of others (false).")
    ] = None
    at: LeftOut[AtTime] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="Maximum number of facts.")] = 100


class ProfileParameters(NamespaceParameter):
    """The time and the size of a profile."""

    at: LeftOut[AtTime] = None
    budget: TextBudget = 512


PeriodName = Annotated[
    Literal["day", "week", "month", "year"],
    Field(description="1, 7, 30 or 365 days, which end at `until`, by default now; instead of `since`."),
]


class SummaryParameters(NamespaceParameter):
    """The session or the period of a summary, and its size."""

    session: LeftOut[Session] = None
    since: Annotated[LeftOut[Time], Field(description="Only what was said at this time or later.")] = None
    until: Annotated[
        LeftOut[Time], Field(description="Only what was said before this time (ISO 8601; without a zone: UTC).")
    ] = None
    period: LeftOut[PeriodName] = None
    budget: TextBudget = 512

    def chosen(self) -> dict[str, Any]:
        """Return the arguments of `Memory.summary`, without the namespace."""
        return {name: getattr(self, name) for name in ("session", "since", "until", "period", "budget")}


class NamesParameters(Form):
    """One page of names."""

    limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="Maximum number of names.")] = MAX_LISTED
    after: Annotated[
        LeftOut[Name], Field(description="Only names that come after this one: `next` of the previous page.")
    ] = None


class PolicyParameters(Form):
    """The namespace of a policy."""

    namespace: LeftOut[PolicyNamespace] = None


class SessionsParameters(NamesParameters, NamespaceParameter):
    """One page of the sessions of a namespace."""


class EraseParameters(NamespaceParameter):
    """The namespace to erase, and its name as a confirmation."""

    confirm: Annotated[NamespaceName, Field(description="The name of the namespace, repeated.", examples=["ana"])]


# REST: responses.


class EngramForm(BaseModel):
    """One engram."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"}, description="A UUIDv7.", examples=[ID_EXAMPLE])]
    namespace: Annotated[str, Field(examples=["ana"])]
    session: Annotated[str, Field(description="The session.", examples=["2026-03-02"])]
    role: Role
    speaker: Annotated[str | None, Field(examples=["Ana"])]
    text: Annotated[str, Field(examples=["My dog is called Biscuit."])]
    at: Annotated[
        datetime, Field(description="The time of the turn.", examples=[datetime(2026, 3, 2, 14, 5, tzinfo=UTC)])
    ]
    recorded_at: Annotated[
        datetime,
        Field(description="The time when it was remembered.", examples=[datetime(2026, 3, 2, 14, 5, 1, tzinfo=UTC)]),
    ]
    kind: Annotated[str, Field(examples=["turn"])]
    source: Annotated[str | None, Field(examples=["notes"])]
    metadata: dict[str, Any]
    origin: Annotated[Origin, Field(description="By which way the text came in, and so how far it is trusted.")]
    quarantined: Annotated[str | None, Field(description="Why it is kept in quarantine, unless it is null.")]


class Remembered(BaseModel):
    """The engrams, which are durable; the next recall can find them, except those that went into quarantine."""

    engrams: list[EngramForm]


class HitForm(BaseModel):
    """One engram that recall found."""

    score: Annotated[float, Field(description="Confidence that the engram answers the query, 0 to 1.", examples=[0.93])]
    why: Annotated[dict[str, float], Field(description="The parts of the rank value.", examples=[{"words": 4.2}])]
    passage: Annotated[
        tuple[int, int],
        Field(description="Where the best passage of the text begins and ends, in characters.", examples=[[0, 24]]),
    ]
    engram: EngramForm


class Recalled(BaseModel):
    """The hits of a query, best first; empty if nothing fits."""

    query: str
    namespace: str
    hits: list[HitForm]
    unsearched: Annotated[int, Field(description="Engrams that could not be searched yet; usually 0.")]
    context: Annotated[
        str | None, Field(description="The hits as notes for a prompt; only if the request has a budget.")
    ] = None


class ProposedForm(BaseModel):
    """What a language model proposed of a statement."""

    slot: Annotated[str, Field(description="The attribute.", examples=["blood_pressure_medicine"])]
    value: Annotated[str, Field(description="Its value: a part of the sentence, verbatim.")]
    model: Annotated[str, Field(description="The name of the model.")]


class Statement(BaseModel):
    """A sentence of a turn that holds, or held."""

    text: Annotated[str, Field(description="The sentence, verbatim.", examples=["My phone number is 0171 220 4415."])]
    kind: Annotated[str, Field(description="fact, event, plan, preference or order.", examples=["fact"])]
    slot: Annotated[str | None, Field(description="The attribute that it fills.", examples=["phone"])]
    own: Annotated[bool, Field(description="Whether the writer says it of themselves.")]
    since: Annotated[datetime, Field(description="When it was said.")]
    until: Annotated[datetime | None, Field(description="When a later statement closed it; null while it holds.")]
    closed_by: Annotated[str | None, Field(description="The id of the engram with that statement.")]
    closed_by_model: Annotated[str | None, Field(description="The model that proposed so; null if the slots say it.")]
    proposed: Annotated[ProposedForm | None, Field(description="What a model proposed of it, if one did.")]
    engram: Annotated[str, Field(description="The id of the engram.", examples=[ID_EXAMPLE])]
    span: Annotated[tuple[int, int], Field(description="Where it begins and ends in the engram's text, in characters.")]


class FactForm(Statement):
    """A statement, with what it replaced."""

    history: Annotated[list[Statement], Field(description="What it closed, the latest first.")]


class AsFarAsRead(BaseModel):
    """How much the answer rests on."""

    complete: Annotated[bool, Field(description="Whether all turns of the memory were read for what they state.")]
    unread: Annotated[
        int | None,
        Field(description="How many were not read yet, of all namespaces: null unless the key is an admin's."),
    ]


class FactsFound(AsFarAsRead):
    """What users said of lasting things and holds, the latest first."""

    namespace: str
    facts: list[FactForm]
    left_out: Annotated[int, Field(description="Facts beyond `limit`.")]


class ProfileForm(AsFarAsRead):
    """Who a user is, what they always want, and what they are about."""

    namespace: str
    text: Annotated[str, Field(description="The quotes by sections, for a prompt; empty if there are none.")]
    standing: Annotated[list[FactForm], Field(description="Orders for every conversation, then preferences.")]
    who: Annotated[list[FactForm], Field(description="What fills slots such as home or job.")]
    now: Annotated[list[FactForm], Field(description="What was told in the last sessions.")]


class QuoteForm(BaseModel):
    """A sentence of a turn that a summary shows."""

    text: Annotated[str, Field(description="The sentence, verbatim.", examples=["We are flying to Bergen."])]
    by: Annotated[str, Field(description="Who said it; marked if the user did not type it.", examples=["Ana"])]
    at: Annotated[datetime, Field(description="When it was said.")]
    kind: Annotated[
        str | None,
        Field(description="What a user's sentence is, such as fact, event or plan; null if somebody else said it."),
    ]
    slot: Annotated[str | None, Field(description="The attribute that it fills.", examples=["trip"])]
    holds: Annotated[bool, Field(description="False if a later statement has closed it.")]
    engram: Annotated[str, Field(description="The id of the engram.", examples=[ID_EXAMPLE])]
    session: Annotated[str, Field(examples=["2026-03-02"])]
    span: Annotated[tuple[int, int], Field(description="Where it begins and ends in the engram's text, in characters.")]


class SummaryForm(AsFarAsRead):
    """What a session or a period was about."""

    namespace: str
    text: Annotated[str, Field(description="The quotes by days, for a prompt; empty if there are none.")]
    quotes: Annotated[list[QuoteForm], Field(description="In the order of time.")]
    sessions: Annotated[int, Field(description="Sessions that it was chosen from.")]
    turns: Annotated[int, Field(description="Turns that it was chosen from.")]


class WorkingPartForm(BaseModel):
    """One part of a working memory."""

    name: Literal["state", "standing", "profile", "arcs", "recalled"]
    text: str
    tokens: int
    engrams: Annotated[list[str], Field(description="The ids of the engrams that it quotes.")]
    documents: Annotated[list[str], Field(description="The names of the state documents whose values it holds.")]


class WorkingForm(AsFarAsRead):
    """What a model should have before it answers a message."""

    namespace: str
    text: Annotated[str, Field(description="All parts as one text, for a prompt; empty if there are none.")]
    tokens: int
    parts: list[WorkingPartForm]


class Reflected(AsFarAsRead):
    """What a request to read turns has done."""

    read: Annotated[
        int | None,
        Field(description="How many turns were read, of all namespaces: null unless the key is an admin's."),
    ]


class Reasons(BaseModel):
    """The rank of an engram for a query, and what lowered it."""

    query: str
    engram: EngramForm
    place: Annotated[int | None, Field(description="The rank, from 1; null if the engram was no candidate.")]
    scored: Annotated[int, Field(description="Number of turns that were scored.")]
    score: float
    why: dict[str, float]
    winner: Annotated[HitForm | None, Field(description="The best hit.")]
    words: Annotated[
        dict[str, tuple[float, float]],
        Field(description="For each word of the query: its weight, and how well the engram matches it."),
    ]
    reason: str


class Forgotten(BaseModel):
    """The number of engrams that were forgotten."""

    forgotten: Annotated[int, Field(ge=0, examples=[1])]


class Page(BaseModel):
    """Engrams in the order in which they were remembered."""

    engrams: list[EngramForm]
    next: Annotated[str | None, Field(description="The after_id of the next page; null on the last page.")]


class SessionCount(BaseModel):
    """One session."""

    session: Annotated[str, Field(examples=["2026-03-02"])]
    engrams: Annotated[int, Field(examples=[12])]


class Sessions(BaseModel):
    """The sessions of a namespace, in the order in which they began."""

    namespace: str
    sessions: list[SessionCount]
    next: Annotated[str | None, Field(description="The `after` of the next page; null on the last page.")]


class NamespaceCount(BaseModel):
    """One namespace."""

    namespace: Annotated[str, Field(examples=["ana"])]
    engrams: Annotated[int, Field(examples=[120])]


class Namespaces(BaseModel):
    """The namespaces that are not empty and that the key covers, by name."""

    namespaces: list[NamespaceCount]
    next: Annotated[str | None, Field(description="The `after` of the next page; null on the last page.")]


class PolicyForm(BaseModel):
    """How long the engrams of a namespace are kept."""

    namespace: Annotated[
        str | None, Field(description="The namespace for which it was set; null: the default.", examples=["ana"])
    ]
    expire_after_seconds: Annotated[
        float | None,
        Field(description="The age above which an engram is expired; null: it is kept.", examples=[7_776_000]),
    ]


class Policies(BaseModel):
    """The default, and the policies of namespaces, by name."""

    default: PolicyForm
    policies: list[PolicyForm]
    next: Annotated[str | None, Field(description="The `after` of the next page; null on the last page.")]


class NamespaceStats(BaseModel):
    """Figures of a namespace."""

    namespace: Annotated[str, Field(examples=["ana"])]
    engrams: int
    sessions: int


class ProposalFigures(BaseModel):
    """What language models were asked about statements, and what came of it."""

    calls: int
    failures: Annotated[dict[str, int], Field(description="Calls without a usable reply, by reason.")]
    tokens_in: int
    tokens_out: int
    money: Annotated[float, Field(description="By the prices at the time of each call.")]
    tokens_today: Annotated[int, Field(description="Of this day in UTC, with what is reserved for running calls.")]
    money_today: float
    accepted: Annotated[dict[str, int], Field(description="Proposals that were kept, by kind.")]
    dropped: Annotated[dict[str, int], Field(description="Proposals that were refused, by reason.")]
    waiting: Annotated[int, Field(description="Sessions that no model was asked about yet.")]


class MemoryStats(BaseModel):
    """Figures of the whole memory."""

    path: str
    engrams: int
    namespaces: int
    sessions: int
    quarantined: Annotated[int, Field(description="Engrams in quarantine, which are not among the others.")]
    state_documents: Annotated[int, Field(description="Documents of agents' states.")]
    indexed_through: Annotated[int, Field(description="Sequence number up to which the index is complete.")]
    unindexed: Annotated[int, Field(description="Engrams that are not in the index yet; recall finds them too.")]
    unencoded: Annotated[int, Field(description="Passages without a vector yet; recall finds them by words.")]
    store_bytes: int
    index_bytes: int
    index_trouble: Annotated[str | None, Field(description="Why the index cannot be used, if it cannot.")]
    proposals: ProposalFigures


class LeftOutForm(BaseModel):
    """What one front end put into the messages of a request."""

    by: Annotated[str, Field(description="The front end, or --strip.", examples=["Claude Code"])]
    pieces: int
    characters: int


class ReceiptForm(BaseModel):
    """The state of the messages of a proxied request."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"}, examples=[ID_EXAMPLE])]
    namespace: Annotated[str, Field(examples=["ana"])]
    session: Annotated[str, Field(examples=["2026-03-02"])]
    state: Annotated[
        Literal["accepted", "stored", "indexed", "refused"],
        Field(description="accepted: queued. stored: durable. indexed: also in the index. refused: see reason."),
    ]
    reason: Annotated[str | None, Field(description="Why the request, or a part of it, was refused.")]
    engrams: Annotated[list[str], Field(description="The ids of its engrams.", examples=[[ID_EXAMPLE]])]
    accepted_at: datetime
    stored_at: datetime | None
    quarantined: Annotated[dict[str, str], Field(description="Those of its engrams in quarantine, and why each is.")]
    left_out: Annotated[list[LeftOutForm], Field(description="What was left out of the messages: no user typed it.")]


class Trouble(BaseModel):
    """An error in a request."""

    message: Annotated[str, Field(examples=["text: String should have at least 1 character"])]
    type: Annotated[str, Field(examples=["invalid_request_error"])]
    param: Annotated[str | None, Field(description="The field, if the error is about one.", examples=["text"])]
    code: Annotated[str, Field(description="For programs.", examples=["invalid_field"])]


class Failure(BaseModel):
    """Every error has this form."""

    error: Trouble


# MCP: arguments of the tools.

ToolTime = Annotated[datetime, BeforeValidator(named_time_in_utc), WithJsonSchema({"type": "string"})]
ToolId = Annotated[str, AfterValidator(canonical_id), WithJsonSchema({"type": "string"})]
ToolIds = Annotated[list[ToolId], BeforeValidator(as_list), Field(min_length=1, max_length=100)]
OneSession = Annotated[
    LeftOut[str], Field(description="Only what belongs to this conversation: a session as in the results.")
]
SinceTime = Annotated[
    LeftOut[ToolTime],
    Field(
        description="Only what was said at this time or later. ISO 8601, such as 2026-03-02 or 2026-03-02T14:05:00Z."
    ),
]
UntilTime = Annotated[
    LeftOut[ToolTime],
    Field(description="Only what was said before this time. ISO 8601; the user's time without a zone."),
]


def takes_number(annotation: object) -> bool:
    """Return whether the type of a field takes a number, alone or among others."""
    return annotation in (int, float) or any(map(takes_number, get_args(annotation)))


class ToolArguments(Form):
    """The argument of every tool. null, "" and [] for an optional argument mean the same as leaving it out."""

    @model_validator(mode="before")
    @classmethod
    def _without_booleans_for_numbers(cls, values: Any) -> Any:
        # pydantic takes true for 1: the expected version of a write would be another one than the model meant.
        if isinstance(values, dict):
            for name, value in values.items():
                field = cls.model_fields.get(name)
                if isinstance(value, bool) and field is not None and takes_number(field.annotation):
                    raise InvalidEngram(f"{name} is a boolean; it must be a number")
        return values

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        needed = {name for name, field in cls.model_fields.items() if field.is_required()}
        return {name: value for name, value in values.items() if name in needed or value not in (None, "", [], "[]")}

    namespace: Annotated[
        LeftOut[str], Field(description="Whose memory. Leave out, unless you were told a name to give here.")
    ] = None


class RememberArguments(ToolArguments):
    """The arguments of `remember`."""

    text: Annotated[str, Field(description="What to keep, word for word. It must be understandable on its own.")]
    speaker: Annotated[LeftOut[str], Field(description="Name of the person who said it, if known, such as Ana.")] = None
    role: Annotated[
        Literal["user", "assistant"],
        Field(description="user: the user said it or wants it kept. assistant: it is your own conclusion."),
    ] = "user"
    at: Annotated[
        LeftOut[ToolTime], Field(description="When it was said, if not now. ISO 8601; the user's time without a zone.")
    ] = None
    session: Annotated[
        LeftOut[str], Field(description="Name of the conversation it belongs to. If left out, one for each day.")
    ] = None


class RecallArguments(ToolArguments):
    """The arguments of `recall`."""

    query: Annotated[
        str,
        Field(description="What you want to know, as a question or in key words, such as: What is Ana's dog called?"),
    ]
    limit: Annotated[int, Field(ge=1, le=50, description="How many memories at most.")] = 10
    session: OneSession = None
    after: SinceTime = None
    before: UntilTime = None
    trust: Annotated[
        LeftOut[Origin],
        Field(description="Only what came in by this way or by a more trusted one: see origin in the results."),
    ] = None


class ForgetArguments(ToolArguments):
    """The arguments of `forget`."""

    ids: Annotated[
        LeftOut[ToolIds], Field(description="The ids of the memories to forget, as recall and list give them.")
    ] = None
    session: Annotated[
        LeftOut[str],
        Field(description="Instead of ids: forget a whole conversation, by its session as in the results."),
    ] = None


class ListArguments(ToolArguments):
    """The arguments of `list`."""

    ids: Annotated[LeftOut[ToolIds], Field(description="Only the memories with these ids, with their whole text.")] = (
        None
    )
    session: OneSession = None
    after: SinceTime = None
    before: UntilTime = None
    quarantined: Annotated[
        bool, Field(description="Instead: what is in quarantine, without text and reason. The user can release it.")
    ] = False
    limit: Annotated[int, Field(ge=1, le=100, description="How many memories at most.")] = 20
    after_id: Annotated[
        LeftOut[ToolId], Field(description="Continue after the memory with this id: `next` of the previous result.")
    ] = None


AsItWas = Annotated[
    LeftOut[ToolTime], Field(description="As it was at this time, ISO 8601. If left out: as it is now.")
]


class FactsArguments(ToolArguments):
    """The arguments of `facts`."""

    slot: Annotated[LeftOut[Slot], Field(description="Only what fills this attribute.")] = None
    at: AsItWas = None
    limit: Annotated[int, Field(ge=1, le=100, description="How many facts at most.")] = 20


class ProfileArguments(ToolArguments):
    """The arguments of `profile`."""

    at: AsItWas = None
    budget: Annotated[int, Field(ge=1, le=MAX_TOOL_BUDGET, description="How many tokens at most.")] = 512


class SummaryArguments(ToolArguments):
    """The arguments of `summary`."""

    session: OneSession = None
    since: SinceTime = None
    until: UntilTime = None
    period: Annotated[
        LeftOut[Literal["day", "week", "month", "year"]],
        Field(description="Instead of since: the last day, week, month or year."),
    ] = None
    budget: Annotated[int, Field(ge=1, le=MAX_TOOL_BUDGET, description="How many tokens at most.")] = 512

    def chosen(self) -> dict[str, Any]:
        """Return the arguments of `Memory.summary`, without the namespace."""
        return {name: getattr(self, name) for name in ("session", "since", "until", "period", "budget")}


class WorkingArguments(ToolArguments):
    """The arguments of `working`."""

    query: Annotated[str, Field(description="The message that you are about to answer, in the user's words.")]
    at: AsItWas = None
    budget: Annotated[int, Field(ge=1, le=MAX_TOOL_BUDGET, description="How many tokens at most.")] = 2_000
    agent: Annotated[
        LeftOut[str],
        Field(description="Your name as an agent, as in state_set: your state documents come first."),
    ] = None


# MCP: results of the tools.


class ShownMemory(BaseModel):
    """One memory, as a model sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: Annotated[str, Field(description="Its id, a UUID: what forget and list take.")]
    text: Annotated[str, Field(description="What was said.")]
    at: Annotated[str, Field(description="When it was said, ISO 8601.")]
    speaker: Annotated[str | None, Field(description="Who said it, where a name is known.")]
    role: Annotated[str, Field(description="user, assistant, system or tool.")]
    origin: Annotated[
        str,
        Field(
            description="How it came in. From most to least trusted: user, program, import, assistant, agent, document,"
            " tool."
        ),
    ]
    session: Annotated[str, Field(description="The conversation it belongs to.")]
    cut: Annotated[bool, Field(description="Whether text is only a part; list with its id gives the whole.")]


class ScoredMemory(ShownMemory):
    """One memory that answers a query."""

    score: Annotated[float, Field(description="How sure it is that this answers the query, 0 to 1.")]


class RememberResult(BaseModel):
    """The result of `remember`."""

    id: Annotated[str, Field(description="The new memory's id.")]
    quarantined: Annotated[
        str | None, Field(description="Why it is kept in quarantine, where recall does not find it; null if it is not.")
    ]
    at: Annotated[str, Field(description="When it was said, ISO 8601.")]
    namespace: str
    session: str


class RecallResult(BaseModel):
    """The result of `recall`."""

    about: Annotated[str, Field(description="How to read the passages.")]
    passages: Annotated[list[ScoredMemory], Field(description="Best first; empty if nothing fits.")]


class ForgetResult(BaseModel):
    """The result of `forget`."""

    forgotten: Annotated[int, Field(description="How many memories were forgotten.")]
    not_found: Annotated[list[str], Field(description="Those of the ids that no memory has.")]


class ListResult(BaseModel):
    """The result of `list`."""

    about: Annotated[str, Field(description="How to read the memories.")]
    memories: Annotated[list[ShownMemory], Field(description="In the order in which they were remembered.")]
    next: Annotated[str | None, Field(description="after_id for the rest; null if this is all.")]


Complete = Annotated[bool, Field(description="Whether all turns were read for what they state.")]


class ShownStatement(BaseModel):
    """One statement, as a model sees it."""

    id: Annotated[str, Field(description="The id of the memory: list with it gives the whole.")]
    text: Annotated[str, Field(description="What was said.")]
    at: Annotated[str, Field(description="When it was said, ISO 8601.")]
    slot: Annotated[str | None, Field(description="The attribute that it fills.")]


class ShownFact(ShownStatement):
    """One statement that holds, with what it replaced."""

    replaced: Annotated[list[ShownStatement], Field(description="What it replaced, the latest first; at most ten.")]


class FactsResult(BaseModel):
    """The result of `facts`."""

    about: Annotated[str, Field(description="How to read the facts.")]
    facts: Annotated[list[ShownFact], Field(description="The latest first; empty if nothing holds.")]
    left_out: Annotated[int, Field(description="How many more there are.")]
    complete: Complete


class QuotesResult(BaseModel):
    """The result of `profile`, `working`, `arcs` and `arc`."""

    about: Annotated[str, Field(description="How to read the quotes.")]
    quotes: Annotated[str, Field(description="Dated quotes by sections; empty if there are none.")]
    complete: Complete


class ShownQuote(BaseModel):
    """One sentence of a summary, as a model sees it."""

    id: Annotated[str, Field(description="The id of the memory: list with it gives the whole.")]
    text: Annotated[str, Field(description="What was said.")]
    at: Annotated[str, Field(description="When it was said, ISO 8601.")]
    by: Annotated[str, Field(description="Who said it; marked if the user did not type it.")]


class SummaryResult(BaseModel):
    """The result of `summary`."""

    about: Annotated[str, Field(description="How to read the quotes.")]
    quotes: Annotated[list[ShownQuote], Field(description="In the order of time; empty if there are none.")]
    complete: Complete
