"""The encoders by name.

Owns the names that `engram.opening` knows. An encoder of your own needs none: see `engram.meaning.base`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from engram.errors import EngramError
from engram.meaning.base import Encoder
from engram.meaning.context import contextual_encoder
from engram.meaning.minilm import minilm_encoder
from engram.meaning.sentences import default_encoder

DEFAULT = "use"
ENCODERS: dict[str, Callable[[], Encoder]] = {
    DEFAULT: default_encoder,
    "contextual": contextual_encoder,
    "minilm": minilm_encoder,
}
"""Google's sentence encoder of 16 languages, the same with the words of English texts in their context, both in the
package, and all-MiniLM-L6-v2, for English, of the extra."""


VARIABLE = "ENGRAM_ENCODER"
"""The environment variable that may name the encoder, so that all processes over a memory have the same."""


def open_encoder(name: str | None = None) -> Encoder:
    """Return the encoder `name`, one of `ENCODERS`, which loads its data for the first text.

    name: None for the one that `VARIABLE` names, else `DEFAULT`. Raises `EngramError` for another name. If a package is
    missing, `MissingExtra` is raised when a text is encoded.
    """
    chosen = name or os.environ.get(VARIABLE) or DEFAULT
    try:
        check_encoder(chosen)
    except EngramError as error:
        if name:
            raise
        raise EngramError(f"{VARIABLE}: {error}") from None
    return ENCODERS[chosen]()


def check_encoder(name: str) -> None:
    """Raise `EngramError` unless there is an encoder `name`."""
    if name not in ENCODERS:
        raise EngramError(f"there is no encoder {name[:80]!r}; the encoders are: {', '.join(ENCODERS)}")
