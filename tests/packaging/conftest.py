"""Fixtures: release files built from the checkout, and virtual environments to install them in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# Read before a fixture replaces $HOME: installers find their settings and their cache in the user's home folder.
USER_ENVIRONMENT = dict(os.environ)


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the user's environment, changed by `environment`; fails with its output."""
    ran = subprocess.run(
        command, cwd=cwd, env=USER_ENVIRONMENT | environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def library_folder() -> Path:
    """The folder of the packages that this interpreter has installed."""
    spec = find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


class Environment:
    """A virtual environment, empty at first, whose commands run outside a checkout and without a C compiler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        self.python = folder / "bin" / "python"
        self.home = folder / "home"
        self.home.mkdir()
        self.variables = {
            "PATH": str(folder / "bin"),
            "HOME": str(self.home),
            "ENGRAM_MEMORY": str(self.home / "memory.db"),
        }

    def install(self, *what: str | Path) -> None:
        """Install by pip, with its cache and settings, but without a compiler."""
        environment = {name: value for name, value in USER_ENVIRONMENT.items() if name not in ("CC", "PYTHONPATH")}
        command = [sys.executable, "-m", "pip", "--python", self.python, "--quiet", "install", "--no-compile", *what]
        ran = subprocess.run(
            command,
            env=environment | {"PATH": str(self.folder / "bin"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def borrow_libraries(self) -> None:
        """Make the packages of the interpreter that runs the tests importable, after those installed here."""
        packages = next((self.folder / "lib").glob("python*/site-packages"))
        (packages / "borrowed.pth").write_text(f"{library_folder()}\n")

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment."""
        program = self.folder / "bin" / command[0]
        variables = self.variables | environment
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.home,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


NewEnvironment = Callable[[], Environment]


@pytest.fixture
def new_environment(tmp_path: Path) -> NewEnvironment:
    """Creates virtual environments in the test's folder."""
    count = iter(range(10))
    return lambda: Environment(tmp_path / f"environment-{next(count)}")


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of the checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def build_wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds a wheel from the sdist, as pip does if no wheel fits, with changed environment variables."""

    def built(**environment: str) -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", folder)
        run(sys.executable, "-m", "pip", "wheel", *options, sdist, **environment)
        return next(folder.glob("*.whl"))

    return built


@pytest.fixture(scope="session")
def pure_wheel(build_wheel: Callable[..., Path]) -> Path:
    """The wheel without the kernel."""
    return build_wheel(ENGRAM_PURE="1")


@pytest.fixture(scope="session")
def compiled_wheel(build_wheel: Callable[..., Path]) -> Path:
    """The wheel with the kernel."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C compiler")
    return build_wheel()


def names_in(sdist: Path) -> list[str]:
    """The files of an sdist, without its top folder."""
    with tarfile.open(sdist) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]
