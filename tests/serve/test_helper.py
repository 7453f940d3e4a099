"""Recall in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engram.errors import MemoryClosed
from engram.memory import Memory
from engram.serve import helper
from engram.serve.helper import RecallProcess

from .conftest import wait_until


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("My dog is called Biscuit.", namespace="ana")
        memory.remember("My cat is called Plum.", namespace="bo")
        yield memory


@pytest.fixture
def recalls(memory: Memory) -> Iterator[RecallProcess]:
    recalls = RecallProcess(memory)
    yield recalls
    recalls.close()


def ready(recalls: RecallProcess) -> bool:
    """Whether the process answers; until then recall runs in this one."""
    recalls.recall("dog", "ana", 1)
    return recalls._ready


def texts(recalls: RecallProcess, query: str, namespace: str) -> list[str]:
    return [hit.engram.text for hit in recalls.recall(query, namespace, 5)]


def test_it_answers_as_the_memory_does_at_once_and_when_it_is_up(memory: Memory, recalls: RecallProcess) -> None:
    expected = list(memory.recall("What is my dog called?", namespace="ana", limit=5))
    assert list(recalls.recall("What is my dog called?", "ana", 5)) == expected
    wait_until(lambda: ready(recalls), "the process")
    assert list(recalls.recall("What is my dog called?", "ana", 5)) == expected
    assert texts(recalls, "What is my dog called?", "bo") == ["My cat is called Plum."]
    assert texts(recalls, "xylophone", "ana") == []


def test_it_sees_what_is_remembered_and_forgotten_later(memory: Memory, recalls: RecallProcess) -> None:
    wait_until(lambda: ready(recalls), "the process")
    engram = memory.remember("The vet of my dog is in Ghent.", namespace="ana")
    assert engram.text in texts(recalls, "vet of the dog", "ana")
    memory.forget(id=engram.id)
    assert engram.text not in texts(recalls, "vet of the dog", "ana")


def test_when_it_is_killed_recall_goes_on_and_it_is_started_again(
    memory: Memory, recalls: RecallProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "PAUSE", 0.0)
    wait_until(lambda: ready(recalls), "the process")
    first = recalls.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert texts(recalls, "dog", "ana") == ["My dog is called Biscuit."]
    wait_until(lambda: ready(recalls), "the process")
    assert recalls.pid not in (None, first)


def test_its_errors_are_those_of_the_memory(memory: Memory, recalls: RecallProcess) -> None:
    wait_until(lambda: ready(recalls), "the process")
    with pytest.raises(ValueError, match="limit is 0"):
        recalls.recall("dog", "ana", 0)
    assert texts(recalls, "dog", "ana") == ["My dog is called Biscuit."]
    recalls.close()
    memory.close()
    with pytest.raises(MemoryClosed):
        recalls.recall("dog", "ana", 1)


def test_it_ends_with_the_server(recalls: RecallProcess) -> None:
    wait_until(lambda: ready(recalls), "the process")
    process = recalls._process
    assert process is not None
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert texts(recalls, "dog", "ana") == ["My dog is called Biscuit."]
    recalls.close()
    assert process.returncode == 0
    recalls.close()


def test_a_memory_in_ram_is_asked_here() -> None:
    with Memory(":memory:") as memory:
        memory.remember("My dog is called Biscuit.", namespace="ana")
        recalls = RecallProcess(memory)
        assert texts(recalls, "dog", "ana") == ["My dog is called Biscuit."]
        assert recalls.pid is None
        recalls.close()
