"""The recall worker process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engram.errors import EngramError, MemoryClosed
from engram.memory import Memory
from engram.notes.injection import wording_for
from engram.search.base import Encoded
from engram.serve.proxy import recall_worker
from engram.serve.proxy.recall_request import NoteFinder, Notes, RecallRequest
from engram.serve.proxy.recall_worker import RecallProcess, WorkerLost
from tests.serve.conftest import wait_until

T = TypeVar("T")

WORDING = wording_for(embedded=False, budget=512, notes=5, least_score=0.0)


class Asker:
    """Calls a `RecallProcess` on a separate event loop, as a server does."""

    def __init__(self, memory: Memory) -> None:
        self.here = NoteFinder(memory, WORDING)
        self._threads = ThreadPoolExecutor(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.recalls = RecallProcess(memory, WORDING, self._threads)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def notes(self, request: RecallRequest, seconds: float = 30.0) -> Notes:
        return self.run(self.recalls.notes(request, time.monotonic() + seconds))

    def text(self, cue: str, namespace: str) -> str:
        return self.notes(question(cue, namespace)).texts.get(0, "")

    def at_once(self, questions: list[RecallRequest], seconds: float = 30.0) -> list[Notes | BaseException]:
        async def ask() -> list[Notes | BaseException]:
            until = time.monotonic() + seconds
            return await asyncio.gather(*(self.recalls.notes(q, until) for q in questions), return_exceptions=True)

        return self.run(ask())

    def written(self) -> None:
        async def tell() -> None:
            self.recalls.written()

        self.run(tell())

    def ready(self) -> bool:
        """Return whether the worker is ready; a recall starts it if it is missing."""
        with suppress(WorkerLost):
            self.text("dog", "ana")
        return self.recalls.ready

    def close(self) -> None:
        self.run(self.recalls.close())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._threads.shutdown()


def question(cue: str | None, namespace: str, **fields: Any) -> RecallRequest:
    """Return the recall request of a chat request with one message."""
    given: dict[str, Any] = {
        "earlier_notes": {},
        "texts": {0: cue or ""},
        "held_ids": frozenset(),
        "held_texts": [],
    }
    return RecallRequest(namespace=namespace, last=0, query=cue, **(given | fields))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("My dog is called Biscuit.", namespace="ana")
        memory.remember("My cat is called Plum.", namespace="bo")
        yield memory


@pytest.fixture
def asker(memory: Memory) -> Iterator[Asker]:
    asker = Asker(memory)
    yield asker
    asker.close()


def test_what_the_worker_encodes_reaches_the_memory(
    memory: Memory, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[Encoded]()
    monkeypatch.setattr(asker.recalls, "_take_encoded", taken.append)
    wait_until(asker.ready, "the worker")
    memory.remember("My canary is called Pip.", namespace="ana")
    assert "Pip" in asker.text("What is my canary called?", "ana")
    wait_until(lambda: bool(taken), "what the worker has encoded")
    assert all(len(codes) == 1 for codes in taken[-1].codes.values())


def test_recall_is_the_same_before_and_after_the_worker_is_ready(asker: Asker) -> None:
    request = question("What is my dog called?", "ana")
    expected = asker.here.notes(request)
    assert "Biscuit" in expected.texts[0]
    assert expected.recalled
    assert asker.notes(request) == expected
    wait_until(asker.ready, "the process")
    assert asker.notes(request) == expected
    assert "Plum" in asker.text("What is my cat called?", "bo")
    assert asker.text("xylophone", "ana") == ""


def test_earlier_notes_are_returned_by_id(asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    (id,) = asker.notes(question("What is my dog called?", "ana")).recalled
    again = asker.notes(question(None, "ana", earlier_notes={0: (id,)}))
    assert again.recalled == (id,)
    assert "Biscuit" in again.texts[0]
    assert asker.notes(question(None, "bo", earlier_notes={0: (id,)})).texts == {}


def test_concurrent_requests_get_their_answers(asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    questions = [question(f"What is my {pet} called?", who) for pet, who in [("dog", "ana"), ("cat", "bo")] * 20]
    expected = [asker.here.notes(request) for request in questions]
    assert expected[0] != expected[1]
    assert asker.at_once(questions) == expected


def test_expired_requests_are_not_answered(asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    (late,) = asker.at_once([question("dog", "ana")], seconds=-1.0)
    assert isinstance(late, EngramError)
    assert "Biscuit" in asker.text("dog", "ana")


def test_the_worker_sees_later_writes_and_deletes(memory: Memory, asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    engram = memory.remember("The vet of my dog is in Ghent.", namespace="ana")
    asker.written()
    assert "Ghent" in asker.text("vet of the dog", "ana")
    memory.forget(id=engram.id)
    assert "Ghent" not in asker.text("vet of the dog", "ana")


def test_a_killed_worker_is_restarted_and_recall_continues(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_worker, "PAUSE", 0.0)
    wait_until(asker.ready, "the process")
    first = asker.recalls.pid
    assert first is not None
    monkeypatch.setattr(asker.recalls, "_finder", None)  # recall in this process would raise another error
    os.kill(first, signal.SIGKILL)
    with pytest.raises(WorkerLost, match="recall worker was lost"):
        asker.text("dog", "ana")
    wait_until(asker.ready, "the process")
    assert asker.recalls.pid not in (None, first)
    assert "Biscuit" in asker.text("dog", "ana")


def test_pending_requests_fail_when_the_worker_is_killed_and_do_not_run_in_the_server(asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    process = asker.recalls.pid
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (process, signal.SIGKILL)).start()
    answers = asker.at_once([question("dog", "ana")] * 5)
    assert [type(answer) for answer in answers] == [WorkerLost] * 5


def test_a_hanging_worker_is_killed(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_worker, "PATIENCE", 0.3)
    wait_until(asker.ready, "the process")
    process = asker.recalls.pid
    assert process is not None
    os.kill(process, signal.SIGSTOP)

    async def briefly() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asker.recalls.notes(question("dog", "ana"), time.monotonic() + 0.1), 0.1)

    asker.run(briefly())
    time.sleep(0.3)
    with pytest.raises(WorkerLost, match="is restarted"):
        asker.text("dog", "ana")
    wait_until(lambda: asker.recalls.pid != process, "its end")


def test_errors_of_the_worker_are_returned_and_do_not_end_it(memory: Memory, asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    process = asker.recalls.pid
    no_text: Any = 5
    with pytest.raises(EngramError, match="recall failed: TypeError"):
        asker.text(no_text, "ana")
    assert asker.recalls.pid == process
    assert "Biscuit" in asker.text("dog", "ana")
    asker.run(asker.recalls.close())
    memory.close()
    with pytest.raises(MemoryClosed):
        asker.text("dog", "ana")


def test_the_worker_ignores_signals_and_ends_with_the_server(asker: Asker) -> None:
    wait_until(asker.ready, "the process")
    process = asker.recalls._process
    assert process is not None
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert "Biscuit" in asker.text("dog", "ana")
    assert asker.recalls.pid == process.pid
    asker.run(asker.recalls.close())
    assert process.returncode == 0
    asker.run(asker.recalls.close())


BUSY = """
from engram.serve.proxy import recall_worker

class Busy:
    def __init__(self, memory, wording): pass

    def notes(self, request):
        while True:
            pass

recall_worker.NoteFinder = Busy
recall_worker.main()
"""


def test_a_worker_in_the_middle_of_a_recall_ends_with_the_server(memory: Memory) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", BUSY, str(theirs.fileno()), memory.path]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        ours.settimeout(30)
        ours.sendall(recall_worker.framed(WORDING))
        received = bytearray(ours.recv(1 << 16))
        assert recall_worker.next_message(received) == recall_worker.READY
        ours.sendall(recall_worker.framed((question("dog", "ana"), time.monotonic() + 30)))
        time.sleep(0.2)
        assert process.poll() is None
    assert process.wait(30) == 1


def test_a_memory_in_ram_needs_no_worker() -> None:
    with Memory(":memory:") as memory:
        memory.remember("My dog is called Biscuit.", namespace="ana")
        asker = Asker(memory)
        assert "Biscuit" in asker.text("dog", "ana")
        assert asker.recalls.pid is None
        asker.close()
