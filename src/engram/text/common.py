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


PAIR = 0.3
"""Share of the rarer one of two characters that is taken for the pair, if the table does not hold the pair."""


def share_of(term: str) -> float:
    """Return the share of a stem among all words of its language; 0 if it is not known.

    Of two characters of a script without spaces, about as much as the rarer one of them is seen beside the other.
    """
    common = common_words()
    share = common.get(term)
    if share is None and len(term) == 2 and not term.isascii():
        share = PAIR * min(common.get(term[0], 0.0), common.get(term[1], 0.0))
    return share or 0.0
