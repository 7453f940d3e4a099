"""What REST takes and gives: the fields, their limits and their words in the OpenAPI document.

Owns the forms only. Knows nothing of memory, nor of who may do what.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from engram.engram import MAX_NAME_BYTES, MAX_TEXT_BYTES, byte_length, canonical_id
from engram.times import as_utc, parse_time

MOST_ITEMS = 1_000
"""Turns that one request may remember: they are one commit."""

MOST_HITS = 200
MOST_LISTED = 1_000
MOST_KINDS = 100
MOST_BUDGET = 100_000
MOST_QUERY = 32_768
"""Characters of a query."""

ID_EXAMPLE = "019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22"
NAMESPACE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"


def optional_time(value: object) -> datetime | None:
    """A time in UTC from ISO 8601 text."""
    return None if value is None else as_utc("the time", parse_time("the time", value))


def whole(value: object) -> object:
    """A number without a fraction as an integer: JSON tells 10 and 10.0 not apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def checked_name(value: str) -> str:
    """A name, its length in bytes checked."""
    size = byte_length("the name", value)
    if size > MAX_NAME_BYTES:
        raise ValueError(f"it is {size:,} bytes of UTF-8; the limit is {MAX_NAME_BYTES}")
    return value


Time = Annotated[
    datetime,
    BeforeValidator(optional_time),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-02T14:05:00Z"]}),
]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES), AfterValidator(checked_name)]
Id = Annotated[
    str,
    AfterValidator(canonical_id),
    WithJsonSchema({"type": "string", "format": "uuid", "examples": [ID_EXAMPLE]}),
]
Namespace = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_NAME_BYTES,
        description="Whose memory; the header X-Engram-Namespace says the same. Default: the key's.",
        examples=["ana"],
        json_schema_extra={"pattern": NAMESPACE_PATTERN},
    ),
]
Role = Literal["user", "assistant", "system", "tool"]
QueryText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MOST_QUERY,
        description="What is asked, in any words.",
        examples=["What is my dog called?"],
    ),
]
Session = Annotated[Name, Field(description="Only this conversation.", examples=["2026-03-02"])]
Before = Annotated[Time, Field(description="Only what was said before this time (ISO 8601; without a zone: UTC).")]
After = Annotated[Time, Field(description="Only what was said at this time or after it.")]
Kinds = Annotated[
    list[Name],
    Field(max_length=MOST_KINDS, description="Only these kinds: turn, fact, summary, ...", examples=[["turn"]]),
]


Budget = Annotated[
    int,
    Field(ge=1, le=MOST_BUDGET, description="Also pack the hits as notes for a prompt, within so many tokens."),
    BeforeValidator(whole),
]


# What comes.


class Body(BaseModel):
    """A request's JSON: nothing is converted, and no field is dropped in silence."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Query(BaseModel):
    """A request's parameters: a misspelt one is an error, not a wider answer."""

    model_config = ConfigDict(extra="forbid")

    namespace: Namespace | SkipJsonSchema[None] = None


class Turn(Body):
    """Something that was said."""

    text: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_TEXT_BYTES,
            description="What was said, verbatim; up to 1 MiB of UTF-8.",
            examples=["My dog is called Biscuit."],
        ),
    ]
    session: Annotated[Name, Field(description="The conversation.", examples=["2026-03-02"])] = "default"
    role: Annotated[Role, Field(description="Who spoke, as chat models put it.")] = "user"
    speaker: Annotated[Name | None, Field(description="The speaker's name.", examples=["Ana"])] = None
    at: Annotated[Time | None, Field(description="When it was said. Default: now.")] = None
    kind: Annotated[Name, Field(description="turn, fact, summary, ...: an open set.")] = "turn"
    source: Annotated[Name | None, Field(description="Where it came from.", examples=["notes"])] = None
    metadata: Annotated[
        dict[str, Any] | None, Field(description="A JSON object to keep with it, up to 64 KiB.", examples=[{"page": 3}])
    ] = None


class RememberOne(Turn):
    """One turn to remember."""

    namespace: Namespace | None = None


class RememberMany(Body):
    """Turns to remember: all of them, in one commit, or none."""

    items: Annotated[list[Turn], Field(min_length=1, max_length=MOST_ITEMS, description="In the order of saying.")]
    namespace: Namespace | None = None


ONE, MANY = "one turn", "many turns"


def one_or_many(value: object) -> str:
    """Which of the two forms of a request a value is meant to have."""
    return MANY if isinstance(value, dict) and "items" in value else ONE


Remember = Annotated[
    Annotated[RememberOne, Tag(ONE)] | Annotated[RememberMany, Tag(MANY)],
    Discriminator(one_or_many),
]


class Recall(Body):
    """A question to the memory."""

    query: QueryText
    namespace: Namespace | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_HITS, description="How many hits at most."), BeforeValidator(whole)] = 10
    session: Session | None = None
    before: Before | None = None
    after: After | None = None
    kinds: Kinds | None = None
    budget: Budget | None = None


class Why(Body):
    """A question to the memory, and an engram that did or did not come for it."""

    query: QueryText
    id: Annotated[Id, Field(description="The engram.")]
    namespace: Namespace | None = None


class Forget(Body):
    """What to forget: what all the given conditions mean. At least one of id, session and before."""

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
    namespace: Namespace | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Forget:
        if self.id is None and self.session is None and self.before is None:
            raise ValueError("name what to forget: id, session or before (DELETE /memory erases a whole namespace)")
        return self


class Choice(Query):
    """Which engrams of a namespace are meant."""

    session: Session | SkipJsonSchema[None] = None
    before: Before | SkipJsonSchema[None] = None
    after: After | SkipJsonSchema[None] = None
    kinds: Kinds | SkipJsonSchema[None] = None


