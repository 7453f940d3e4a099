"""The encoders by name.

Owns the names that `engram.opening` knows. An encoder of your own needs none: see `engram.meaning.base`.
"""

from __future__ import annotations

from collections.abc import Callable

from engram.errors import EngramError
from engram.meaning.base import Encoder
from engram.meaning.minilm import minilm_encoder
from engram.meaning.sentences import default_encoder

ENCODERS: dict[str, Callable[[], Encoder]] = {"use": default_encoder, "minilm": minilm_encoder}
"""Google's sentence encoder of 16 languages, in the package, and all-MiniLM-L6-v2, for English, of the extra."""


def open_encoder(name: str = "use") -> Encoder:
    """Return the encoder `name`, one of `ENCODERS`, which loads its data for the first text.

    Raises `EngramError` for another name. If a package is missing, `MissingExtra` is raised when a text is encoded.
    """
    if name not in ENCODERS:
        raise EngramError(f"there is no encoder {name!r}; the encoders are: {', '.join(ENCODERS)}")
    return ENCODERS[name]()
