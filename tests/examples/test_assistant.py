"""The assistant of examples/assistant: over weeks, through restarts and kills, with several processes at once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import ClassVar

import pytest

from engram import Memory
from engram.errors import MemoryReadOnly

FOLDER = Path(__file__).parents[2] / "examples" / "assistant"
SECONDS = 60
"""Longest time of a process."""
TIME, EMAIL = "At which time may I book your meetings?", "To which email address may I send it?"
FIRST_CALLS = {
    "1/book": "2025-03-04 Booked: Tom about the kitchen, 10:00",
    "1/invite": "Mail to Tom. 2025-03-04 Booked: Tom about the kitchen, 10:00",
}
LAST_DAY = {
    "11/book": "2025-03-20 Booked: Mia about the garden, 15:00",
    "11/invite": "Mail to Mia. 2025-03-20 Booked: Mia about the garden, 15:00",
    "12/send": "Mail to ana@harbour.example: the invoice of the plumber",
    "13/answer": "Tom wrote: Thursday suits me. The tiles for the kitchen cost 400 crowns.",
}
ALL_AT_ONCE = LAST_DAY | {
    "1/book": "2025-03-20 Booked: Tom about the kitchen, 15:00",
    "1/invite": "Mail to Tom. 2025-03-20 Booked: Tom about the kitchen, 15:00",
    "4/send": "Mail to ana@harbour.example: the ferry tickets",
}
"""What is done if all messages are read on the last day, when everything was said."""


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(FOLDER / "agent.py"), *arguments],
        cwd=folder,
        env=os.environ | {"NO_PROXY": "*", "LEASE": "1"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], *codes: int) -> str:
    """Return what a process printed, once it has ended with one of some codes."""
    try:
        printed, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode in (codes or (0,)), errors
    return printed


def run(folder: Path, *arguments: str, **environment: str) -> str:
    return ended(start(folder, *arguments, **environment))


def done(folder: Path) -> dict[str, str]:
    """Return what was booked, mailed and said, by its key. Nothing was tried twice."""
    with closing(sqlite3.connect(folder / "world.db", timeout=30)) as db:
        rows = db.execute("SELECT key, text, tries FROM done").fetchall()
    assert [key for key, _, tries in rows if tries != 1] == []
    return {key: text for key, text, _ in rows}


def test_over_weeks_nothing_is_asked_twice_and_what_changed_is_used(tmp_path: Path) -> None:
    printed = run(tmp_path)
    asked = {"ask time/ask": TIME, "ask email/ask": EMAIL}
    mailed = {"4/send": "Mail to ana@fjord.example: the ferry tickets"}
    assert done(tmp_path) == asked | FIRST_CALLS | mailed | LAST_DAY
    assert (printed.count(TIME), printed.count(EMAIL)) == (1, 1)
    assert "before that: My email address is ana@fjord.example." in printed
    assert "evil" not in printed
    with Memory(tmp_path / "assistant.db", read_only=True) as memory:
        plan = memory.state("Ana", "assistant").get("plan")
        assert plan is not None
        assert (plan.value["read"], list(plan.value["tasks"])) == (13, ["11"])
        every = [*memory.engrams(namespace="Ana"), *memory.quarantined(namespace="Ana")]
        mails = [engram for engram in every if engram.source == "mail"]
        assert [engram.origin for engram in mails] == ["tool"] * 4
        told = [fact.engram for fact in memory.facts(namespace="Ana")]
        assert {(engram.role, engram.source) for engram in told} == {("user", "chat")}
        assert "evil" not in memory.profile(namespace="Ana").text
        parts = memory.working("Please book a meeting.", namespace="Ana", agent="assistant").parts
        # Mails are quoted with what they are: "tool".
        assert {part.name for part in parts if "06:00" in part.text} <= {"arcs", "recalled"}


@pytest.mark.parametrize(
    ("place", "booked"),
    [
        # Booked before the kill: what was booked then holds. Not booked: the wish that holds now is used.
        ("after 1/book", "2025-03-04 Booked: Tom about the kitchen, 10:00"),
        ("before 1/book", "2025-03-20 Booked: Tom about the kitchen, 15:00"),
    ],
)
def test_a_step_that_a_kill_interrupts_is_done_once(tmp_path: Path, place: str, booked: str) -> None:
    ended(start(tmp_path, "--day", "2025-03-04", KILL=place), -signal.SIGKILL)
    assert ("1/book" in done(tmp_path)) is place.startswith("after")
    run(tmp_path, "--day", "2025-03-20")
    found = done(tmp_path)
    assert found["1/book"] == booked
    # Tom's mail answers an invitation only if that was sent before it came.
    assert found["1/invite"] == f"Mail to Tom. {booked}"
    assert "ask time/ask" not in found
    with Memory(tmp_path / "assistant.db", read_only=True) as memory:
        texts = [engram.text for engram in memory.engrams(namespace="Ana")]
    assert texts.count(booked) == texts.count("From now on always book my meetings at 10:00.") == 1


@pytest.mark.parametrize("place", ["remembered message 2", "remembered 1/book"])
def test_a_turn_that_was_remembered_before_a_kill_is_remembered_once(tmp_path: Path, place: str) -> None:
    ended(start(tmp_path, "--day", "2025-03-04", KILL=place), -signal.SIGKILL)
    run(tmp_path, "--day", "2025-03-04")
    assert done(tmp_path) == FIRST_CALLS
    with Memory(tmp_path / "assistant.db", read_only=True) as memory:
        keys = [engram.metadata["key"] for engram in memory.engrams(namespace="Ana")]
    assert keys == ["message 1", "message 2", "1/book", "1/invite"]


def test_a_step_that_a_process_has_begun_is_left_to_it_and_the_others_are_done(tmp_path: Path) -> None:
    first = start(tmp_path, "--day", "2025-03-20", HALT="before 1/book", LEASE="300")
    try:
        wait_for(lambda: holder_of(tmp_path, "1", "book") is not None)
        second = start(tmp_path, "--day", "2025-03-20", LEASE="300")
        try:
            others = {key: text for key, text in ALL_AT_ONCE.items() if not key.startswith("1/")}
            wait_for(lambda: done(tmp_path) == others)
        finally:
            (tmp_path / "go").touch()
            ended(second)
    finally:
        (tmp_path / "go").touch()
        ended(first)
    assert done(tmp_path) == ALL_AT_ONCE


def holder_of(folder: Path, task: str, step: str) -> object:
    """Return which process has begun a step of a task; None if none has."""
    if not (folder / "assistant.db").exists():
        return None
    try:
        with Memory(folder / "assistant.db", read_only=True) as memory:
            plan = memory.state("Ana", "assistant").get("plan")
    except MemoryReadOnly:
        # The process is still making the file.
        return None
    return None if plan is None else plan.value["tasks"].get(task, {"steps": {step: {}}})["steps"][step].get("by")


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met, for a limited time."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_of_processes_at_once_each_step_is_done_by_one_though_one_is_killed(tmp_path: Path) -> None:
    started = [start(tmp_path, "--day", "2025-03-20") for _ in range(2)]
    started.append(start(tmp_path, "--day", "2025-03-20", KILL="after 11/book"))
    try:
        *printed, _ = [ended(process, *codes) for process, codes in zip(started, [(0,), (0,), (0, -9)], strict=True)]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert done(tmp_path) == ALL_AT_ONCE
    assert all("Traceback" not in each for each in printed)
    with Memory(tmp_path / "assistant.db", read_only=True) as memory:
        every = (*memory.engrams(namespace="Ana"), *memory.quarantined(namespace="Ana"))
        keys = [engram.metadata["key"] for engram in every]
        plan = memory.state("Ana", "assistant").get("plan")
    assert sorted(map(str, keys)) == sorted([*(f"message {number}" for number in range(1, 14)), *ALL_AT_ONCE])
    assert plan is not None
    assert len(plan.value["done"]) == len(set(plan.value["done"]))


class Model(BaseHTTPRequestHandler):
    """A model behind OpenAI's API that has nothing but its prompt."""

    prompts: ClassVar[list[str]] = []
    answers: ClassVar[list[str]] = []
    """What it says first, whatever it is asked."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        self.prompts.append(prompt)
        content = self.answers.pop(0) if self.answers else decide(prompt)
        answer = {"choices": [{"message": {"content": content}}]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


def decide(prompt: str) -> str:
    """Return what the rules of the example answer."""
    spec = spec_from_file_location("policy_of_the_assistant", FOLDER / "policy.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.decide(prompt))


@contextmanager
def model(*answers: str) -> Iterator[str]:
    """Yield the URL and name of a running model."""
    Model.prompts, Model.answers = [], list(answers)
    server = HTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#rules"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(SECONDS)


def test_a_model_behind_an_url_gets_all_that_it_needs_in_its_prompt(tmp_path: Path) -> None:
    with model() as url:
        run(tmp_path, "--day", "2025-03-20", "--model", url)
    assert done(tmp_path) == ALL_AT_ONCE
    last = next(prompt for prompt in reversed(Model.prompts) if prompt.endswith("Go on with the task: 11"))
    assert '"plan" (version ' in last
    assert "- [2025-03-17] From now on always book my meetings at 15:00, never in the morning." in last
    assert last.endswith("\n\n2025-03-20\nGo on with the task: 11")


def test_answers_that_are_no_action_do_nothing(tmp_path: Path) -> None:
    answers = ["Sure, I will!", "[1]", '{"step": 5, "text": "x"}', '{"task": " "}']
    with model(*answers) as url:
        run(tmp_path, "--day", "2025-03-10", "--model", url)
    assert done(tmp_path) == {}
    assert len(Model.prompts) == len(answers)
