"""The systems that are asked: Engram, Engram of another checkout, and the reference rankers.

Owns how each of them is filled with conversations and asked. Does not know how answers are evaluated.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench import recaller
from bench.datasets import Conversation, Turn
from bench.figures import Progress
from bench.rankers import MINILM_MISSING, Dense, Ranker, bm25, fused, minilm, minilm_installed, vectors
from engram.errors import EngramError
from engram.models.base import Model

BEFORE = "recall of the commit before"
"""The name of the other checkout's Engram."""


class CheckoutFailed(EngramError):
    """The process of another checkout ended; the message names its Python."""


class Hit(NamedTuple):
    """The key of a turn, and its score."""

    key: str
    score: float


class System(Protocol):
    """A system that answers questions about one of its conversations."""

    name: str

    def ask(self, conversation: int, question: str, limit: int, now: datetime | None = None) -> list[Hit]:
        """At most `limit` turns of the conversation with this index, best first; `now`: the time of the question."""
        ...


class Checkout:
    """The methods of `Recaller`, run by the Python of another checkout."""

    def __init__(self, python: str, folder: Path) -> None:
        # Without this file's folder and PYTHONPATH, so that the other checkout's engram is imported.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._python = python
        self._process = subprocess.Popen(
            [python, "-P", recaller.__file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=environment,
        )

    def __getattr__(self, name: str) -> Any:
        """The method `name` of `Recaller`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments: self._call(name, *arguments)

    def _call(self, *command: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # A process that has ended gives no answer either.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self.close()
            raise CheckoutFailed(
                f"{self._python} ended while it ran {command[0]!r}; its error stands above."
                " --before needs the Python of a checkout in which Engram is installed"
            )
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def open_recaller(folder: Path, python: str | None = None, encoder: str | None = None) -> Any:
    """The `Recaller` of a new memory in `folder`: of this Engram, or of the checkout that `python` belongs to."""
    return Checkout(python, folder) if python else recaller.Recaller(str(folder), encoder)


def items(namespace: str, turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Turns as `Recaller.remember` takes them."""
    return [
        {
            "text": turn.text,
            "namespace": namespace,
            "session": turn.session,
            "speaker": turn.speaker or None,
            "role": turn.role,
            "at": turn.at.isoformat(),
            "metadata": {recaller.KEY: turn.key},
        }
        for turn in turns
    ]


class EngramSystem:
    """Engram with its defaults, filled with one namespace a conversation."""

    def __init__(
        self,
        conversations: Sequence[Conversation],
        folder: Path,
        *,
        name: str = "Engram",
        python: str | None = None,
        encoder: str | None = None,
        reflecting: bool = True,
    ) -> None:
        """Remember everything in a new memory in `folder`, and wait until it is indexed.

        python: the Python of another checkout, whose Engram is asked; None: this one. encoder: the name of this
        Engram's encoder of sentences; None: the default. reflecting: read what the turns state, too.
        """
        self.name = name
        self._names = [conversation.name for conversation in conversations]
        self._recaller = open_recaller(folder, python, encoder)
        for conversation in conversations:
            self._recaller.remember(items(conversation.name, conversation.turns))
        self._recaller.flush()
        if reflecting:
            self._recaller.reflect()

    def ask(self, conversation: int, question: str, limit: int, now: datetime | None = None) -> list[Hit]:
        """The hits of `recall`."""
        moment = None if now is None else now.isoformat()
        return [Hit(*hit) for hit in self._recaller.ask(self._names[conversation], question, limit, moment)]

    def propose(self, model: Model) -> None:
        """Ask a language model about the conversations."""
        self._recaller.propose(model)

    def working(self, conversation: int, question: str, budget: int, now: datetime | None = None) -> list[str]:
        """The keys of the turns that a working memory of so many tokens quotes."""
        moment = None if now is None else now.isoformat()
        keys, _ = self._recaller.working(self._names[conversation], question, budget, moment)
        return list(keys)

    def notes(self, conversation: int, message: str) -> list[str]:
        """The keys of the turns that the proxy puts into a message as notes, best first."""
        return list(self._recaller.notes(self._names[conversation], message))

    def close(self) -> None:
        """Close the memory."""
        self._recaller.close()


class Ranked:
    """A reference: a ranker with the turns of each conversation."""

    def __init__(
        self, name: str, ranker: Ranker, conversations: Sequence[Conversation], with_speaker: bool = False
    ) -> None:
        """`with_speaker`: put the speaker's name in front of the text that is ranked."""
        self.name = name
        self._keys = [[turn.key for turn in conversation.turns] for conversation in conversations]
        self._scorers = [
            ranker([f"{turn.speaker}: {turn.text}" if with_speaker else turn.text for turn in conversation.turns])
            for conversation in conversations
        ]

    def ask(self, conversation: int, question: str, limit: int, now: datetime | None = None) -> list[Hit]:
        """The turns with the highest scores above 0; equal scores in the order of the turns. `now` has no effect."""
        scores = self._scorers[conversation](question)
        best = np.argsort(-scores, kind="stable")[:limit]
        keys = self._keys[conversation]
        return [Hit(keys[row], float(scores[row])) for row in best if scores[row] > 0]


class References:
    """The references of one run. A model is loaded once, and encodes each distinct text once."""

    def __init__(self, before: str | None = None, wanted: bool = True) -> None:
        """before: the Python of another checkout, whose recall is one more reference. wanted: False for none at all."""
        self._before = before
        self.wanted = wanted
        self._minilm: Dense | None = None
        self._vectors: Dense | None = None
        self.notes: list[str] = []
        """What is left out, and why."""
        if not wanted:
            self.notes.append("all references: --no-references was given")

    def systems(
        self,
        conversations: Sequence[Conversation],
        questions: Sequence[str],
        folder: Path,
        closing: ExitStack,
        progress: Progress,
    ) -> list[System]:
        """The references, filled with the conversations. questions: what will be asked, to be encoded together."""
        if not self.wanted:
            return []
        self._load()
        classic, strong = bm25(1.5, 0.75), bm25(0.9, 0.4)
        systems: list[System] = [Ranked("BM25 (k1 1.5, b 0.75)", classic, conversations)]
        if any(conversation.speakers() for conversation in conversations):
            name = "BM25 (k1 0.9, b 0.4), speaker in the text"
            systems.append(Ranked(name, strong, conversations, with_speaker=True))
        if self._minilm is not None:
            progress("running MiniLM over every turn and question")
            texts = [turn.text for conversation in conversations for turn in conversation.turns]
            self._minilm.prepare([*texts, *questions])
            systems.append(Ranked("dense MiniLM, one vector a turn", self._minilm.ranker, conversations))
            both = fused(classic, self._minilm.ranker)
            systems.append(Ranked("BM25 + dense MiniLM, rank fusion", both, conversations))
        if self._vectors is not None:
            progress("running Engram's encoder over every passage and question")
            self._vectors.prepare(questions)
            systems.append(Ranked("the vectors alone", self._vectors.passage_ranker, conversations))
        if self._before is not None:
            systems.append(self.before(conversations, folder, closing, progress))
        return systems

    def before(
        self, conversations: Sequence[Conversation], folder: Path, closing: ExitStack, progress: Progress
    ) -> EngramSystem:
        """Engram of the other checkout, filled with the conversations in a subfolder of `folder`."""
        progress("remembering with the other checkout")
        place = folder / "before"
        place.mkdir()
        system = EngramSystem(conversations, place, name=BEFORE, python=self._before)
        closing.callback(system.close)
        return system

    @property
    def has_before(self) -> bool:
        """Whether another checkout is asked."""
        return self.checkout is not None

    @property
    def checkout(self) -> str | None:
        """The Python of the other checkout, if it is asked."""
        return self._before if self.wanted else None

    def _load(self) -> None:
        """Load the models that are not loaded yet, and note those that are missing, once."""
        if self._minilm is None and minilm_installed():
            self._minilm = minilm()
        elif self._minilm is None:
            self._note(f"dense MiniLM, and its fusion with BM25: {MINILM_MISSING}")
        if self._vectors is None:
            self._vectors = vectors()
        if self._vectors is None:
            self._note("the vectors alone: this Engram has no encoder of sentences")
        if self._before is None:
            self._note("recall of the commit before: pass --before with the Python of another checkout")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True, slots=True)
class Bench:
    """What the measurement of the quality on one set needs besides the set."""

    folder: Path
    """An empty folder for the databases."""
    references: References
    progress: Progress

    def inside(self, name: str) -> Bench:
        """The same with a new subfolder."""
        folder = self.folder / name
        folder.mkdir()
        return replace(self, folder=folder)
