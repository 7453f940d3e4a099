"""Conversations with questions about them, read from their published files.

Owns the types and three formats: LoCoMo's JSON and transcripts (BEAM and MemDaily), which Engram does not ship (the
user passes their paths), and our chats in `data/`. `lives` reads the other files in `data/`. Does not know how
questions are answered or evaluated.
"""

from __future__ import annotations

import gzip
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

BEAM_VARIABLE = "ENGRAM_BEAM"
"""The environment variable that may hold the path of BEAM's transcripts."""

MEMDAILY_VARIABLE = "ENGRAM_MEMDAILY"
"""The environment variable that may hold the path of MemDaily's transcripts."""

LOCOMO_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}

EVIDENCE = re.compile(r"D\d+:\d+")


UPDATE = "knowledge_update"
"""The kind of the questions of a transcript about what has changed."""


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
    """A question, the keys of the turns that answer it (none: it cannot be answered), and its kind."""

    text: str
    evidence: tuple[str, ...]
    kind: str
    now: datetime | None = None
    """The time of the question, in the asker's time zone; None: the current time."""
    outdated: tuple[str, ...] = ()
    """The keys of the turns with values that held before."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in their order and the questions about them. Every evidence key is the key of a turn."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]
    held_out: bool = False
    """Whether nothing may be fitted to this conversation."""
    language: str = ""
    """The language of the turns, if the file states it; "+" joins two that are mixed."""

    def speakers(self) -> tuple[str, ...]:
        """The speakers that have a name, in the order of their first turns."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns if turn.speaker))


def given_path(path: Path | None, variable: str) -> Path | None:
    """The path of a file that is not shipped: the argument, else the environment variable, else None."""
    if path is not None:
        return path
    value = os.environ.get(variable)
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


def read_transcripts(path: Path) -> list[Conversation]:
    """Read the chats in a gzipped file of transcripts, one JSON object a line (docs/bench.md).

    The time of each question is that of the chat's last message. Raises `DatasetError` if the file cannot be read, has
    another form, or a question names evidence that is no message of its chat.
    """
    conversations = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                conversations.append(transcript(line, f"{path}, line {number}"))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read as a gzipped file of JSON lines: {error}") from error
    return conversations


def transcript(line: str, place: str) -> Conversation:
    """The chat in one line of a file of transcripts; `place` names the line in errors."""
    try:
        chat = json.loads(line)
        turns = tuple(map(transcript_turn, chat["messages"]))
        now = turns[-1].at
        questions = tuple(transcript_question(question, now) for question in chat["questions"])
        conversation = Conversation(f"chat-{chat['chat']}", turns, questions)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DatasetError(f"{place}: not a chat with messages and questions: {error!r}") from error
    check_keys(conversation, place)
    return conversation


def transcript_question(question: Mapping[str, Any], now: datetime) -> Question:
    """One question about a chat. Of an update, the turns that hold what is no more right count as evidence, too."""
    original = question.get("evidence_by_part", {}).get("original_info", ())
    outdated = tuple(map(str, original)) if question["kind"] == UPDATE else ()
    return Question(question["question"], tuple(map(str, question["evidence"])), question["kind"], now, outdated)


def transcript_turn(message: Mapping[str, Any]) -> Turn:
    """One message of a chat; numbers as its id or session become text."""
    at, speaker = datetime.fromisoformat(message["at"]), message.get("speaker") or ""
    return Turn(str(message["id"]), str(message["session"]), speaker, message["role"], message["text"], at)


def check_keys(conversation: Conversation, place: str) -> None:
    """Raise `DatasetError` if two turns have one key, or a question names a turn that does not exist."""
    known = {turn.key for turn in conversation.turns}
    if len(known) < len(conversation.turns):
        raise DatasetError(f"{place}: two turns have the same key")
    for number, question in enumerate(conversation.questions, 1):
        for key in (*question.evidence, *question.outdated):
            if key not in known:
                raise DatasetError(f"{place}: question {number} names the turn {key!r}, which does not exist")


def chats_path() -> Path | None:
    """The path of our chats; None if this copy of Engram does not contain them."""
    path = data_folder() / "chats.json"
    return path if path.exists() else None


def data_folder() -> Path:
    """The folder of the conversations that this repository holds."""
    return Path(str(files("bench") / "data"))


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