class Listing(Choice):
    """Which page of them."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED, description="How many at most.")] = 100
    after_id: Annotated[
        Id | SkipJsonSchema[None], Field(description="Only those remembered after this one: `next` of the page before.")
    ] = None


class Erase(Query):
    """The namespace that is erased, twice."""

    confirm: Annotated[Namespace, Field(description="The name of the namespace, once more.", examples=["ana"])]


# What goes.


class EngramForm(BaseModel):
    """One memory."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"}, description="A UUIDv7.", examples=[ID_EXAMPLE])]
    namespace: Annotated[str, Field(examples=["ana"])]
    session: Annotated[str, Field(description="The conversation.", examples=["2026-03-02"])]
    role: Role
    speaker: Annotated[str | None, Field(examples=["Ana"])]
    text: Annotated[str, Field(examples=["My dog is called Biscuit."])]
    at: Annotated[datetime, Field(description="When it was said.", examples=[datetime(2026, 3, 2, 14, 5, tzinfo=UTC)])]
    recorded_at: Annotated[
        datetime, Field(description="When it was remembered.", examples=[datetime(2026, 3, 2, 14, 5, 1, tzinfo=UTC)])
    ]
    kind: Annotated[str, Field(examples=["turn"])]
    source: Annotated[str | None, Field(examples=["notes"])]
    metadata: dict[str, Any]


class Remembered(BaseModel):
    """What was remembered; it is durable, and the next recall can find it."""

    engrams: list[EngramForm]


class HitForm(BaseModel):
    """One engram that was found."""

    score: Annotated[float, Field(description="How sure it is that this answers the query, 0 to 1.", examples=[0.93])]
    why: Annotated[
        dict[str, float], Field(description="The parts of what hits are ranked by.", examples=[{"words": 4.2}])
    ]
    engram: EngramForm


class Recalled(BaseModel):
    """What answers a query, best first; empty where nothing fits."""

    query: str
    namespace: str
    hits: list[HitForm]
    unsearched: Annotated[int, Field(description="Engrams that could not be searched yet; usually 0.")]
    context: Annotated[
        str | None, Field(description="The hits as notes for a prompt; only where a budget was given.")
    ] = None


class Reasons(BaseModel):
    """Where an engram comes for a query, and what kept it down."""

    query: str
    engram: EngramForm
    place: Annotated[int | None, Field(description="From 1; null if it was no candidate.")]
    scored: Annotated[int, Field(description="How many turns were scored.")]
    score: float
    why: dict[str, float]
    winner: Annotated[HitForm | None, Field(description="The best hit.")]
    words: Annotated[
        dict[str, tuple[float, float]],
        Field(description="For each word of the query how much it counts, and how well the engram matches it."),
    ]
    reason: str


class Forgotten(BaseModel):
    """How many engrams were forgotten."""

    forgotten: Annotated[int, Field(ge=0, examples=[1])]


class Page(BaseModel):
    """Engrams in the order in which they were remembered."""

    engrams: list[EngramForm]
    next: Annotated[str | None, Field(description="The after_id of the next page; null if this is the last.")]


class SessionCount(BaseModel):
    """One conversation."""

    session: Annotated[str, Field(examples=["2026-03-02"])]
    engrams: Annotated[int, Field(examples=[12])]


class Sessions(BaseModel):
    """The conversations of a namespace, in the order in which they began."""

    namespace: str
    sessions: list[SessionCount]


class NamespaceCount(BaseModel):
    """One namespace."""

    namespace: Annotated[str, Field(examples=["ana"])]
    engrams: Annotated[int, Field(examples=[120])]


class Namespaces(BaseModel):
    """The namespaces that hold something, by name: those that the key covers."""

    namespaces: list[NamespaceCount]


class NamespaceStats(BaseModel):
    """A namespace in numbers."""

    namespace: Annotated[str, Field(examples=["ana"])]
    engrams: int
    sessions: int


class MemoryStats(BaseModel):
    """The whole memory in numbers."""

    path: str
    engrams: int
    namespaces: int
    sessions: int
    indexed_through: Annotated[
        int, Field(description="The place in the order of remembering up to which it is indexed.")
    ]
    unindexed: Annotated[
        int, Field(description="Engrams that are not in the index yet; recall finds them all the same.")
    ]
    store_bytes: int
    index_bytes: int
    index_trouble: Annotated[str | None, Field(description="Why the index cannot be used, if so.")]


class ReceiptForm(BaseModel):
    """What has become of what a request to a model said."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"}, examples=[ID_EXAMPLE])]
    namespace: Annotated[str, Field(examples=["ana"])]
    session: Annotated[str, Field(examples=["2026-03-02"])]
    state: Annotated[
        Literal["accepted", "stored", "indexed", "refused"],
        Field(description="accepted: on its way. stored: durable. indexed: in the index, too. refused: see reason."),
    ]
    reason: Annotated[str | None, Field(description="Why it, or a part of it, was refused.")]
    engrams: Annotated[list[str], Field(description="The ids of its engrams.", examples=[[ID_EXAMPLE]])]
    accepted_at: datetime
    stored_at: datetime | None


class Trouble(BaseModel):
    """What is wrong with a request."""

    message: Annotated[str, Field(examples=["text: String should have at least 1 character"])]
    type: Annotated[str, Field(examples=["invalid_request_error"])]
    param: Annotated[str | None, Field(description="The field, where it is about one.", examples=["text"])]
    code: Annotated[str, Field(description="For programs.", examples=["invalid_field"])]


class Failure(BaseModel):
    """Every error has this form."""

    error: Trouble
