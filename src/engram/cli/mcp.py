"""`engram mcp`: a memory as tools for an agent, over stdin and stdout."""

from __future__ import annotations

import typer

from engram.cli.options import MemoryPath, Namespace, opened
from engram.engram import DEFAULT_NAMESPACE


def mcp(namespace: Namespace = DEFAULT_NAMESPACE, memory: MemoryPath = None) -> None:
    """Offer a memory to an agent as MCP tools, over stdio.

    For clients that start it themselves, as Claude Code and Cursor do. The tools are remember, recall, forget and list;
    they see this one namespace only. It ends when its input does.

    Example:
      claude mcp add engram -- engram mcp --namespace ana
      engram mcp --memory assistant.db
    """
    import anyio

    from engram.serve.api.caller import Caller
    from engram.serve.api.mcp import make_server, serve_stdio
    from engram.serve.auth.access import Access, check_namespace

    check_namespace(namespace)
    caller = Caller(Access(key_id=None, default=namespace, read=True, write=True, erase=True, admin=False))
    with opened(memory, make=True) as kept:
        interrupted = anyio.run(serve_stdio, make_server(kept, caller=lambda: caller))
    if interrupted:
        raise typer.Abort
