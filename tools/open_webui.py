"""Runs the real Open WebUI in front of Engram, with nothing changed but the URL, and checks what the memory holds.

python tools/open_webui.py                (installs Open WebUI into a new environment: 3 GB of disk, some minutes)
python tools/open_webui.py --venv FOLDER  (uses an environment that holds it, or makes it there)

Two users chat through Open WebUI's own API as its page does: with titles, tags and follow-ups on, one of them with a
file attached. The model behind Engram is scripted. The memory must hold what the two typed and were answered, and
nothing else. Not part of CI: it needs the package index. Open WebUI finds the passages of a file with a model that it
downloads; the script runs without that model, so whole files are put into the prompt
(BYPASS_EMBEDDING_AND_RETRIEVAL), in the same template.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx

TORCH = "torch==2.13.0"
"""Installed first: Open WebUI names no version of it, and the newest may bring CUDA along."""

PATIENCE = 300.0
"""Seconds that a step may take."""

ANSWERS = {
    "My dog is called Biscuit.": "What a good name for a dog.",
    "How many pots does the greenhouse hold?": "The greenhouse holds 61 pots.",
    "And what is my dog called?": "Your dog is called Biscuit.",
    "I moor my boat at Ullapool.": "A fine harbour.",
    "Which harbour was that?": "That was Ullapool.",
}
"""What the users type, and what the model answers. A task gets the answer of `TASK`."""

TASK = '{"title": "A chat", "tags": ["General"], "follow_ups": ["And then?"], "queries": []}'
TASKS = {"title_generation": True, "tags_generation": True, "follow_up_generation": True}

T = TypeVar("T")


def main() -> None:
    """Run the check. Exits with 1 if the memory holds anything else than what was said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, help="the environment with Open WebUI; made if it is missing")
    given = parser.parse_args().venv
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engram-open-webui-")))
        program = installed(given or folder / "venv")
        model, requests = stack.enter_context(scripted_model())
        engram = stack.enter_context(engram_server(folder / "memory.db", model))
        page = stack.enter_context(open_webui(program, folder / "data", engram))
        chat_as_two_users(page)
        kept = wait_for(lambda: settled(engram), "the memory")
    report(kept, requests)


def installed(venv: Path) -> Path:
    """Return the program `open-webui` of an environment; install it if it is missing."""
    program = venv / "bin" / "open-webui"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        for package in (TORCH, "open-webui"):
            print(f"installing {package}")
            subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", package], check=True)
    return program


# The three servers.


