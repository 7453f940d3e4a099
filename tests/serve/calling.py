"""A call of a tool at /mcp by the real client, and of the command that makes keys."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from engram.cli import main

from .conftest import PATIENCE, TLS, RunningServer


def call(
    server: RunningServer, tool: str, key: str | None = None, **arguments: object
) -> tuple[bool, str, dict[str, Any]]:
    """Call a tool; return whether it succeeded, the text of its result, and the result's values ({} if it failed)."""

    async def called() -> Any:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False, verify=TLS) as http:
            async with Client(streamable_http_client(server.url + "/mcp", http_client=http)) as client:
                return await client.call_tool(tool, arguments)

    result = asyncio.run(called())
    (content,) = result.content
    return not result.is_error, content.text, dict(result.structured_content or {})


def keys(memory: Path, *arguments: str) -> dict[str, Any]:
    """Run `engram keys` in this process; return what it prints."""
    stdout = io.StringIO()
    with redirect_stdout(stdout):
        code = main(["keys", *arguments, "--memory", str(memory), "--json"])
    assert code == 0, stdout.getvalue()
    printed: dict[str, Any] = json.loads(stdout.getvalue())
    return printed
