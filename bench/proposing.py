"""A scripted model for reflection: it knows which turns of a life a later one outdated, and is right 9 times of 10.

Owns what it proposes, and its errors. It reads the prompt that a real model would get, and answers in the JSON that a
real model would answer in, so that everything between is measured. Does not know how proposals are used.
"""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Sequence
from datetime import UTC
from typing import Any, NamedTuple

import numpy as np

from bench.datasets import Conversation
from engram.meaning.sentences import default_encoder
from engram.models.base import Message
from engram.reflection.proposals.prompt import CLOSE, LONGEST, OPEN
from engram.reflection.sentences import statements_of
from engram.text.markup import neutral, one_line

WRONG = 0.1
"""The share of the replacements for which the model is wrong: half are left out, half name another earlier sentence."""
SEED = 20261127
Entry = dict[str, Any]
"""A sentence in a prompt: id, day and text."""


class Replacement(NamedTuple):
    """A turn that a later one has outdated, as one question says. Turns are named by life and key."""

    question: str
    older: str
    newer: tuple[str, ...]
    """The right turns; any of them replaces it."""


def named(conversation: Conversation, key: str) -> str:
    """The name of a turn among those of all lives."""
    return f"{conversation.name} {key}"


def replacements(conversation: Conversation) -> list[Replacement]:
    """What the questions of a life say of outdated turns."""
    return [
        Replacement(question.text, named(conversation, older), tuple(named(conversation, key) for key in right))
        for question in conversation.questions
        if (right := [key for key in question.evidence if key not in question.outdated])
        for older in question.outdated
    ]


class ScriptedModel:
    """A `Model` that proposes what replaced what in some lives, with seeded errors."""

    name = "scripted"
    context = 8_192

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        self.left = [each for conversation in conversations for each in replacements(conversation)]
        """The replacements that were not proposed yet: at the end, those whose sentences were never shown together."""
        self.known = len(self.left)
        """The number of all replacements."""
        self._turn_of = {
            (turn.at.astimezone(UTC).date().isoformat(), one_line(neutral(turn.text[start:stop]))[:LONGEST]): named(
                conversation, turn.key
            )
            for conversation in conversations
            for turn in conversation.turns
            if turn.role == "user"
            for start, stop in statements_of(turn.text)
        }
        self._random = random.Random(SEED)  # noqa: S311 - not for secrets
        self._encoder = default_encoder()

    def reply(self, messages: Sequence[Message], **_: object) -> Generator[str, None, None]:
        """Yield the proposals for a prompt; see `Model`."""
        data = json.loads(messages[-1].content.removeprefix(OPEN).removesuffix(CLOSE))
        yield json.dumps({"slots": [], "links": self._links(data["session"], data["earlier"]), "title": None})

    def count_tokens(self, text: str) -> int:
        """An estimate; see `Model`."""
        return len(text) // 4 + 1

    def close(self) -> None:
        """Nothing is open."""

    def _links(self, session: Sequence[Entry], earlier: Sequence[Entry]) -> list[Entry]:
        links, left = [], []
        for each in self.left:
            newer = self._said(each.question, each.newer, session)
            older = self._said(each.question, (each.older,), [*earlier, *session])
            if newer is None or older is None:
                left.append(each)
                continue
            chance = self._random.random()
            if chance < WRONG / 2:
                continue
            if chance < WRONG:
                others = [entry for entry in earlier if entry["id"] != older["id"]]
                older = self._random.choice(others) if others else older
            links.append({"newer": newer["id"], "older": older["id"], "kind": "replaces"})
        self.left = left
        return links

    def _said(self, question: str, turns: Sequence[str], entries: Sequence[Entry]) -> Entry | None:
        """The sentence of some turns that is nearest to what a question asks for; None if none is shown."""
        said = [entry for entry in entries if self._turn_of.get((entry["day"], entry["text"])) in turns]
        if not said:
            return None
        vectors = self._encoder.encode([entry["text"] for entry in said])
        towards = self._encoder.towards_answers(self._encoder.encode([question]))[0]
        return said[int(np.argmax(vectors @ towards))]
