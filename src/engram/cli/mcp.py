"""`engram mcp`: a memory as tools for an agent, over stdin and stdout."""

from __future__ import annotations

import anyio
import typer

from engram.cli.options import EncoderName, MemoryPath, Namespace, Redact, Timezone, open_memory
from engram.cli.reading import reading
from engram.engram import DEFAULT_NAMESPACE
from engram.notes.zones import MACHINE
from engram.serve.api.mcp import make_server
from engram.serve.auth.access import Access
from engram.serve.auth.keys import check_namespace
from engram.serve.caller import Caller
from engram.serve.stdio import serve_stdio


def mcp(
    namespace: Namespace = DEFAULT_NAMESPACE,
    timezone: Timezone = MACHINE,
    redact: Redact = "",
    path: MemoryPath = None,
    encoder: EncoderName = None,
) -> None:
    """Offer a memory to an agent as MCP tools, over stdio.

    For clients that start the server as a process, as Claude Code and Cursor do. The tools are
    remember, recall, forget, list, facts, profile, summary, arcs, arc and working, and state_get,
    state_set and four more
    for the agent's own documents (engram state). They see this one namespace only. Calls run one
    after the other, in the order in which they came. The server ends when its input ends and every
    request is answered.

    Example:
      claude mcp add engram -- engram mcp --namespace ana
      engram mcp --memory assistant.db
    """
    check_namespace(namespace)
    access = Access(key_id=None, default=namespace, read=True, write=True, erase=True, admin=False)
    caller = Caller(access, zone=timezone)
    with open_memory(path, create=True, redact=redact) as memory, reading(memory):
        interrupted = anyio.run(serve_stdio, make_server(memory, caller=lambda: caller, at_once=1))
    if interrupted:
        raise typer.Abort
