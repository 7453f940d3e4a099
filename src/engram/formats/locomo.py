"""Reads LoCoMo's JSON: long conversations between two people, in dated sessions.

Owns which parts of a sample are turns: the turns of the sessions, verbatim, with the captions of shared pictures. The
questions, summaries and observations in a sample are derived from the turns, and not imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from engram.formats.items import (
    ImportedTurn,
    ImportSettings,
    Item,
    Problem,
    SourceLocation,
    derived_id,
    imported,
)

SOURCE = "import:locomo"
SESSION = re.compile(r"session_(\d+)$")
DATE = re.compile(r"\s*(\d{1,2}):(\d\d)\s*([ap])m\s+on\s+(\d{1,2})\s+([a-z]{3})[a-z]*,?\s+(\d{4})\s*$", re.IGNORECASE)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def is_sample(value: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a sample of LoCoMo."""
    conversation = value.get("conversation")
    return isinstance(conversation, dict) and any(SESSION.match(str(key)) for key in conversation)


def read(sample: Mapping[str, object], location: SourceLocation, settings: ImportSettings) -> Iterator[Item]:
    """Yield the turns of a sample: its id is the namespace, "session_<n>" the session."""
    conversation = sample["conversation"]
    namespace = sample.get("sample_id")
    if not isinstance(conversation, dict):
        yield Problem(location.inside("conversation"), f"is {type(conversation).__name__}; it must be an object")
        return
    if not isinstance(namespace, str) or not namespace:
        yield Problem(location, f"sample_id is {namespace!r}; it must be text, which becomes the namespace")
        return
    sessions = sorted((int(match[1]), name) for name in conversation if (match := SESSION.match(name)))
    for _, name in sessions:
        inside = location.inside("conversation", name)
        turns = conversation[name]
        if not isinstance(turns, list):
            yield Problem(inside, f"is {type(turns).__name__}; it must be a list of turns")
            continue
        date = conversation.get(f"{name}_date_time")
        at = session_date(date)
        if at is None and turns:
            yield Problem(
                location.inside("conversation", f"{name}_date_time"),
                f"is {date!r}; a date such as '1:56 pm on 8 May, 2023' was expected, so its turns are dated today",
            )
        for number, turn in enumerate(turns):
            yield _turn(turn, inside.inside(number), settings, (namespace, name, number), at)


def _turn(
    turn: object,
    location: SourceLocation,
    settings: ImportSettings,
    key: tuple[str, str, int],
    at: datetime | None,
) -> ImportedTurn | Problem:
    namespace, session, number = key
    if not isinstance(turn, dict):
        return Problem(location, f"is {type(turn).__name__}; a turn must be an object")
    text, caption = turn.get("text"), turn.get("blip_caption")
    if not isinstance(text, str):
        return Problem(location, f"text is {type(text).__name__}; it must be text")
    picture = f"[shared {caption}]" if isinstance(caption, str) and caption else ""
    dia_id = turn.get("dia_id")
    return imported(
        location,
        settings,
        at,
        open_fields=set(),
        text=" ".join(filter(None, (text, picture))),
        namespace=namespace,
        session=session,
        speaker=turn.get("speaker"),
        source=SOURCE,
        metadata={} if dia_id is None else {"dia_id": dia_id},
        # All turns of a session have its date: `order` makes their ids sort by their position.
        id=derived_id(at, "locomo", namespace, session, number, order=number),
    )


def session_date(value: object) -> datetime | None:
    """Return the time in the date of a session ("1:56 pm on 8 May, 2023"), read as UTC; None if it is no such date."""
    match = DATE.match(value) if isinstance(value, str) else None
    if match is None or match[5].lower() not in MONTHS:
        return None
    hour = int(match[1]) % 12 + (12 if match[3].lower() == "p" else 0)
    try:
        return datetime(
            int(match[6]), MONTHS.index(match[5].lower()) + 1, int(match[4]), hour, int(match[2]), tzinfo=UTC
        )
    except ValueError:
        return None
