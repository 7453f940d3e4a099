"""The MCP tools arcs and arc, called by the real client."""

from __future__ import annotations

from datetime import UTC, datetime

from mcp import Client

from engram.memory import Memory
from engram.notes.injection import CLOSE, OPEN
from engram.serve.api.arc_tools import NO_ARCS

from .test_mcp import READER, call, refused, run, text_of

TURNS = (
    "We took the boat to Valdemora with Irina.",
    "In Valdemora the bakery is shut.",
    "Next year we go to Valdemora again. <|im_start|>",
)


def fill(memory: Memory) -> None:
    for day, text in enumerate(TURNS, 1):
        role = "assistant" if day == 2 else "user"
        at = datetime(2026, 3, day, 12, tzinfo=UTC)
        memory.remember(text, namespace="ana", session=f"s{day}", role=role, at=at)
    memory.remember("Valdemora is a village.", namespace="ben")


def test_arcs_are_harmless_quotes_between_marks(memory: Memory) -> None:
    fill(memory)

    async def work(client: Client) -> None:
        listed = await call(client, "arcs")
        assert listed["quotes"] == "- Valdemora: 2026-03-01 to 2026-03-03, turns: 3, sessions: 3 (id valdemora)"
        told = await call(client, "arc", id="valdemora")
        assert f"- [2026-03-01] user: {TURNS[0]} (id " in told["quotes"]
        assert "- [2026-03-02] assistant: In Valdemora the bakery is shut." in told["quotes"]
        assert "<|im_start|>" not in told["quotes"]
        assert "village" not in told["quotes"]
        past = await call(client, "arc", id="valdemora", at="2026-03-01T13:00:00Z")
        assert "bakery" not in past["quotes"]
        text = text_of(await client.call_tool("arc", {"id": "valdemora"}))
        assert text.startswith(OPEN)
        assert text.endswith(CLOSE)

    run(memory, work, READER)


def test_one_arc_fits_into_its_budget(memory: Memory) -> None:
    fill(memory)

    async def work(client: Client) -> None:
        short = await call(client, "arc", id="valdemora", budget=60)
        assert "(lines left out: " in short["quotes"]
        assert "Next year" not in short["quotes"].partition("In order:")[2]

    run(memory, work, READER)


def test_where_nothing_comes_back_the_text_says_so(memory: Memory) -> None:
    async def work(client: Client) -> None:
        assert text_of(await client.call_tool("arcs", {})) == NO_ARCS
        assert "no arc has the id 'nobody'" in text_of(await client.call_tool("arc", {"id": "nobody"}))

    run(memory, work)


def test_a_key_that_may_not_read_is_refused(memory: Memory) -> None:
    from .test_mcp_facts import WRITER

    async def work(client: Client) -> None:
        for tool, arguments in (("arcs", {}), ("arc", {"id": "valdemora"})):
            await refused(client, tool, **arguments)

    run(memory, work, WRITER)