@contextmanager
def scripted_model() -> Iterator[tuple[str, list[str]]]:
    """Run the model's API; yield its base URL, and the list of the last messages that it was sent."""
    requests: list[str] = []

    class Model(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Write no log."""

        def do_GET(self) -> None:
            self.answer(json.dumps({"object": "list", "data": [{"id": "scripted", "object": "model"}]}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = text_of(body["messages"][-1])
            requests.append(asked)
            said = TASK if asked.startswith("### Task:") and "<chat_history>" in asked else answer_to(asked)
            head = {"id": "c", "created": 1, "model": "scripted"}
            if not body.get("stream"):
                choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": said}}
                choice["finish_reason"] = "stop"
                self.answer(json.dumps({**head, "object": "chat.completion", "choices": [choice]}))
                return
            deltas: list[tuple[dict[str, str], str | None]] = [({"content": word}, None) for word in pieces(said)]
            events = [
                {"index": 0, "delta": delta, "finish_reason": reason} for delta, reason in [*deltas, ({}, "stop")]
            ]
            chunks = [{**head, "object": "chat.completion.chunk", "choices": [event]} for event in events]
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
            self.answer("".join([*lines, "data: [DONE]\n\n"]), "text/event-stream")

        def answer(self, content: str, content_type: str = "application/json") -> None:
            """Send a whole response."""
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", requests
        server.shutdown()


@contextmanager
def engram_server(memory: Path, model: str) -> Iterator[str]:
    """Run `engram serve`; yield its URL."""
    command = [sys.executable, "-m", "engram", "serve", "--memory", str(memory), "--port", "0", "--upstream", model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = next(json.loads(line)["url"] for line in process.stderr if '"listening"' in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield str(url)
        finally:
            process.terminate()


@contextmanager
def open_webui(program: Path, data: Path, engram: str) -> Iterator[httpx.Client]:
    """Run Open WebUI; yield a client of it."""
    data.mkdir()
    port = free_port()
    environment = {
        "OPENAI_API_BASE_URL": f"{engram}/v1",
        "OPENAI_API_KEY": "sk-none",
        "DATA_DIR": str(data),
        "WEBUI_SECRET_KEY": uuid.uuid4().hex,
        # What the script lacks: other models, and the network.
        "ENABLE_OLLAMA_API": "False",
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "BYPASS_EMBEDDING_AND_RETRIEVAL": "True",
    }
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (data / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=data, stdout=log, stderr=subprocess.STDOUT
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            try:
                wait_for(lambda: is_up(client), "Open WebUI")
                yield client
            finally:
                process.terminate()
                process.wait()


# The users.


def chat_as_two_users(page: httpx.Client) -> None:
    """Let two users chat in three chats."""
    ada = {"name": "Ada", "email": "ada@example.com", "password": "correct horse battery"}
    admin = Person(page, posted(page, "/api/v1/auths/signup", ada)["token"])
    bob = {"name": "Bob", "email": "bob@example.com", "password": "correct horse battery", "role": "user"}
    user = Person(page, posted(page, "/api/v1/auths/add", bob, admin.headers)["token"])
    for model in wait_for(admin.models, "the models"):
        # The administrator lets all users use the model.
        grant = {"principal_type": "user", "principal_id": "*", "permission": "read"}
        fields: dict[str, Any] = {"id": model, "name": model, "base_model_id": None, "meta": {}, "params": {}}
        posted(page, "/api/v1/models/create", {**fields, "access_grants": [grant]}, admin.headers)
    first, *others = ANSWERS
    chat = admin.say(first)
    admin.say(others[0], chat, admin.upload("garden.txt", "The greenhouse holds 61 pots.\n" * 20))
    admin.say(others[1], chat)
    chat = user.say(others[2])
    user.say(others[3], chat)


class Person:
    """A user of Open WebUI, who sends what its page sends."""

    def __init__(self, page: httpx.Client, token: str) -> None:
        self._page = page
        self.headers = {"Authorization": f"Bearer {token}"}

    def models(self) -> list[str]:
        """Return the models that the user may choose."""
        found = self._page.get("/api/models", headers=self.headers).json()["data"]
        return [model["id"] for model in found]

    def upload(self, name: str, content: str) -> dict[str, Any]:
        """Upload a text file; return it as a message names it."""
        sent = {"file": (name, content.encode(), "text/plain")}
        answer = self._page.post("/api/v1/files/", files=sent, headers=self.headers)
        file = answer.raise_for_status().json()
        wait_for(lambda: self._is_processed(file["id"]), "the file")
        return {"type": "file", "id": file["id"], "url": file["id"], "name": name, "file": file, "status": "uploaded"}

    def _is_processed(self, id: str) -> bool:
        file = self._page.get(f"/api/v1/files/{id}", headers=self.headers).json()
        return bool((file.get("data") or {}).get("content"))

    def say(self, text: str, chat: str | None = None, file: dict[str, Any] | None = None) -> str:
        """Type a message in a chat, a new one for None, and wait for the answer; return the chat."""
        history = [] if chat is None else self._messages(chat)
        asked, answer = str(uuid.uuid4()), str(uuid.uuid4())
        parent = history[-1]["id"] if history else None
        files = [file] if file is not None else [one for message in history for one in message.get("files") or []]
        message: dict[str, Any] = {"id": asked, "parentId": parent, "childrenIds": [], "role": "user", "content": text}
        message |= {"timestamp": int(time.time()), "models": ["scripted"], **({"files": [file]} if file else {})}
        told = [{"role": one["role"], "content": one["content"]} for one in history]
        body: dict[str, Any] = {
            "stream": True,
            "model": "scripted",
            "messages": [*told, {"role": "user", "content": text}],
            "files": files or None,
            "id": answer,
            "parent_id": parent,
            "user_message": message,
            "session_id": uuid.uuid4().hex,
            "background_tasks": dict(TASKS) if chat is None else {"follow_up_generation": True},
            **({} if chat is None else {"chat_id": chat}),
        }
        begun = posted(self._page, "/api/chat/completions", body, self.headers)
        chat = str(begun.get("chat_id") or chat)
        wait_for(lambda: self._is_answered(chat, answer), f"an answer to {text!r}")
        return chat

    def _messages(self, chat: str) -> list[dict[str, Any]]:
        """Return the messages of a chat, in order."""
        found = self._page.get(f"/api/v1/chats/{chat}", headers=self.headers).raise_for_status().json()
        by_id = found["chat"]["history"]["messages"]
        path, id = [], found["chat"]["history"]["currentId"]
        while id is not None:
            path.append(by_id[id])
            id = by_id[id].get("parentId")
        return path[::-1]

    def _is_answered(self, chat: str, answer: str) -> bool:
        messages = self._messages(chat)
        # The follow-ups are asked for last.
        return any(one["id"] == answer and one.get("content") and one.get("followUps") for one in messages)


# The result.


def settled(engram: str) -> list[tuple[str, str]] | None:
    """Return what the memory holds, once that is the same two seconds later."""
    before = held(engram)
    time.sleep(2)
    return before if before and before == held(engram) else None


def held(engram: str) -> list[tuple[str, str]]:
    """Return the roles and texts of the engrams of all namespaces."""
    names = httpx.get(f"{engram}/memory/namespaces", trust_env=False).json()["namespaces"]
    found = []
    for name in (one["namespace"] for one in names):
        params = {"namespace": name, "limit": "1000"}
        engrams = httpx.get(f"{engram}/memory/engrams", params=params, trust_env=False).json()["engrams"]
        found += [(str(one["role"]), str(one["text"])) for one in engrams]
    return found


def report(kept: list[tuple[str, str]], requests: list[str]) -> None:
    """Print what was said and kept; exit with 1 if they differ."""
    said = sorted([("user", text) for text in ANSWERS] + [("assistant", text) for text in ANSWERS.values()])
    tasks = sum(text.startswith("### Task:") and "<chat_history>" in text for text in requests)
    framed = sum("<source" in text for text in requests)
    print(f"{len(requests)} requests reached the model, {tasks} of them tasks, {framed} with a file in a template")
    print(f"{len(said)} messages were said, {len(kept)} are kept")
    for label, missing in (("missing", [one for one in said if one not in kept]), ("more", surplus(kept, said))):
        for role, text in missing:
            print(f"{label}: {role}: {text[:300]}")
    sys.exit(sorted(kept) != said)


def surplus(kept: list[tuple[str, str]], said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what is kept more often than it was said."""
    return list((Counter(kept) - Counter(said)).elements())


# Small things.


def posted(page: httpx.Client, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    """Return the answer to a POST. Exits with its text if it is an error."""
    answer = page.post(path, json=body, headers=headers)
    if answer.is_error:
        sys.exit(f"{path} answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()


def wait_for(condition: Callable[[], T | None], what: str) -> T:
    """Return what `condition` returns as soon as that is true. Exits after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come within {PATIENCE:g} s")
        time.sleep(0.5)
    return result


def is_up(client: httpx.Client) -> bool:
    """Return whether a server answers."""
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    """Return a port that nothing listens on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return int(server.server_address[1])


def text_of(message: dict[str, Any]) -> str:
    """Return the text of a message."""
    content = message.get("content")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or [])


def answer_to(asked: str) -> str:
    """Return the scripted answer to a message, which may stand in a template."""
    return next((answer for text, answer in ANSWERS.items() if text in asked), "I do not know that.")


def pieces(text: str) -> list[str]:
    """Return a text in the pieces in which a model gives it."""
    first, *others = text.split(" ")
    return [first, *(f" {other}" for other in others)]


if __name__ == "__main__":
    main()
