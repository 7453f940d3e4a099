"""Function tools with which a model manages its own memory: core blocks, past turns and an archive.

from engram import Memory
from engram.tools import MemoryTools

tools = MemoryTools(Memory("assistant.db"), namespace="ana")
tools.definitions("openai")  # for the request's `tools`
tools.call("engram_core_append", '{"block": "user", "text": "Ana has a dog called Biscuit."}')
"""

from engram.tools.blocks import CORE_PREFIX
from engram.tools.functions import PROVIDERS, Provider
from engram.tools.memory_tools import MemoryTools

__all__ = ["CORE_PREFIX", "PROVIDERS", "MemoryTools", "Provider"]
