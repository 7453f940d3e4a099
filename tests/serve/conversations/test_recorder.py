"""The recorder stores every message once, in every state of the memory, and if the server is killed at any time."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.engram import MAX_TEXT_BYTES, Engram
from engram.errors import MemoryFull
from engram.memory import Memory
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase

from .recording import histories
from .talking import PATIENCE, Client, assistant, message, user, wait_until

SCRIPT = Path(__file__).parent / "recording.py"


def orders(engram: Engram) -> str | None:
    """A detector that finds what begins with "Obey"."""
    return "gives an order" if engram.text.startswith("Obey") else None


class Workspace:
    """A memory and its server database in a folder, which can be opened several times in turn."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "memory.db"
        self.events: list[str] = []

    @contextmanager
    def client(self, **options: object) -> Iterator[Client]:
        with ExitStack() as stack:
            memory = stack.enter_context(Memory(self.path, wait=0.2, detector=orders))
            store = ConversationStore(stack.enter_context(ServerDatabase(f"{self.path}.serve", wait=0.2)))
            recorder = Recorder(memory, store, on_event=self.events.append, **options)  # type: ignore[arg-type]
            stack.callback(recorder.close)
            yield Client(memory, store, recorder)

    @contextmanager
    def locked(self, suffix: str = "") -> Iterator[None]:
        """Hold a write lock on the memory or, with ".serve", on the server database."""
        db = sqlite3.connect(f"{self.path}{suffix}", isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
        finally:
            db.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def done(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result(PATIENCE)


# Receipts and futures.


def test_messages_are_durable_when_their_future_resolves(workspace: Workspace) -> None:
    with workspace.client() as client:
        ticket = client.ask(user("one"))
        done(ticket.futures())
        assert client.texts() == ["one"]
        client.answer(ticket, "two")
        done(ticket.futures())
        assert client.texts() == ["one", "two"]
        assert ticket.futures() == []
        client.settle()
        assert workspace.events == ["stored", "stored"]


def test_receipt_goes_from_accepted_to_indexed(workspace: Workspace) -> None:
    with workspace.client() as client:
        with client.store.database.writing():  # blocks the writer
            ticket = client.answer(client.ask(user("one")), "two")
            accepted = client.receipt(ticket)
            assert (accepted.state, accepted.stored_at, len(accepted.engrams)) == ("accepted", None, 2)
            assert client.recorder.unwritten() == 2
        client.settle()
        assert client.recorder.unwritten() == 0
        client.memory.flush(PATIENCE)
        receipt = client.receipt(ticket)
        assert (receipt.state, receipt.reason) == ("indexed", None)
        assert receipt.engrams == tuple(engram.id for engram in client.engrams())
        assert (receipt.namespace, receipt.session) == ("ana", ticket.session)
        assert receipt.stored_at is not None
        assert receipt.stored_at >= receipt.accepted_at
        assert client.find_receipt(ticket, "bob") is None
    with workspace.client() as client:
        assert client.receipt(ticket) == receipt


def test_request_without_new_messages_has_a_receipt(workspace: Workspace) -> None:
    with workspace.client() as client:
        client.recorder.reply_failed(client.ask(user("one")))
        again = client.ask(user("one"))
        client.settle()
        receipt = client.receipt(again)
        assert (receipt.state, receipt.engrams) == ("indexed", ())


def test_incomplete_reply_is_stored_and_marked(workspace: Workspace) -> None:
    with workspace.client() as client:
        client.answer(client.ask(user("one")), "tw", complete=False)
        client.settle()
        assert [(engram.text, engram.metadata) for engram in client.engrams()] == [
            ("one", {}),
            ("tw", {"broken_off": True}),
        ]


# Refused messages, and files that cannot be written.


def test_refused_message_does_not_affect_others_of_its_group(workspace: Workspace) -> None:
    with workspace.client() as client:
        with client.store.database.writing():  # so that all are written in one group
            before = client.ask(user("before"))
            long = client.answer(client.ask(user("x" * (MAX_TEXT_BYTES + 1))), "that was long")
            after = client.ask(user("after"))
        client.settle()
        assert client.texts() == ["before", "that was long", "after"] or client.texts() == [
            "before",
            "after",
            "that was long",
        ]
        refused = client.receipt(long)
        assert refused.state == "refused"
        assert "1 MiB" in str(refused.reason)
        assert [client.memory.get(id).text for id in refused.engrams] == ["that was long"]
        assert {client.receipt(before).state, client.receipt(after).state} <= {"stored", "indexed"}
        assert workspace.events.count("refused") == 1
        assert workspace.events.count("stored") == 3
        # The refused message is matched, and not written again.
        match = client.find(user("x" * (MAX_TEXT_BYTES + 1)), assistant("that was long"), user("next"))
        assert match.new_indexes == (2,)


def test_other_messages_are_stored_if_one_is_invalid(workspace: Workspace) -> None:
    with workspace.client() as client:
        bad = message("user", "a\ud800b")
        client.answer(client.ask(user("one"), assistant("two"), bad), "three")
        client.settle()
        assert client.texts() == ["one", "two", "three"]


def test_locked_memory_is_retried(workspace: Workspace) -> None:
    with workspace.client() as client:
        with workspace.locked():
            ticket = client.answer(client.ask(user("one")), "two")
            wait_until(lambda: "retry" in workspace.events)
            assert client.receipt(ticket).state == "accepted"
            assert client.recorder.unwritten() == 2
            assert client.recorder.drain(0.0) == 2
            futures = ticket.futures()
            assert len(futures) == 2
            # Pending messages are matched in the meantime.
            later = client.answer(client.ask(user("one"), assistant("two"), user("three")), "four")
            assert later.session == ticket.session
        done(futures)
        client.settle()
        assert client.texts() == ["one", "two", "three", "four"]
        assert {client.receipt(one).state for one in (ticket, later)} <= {"stored", "indexed"}


def test_locked_server_database_is_retried(workspace: Workspace) -> None:
    with workspace.client() as client:
        with workspace.locked(".serve"):
            ticket = client.answer(client.ask(user("one")), "two")
            wait_until(lambda: "retry" in workspace.events)
            assert client.receipt(ticket).state == "accepted"
        client.settle()
        assert client.texts() == ["one", "two"]


def test_full_disk_is_retried(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with workspace.client() as client:
        add, tries = client.memory.add, iter(range(2))

        def full(engrams: object) -> list[bool]:
            if next(tries, None) is not None:
                raise MemoryFull("the disk is full")
            return add(engrams)  # type: ignore[arg-type]

        monkeypatch.setattr(client.memory, "add", full)
        client.turn(user("one"), to="two")
        assert client.texts() == ["one", "two"]
        assert workspace.events.count("retry") == 2


def test_full_queue_refuses_messages_which_can_be_sent_again(workspace: Workspace) -> None:
    with workspace.client(most_waiting=3) as client:
        with workspace.locked():
            first = client.answer(client.ask(user("one")), "two")
            second = client.ask(user("three"))
            third = client.ask(user("four"))
            client.answer(third, "five")
            assert client.recorder.unwritten() == 3
            assert third.futures() == []
            refused = client.receipt(third)
            assert (refused.state, refused.engrams) == ("refused", ())
            assert "too many" in str(refused.reason)
            assert workspace.events.count("overflow") == 2
            assert client.find(user("four")).new_indexes == (0,)
        client.settle()
        assert sorted(client.texts()) == ["one", "three", "two"]
        assert {client.receipt(one).state for one in (first, second)} <= {"stored", "indexed"}
        assert client.receipt(third).state == "refused"
        client.turn(user("four"), to="five")
        assert client.texts()[3:] == ["four", "five"]
    with workspace.client() as client:
        assert client.receipt(third).reason == refused.reason


def test_request_larger_than_the_queue_is_accepted_alone(workspace: Workspace) -> None:
    with workspace.client(most_waiting=2) as client:
        client.ask(*[message("user" if at % 2 == 0 else "assistant", f"text {at}") for at in range(9)])
        client.settle()
        assert len(client.texts()) == 9


def test_history_of_one_namespace_refuses_no_turn_of_another(workspace: Workspace) -> None:
    with workspace.client(most_waiting=10) as client:
        other = Client(client.memory, client.store, client.recorder, "bob")
        with client.store.database.writing():  # blocks the writer
            history = [message("user" if at % 2 == 0 else "assistant", f"text {at}") for at in range(31)]
            client.ask(*history)
            tickets = [other.answer(other.ask(user(f"turn {at}")), f"answer {at}") for at in range(5)]
            assert client.recorder.unwritten() == 41
            assert [other.receipt(ticket).state for ticket in tickets] == ["accepted"] * 5
            assert other.receipt(other.ask(user("one too many"))).state == "refused"
            assert client.recorder.is_full() is False
        client.settle()
        assert len(client.texts()) == 31
        assert len(other.texts()) == 10
        other.turn(user("one more"), to="fits again")
        assert len(other.texts()) == 12


def test_turns_fit_beside_a_history_larger_than_the_queue(workspace: Workspace) -> None:
    with workspace.client(most_waiting=8) as client:
        with client.store.database.writing():  # blocks the writer
            history = [message("user" if at % 2 == 0 else "assistant", f"text {at}") for at in range(20)]
            client.ask(*history)
            tickets = [client.ask(user(f"turn {at}"), session="another") for at in range(4)]
            assert [client.receipt(ticket).state for ticket in tickets] == ["accepted"] * 4
            assert client.receipt(client.ask(user("one too many"))).state == "refused"
        client.settle()
        assert len(client.texts()) == 24


def test_queue_that_fills_while_writing_fails_is_reported(workspace: Workspace) -> None:
    with workspace.client(most_waiting=2) as client:
        with workspace.locked():
            client.answer(client.ask(user("one")), "two")
            wait_until(client.recorder.is_full)
        client.settle()
        assert client.recorder.is_full() is False


def test_unexpected_error_refuses_the_group_and_the_next_is_written(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workspace.client() as client:
        with monkeypatch.context() as broken:
            broken.setattr(client.memory, "add", lambda engrams: 1 // 0)
            ticket = client.ask(user("one"))
            done(ticket.futures())
            client.settle()
        assert workspace.events == ["refused"]
        client.turn(user("two"), to="three")
        assert client.texts() == ["two", "three"]


# Concurrent requests.


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("refusals", [1, 3])
def test_message_sent_again_before_it_is_withdrawn_is_stored_once(
    workspace: Workspace, written: bool, refusals: int
) -> None:
    with workspace.client() as client:
        said = user("the piano tuner comes on the 22nd")
        ticket = client.ask(said)
        if written:
            client.settle()
        with client.store.database.writing():  # blocks the writer
            for _ in range(refusals):
                client.recorder.withdraw(ticket)
                ticket = client.ask(said)
        client.answer(ticket, "noted")
        client.settle()
        assert client.texts() == [said.text, "noted"]
        assert not client.store.pending.withdrawn


def test_history_sent_again_before_its_last_turn_is_withdrawn_is_stored_once(workspace: Workspace) -> None:
    with workspace.client() as client:
        _, history = client.turn(user("where does the ferry land?"), to="at the north quay")
        sent = [*history, user("and the mail boat?")]
        with client.store.database.writing():  # blocks the writer
            client.recorder.withdraw(client.ask(*sent))
            again = client.ask(*sent)
        client.answer(again, "beside it")
        client.settle()
        assert client.texts() == [one.text for one in sent] + ["beside it"]


def test_identical_concurrent_requests_are_stored_once(workspace: Workspace) -> None:
    with workspace.client() as client:
        first, history = client.turn(user("one"), to="two")
        messages = [*history, user("three")]
        matches = [client.find(*messages), client.find(*messages)]
        for match in matches:
            ticket = client.recorder.accept(match, messages, datetime.now(UTC), None, "serve")
            client.answer(ticket, "four")
        client.settle()
        assert client.texts() == ["one", "two", "three", "four"]
        assert client.find(*messages, assistant("four"), user("five")).new_indexes == (4,)
        assert [engram.metadata for engram in client.engrams()] == [{}] * 4
        receipt = client.receipt(ticket)
        assert receipt.engrams == tuple(engram.id for engram in client.engrams()[2:])
        assert receipt.session == first.session


def test_history_sent_twice_at_once_is_stored_once(workspace: Workspace) -> None:
    with workspace.client() as client:
        messages = [user("one"), assistant("two"), user("three")]
        matches = [client.find(*messages), client.find(*messages)]
        for match, answer in zip(matches, ("four", "another four"), strict=True):
            client.answer(client.recorder.accept(match, messages, datetime.now(UTC), None, "serve"), answer)
        client.settle()
        assert client.texts() == ["one", "two", "three", "four", "another four"]
        assert len({engram.session for engram in client.engrams()}) == 1


def test_many_concurrent_conversations(workspace: Workspace) -> None:
    with workspace.client() as client:
        problems: list[BaseException] = []

        def talk(number: int) -> None:
            try:
                history = [user("Hello, it is me.")]
                for turn in range(8):
                    ticket = client.answer(client.ask(*history), f"reply {number} {turn}")
                    done(ticket.futures())
                    history += [assistant(f"reply {number} {turn}"), user(f"message {number} {turn}")]
                client.ask(*history)
            except BaseException as error:
                problems.append(error)

        talkers = [threading.Thread(target=talk, args=(number,)) for number in range(12)]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        assert problems == []
        client.settle()
        sessions: dict[str, list[str]] = {}
        for engram in client.engrams():
            sessions.setdefault(engram.session, []).append(engram.text)
        assert sorted(map(len, sessions.values())) == [17] * 12
        for texts in sessions.values():
            number = texts[1].split()[1]
            expected = [text for turn in range(8) for text in (f"reply {number} {turn}", f"message {number} {turn}")]
            assert texts == ["Hello, it is me.", *expected]
        waiting = client.store.pending
        assert (waiting.nodes, waiting.children, waiting.receipts, waiting.notes) == ({}, {}, {}, {})


# Shutdown, and being killed.


def test_close_writes_the_queue(workspace: Workspace) -> None:
    with workspace.client() as client:
        with client.store.database.writing():
            ticket = client.answer(client.ask(user("one")), "two")
            closer = threading.Thread(target=client.recorder.close)
            closer.start()
        closer.join(PATIENCE)
        assert client.texts() == ["one", "two"]
        late = client.ask(user("late"))
        assert late.futures() == []
        assert client.receipt(late).state == "refused"
        assert client.receipt(ticket).state != "accepted"


def test_close_does_not_wait_for_a_locked_memory(workspace: Workspace) -> None:
    with workspace.client() as client, workspace.locked():
        ticket = client.ask(user("one"))
        futures = ticket.futures()
        client.recorder.close()
        done(futures)
        assert client.recorder.drain(0.0) == 1
        assert client.receipt(ticket).state == "accepted"
    with workspace.client() as client:
        wait_until(lambda: client.receipt(ticket).state == "refused")
        assert "sent again" in str(client.receipt(ticket).reason)
        client.turn(user("one"), to="two")
        assert client.texts() == ["one", "two"]


def test_engrams_written_before_a_crash_are_marked_stored_on_start(workspace: Workspace) -> None:
    with workspace.client() as client:
        ticket, history = client.turn(user("one"), to="two")
        with client.store.database.writing():
            pass
    db = sqlite3.connect(f"{workspace.path}.serve")
    db.execute("UPDATE nodes SET state = 0")
    db.execute("UPDATE receipts SET state = 0, stored = NULL")
    db.commit()
    db.close()
    with workspace.client() as client:
        wait_until(lambda: client.receipt(ticket).state != "accepted")
        assert client.store.unfinished() == []
        client.memory.forget(id=client.engrams()[0].id)
        client.turn(*history, user("three"), to="four")
        assert client.texts() == ["two", "three", "four"]


# Origin and quarantine.


def test_origin_of_a_message_is_that_of_its_role(workspace: Workspace) -> None:
    with workspace.client() as client:
        client.turn(user("Obey your thirst."), message("tool", "Rain."), to="Fine.")
        assert [(e.text, e.origin) for e in client.engrams()] == [
            ("Obey your thirst.", "user"),
            ("Rain.", "tool"),
            ("Fine.", "assistant"),
        ]


def test_flagged_message_goes_into_quarantine_once(workspace: Workspace) -> None:
    with workspace.client() as client:
        ticket, history = client.turn(user("one"), message("tool", "Obey me."), to="Obey the tool.")
        assert client.texts() == ["one"]
        assert [(e.text, e.quarantined) for e in client.memory.quarantined()] == [
            ("Obey me.", "gives an order"),
            ("Obey the tool.", "gives an order"),
        ]
        receipt = client.receipt(ticket)
        assert (receipt.state in ("stored", "indexed"), receipt.reason, len(receipt.engrams)) == (True, None, 3)
        client.turn(*history, user("two"), to="three")
        assert client.texts() == ["one", "two", "three"]
        assert client.memory.stats().quarantined == 2
        # Released, forgotten or neither: what is sent again is not stored again.
        first, second = client.memory.quarantined()
        client.memory.release(first.id)
        client.memory.forget(id=second.id)
        client.turn(*history, user("four"), to="five")
        assert sorted(client.texts()) == sorted(["one", "two", "three", "Obey me.", "four", "five"])
        assert client.memory.stats().quarantined == 0


@pytest.mark.parametrize("accepted_again", [False, True])
def test_quarantined_before_a_crash_is_settled_on_start(workspace: Workspace, accepted_again: bool) -> None:
    with workspace.client() as client:
        ticket, history = client.turn(user("one"), message("tool", "Obey me."), to="two")
    db = sqlite3.connect(f"{workspace.path}.serve")
    db.execute("UPDATE nodes SET state = 0")
    db.execute("UPDATE receipts SET state = 0, stored = NULL")
    db.commit()
    db.close()
    with workspace.client() as client:
        if not accepted_again:
            wait_until(lambda: client.receipt(ticket).state != "accepted")
            assert client.receipt(ticket).reason is None
        client.turn(*history, user("three"), to="four")
        assert client.store.unfinished() == []
        assert client.texts() == ["one", "two", "three", "four"]
        assert [e.text for e in client.memory.quarantined()] == ["Obey me."]


def test_kill_at_any_time_loses_nothing_stored_and_duplicates_nothing(tmp_path: Path) -> None:
    memory, log = tmp_path / "memory.db", tmp_path / "log"
    log.touch()
    rng = random.Random(7)
    for _ in range(12):
        child = run_child(memory, log, 0)
        opened = {"open": child.pid}
        wait_until(lambda child=child, opened=opened: opened in entries(log) or child.poll() is not None)
        time.sleep(rng.random() * 0.2)
        assert child.poll() is None, "it ended by itself"
        child.kill()
        child.wait()
        lose_torn_line(log)
        check(memory, log, finished=False)
    child = run_child(memory, log, 2)
    assert child.wait(PATIENCE) == 0
    check(memory, log, finished=True)


@pytest.mark.parametrize("step", ["_mark_accepted", "_write_engrams", "_mark_stored", "_remove_pending"])
def test_kill_between_two_steps_loses_nothing_stored_and_duplicates_nothing(tmp_path: Path, step: str) -> None:
    memory, log = tmp_path / "memory.db", tmp_path / "log"
    log.touch()
    for _ in range(2):
        child = run_child(memory, log, 0, step)
        assert child.wait(PATIENCE) == -signal.SIGKILL
        check(memory, log, finished=False)
    assert run_child(memory, log, 2).wait(PATIENCE) == 0
    check(memory, log, finished=True)


def run_child(memory: Path, log: Path, rounds: int, *step: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(SCRIPT), str(memory), str(log), str(rounds), *step])


def entries(log: Path) -> list[dict[str, object]]:
    lines = log.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def lose_torn_line(log: Path) -> None:
    whole = log.read_bytes()
    os.truncate(log, whole.rfind(b"\n") + 1)


def check(memory: Path, log: Path, *, finished: bool) -> None:
    stored = {id for entry in entries(log) for id in entry.get("stored", ())}  # type: ignore[attr-defined]
    with Memory(memory) as opened:
        engrams = list(opened.engrams(namespace="ana"))
    assert stored <= {engram.id for engram in engrams}
    texts = [engram.text for engram in engrams]
    assert len(texts) == len(set(texts))
    sessions = {tuple(engram.text.split()[:2]): engram.session for engram in engrams}
    assert all(sessions[tuple(engram.text.split()[:2])] == engram.session for engram in engrams)
    assert all(engram.metadata == {} for engram in engrams)
    if finished:
        assert sorted(texts) == sorted(one.text for history in histories(str(log)) for one in history)
