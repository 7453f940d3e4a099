"""Our own sets about what is meant: lives, facts, wrappings, and messages that ask nothing of a memory.

Owns the formats of `data/lives/*.json`, `data/facts.json`, `data/around.json` and `data/nothing.json` (docs/bench.md).
All texts are invented. Half of each set is held out: nothing is fitted to it, and reports state only its totals. Does
not know how messages are answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bench.datasets import Conversation, DatasetError, Question, Turn, check_keys, data_folder, read_json

QUESTION_MARK = "{question}"
"""The place of the question in the text of a wrapping."""
NONE = "none"
"""The kind of the questions that a life does not answer."""
KINDS = frozenset(["fact", "other", "now", "then", "time", "assistant", "category", "several", "follow", NONE])
FIRST_HELD_OUT = 11
"""The number of the first fact that is held out."""
FACTS_BEGIN = datetime(2025, 1, 6, 18, 30, tzinfo=UTC)
"""The time of the first sentence of each memory of facts; one sentence a day follows."""


class Wrapping(NamedTuple):
    """A longer message in which a question stands."""

    kind: str
    language: str
    held_out: bool
    text: str
    """Holds `QUESTION_MARK` once. Braces elsewhere have no meaning."""

    def around(self, question: str) -> str:
        """The message with the question in its place."""
        return self.text.replace(QUESTION_MARK, question)


class Message(NamedTuple):
    """A message for which no memory of its author is of use."""

    language: str
    held_out: bool
    kind: str
    text: str


def read_lives(folder: Path | None = None) -> list[Conversation]:
    """Read the lives in a folder, by default those of this repository, in the order of their names.

    Raises `DatasetError` if a file cannot be read or is not a life.
    """
    return [read_life(path) for path in sorted((folder or data_folder() / "lives").glob("*.json"))]


def read_life(path: Path) -> Conversation:
    """Read one life. Raises `DatasetError` if the file cannot be read or is not a life."""
    life = read_json(path)
    try:
        zone = ZoneInfo(life["timezone"])
        questions = tuple(life_question(question, zone) for question in life["questions"])
        turns = tuple(life_turns(life["sessions"]))
        conversation = Conversation(life["name"], turns, questions, life["held_out"], life["language"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is not a life: {error!r}") from error
    check_keys(conversation, str(path))
    if [turn.at for turn in conversation.turns] != sorted(turn.at for turn in conversation.turns):
        raise DatasetError(f"{path}: its sessions are not in the order of their times")
    return conversation


def life_turns(sessions: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """The turns of a life's sessions; a turn is called "session:turn", both from 1."""
    return [
        Turn(f"{number}:{index}", f"session_{number}", "", role, text, datetime.fromisoformat(session["at"]))
        for number, session in enumerate(sessions, 1)
        for index, (role, text) in enumerate(session["turns"], 1)
    ]


def life_question(question: Mapping[str, Any], zone: ZoneInfo) -> Question:
    """One question of a life. Raises ValueError if its kind does not fit its evidence or its day is no day."""
    kind, evidence = question["kind"], tuple(question["evidence"])
    if kind not in KINDS:
        raise ValueError(f"the kind {kind!r} is none of {', '.join(sorted(KINDS))}")
    if (kind == NONE) == bool(evidence):
        raise ValueError(f"a question of the kind {kind!r} has {len(evidence)} evidence turns")
    if question["day"] is not None:
        date.fromisoformat(question["day"])
    now = datetime.fromisoformat(question["asked_at"]).astimezone(zone)
    return Question(question["question"], evidence, kind, now, tuple(question["outdated"]))


class Facts(NamedTuple):
    """One person's facts in one language, as the memory that holds them and one question about each."""

    language: str
    memory: Conversation
    """Each fact is a turn with its number as key; the other sentences of the person stand between them."""
    asked: tuple[str, ...]
    """The question about each fact, in the order of the numbers, which count from 1."""


def read_facts(path: Path | None = None) -> list[Facts]:
    """Read the facts, by default those of this repository, one item a language.

    Raises `DatasetError` if the file cannot be read, has another form, or a language lacks a fact that another has.
    """
    path = path or data_folder() / "facts.json"
    try:
        sheets = [facts_sheet(*item) for item in read_json(path)["languages"].items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} is not a file of facts: {error!r}") from error
    if len({len(sheet.asked) for sheet in sheets}) != 1:
        raise DatasetError(f"{path}: the languages have different numbers of facts")
    return sheets


def facts_sheet(language: str, sheet: Mapping[str, Any]) -> Facts:
    """The facts of one language. Raises ValueError if their numbers are not 1, 2, 3 and so on."""
    facts, others = sheet["facts"], list(sheet["others"])
    if [fact["number"] for fact in facts] != list(range(1, len(facts) + 1)):
        raise ValueError(f"the numbers of the facts in {language!r} do not count from 1")
    sentences: list[tuple[str, str]] = []
    for fact in facts:
        taken = len(others) * fact["number"] // len(facts)
        done = len(sentences) - (fact["number"] - 1)
        sentences += [(f"other-{number}", others[number]) for number in range(done, taken)]
        sentences.append((str(fact["number"]), fact["told"]))
    turns = [
        Turn(key, f"session_{number}", "", "user", text, FACTS_BEGIN + timedelta(days=number))
        for number, (key, text) in enumerate(sentences)
    ]
    memory = Conversation(f"facts-{language}", tuple(turns), (), language=language)
    return Facts(language, memory, tuple(fact["asked"] for fact in facts))


def read_wrappings(path: Path | None = None) -> list[Wrapping]:
    """Read the wrappings, by default those of this repository.

    Raises `DatasetError` if the file cannot be read or has another form.
    """
    path = path or data_folder() / "around.json"
    try:
        wrappings = [Wrapping(w["kind"], w["language"], w["held_out"], w["text"]) for w in read_json(path)["wrappings"]]
        wrong = [number for number, w in enumerate(wrappings, 1) if w.text.count(QUESTION_MARK) != 1]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not a file of wrappings: {error!r}") from error
    if wrong:
        raise DatasetError(f"{path}: wrapping {wrong[0]} does not hold {QUESTION_MARK} once")
    return wrappings


def read_messages(path: Path | None = None) -> list[Message]:
    """Read the messages that ask nothing, by default those of this repository.

    Raises `DatasetError` if the file cannot be read or has another form.
    """
    path = path or data_folder() / "nothing.json"
    try:
        return [Message(m["language"], m["held_out"], m["kind"], m["text"]) for m in read_json(path)["messages"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not a file of messages: {error!r}") from error
