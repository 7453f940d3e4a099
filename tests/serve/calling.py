"""A tool of /mcp, called by the real client; and a key, made by the real command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from .conftest import PATIENCE, Server


def call(server: Server, tool: str, key: str | None = None, **arguments: object) -> tuple[bool, str, dict[str, Any]]:
    """Whether a tool did it, the text of its answer, and the answer as values (nothing if it did not)."""

    async def called() -> Any:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False) as http:
            async with Client(streamable_http_client(server.url + "/mcp", http_client=http)) as client:
                return await client.call_tool(tool, arguments)

    result = asyncio.run(called())
    (content,) = result.content
    return not result.is_error, content.text, dict(result.structured_content or {})


def keys(memory: Path, *arguments: str) -> dict[str, Any]:
    """What `engram keys` answers."""
    command = [sys.executable, "-m", "engram", "keys", *arguments, "--memory", str(memory), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
