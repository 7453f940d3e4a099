"""Conversations with questions about them, read from their published files.

Owns two formats: LoCoMo's JSON (its licence does not let Engram ship it: the user passes its path) and our chats in
`data/`. Does not know how questions are answered or evaluated.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from engram.formats import locomo
from engram.formats.items import ImportedTurn, ImportSettings, Problem, SourceLocation

LOCOMO_VARIABLE = "ENGRAM_LOCOMO"
"""The environment variable that may hold the path of LoCoMo's JSON."""

LOCOMO_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}

EVIDENCE = re.compile(r"D\d+:\d+")


class DatasetError(ValueError):
    """A file of conversations is missing or malformed; the message names the file."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation; `key` names it in the conversation's questions."""

    key: str
    session: str
    speaker: str
    role: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the keys of the turns that answer it (at least one), and its kind."""

    text: str
    evidence: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in their order and the questions about them. Every evidence key is the key of a turn."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]

    def speakers(self) -> tuple[str, ...]:
        """The speakers, in the order of their first turns."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))


def locomo_path(path: Path | None) -> Path | None:
    """The path of LoCoMo's JSON: the argument, else the environment variable, else None."""
    if path is not None:
        return path
    value = os.environ.get(LOCOMO_VARIABLE)
    return Path(value) if value else None


def read_locomo(path: Path) -> list[Conversation]:
    """Read LoCoMo's conversations. Invalid evidence ids are left out, and so are questions without a valid one.

    A turn's text is its `text`, followed by ` [shared <caption>]` if the turn has an image. Raises `DatasetError` if
    the file cannot be read or has another form.
    """
    samples = read_json(path)
    if not isinstance(samples, list):
        raise DatasetError(f"{path} is not LoCoMo's JSON: it holds {type(samples).__name__}, not a list of samples")
    try:
        return [locomo_conversation(sample, str(path)) for sample in samples]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not LoCoMo's JSON: {error!r}") from error


def locomo_conversation(sample: Mapping[str, Any], file: str) -> Conversation:
    """One sample of LoCoMo; its turns are read as `engram import` reads them."""
    turns = []
    for item in locomo.read(sample, SourceLocation(file), ImportSettings(datetime.now(UTC))):
        if isinstance(item, Problem):
            raise DatasetError(str(item))
        if isinstance(item, ImportedTurn):
            e = item.engram
            turns.append(Turn(str(e.metadata["dia_id"]), e.session, e.speaker or "", e.role, e.text, e.at))
    known = {turn.key for turn in turns}
    questions = []
    for question in sample["qa"]:
        evidence = (key for entry in question["evidence"] for key in EVIDENCE.findall(entry))
        kind = LOCOMO_CATEGORIES.get(question["category"], str(question["category"]))
        questions.append(Question(question["question"], valid(evidence, known), kind))
    return Conversation(str(sample["sample_id"]), tuple(turns), tuple(q for q in questions if q.evidence))


def chats_path() -> Path | None:
    """The path of our chats; None if this copy of Engram does not contain them."""
    path = Path(str(files("bench") / "data" / "chats.json"))
    return path if path.exists() else None


def read_chats(path: Path) -> list[Conversation]:
    """Read the conversations in a file of our chats: users, each with sessions of turns, and questions (docs/bench.md).

    Raises `DatasetError` if the file cannot be read or has another form.
    """
    try:
        return [chats_conversation(user) for user in read_json(path)["users"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not a file of chats: {error!r}") from error


def chats_conversation(user: Mapping[str, Any]) -> Conversation:
    """One user of a file of chats. Turns alternate, the user's first; evidence is "session:turn", both from 1."""
    turns = []
    for number, session in enumerate(user["sessions"], 1):
        at = datetime.fromisoformat(session["at"])
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        for index, text in enumerate(session["turns"]):
            speaker, role = ("Assistant", "assistant") if index % 2 else (user["name"], "user")
            turns.append(Turn(f"{number}:{index + 1}", f"session_{number}", speaker, role, text, at))
    known = {turn.key for turn in turns}
    questions = [Question(q["question"], valid(q["evidence"], known), q["kind"]) for q in user["questions"]]
    return Conversation(user["name"], tuple(turns), tuple(q for q in questions if q.evidence))


def valid(keys: Iterable[str], known: set[str]) -> tuple[str, ...]:
    """The `keys` that are in `known`, without duplicates."""
    return tuple(dict.fromkeys(key for key in keys if key in known))


def read_json(path: Path) -> Any:
    """The content of the JSON file at `path`. Raises `DatasetError` if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
