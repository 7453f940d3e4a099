"""The forms of the three APIs: what their requests and replies say, and how notes are put into a request.

Knows nothing of memory, of connections, nor of where a body comes from: bytes in, data out, and bytes again.
"""

from engram.serve.wire.base import Collector, Piece, Reply, Request, Said, Wire
from engram.serve.wire.chat import CHAT
from engram.serve.wire.messages import MESSAGES
from engram.serve.wire.responses import RESPONSES

__all__ = ["CHAT", "MESSAGES", "RESPONSES", "Collector", "Piece", "Reply", "Request", "Said", "Wire"]
