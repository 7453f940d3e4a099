"""LoCoMo's JSON: long conversations between two people, in dated sessions.

Owns what of a sample is a turn: the sessions' turns, verbatim, with what was shown in a picture. The questions,
summaries and observations beside them are derived from the turns, and not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from engram.engram import draft
from engram.errors import InvalidEngram
from engram.formats.items import Item, Place, Problem, Settings, Turn, derived_id

SOURCE = "import:locomo"
SESSION = re.compile(r"session_(\d+)$")
DATE = re.compile(r"\s*(\d{1,2}):(\d\d)\s*([ap])m\s+on\s+(\d{1,2})\s+([a-z]{3})[a-z]*,?\s+(\d{4})\s*$", re.IGNORECASE)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def is_sample(value: Mapping[str, object]) -> bool:
    """Whether a JSON object is a sample of LoCoMo."""
    conversation = value.get("conversation")
    return isinstance(conversation, dict) and any(SESSION.match(str(key)) for key in conversation)


def read(sample: Mapping[str, object], place: Place, settings: Settings) -> Iterator[Item]:
    """The turns of a sample: its id is the namespace, "session_<n>" the session."""
    conversation = sample["conversation"]
    namespace = sample.get("sample_id")
    if not isinstance(conversation, dict):
        yield Problem(place.at("conversation"), f"is {type(conversation).__name__}; it must be an object")
        return
    if not isinstance(namespace, str) or not namespace:
        yield Problem(place, f"sample_id is {namespace!r}; it must be text, which becomes the namespace")
        return
    sessions = sorted((int(found[1]), name) for name in conversation if (found := SESSION.match(name)))
    for _, name in sessions:
        inside = place.at("conversation", name)
        turns = conversation[name]
        if not isinstance(turns, list):
            yield Problem(inside, f"is {type(turns).__name__}; it must be a list of turns")
            continue
        date = conversation.get(f"{name}_date_time")
        at = session_date(date)
        if at is None and turns:
            yield Problem(
                place.at("conversation", f"{name}_date_time"),
                f"is {date!r}; a date such as '1:56 pm on 8 May, 2023' was expected, so its turns are dated today",
            )
        for number, turn in enumerate(turns):
            yield _turn(turn, inside.at(number), settings, (namespace, name, number), at)


def _turn(
    turn: object, place: Place, settings: Settings, where: tuple[str, str, int], at: datetime | None
) -> Turn | Problem:
    namespace, session, number = where
    if not isinstance(turn, dict):
        return Problem(place, f"is {type(turn).__name__}; a turn must be an object")
    text, caption = turn.get("text"), turn.get("blip_caption")
    if not isinstance(text, str):
        return Problem(place, f"text is {type(text).__name__}; it must be text")
    shown = f"[shared {caption}]" if isinstance(caption, str) and caption else ""
    dia_id = turn.get("dia_id")
    try:
        engram = draft(
            " ".join(filter(None, (text, shown))),
            namespace=namespace,
            session=session,
            speaker=turn.get("speaker"),
            at=settings.now if at is None else at,
            recorded_at=settings.now,
            source=SOURCE,
            metadata={} if dia_id is None else {"dia_id": dia_id},
            # All turns of a session bear its date: the ids keep their order.
            id=derived_id(at, "locomo", namespace, session, number, order=number),
        )
    except InvalidEngram as error:
        return Problem(place, str(error))
    return Turn(place, engram, frozenset({"recorded_at"} if at else {"recorded_at", "at"}))


def session_date(value: object) -> datetime | None:
    """The moment that a session's date names ("1:56 pm on 8 May, 2023"), taken as UTC; None if it names none."""
    found = DATE.match(value) if isinstance(value, str) else None
    if found is None or found[5].lower() not in MONTHS:
        return None
    hour = int(found[1]) % 12 + (12 if found[3].lower() == "p" else 0)
    try:
        return datetime(
            int(found[6]), MONTHS.index(found[5].lower()) + 1, int(found[4]), hour, int(found[2]), tzinfo=UTC
        )
    except ValueError:
        return None
