"""The forms of the three APIs: what their requests and replies say, and how notes are put into a request.

Knows nothing of memory, of connections, nor of where a body comes from: bytes in, data out, and bytes again.
"""

from engram.serve.wire.anthropic_messages import MESSAGES
from engram.serve.wire.base import ChatMessage, Collector, MessagePart, Reply, Request, Wire
from engram.serve.wire.openai_chat import CHAT
from engram.serve.wire.openai_responses import RESPONSES

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "ChatMessage", "Collector", "MessagePart", "Reply", "Request", "Wire"]
