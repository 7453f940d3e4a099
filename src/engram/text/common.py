"""How common words are in the languages of the sentence encoder, from the package's data.

Owns the file's format. `tools/common_words.py` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np


@cache
def common_words() -> Mapping[str, float]:
    """Return stems with their share among all words of their language; read once in a process.

    A stem that is not in it is rarer than 1 in a million words, or of another language.
    """
    with np.load(str(files("engram.text") / "data" / "common.npz")) as arrays:
        return dict(zip(arrays["stems"].tobytes().decode().split("\n"), arrays["shares"].tolist(), strict=True))
