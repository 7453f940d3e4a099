"""Build the release files that this machine can build: the sdist, the pure wheel and one compiled wheel.

    python tools/wheels.py [FOLDER]     into dist/ or FOLDER; `make wheels` installs the required packages first

Owns the order: both wheels are built from the sdist, so a file that is missing in the sdist fails the build.
On Linux auditwheel reads from the kernel which glibc it needs, and replaces the plain Linux tag, which package indexes
refuse, with the correct manylinux tag. Wheels for other platforms are built by .github/workflows/wheels.yml.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, **environment: str) -> None:
    """Run a command in this interpreter's environment; raises `CalledProcessError` if it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(command, env=os.environ | {"PATH": path} | environment, check=True)


def build(kind: str, source: Path, target: Path, **environment: str) -> Path:
    """Build the sdist or the wheel of `source` into the empty folder `target`; returns the file."""
    command = ("-m", "build", "--no-isolation", f"--{kind}", "--outdir", target, source)
    run(sys.executable, *command, **environment)
    return next(target.iterdir())


def repair(wheel: Path, target: Path) -> Path:
    """Copy a Linux wheel with its manylinux tag into the empty folder `target`; returns the file."""
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", target, wheel)
    return next(target.iterdir())


def release_files(scratch: Path) -> list[Path]:
    """Build everything in the empty folder `scratch`; returns the files of the release."""
    sdist = build("sdist", ROOT, scratch / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch / "source", filter="data")
    source = next((scratch / "source").iterdir())
    pure = build("wheel", source, scratch / "pure", ENGRAM_PURE="1")
    compiled = build("wheel", source, scratch / "compiled")
    if compiled.name.endswith("-any.whl"):
        print("no compiled wheel: there is no working C compiler on this machine", file=sys.stderr)
        return [sdist, pure]
    if sys.platform == "linux":
        compiled = repair(compiled, scratch / "repaired")
    return [sdist, pure, compiled]


def main(target: Path) -> None:
    """Write the release files into the folder `target`; release files of earlier runs are deleted."""
    with tempfile.TemporaryDirectory() as scratch:
        files = release_files(Path(scratch))
        target.mkdir(parents=True, exist_ok=True)
        for earlier in target.glob("engram_layer-*"):
            earlier.unlink()
        for file in files:
            print(shutil.copy(file, target))


if __name__ == "__main__":
    main(Path(*sys.argv[1:2]) if sys.argv[1:] else ROOT / "dist")
