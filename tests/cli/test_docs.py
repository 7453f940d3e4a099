import re
import sys
from pathlib import Path

import pytest

from engram import errors

pytest.importorskip("uvicorn", reason="the page shows every command: pip install 'engram-layer[serve]'")

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "cli.md").read_text()

sys.path.insert(0, str(ROOT / "tools"))
import cli_docs  # noqa: E402

HELP = cli_docs.commands()


def test_the_docs_page_is_current():
    assert cli_docs.page() == PAGE, "run: python tools/cli_docs.py"


@pytest.mark.parametrize("name", HELP)
def test_every_command_has_an_example_and_is_in_the_docs(name: str):
    assert "Example:" in HELP[name]
    assert f"engram {name}" in HELP[name].partition("Example:")[2]
    assert f"### engram {name}\n" in PAGE


def test_all_commands_exist():
    names = "remember recall memories forget quarantine import export backup restore stats doctor reindex compact"
    names += " why chat serve mcp keys facts profile summary arcs arc working reflect policy state"
    assert set(names.split()) == {name for name in HELP if " " not in name}


def test_every_exit_code_is_documented():
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    tree = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EngramError)]
    assert {kind.exit_code for kind in tree} | {0, 70, 130} == documented


def test_help_and_version_work(run):
    assert "Find the memories that answer a question" in run("--help").out
    assert run().out == run("--help").out
    assert run("recall", "-h").code == 0
    assert run("--version").out.startswith("engram ")
