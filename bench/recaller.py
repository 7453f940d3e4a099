"""A memory that is filled and asked through Engram's API: in this process, or in one of another checkout.

    PYTHON bench/recaller.py FOLDER

answers commands with the `engram` that PYTHON imports: one JSON list a line, the name of a method of `Recaller` and its
arguments; each answer is one line, too. This file therefore imports nothing else of `bench`. Owns which interfaces of
Engram the quality figures use. Does not know what is asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

from engram.memory import Memory

KEY = "key"
"""The metadata field of an engram that holds the key of its turn."""


class Recaller:
    """A new memory in a folder."""

    def __init__(self, folder: str, encoder: str | None = None) -> None:
        """`encoder`: the name of the encoder of sentences; None: the default."""
        options: dict[str, Any] = {} if encoder is None else {"encoder": encoder}
        if "strength" in signature(Memory).parameters:
            # A question must not change how later ones are answered.
            options["strength"] = False
        self._memory = Memory(Path(folder) / "memory.db", **options)

    def remember(self, items: Sequence[dict[str, Any]]) -> None:
        """Remember turns, whose fields are those of `Memory.remember_many` (`at`: ISO 8601)."""
        self._memory.remember_many({**item, "at": datetime.fromisoformat(item["at"])} for item in items)

    def flush(self) -> None:
        """Wait until everything is indexed."""
        self._memory.flush()

    def reflect(self) -> None:
        """Read the turns for what they state, as a server does in the background. Nothing in an Engram without that."""
        if hasattr(self._memory, "reflect"):
            self._memory.reflect()

    def propose(self, model: Any) -> None:
        """Ask a language model about what was read. Only in the process of the caller."""
        self._memory.propose(model)

    def working(self, namespace: str, question: str, budget: int, now: str | None) -> tuple[list[str], list[str]]:
        """The keys of the turns that `working` quotes, and the text of its parts. `now`: ISO 8601, or None."""
        moment = None if now is None else datetime.fromisoformat(now)
        working = self._memory.working(question, namespace=namespace, budget=budget, now=moment)
        ids = [id for part in working.parts for id in part.engrams]
        known = self._memory.get_many(ids)
        return [str(known[id].metadata[KEY]) for id in ids], [part.text for part in working.parts]

    def ask(self, namespace: str, question: str, limit: int, now: str | None) -> list[tuple[str, float]]:
        """The key and the score of each hit of `recall`. `now`: the time of the question (ISO 8601), or None."""
        moment = None if now is None else datetime.fromisoformat(now)
        hits = self._memory.recall(question, namespace=namespace, limit=limit, now=moment)
        return [(str(hit.engram.metadata[KEY]), hit.score) for hit in hits]

    def passages(self, namespace: str, question: str, limit: int, budget: int, now: str) -> list[str]:
        """The passages of the hits of `recall`, best first, that notes show within `budget` tokens."""
        from engram.recall.context import packed, passage_shown
        from engram.text.passages import passage_at

        hits = self._memory.recall(question, namespace=namespace, limit=limit, now=datetime.fromisoformat(now))
        shown = []
        for hit in hits:
            text = hit.engram.text
            part = passage_shown(text, passage_at(text, hit.passage[0]), question)
            shown.append((hit.seq, replace(hit.engram, text=part)))
        return [text for _, _, text in packed(shown, question, budget)]

    def notes(self, namespace: str, message: str) -> list[str]:
        """The keys of the notes, best first, that the proxy puts into a conversation that begins with `message`."""
        from engram.serve.frontends.request import read_request
        from engram.serve.frontends.strip import Strip
        from engram.serve.proxy.recall_request import RecallRequest, recall_query
        from engram.serve.wire.table import CHAT

        body = {"model": "any", "messages": [{"role": "user", "content": message}]}
        request = read_request(CHAT, json.dumps(body).encode(), Strip())
        last = len(request.messages) - 1
        query = None if request.task is not None else recall_query(request.messages, last)
        if query is None:
            return []
        said = request.messages[last]
        texts = [part.text for part in said.parts]
        wanted = RecallRequest(namespace, last, query, {}, {last: said.text}, frozenset(), texts, UTC)
        found = self._finder.notes(wanted)
        # A reference to a note begins with its id; that of another checkout is one.
        ids = [one.partition(":")[0] for one in found.recalled]
        engrams = self._memory.get_many(ids, namespace=namespace)
        return [str(engrams[id].metadata[KEY]) for id in ids]

    @cached_property
    def _finder(self) -> Any:
        from engram.notes.injection import wording_for
        from engram.serve.proxy.recall_request import NoteFinder
        from engram.serve.settings import Settings

        defaults = Settings(memory="")
        wording = wording_for(
            embedded=False, budget=defaults.budget, notes=defaults.notes, least_score=defaults.least_score
        )
        return NoteFinder(self._memory, wording)

    def close(self) -> None:
        """Close the memory."""
        self._memory.close()


def main() -> None:
    """Answer the commands on standard input until it ends."""
    recaller = Recaller(sys.argv[1])
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(getattr(recaller, name)(*arguments)) + "\n")
        sys.stdout.flush()
    recaller.close()


if __name__ == "__main__":
    main()
