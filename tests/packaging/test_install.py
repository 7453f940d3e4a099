"""The documented installations, in an empty environment without a C compiler.

These tests resolve and download packages, as a user's pip does. ENGRAM_OFFLINE=1 skips them.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import engram
from engram.installation import RECOMPILE
from tests.packaging.conftest import ROOT, Environment, NewEnvironment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(os.environ.get("ENGRAM_OFFLINE")), reason="ENGRAM_OFFLINE is set: nothing is downloaded"),
]

TWO_RECALLS = """
from engram import Memory
memory = Memory(":memory:")
memory.remember("My dog is called Biscuit.")
print([len(memory.recall("What is my dog called?")) for _ in range(2)])
"""


def assert_the_base_commands_work(environment: Environment) -> None:
    """Assert that the base commands work, and that the others name the missing extra in one line."""
    assert re.fullmatch(r"engram \d+\.\d+\.\d+\S*\n", environment.run("engram", "--version").stdout)
    assert "remember" in environment.run("engram", "--help").stdout
    assert environment.run("engram", "remember", "My dog is called Biscuit.").returncode == 0
    assert "My dog is called Biscuit." in environment.run("engram", "recall", "What is my dog called?").stdout
    for command, extra in (("chat", "chat"), ("serve", "serve"), ("mcp", "serve")):
        ran = environment.run("engram", command)
        assert (ran.returncode, ran.stdout) == (10, "")
        assert ran.stderr.count("\n") == 1
        assert f"pip install 'engram-layer[{extra}]'" in ran.stderr


def test_the_base_installation_works_without_a_compiler_and_names_missing_extras(
    sdist: Path, new_environment: NewEnvironment
):
    environment = new_environment()
    environment.install(sdist)
    assert_the_base_commands_work(environment)
    program = environment.run("python", "-c", TWO_RECALLS)
    assert (program.returncode, program.stdout) == (0, "[1, 1]\n")
    assert program.stderr.startswith("recall runs in numpy, slower: the kernel is not compiled; with a C compiler, ")
    assert program.stderr.endswith(f"{RECOMPILE}\n")
    assert program.stderr.count("\n") == 1
    doctor = environment.run("engram", "doctor")
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert "in numpy, slower: the kernel is not compiled; with a C compiler, " in doctor.stdout
    assert RECOMPILE in doctor.stdout
    assert not json.loads(environment.run("engram", "doctor", "--json").stdout)["compiled"]


def test_the_files_of_make_wheels_install_with_the_kernel(new_environment: NewEnvironment, tmp_path: Path):
    builder, files = new_environment(), tmp_path / "dist"
    builder.borrow_libraries()
    builder.install("--require-hashes", "-r", ROOT / "requirements" / "wheels.txt")
    ran = builder.run("python", str(ROOT / "tools" / "wheels.py"), str(files), PATH=os.environ["PATH"])
    assert ran.returncode == 0, ran.stderr
    if "no working C compiler" in ran.stderr:
        pytest.skip("there is no C compiler")
    tag = r"manylinux[\w.]+" if sys.platform == "linux" else r"macosx_\w+"
    names = " ".join(sorted(path.name for path in files.iterdir()))
    stem = f"engram_layer-{engram.__version__}"
    assert re.fullmatch(rf"{stem}-py3-none-any\.whl {stem}-py3-none-{tag}\.whl {stem}\.tar\.gz", names)
    environment = new_environment()
    environment.borrow_libraries()
    # By name: pip must prefer the compiled wheel. The borrowed libraries include the tested installation itself.
    environment.install("--no-deps", "--no-index", "--ignore-installed", "--find-links", files, "engram-layer")
    environment.run("engram", "remember", "My dog is called Biscuit.")
    recall = environment.run("engram", "recall", "What is my dog called?")
    assert (recall.returncode, recall.stderr) == (0, "")
    assert json.loads(environment.run("engram", "doctor", "--json").stdout)["compiled"]


def commands_after(page: str, start: str) -> list[str]:
    """The pip commands on the first line of a page that begins with `start`."""
    line = next(line for line in (ROOT / page).read_text().splitlines() if line.startswith(start))
    return [part.strip() for part in line.split("&&") if part.strip().startswith("pip install")]


@contextmanager
def serving(environment: Environment) -> Iterator[str]:
    """A server with the small model, on a free port; yields its URL."""
    process = subprocess.Popen(
        [environment.folder / "bin" / "engram", "serve", "--port", "0"],
        cwd=environment.home,
        env=environment.variables,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("{") and json.loads(line).get("message") == "listening":
                yield json.loads(line)["url"].rstrip("/")
                return
        pytest.fail("the server ended:\n" + "".join(lines))
    finally:
        process.terminate()
        process.communicate(timeout=60)


def answered(url: str, body: dict[str, object] | None = None) -> str:
    """The text of a response; a POST if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as response:
        text: str = response.read().decode()
        return text


def test_the_server_works_after_the_documented_installation(pure_wheel: Path, new_environment: NewEnvironment):
    environment = new_environment()
    first, second = commands_after("docs/serve.md", "pip install 'engram-layer[serve]'")
    assert first == "pip install 'engram-layer[serve]'"
    environment.install(f"{pure_wheel}[serve]")
    ran = environment.run("engram", "serve", "--port", "0")
    assert (ran.returncode, ran.stderr.count("\n")) == (10, 1)
    assert second in ran.stderr
    environment.install(*second.removeprefix("pip install ").split())
    with serving(environment) as url:
        assert answered(f"{url}/healthz") == "ok\n"
        message = {"role": "user", "content": "My dog is called Biscuit."}
        reply = json.loads(answered(f"{url}/v1/chat/completions", {"model": "smollm2", "messages": [message]}))
        assert reply["choices"][0]["message"]["content"]
