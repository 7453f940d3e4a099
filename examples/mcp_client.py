"""Call the memory's MCP tools as an agent does: the client starts `engram mcp` and talks to it over stdin and stdout.

Install:  pip install 'engram-layer[serve]'
Run:      python examples/mcp_client.py      (creates example.db in the current folder)
"""

import asyncio
import sys

from mcp import Client, StdioServerParameters

SERVER = StdioServerParameters(
    command=sys.executable, args=["-m", "engram", "mcp", "--memory", "example.db", "--namespace", "ana"]
)


async def main() -> None:
    """Remember one text, and recall it."""
    async with Client(SERVER) as client:
        tools = await client.list_tools()
        print("tools:", ", ".join(tool.name for tool in tools.tools))
        await client.call_tool("remember", {"text": "My dog is called Biscuit.", "speaker": "Ana"})
        result = await client.call_tool("recall", {"query": "What is my dog called?"})
        for passage in result.structured_content["passages"]:
            print(f"{passage['score']:.2f}  {passage['text']}")


asyncio.run(main())
