"""Compiles the kernel when Engram is installed, if there is a C compiler; without one Engram works on numpy alone.

    python hatch_build.py      compile it in place

Owns how it is compiled. What it does is said in src/engram/accel/.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

FOLDER = Path("src", "engram", "accel")
# Nothing of the machine at hand, and nothing that lets sums differ: results are the same wherever it is compiled.
FLAGS = "-std=c11 -O3 -fPIC -shared -ffp-contract=off".split()


def compiler() -> list[str] | None:
    """The command of a C compiler: what $CC says, or else the first that is here; None if there is none."""
    said = shlex.split(os.environ.get("CC", ""))
    for command in (said, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def compile_kernel(root: Path) -> Path | None:
    """Compile src/engram/accel/kernel.c in the checkout at `root`; the library beside it, or None, having said why."""
    source, library = root / FOLDER / "kernel.c", root / FOLDER / "kernel.so"
    command = compiler()
    if command is None:
        library.unlink(missing_ok=True)
        say("no C compiler was found, so recall will do its arithmetic in numpy, which takes a millisecond longer")
        return None
    # Under another name first: a process may be using the library that is there.
    unfinished = library.with_suffix(f".{os.getpid()}.so")
    stamp = f"-DENGRAM_SOURCE={zlib.crc32(source.read_bytes())}u"
    try:
        subprocess.run(
            [*command, *FLAGS, stamp, str(source), "-o", str(unfinished), "-lm"],
            check=True,
            capture_output=True,
            text=True,
        )
        unfinished.replace(library)
    except (OSError, subprocess.CalledProcessError) as error:
        unfinished.unlink(missing_ok=True)
        library.unlink(missing_ok=True)
        detail = (getattr(error, "stderr", "") or str(error)).strip().partition("\n")[0]
        say(f"the kernel could not be compiled, so recall will do its arithmetic in numpy: {detail}")
        return None
    return library


def say(line: str) -> None:
    """Print a line where a build's messages go."""
    print(f"engram: {line}", file=sys.stderr)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    from packaging.tags import sys_tags
except ModuleNotFoundError:
    # Compiling in place needs neither.
    pass
else:

    class KernelHook(BuildHookInterface[Any]):
        """Has the library in the wheel, and the wheel named after the kind of machine that it is for."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Called before a wheel is made; an editable one leaves the library where it is."""
            library = compile_kernel(Path(self.root))
            if library is None or version == "editable":
                return
            # pip takes no wheel from an index that is named after plain Linux; one that it made itself it does.
            tag = next(t for t in sys_tags() if "manylinux" not in t.platform and "musllinux" not in t.platform)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{tag.platform}"
            build_data["force_include"][str(library)] = "engram/accel/kernel.so"


if __name__ == "__main__":
    compiled = compile_kernel(Path(__file__).parent)
    if compiled is not None:
        print(compiled)
