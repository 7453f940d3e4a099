"""What is said gets into the memory: once, in whatever state the memory is, and whenever the server is killed."""

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

from engram.engram import MAX_TEXT_BYTES
from engram.errors import MemoryFull
from engram.memory import Memory
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase

from .recording import histories
from .talking import PATIENCE, Client, assistant, said, user, wait_until

SCRIPT = Path(__file__).parent / "recording.py"


class House:
    """A memory and its ledger in a folder, opened again and again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "memory.db"
        self.events: list[str] = []

    @contextmanager
    def client(self, **options: object) -> Iterator[Client]:
        with ExitStack() as stack:
            memory = stack.enter_context(Memory(self.path, wait=0.2))
            store = ConversationStore(stack.enter_context(ServerDatabase(f"{self.path}.serve", wait=0.2)))
            recorder = Recorder(memory, store, on_event=self.events.append, **options)  # type: ignore[arg-type]
            stack.callback(recorder.close)
            yield Client(memory, store, recorder)

    @contextmanager
    def locked(self, suffix: str = "") -> Iterator[None]:
        """Somebody else holds the memory (or, with ".serve", the ledger)."""
        db = sqlite3.connect(f"{self.path}{suffix}", isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
        finally:
            db.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def done(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result(PATIENCE)


# Receipts and futures.


def test_a_turn_is_durable_when_its_future_ends(house: House) -> None:
    with house.client() as client:
        writing = client.ask(user("one"))
        done(writing.futures())
        assert client.texts() == ["one"]
        client.answer(writing, "two")
        done(writing.futures())
        assert client.texts() == ["one", "two"]
        assert writing.futures() == []
        client.settle()
        assert house.events == ["stored", "stored"]


def test_a_receipt_goes_from_accepted_to_indexed(house: House) -> None:
    with house.client() as client:
        with client.store.database.writing():  # the writer cannot go on
            writing = client.answer(client.ask(user("one")), "two")
            accepted = client.receipt(writing)
            assert (accepted.state, accepted.stored_at, len(accepted.engrams)) == ("accepted", None, 2)
            assert client.recorder.unwritten() == 2
        client.settle()
        assert client.recorder.unwritten() == 0
        client.memory.flush(PATIENCE)
        receipt = client.receipt(writing)
        assert (receipt.state, receipt.reason) == ("indexed", None)
        assert receipt.engrams == tuple(engram.id for engram in client.kept())
        assert (receipt.namespace, receipt.session) == ("ana", writing.session)
        assert receipt.stored_at is not None
        assert receipt.stored_at >= receipt.accepted_at
        assert client.find_receipt(writing, "bob") is None
    with house.client() as client:
        assert client.receipt(writing) == receipt


def test_a_request_with_nothing_new_has_a_receipt_too(house: House) -> None:
    with house.client() as client:
        client.recorder.reply_failed(client.ask(user("one")))
        again = client.ask(user("one"))
        client.settle()
        receipt = client.receipt(again)
        assert (receipt.state, receipt.engrams) == ("indexed", ())


def test_a_reply_that_broke_off_is_kept_as_far_as_it_came(house: House) -> None:
    with house.client() as client:
        client.answer(client.ask(user("one")), "tw", complete=False)
        client.settle()
        assert [(engram.text, engram.metadata) for engram in client.kept()] == [
            ("one", {}),
            ("tw", {"broken_off": True}),
        ]


def test_what_is_not_to_be_kept_is_taken_out(house: House) -> None:
    with house.client(clean=lambda text: text.replace("[note]", "").strip()) as client:
        writing = client.answer(client.ask(user("[note] one")), "[note]")
        client.settle()
        assert client.texts() == ["one"]
        assert client.receipt(writing).engrams == (client.kept()[0].id,)


# What cannot be kept.


def test_one_turn_that_is_refused_takes_no_other_with_it(house: House) -> None:
    with house.client() as client:
        with client.store.database.writing():  # so that all go in one group
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
        assert house.events.count("refused") == 1
        assert house.events.count("stored") == 3
        # It is known, and not tried again.
        thread = client.find(user("x" * (MAX_TEXT_BYTES + 1)), assistant("that was long"), user("next"))
        assert thread.new_indexes == (2,)


def test_a_message_is_kept_as_far_as_it_can_be(house: House) -> None:
    with house.client() as client:
        bad = said("user", "a\ud800b")
        client.answer(client.ask(user("one"), assistant("two"), bad), "three")
        client.settle()
        assert client.texts() == ["one", "two", "three"]


def test_a_locked_memory_is_waited_for(house: House) -> None:
    with house.client() as client:
        with house.locked():
            writing = client.answer(client.ask(user("one")), "two")
            wait_until(lambda: "retry" in house.events)
            assert client.receipt(writing).state == "accepted"
            assert client.recorder.unwritten() == 2
            assert client.recorder.drain(0.0) == 2
            futures = writing.futures()
            assert len(futures) == 2
            # What waits is known meanwhile.
            later = client.answer(client.ask(user("one"), assistant("two"), user("three")), "four")
            assert later.session == writing.session
        done(futures)
        client.settle()
        assert client.texts() == ["one", "two", "three", "four"]
        assert {client.receipt(one).state for one in (writing, later)} <= {"stored", "indexed"}


def test_a_locked_ledger_is_waited_for(house: House) -> None:
    with house.client() as client:
        with house.locked(".serve"):
            writing = client.answer(client.ask(user("one")), "two")
            wait_until(lambda: "retry" in house.events)
            assert client.receipt(writing).state == "accepted"
        client.settle()
        assert client.texts() == ["one", "two"]


def test_a_full_disk_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.client() as client:
        add, tries = client.memory.add, iter(range(2))

        def full(engrams: object) -> list[bool]:
            if next(tries, None) is not None:
                raise MemoryFull("the disk is full")
            return add(engrams)  # type: ignore[arg-type]

        monkeypatch.setattr(client.memory, "add", full)
        client.turn(user("one"), to="two")
        assert client.texts() == ["one", "two"]
        assert house.events.count("retry") == 2


def test_what_finds_no_room_is_refused_and_can_be_sent_again(house: House) -> None:
    with house.client(most_waiting=3) as client:
        with house.locked():
            first = client.answer(client.ask(user("one")), "two")
            second = client.ask(user("three"))
            third = client.ask(user("four"))
            client.answer(third, "five")
            assert client.recorder.unwritten() == 3
            assert third.futures() == []
            refused = client.receipt(third)
            assert (refused.state, refused.engrams) == ("refused", ())
            assert "too many" in str(refused.reason)
            assert house.events.count("overflow") == 2
            assert client.find(user("four")).new_indexes == (0,)
        client.settle()
        assert sorted(client.texts()) == ["one", "three", "two"]
        assert {client.receipt(one).state for one in (first, second)} <= {"stored", "indexed"}
        assert client.receipt(third).state == "refused"
        client.turn(user("four"), to="five")
        assert client.texts()[3:] == ["four", "five"]
    with house.client() as client:
        assert client.receipt(third).reason == refused.reason


def test_a_request_larger_than_the_queue_goes_in_alone(house: House) -> None:
    with house.client(most_waiting=2) as client:
        client.ask(*[said("user" if at % 2 == 0 else "assistant", f"text {at}") for at in range(9)])
        client.settle()
        assert len(client.texts()) == 9


def test_a_fault_of_our_own_refuses_the_group_and_the_next_is_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.client() as client:
        with monkeypatch.context() as broken:
            broken.setattr(client.memory, "add", lambda engrams: 1 // 0)
            writing = client.ask(user("one"))
            done(writing.futures())
            client.settle()
        assert house.events == ["refused"]
        client.turn(user("two"), to="three")
        assert client.texts() == ["two", "three"]


# At once.


def test_two_identical_requests_at_once_double_nothing(house: House) -> None:
    with house.client() as client:
        first, history = client.turn(user("one"), to="two")
        messages = [*history, user("three")]
        found = [client.find(*messages), client.find(*messages)]
        for thread in found:
            writing = client.recorder.accept(thread, messages, datetime.now(UTC), None, "serve")
            client.answer(writing, "four")
        client.settle()
        assert client.texts() == ["one", "two", "three", "four"]
        assert client.find(*messages, assistant("four"), user("five")).new_indexes == (4,)
        assert [engram.metadata for engram in client.kept()] == [{}] * 4
        receipt = client.receipt(writing)
        assert receipt.engrams == tuple(engram.id for engram in client.kept()[2:])
        assert receipt.session == first.session


def test_a_history_brought_along_twice_at_once_is_one(house: House) -> None:
    with house.client() as client:
        messages = [user("one"), assistant("two"), user("three")]
        found = [client.find(*messages), client.find(*messages)]
        for thread, answer in zip(found, ("four", "another four"), strict=True):
            client.answer(client.recorder.accept(thread, messages, datetime.now(UTC), None, "serve"), answer)
        client.settle()
        assert client.texts() == ["one", "two", "three", "four", "another four"]
        assert len({engram.session for engram in client.kept()}) == 1


def test_many_talk_at_once(house: House) -> None:
    with house.client() as client:
        problems: list[BaseException] = []

        def talk(number: int) -> None:
            try:
                history = [user("Hello, it is me.")]
                for turn in range(8):
                    writing = client.answer(client.ask(*history), f"reply {number} {turn}")
                    done(writing.futures())
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
        for engram in client.kept():
            sessions.setdefault(engram.session, []).append(engram.text)
        assert sorted(map(len, sessions.values())) == [17] * 12
        for texts in sessions.values():
            number = texts[1].split()[1]
            said = [text for turn in range(8) for text in (f"reply {number} {turn}", f"message {number} {turn}")]
            assert texts == ["Hello, it is me.", *said]
        waiting = client.store.pending
        assert (waiting.nodes, waiting.children, waiting.receipts, waiting.notes) == ({}, {}, {}, {})


# Ending, and being killed.


def test_closing_writes_what_waits(house: House) -> None:
    with house.client() as client:
        with client.store.database.writing():
            writing = client.answer(client.ask(user("one")), "two")
            closer = threading.Thread(target=client.recorder.close)
            closer.start()
        closer.join(PATIENCE)
        assert client.texts() == ["one", "two"]
        late = client.ask(user("late"))
        assert late.futures() == []
        assert client.receipt(late).state == "refused"
        assert client.receipt(writing).state != "accepted"


def test_closing_does_not_wait_for_a_locked_memory(house: House) -> None:
    with house.client() as client, house.locked():
        writing = client.ask(user("one"))
        futures = writing.futures()
        client.recorder.close()
        done(futures)
        assert client.recorder.drain(0.0) == 1
        assert client.receipt(writing).state == "accepted"
    with house.client() as client:
        wait_until(lambda: client.receipt(writing).state == "refused")
        assert "sent again" in str(client.receipt(writing).reason)
        client.turn(user("one"), to="two")
        assert client.texts() == ["one", "two"]


def test_what_was_stored_and_not_noted_is_noted_at_the_start(house: House) -> None:
    with house.client() as client:
        writing, history = client.turn(user("one"), to="two")
        with client.store.database.writing():
            pass
    db = sqlite3.connect(f"{house.path}.serve")
    db.execute("UPDATE nodes SET state = 0")
    db.execute("UPDATE receipts SET state = 0, stored = NULL")
    db.commit()
    db.close()
    with house.client() as client:
        wait_until(lambda: client.receipt(writing).state != "accepted")
        assert client.store.unfinished() == []
        client.memory.forget(id=client.kept()[0].id)
        client.turn(*history, user("three"), to="four")
        assert client.texts() == ["two", "three", "four"]


def test_whenever_it_is_killed_nothing_stored_is_lost_and_nothing_is_doubled(tmp_path: Path) -> None:
    memory, log = tmp_path / "memory.db", tmp_path / "log"
    log.touch()
    chance = random.Random(7)
    for _ in range(12):
        child = run_child(memory, log, 0)
        opened = {"open": child.pid}
        wait_until(lambda child=child, opened=opened: opened in entries(log) or child.poll() is not None)
        time.sleep(chance.random() * 0.2)
        assert child.poll() is None, "it ended by itself"
        child.kill()
        child.wait()
        lose_torn_line(log)
        check(memory, log, finished=False)
    child = run_child(memory, log, 2)
    assert child.wait(PATIENCE) == 0
    check(memory, log, finished=True)


@pytest.mark.parametrize("step", ["_mark_accepted", "_write_engrams", "_mark_stored", "_remove_pending"])
def test_killed_between_any_two_steps_nothing_is_lost_or_doubled(tmp_path: Path, step: str) -> None:
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
        kept = list(opened.engrams(namespace="ana"))
    assert stored <= {engram.id for engram in kept}
    texts = [engram.text for engram in kept]
    assert len(texts) == len(set(texts))
    sessions = {tuple(engram.text.split()[:2]): engram.session for engram in kept}
    assert all(sessions[tuple(engram.text.split()[:2])] == engram.session for engram in kept)
    assert all(engram.metadata == {} for engram in kept)
    if finished:
        assert sorted(texts) == sorted(one.text for history in histories(str(log)) for one in history)
