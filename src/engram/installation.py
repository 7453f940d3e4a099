"""What is installed: the version of this distribution, and other distributions that conflict with it.

Owns the name under which Engram is published. Does not know memories. Modules that take long to import, and that
nothing else of Engram needs, are imported when a function runs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DISTRIBUTION = "engram-layer"
"""The name on the package index; the import name and the command are `engram`."""

RECOMPILE = f"pip install --force-reinstall --no-deps --no-cache-dir --no-binary {DISTRIBUTION} {DISTRIBUTION}"
"""Compiles the kernel. Without --no-cache-dir pip takes the wheel that it built when there was no compiler."""

CHECKOUT = Path(__file__).parents[2] / "pyproject.toml"
"""Where a source checkout states its version; an installed package has no such file."""


class Conflict(NamedTuple):
    """Another installed distribution that also installs a top-level module `engram`."""

    name: str
    version: str

    @property
    def advice(self) -> str:
        """The conflict, and the two commands that resolve it."""
        return (
            f"the distribution {self.name} {self.version} also installs a module `engram`, so files of the two "
            f"overwrite each other; run: pip uninstall {self.name} && pip install --force-reinstall {DISTRIBUTION}"
        )


def version() -> str:
    """The version of Engram: from the installed metadata, or from pyproject.toml in a checkout that is not installed.

    "0+unknown" if neither exists, as in a copy of the package folder alone.
    """
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return _checkout_version()


def _checkout_version() -> str:
    import tomllib

    try:
        project = tomllib.loads(CHECKOUT.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return "0+unknown"
    return str(project["version"]) if project.get("name") == DISTRIBUTION else "0+unknown"


def conflicts() -> list[Conflict]:
    """All other installed distributions that also install a top-level module `engram`, by name."""
    from importlib import metadata

    names = {name for name in metadata.packages_distributions().get("engram", []) if name}
    return [
        Conflict(name, metadata.version(name))
        for name in sorted(names)
        # Names are equal if they differ only in case and in runs of "-", "_" and ".".
        if re.sub(r"[-_.]+", "-", name).lower() != DISTRIBUTION
    ]
