"""Another distribution that also installs a top-level module `engram`."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import Environment, NewEnvironment

pytestmark = pytest.mark.slow

ADVICE = (
    "the distribution engram-else 3.1 also installs a module `engram`, so files of the two overwrite each other; "
    "run: pip uninstall engram-else && pip install --force-reinstall engram-layer\n"
)


def other_wheel(folder: Path, package: str) -> Path:
    """A wheel of another project, with one top-level package."""
    info = "engram_else-3.1.dist-info"
    files = {
        f"{package}/__init__.py": "",
        f"{package}/research.py": "ANSWER = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: engram-else\nVersion: 3.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}\n"
        for name, text in files.items()
    )
    wheel = folder / "engram_else-3.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return wheel


def installed(new_environment: NewEnvironment, *wheels: Path) -> Environment:
    environment = new_environment()
    environment.borrow_libraries()
    for wheel in wheels:
        environment.install("--no-deps", "--no-index", wheel)
    assert environment.run("engram", "remember", "My dog is called Biscuit.").returncode == 0
    return environment


def test_doctor_names_another_distribution_with_the_same_module(
    pure_wheel: Path, new_environment: NewEnvironment, tmp_path: Path
):
    environment = installed(new_environment, pure_wheel, other_wheel(tmp_path, "engram"))
    ran = environment.run("engram", "doctor")
    assert ADVICE in ran.stderr
    assert (ran.returncode, "database  good" in ran.stdout) == (1, True)
    ran = environment.run("engram", "doctor", "--json")
    report = json.loads(ran.stdout)
    assert (ran.returncode, report["healthy"]) == (1, True)
    assert report["conflicts"] == [{"name": "engram-else", "version": "3.1"}]


def test_doctor_names_no_distribution_whose_module_has_another_name(
    pure_wheel: Path, new_environment: NewEnvironment, tmp_path: Path
):
    environment = installed(new_environment, pure_wheel, other_wheel(tmp_path, "engram_else"))
    ran = environment.run("engram", "doctor", "--json")
    assert (ran.returncode, json.loads(ran.stdout)["conflicts"]) == (0, [])
