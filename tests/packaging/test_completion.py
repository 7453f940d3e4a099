"""Shell completion of the command `engram`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import NewEnvironment
from tools import cli_docs

COMMAND = Path(sys.executable).parent / "engram"


def completed(words: str, command: Path = COMMAND) -> list[str]:
    """The completions that bash gets for the last of `words`."""
    protocol = {"_ENGRAM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ran = subprocess.run([command], env=os.environ | protocol, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("engram rem", ["remember"]),
        ("engram rec", ["recall"]),
        ("engram se", ["serve"]),
        ("engram recall --lim", ["--limit"]),
        ("engram serve --upstream-", ["--upstream-key-env"]),
        ("engram keys rev", ["revoke"]),
        ("engram nonsense", []),
    ],
)
def test_commands_and_options_are_completed(words: str, offered: list[str]):
    assert completed(words) == offered


def test_every_command_is_offered():
    assert set(completed("engram ")) == {name for name in cli_docs.commands() if " " not in name}


def test_bash_completes_with_the_printed_script(tmp_path: Path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    search = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    script = (
        'eval "$(engram --show-completion)"; COMP_WORDS=(engram rem); COMP_CWORD=1; '
        '_engram_completion engram; echo "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(
        # The detection of the shell reads the parent processes: this shell must not be replaced by its last command.
        [bash, "--norc", "-c", f"{script}; true"],
        env=os.environ | {"PATH": search},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("remember\n", "")


def test_completion_is_installed_for_the_current_shell(home: Path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    ran = subprocess.run(
        [bash, "--norc", "-c", f"{COMMAND} --install-completion; true"],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "bash completion installed in" in ran.stdout
    assert (home / ".bashrc").read_text().strip().startswith("source ")
    assert "_ENGRAM_COMPLETE" in (home / ".bash_completions" / "engram.sh").read_text()


@pytest.mark.slow
def test_a_command_whose_packages_are_missing_offers_only_help(pure_wheel: Path, new_environment: NewEnvironment):
    environment = new_environment()
    environment.borrow_libraries()
    environment.install("--no-deps", "--no-index", pure_wheel)
    # A package that cannot be imported, earlier on the path than the installed one.
    packages = next((environment.folder / "lib").glob("python*/site-packages"))
    (packages / "uvicorn.py").write_text("raise ModuleNotFoundError('no uvicorn', name='uvicorn')\n")
    assert completed("engram serve --", environment.folder / "bin" / "engram") == ["--help"]
    ran = environment.run("engram", "serve")
    assert (ran.returncode, ran.stderr) == (
        10,
        "engram: engram serve needs uvicorn; install it with: pip install 'engram-layer[serve]'\n",
    )
