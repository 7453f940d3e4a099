"""Engram: the memory layer that language models are missing.

from engram import Memory

memory = Memory("assistant.db")
memory.remember("My dog is called Biscuit.", namespace="ana")
memory.recall("What is my dog called?", namespace="ana")
"""

from engram.engram import Engram
from engram.memory import Memory, Stats
from engram.recall.result import Explanation, Hit, Recall

__version__ = "0.1.0"

__all__ = ["Engram", "Explanation", "Hit", "Memory", "Recall", "Stats", "__version__"]
