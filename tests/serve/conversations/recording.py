"""A server's recorder as a process that is killed: `python recording.py MEMORY LOG ROUNDS [STEP]`.

Goes on for so many rounds, for ever if that is 0; with STEP it kills itself when the recorder comes to that step for
the third time.

Goes on with the conversations whose messages stand in LOG, a JSON line each, written before they are sent. When a
receipt says that they are stored, a line with the ids of their engrams follows.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from datetime import UTC, datetime

from engram.memory import Memory
from engram.serve.conversations import matching
from engram.serve.conversations.jobs import WriteTicket
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase
from engram.serve.wire.base import ChatMessage, MessagePart, Reply

CONVERSATIONS = 6


def said(role: str, text: str) -> ChatMessage:
    return ChatMessage(role, (MessagePart(role, text),), text, text, None)


def histories(log: str) -> list[list[ChatMessage]]:
    """The conversations in a log, as their clients have them."""
    found: list[list[ChatMessage]] = [[] for _ in range(CONVERSATIONS)]
    with open(log, encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if "text" in entry:
                found[entry["conversation"]].append(said(entry["role"], entry["text"]))
    return found


def talk(memory: str, path: str, rounds: int) -> None:
    """Send what was sent last again, and go on; for ever if `rounds` is 0."""
    talks = histories(path)
    log = os.open(path, os.O_WRONLY | os.O_APPEND)

    def note(**entry: object) -> None:
        os.write(log, (json.dumps(entry) + "\n").encode())

    def say(conversation: int, role: str, text: str) -> ChatMessage:
        note(conversation=conversation, role=role, text=text)
        talks[conversation].append(said(role, text))
        return talks[conversation][-1]

    with Memory(memory) as opened, ServerDatabase(memory + ".serve") as database:
        store = ConversationStore(database)
        recorder = Recorder(opened, store, on_event=lambda event: None)
        note(open=os.getpid())
        for number in itertools.count():
            if rounds and number == rounds:
                break
            writings: list[tuple[int, WriteTicket]] = []
            for conversation, history in enumerate(talks):
                if not history or history[-1].role == "assistant":
                    say(conversation, "user", f"conversation {conversation} asks {len(history)}")
                found = matching.match_conversation(store, "ana", history, None, None)
                writings.append((conversation, recorder.accept(found, history, datetime.now(UTC), (), "serve")))
            for conversation, writing in writings:
                answer = say(conversation, "assistant", f"conversation {conversation} hears {len(talks[conversation])}")
                recorder.reply(writing, [Reply(answer, True, 0)], None)
            for _, writing in writings:
                for future in writing.futures():
                    future.result()
            for _, writing in writings:
                receipt = store.receipts.find(writing.receipt_id, lambda namespace: True, opened.is_indexed)
                if receipt is not None and receipt.state in ("stored", "indexed"):
                    note(stored=receipt.engrams)
        recorder.drain(60.0)
        recorder.close()


def die_before(step: str) -> None:
    """Let the process be killed when the recorder comes to a step for the third time."""
    method, times = getattr(Recorder, step), itertools.count(1)

    def counted(*args: object) -> object:
        if next(times) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*args)

    setattr(Recorder, step, counted)


if __name__ == "__main__":
    for step in sys.argv[4:]:
        die_before(step)
    talk(sys.argv[1], sys.argv[2], int(sys.argv[3]))
