"""The store in RAM passes all suites."""

from __future__ import annotations

import pytest

from engram.store.base import LoggedStore
from engram.store.memory import MemoryStore
from tests.store.conformance import DocumentSuite, LogSuite, PolicySuite, StoreSuite


class TestMemoryStore(StoreSuite, PolicySuite, DocumentSuite, LogSuite):
    @pytest.fixture
    def store(self) -> LoggedStore:
        return MemoryStore()
