"""Compiles the kernel when a wheel is built or Engram is installed from source.

    python hatch_build.py               compile the kernel in place
    ENGRAM_PURE=1 pip wheel .           build a wheel without the kernel

Owns the compilation of the kernel and the tag of the wheel. src/engram/accel/ describes the kernel.
Without a C compiler the build succeeds and the wheel contains no kernel: Engram then runs on numpy. Installers hide the
output of a build, so Engram reports the missing kernel itself: in the log at the first recall, and in `engram doctor`.
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
# No flag depends on the machine or lets the compiler reorder sums, so that results are the same on all machines.
FLAGS = "-std=c11 -O3 -fPIC -shared -ffp-contract=off".split()
SOURCES = (
    *("kernel.c", "product.c", "sentences.c", "context.c"),
    *("product.h", "floats.h", "forms.h", "sentences.h", "context.h"),
)
"""What the kernel is compiled from. src/engram/accel/library.py compares their checksum, in this order."""
PURE = "ENGRAM_PURE"
"""The environment variable that requests a wheel without the kernel."""


def compiler() -> list[str] | None:
    """The command of a C compiler: $CC, else the first of cc, gcc and clang on $PATH; None if no compiler is found."""
    from_environment = shlex.split(os.environ.get("CC", ""))
    for command in (from_environment, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    return None


def compile_kernel(root: Path) -> Path | None:
    """Compile the sources in src/engram/accel of the checkout `root` to kernel.so in the same folder; returns its path.

    Without a working compiler, prints a line on stderr, deletes the library of an earlier run and returns None.
    """
    sources, library = [root / FOLDER / name for name in SOURCES], root / FOLDER / "kernel.so"
    command = compiler()
    if command is None:
        library.unlink(missing_ok=True)
        report("no C compiler was found: the kernel is left out, and recall runs slower, in numpy")
        return None
    # A running process may have the current library loaded, so the new one is written to another name and renamed.
    unfinished = library.with_suffix(f".{os.getpid()}.so")
    stamp = f"-DENGRAM_SOURCE={zlib.crc32(b''.join(source.read_bytes() for source in sources))}u"
    compiled = [str(source) for source in sources if source.suffix == ".c"]
    try:
        subprocess.run(
            [*command, *FLAGS, stamp, *compiled, "-o", str(unfinished), "-lm"],
            check=True,
            capture_output=True,
            text=True,
        )
        unfinished.replace(library)
    except (OSError, subprocess.CalledProcessError) as error:
        unfinished.unlink(missing_ok=True)
        library.unlink(missing_ok=True)
        detail = (getattr(error, "stderr", "") or str(error)).strip().partition("\n")[0]
        report(f"the C compiler failed: the kernel is left out, and recall runs slower, in numpy: {detail}")
        return None
    return library


def report(line: str) -> None:
    """Print a line on stderr, where installers collect the output of a build."""
    print(f"engram: {line}", file=sys.stderr)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    from packaging.tags import sys_tags
except ModuleNotFoundError:
    # Compiling in place needs neither package.
    pass
else:

    class KernelHook(BuildHookInterface[Any]):
        """Adds the compiled kernel to the wheel, and tags the wheel with the platform that the kernel was built for."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile the kernel before a wheel is built. An editable wheel leaves it in the source folder."""
            if os.environ.get(PURE):
                return
            library = compile_kernel(Path(self.root))
            if library is None or version == "editable":
                return
            # Package indexes refuse the plain Linux tag; tools/wheels.py replaces it with auditwheel.
            tag = next(t for t in sys_tags() if "manylinux" not in t.platform and "musllinux" not in t.platform)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{tag.platform}"
            build_data["force_include"][str(library)] = "engram/accel/kernel.so"


if __name__ == "__main__":
    compiled = compile_kernel(Path(__file__).parent)
    if compiled is not None:
        print(compiled)
