"""Engram: the memory layer that language models are missing.

from engram import Memory

memory = Memory("assistant.db")
memory.remember("My dog is called Biscuit.", namespace="ana")
memory.recall("What is my dog called?", namespace="ana")
"""

from typing import TYPE_CHECKING

from engram.documents import Document, DocumentInfo
from engram.engram import Engram
from engram.memory import Memory, Stats
from engram.recall.result import Explanation, Hit, Recall
from engram.state import AgentState
from engram.store.policy import Policy

__all__ = [
    "AgentState",
    "Document",
    "DocumentInfo",
    "Engram",
    "Explanation",
    "Hit",
    "Memory",
    "Policy",
    "Recall",
    "Stats",
    "__version__",
]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """`__version__`, looked up when it is first used: reading the metadata takes 20 to 30 ms."""
        if name != "__version__":
            raise AttributeError(f"module 'engram' has no attribute {name!r}")
        from engram.installation import version

        globals()["__version__"] = version()
        return globals()["__version__"]
