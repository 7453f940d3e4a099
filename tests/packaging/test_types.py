import ast
import shutil
import sys
from pathlib import Path

import pytest

import engram
from tests.packaging import every_name
from tests.packaging.conftest import NewEnvironment, run

PROGRAM = Path(every_name.__file__)
CLASSES = {name.lower(): getattr(engram, name) for name in engram.__all__ if not name.startswith("_")}
TREE = ast.parse(PROGRAM.read_text())


def test_the_program_imports_every_public_name():
    imports = [node for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom) and node.module == "engram"]
    assert {alias.name for node in imports for alias in node.names} == set(engram.__all__)


@pytest.mark.parametrize("variable", CLASSES)
def test_the_program_uses_every_public_attribute(variable: str):
    used = {
        node.attr
        for node in ast.walk(TREE)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == variable
    }
    assert used == {name for name in dir(CLASSES[variable]) if not name.startswith("_")}


@pytest.mark.slow
def test_mypy_finds_every_type_in_the_installed_wheel(
    pure_wheel: Path, new_environment: NewEnvironment, tmp_path: Path
):
    environment = new_environment()
    environment.borrow_libraries()
    environment.install("--no-deps", "--no-index", pure_wheel)
    program = shutil.copy(PROGRAM, tmp_path)
    strict = ("--strict", "--disallow-any-expr", "--disallow-any-explicit", "--disallow-any-unimported")
    mypy = (sys.executable, "-m", "mypy", "--python-executable", environment.python, "--config-file=")
    ran = run(*mypy, "--cache-dir", tmp_path / "cache", *strict, program, cwd=tmp_path)
    assert ran.stdout == "Success: no issues found in 1 source file\n"
    done = environment.run("python", program, str(tmp_path / "memory.db"))
    assert done.returncode == 0, done.stderr
