"""Loading: the kernel where it is compiled and fits this source, numpy elsewhere.

Owns the choice between the two, and says why the kernel is not used and what command mends that. `engram.opening` calls
`load_kernel` when it is imported; recall sees the result as `accel.in_use()` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engram import accel
from engram.accel import compiled, plain
from engram.accel.library import Unusable
from engram.installation import RECOMPILE

MEND = f"with a C compiler, run: python hatch_build.py in a checkout, elsewhere: {RECOMPILE}"
"""The commands that compile the kernel."""


def load_kernel(rows: np.dtype[Any], folder: Path = compiled.FOLDER) -> None:
    """Have recall use the kernel in `folder`, or numpy. A kernel that does not fit is reported in the log at once.

    rows: the dtype ROW, whose fields the kernel must read.
    """
    try:
        if compiled.start(rows, folder):
            accel.use(compiled, "compiled", kernel=True)
        else:
            accel.use(plain, f"in numpy, slower: the kernel is not compiled; {MEND}", kernel=False)
    except Unusable as error:
        accel.use(plain, f"in numpy, slower: {folder / 'kernel.so'} is not used: {error}; {MEND}", kernel=False)
        accel.report_once()
