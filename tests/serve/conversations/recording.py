"""A recorder in a process that is killed: `python recording.py MEMORY LOG ROUNDS [STEP]`.

Runs ROUNDS rounds, or forever for 0. With STEP, a method of `Recorder`, the process kills itself when the recorder
calls it for the third time.

Continues the conversations in LOG. LOG holds one JSON line for each message, written before the message is sent, and
one line with the ids of its engrams when a receipt reports them as stored.
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


def message(role: str, text: str) -> ChatMessage:
    return ChatMessage(role, (MessagePart(role, text),), text, text, None)


def histories(log: str) -> list[list[ChatMessage]]:
    """Return the conversations in a log, as their clients know them."""
    conversations: list[list[ChatMessage]] = [[] for _ in range(CONVERSATIONS)]
    with open(log, encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if "text" in entry:
                conversations[entry["conversation"]].append(message(entry["role"], entry["text"]))
    return conversations


def talk(memory: str, path: str, rounds: int) -> None:
    """Send the last requests again, and continue; forever if `rounds` is 0."""
    talks = histories(path)
    log = os.open(path, os.O_WRONLY | os.O_APPEND)

    def note(**entry: object) -> None:
        os.write(log, (json.dumps(entry) + "\n").encode())

    def say(conversation: int, role: str, text: str) -> ChatMessage:
        note(conversation=conversation, role=role, text=text)
        talks[conversation].append(message(role, text))
        return talks[conversation][-1]

    with Memory(memory) as opened, ServerDatabase(memory + ".serve") as database:
        store = ConversationStore(database)
        recorder = Recorder(opened, store, on_event=lambda event: None)
        note(open=os.getpid())
        for number in itertools.count():
            if rounds and number == rounds:
                break
            tickets: list[tuple[int, WriteTicket]] = []
            for conversation, history in enumerate(talks):
                if not history or history[-1].role == "assistant":
                    say(conversation, "user", f"conversation {conversation} asks {len(history)}")
                match = matching.match_conversation(store, "ana", history, None, None)
                tickets.append((conversation, recorder.accept(match, history, datetime.now(UTC), (), "serve")))
            for conversation, ticket in tickets:
                answer = say(conversation, "assistant", f"conversation {conversation} hears {len(talks[conversation])}")
                recorder.reply(ticket, [Reply(answer, True, 0)], None)
            for _, ticket in tickets:
                for future in ticket.futures():
                    future.result()
            for _, ticket in tickets:
                receipt = store.receipts.find(ticket.receipt_id, lambda namespace: True, opened.is_indexed)
                if receipt is not None and receipt.state in ("stored", "indexed"):
                    note(stored=receipt.engrams)
        recorder.drain(60.0)
        recorder.close()


def die_before(step: str) -> None:
    """Kill the process when the recorder calls a method for the third time."""
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
