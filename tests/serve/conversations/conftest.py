"""The client of the tests of conversations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.serve.conversations.log import ConversationStore
from engram.serve.conversations.recorder import Recorder
from engram.serve.database import ServerDatabase

from .talking import Client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Yield a client of a memory in a file, with its server database."""
    with ExitStack() as stack:
        memory = stack.enter_context(Memory(tmp_path / "memory.db"))
        store = ConversationStore(stack.enter_context(ServerDatabase(tmp_path / "memory.db.serve")))
        recorder = Recorder(memory, store, on_event=lambda event: None)
        stack.callback(recorder.close)
        yield Client(memory, store, recorder)
