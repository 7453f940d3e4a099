"""The ways by which a text comes into the memory of a running server, each by its real surface."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import httpx
from mcp import Client

from engram.cli import main
from engram.memory import Memory
from engram.serve.api.mcp import make_server
from engram.serve.auth.access import Access
from engram.serve.caller import Caller
from tests.serve.conftest import LocalServer
from tests.serve.upstream import Upstream

ORIGIN = {
    "user": "user",
    "pasted": "user",
    "rest": "program",
    "import": "import",
    "assistant": "assistant",
    "mcp": "agent",
    "attachment": "document",
    "tool": "tool",
}
"""For each way the origin that a text gets by it."""

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


class Ways:
    """A server with its scripted model, and a second handle on its memory for what comes from other processes."""

    def __init__(self, server: LocalServer, upstream: Upstream, memory: Memory, folder: Path) -> None:
        self.server, self.upstream, self.memory, self.folder = server, upstream, memory, folder
        self._receipts: list[tuple[str, str]] = []
        self._send: Mapping[str, Callable[[str, str], None]] = {
            "user": self._user,
            "pasted": self._pasted,
            "rest": self._rest,
            "assistant": self._assistant,
            "mcp": self._mcp,
            "tool": self._tool,
        }

    def send(self, way: str, namespace: str, text: str) -> None:
        """Bring `text` into a namespace; it is stored when this returns."""
        self.send_all(way, [(namespace, text)])

    def send_all(self, way: str, texts: Sequence[tuple[str, str]]) -> None:
        """Bring texts into their namespaces; they are stored when this returns. Files hold all texts at once."""
        if way == "import":
            self._import(texts)
        elif way == "attachment":
            self._attach(texts)
        else:
            for namespace, text in texts:
                self._send[way](namespace, text)
        while self._receipts:
            namespace, receipt = self._receipts.pop()
            self.server.settled(receipt, **{"X-Engram-Namespace": namespace})

    def _import(self, texts: Sequence[tuple[str, str]]) -> None:
        turns = [
            {"namespace": namespace, "text": text, "role": "user", "speaker": "Ana", "origin": "user"}
            for namespace, text in texts
        ]
        self._run_import("".join(json.dumps(turn) + "\n" for turn in turns))

    def ask(self, namespace: str, question: str) -> httpx.Response:
        """Ask in a new conversation, which is not remembered; upstream's last request is what the model would see."""
        return self._chat(namespace, [{"role": "user", "content": question}], **{"X-Engram": "read"})

    def stored(self, namespace: str) -> list[dict[str, object]]:
        """Return the engrams of a namespace, those in quarantine too."""
        found: list[dict[str, object]] = []
        for path in ("/memory/engrams", "/memory/quarantine"):
            answer = self.server.http.get(path, params={"namespace": namespace, "limit": 100})
            found += answer.json().get("engrams", [])
        return found

    def _chat(self, namespace: str, messages: list[dict[str, object]], **headers: str) -> httpx.Response:
        answer = self.server.http.post(
            "/v1/chat/completions",
            json={"model": "plain", "messages": messages},
            headers={"X-Engram-Namespace": namespace, **headers},
        )
        assert answer.status_code == 200, answer.text
        return answer

    def _told(self, namespace: str, messages: list[dict[str, object]]) -> None:
        self._receipts.append((namespace, self._chat(namespace, messages).headers["x-engram-receipt"]))

    def _user(self, namespace: str, text: str) -> None:
        self._told(namespace, [{"role": "user", "content": text}])

    def _pasted(self, namespace: str, text: str) -> None:
        self._user(namespace, f"What do you make of this page?\n\n{text}")

    def _assistant(self, namespace: str, text: str) -> None:
        usual, self.upstream.reply = self.upstream.reply, text
        self._user(namespace, "Tell me something.")
        self.upstream.reply = usual

    def _tool(self, namespace: str, text: str) -> None:
        call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        result = {"role": "tool", "tool_call_id": CALL["id"], "content": text}
        self._told(namespace, [{"role": "user", "content": "Please look."}, call, result])

    def _rest(self, namespace: str, text: str) -> None:
        answer = self.server.http.post("/memory/remember", json={"namespace": namespace, "text": text, "role": "user"})
        assert answer.status_code == 201, answer.text

    def _mcp(self, namespace: str, text: str) -> None:
        access = Access(key_id=None, default=namespace, read=True, write=True, erase=True, admin=False)

        async def remember() -> None:
            async with Client(make_server(self.memory, caller=lambda: Caller(access))) as client:
                result = await client.call_tool("remember", {"text": text, "role": "user", "speaker": "Ana"})
                assert not result.is_error, result

        asyncio.run(remember())

    def _attach(self, texts: Sequence[tuple[str, str]]) -> None:
        """Import exports of conversations with attachments: one file for each namespace."""
        for namespace in dict.fromkeys(name for name, _ in texts):
            messages = [
                {"uuid": f"{namespace} {number}", "sender": "human", "text": "Look at this.", "attachments": [attached]}
                for number, attached in enumerate(
                    {"file_name": "page.txt", "extracted_content": text} for name, text in texts if name == namespace
                )
            ]
            tree = {"uuid": f"of {namespace}", "name": "Pages", "chat_messages": messages}
            self._run_import(json.dumps([tree]), "--namespace", namespace)

    def _run_import(self, content: str, *options: str) -> None:
        file = self.folder / "import.json"
        file.write_text(content, "utf-8")
        with redirect_stdout(io.StringIO()) as output:
            code = main(["import", str(file), *options, "--memory", str(self.server.memory)])
        assert code == 0, output.getvalue()
