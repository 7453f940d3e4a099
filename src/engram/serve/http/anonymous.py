"""Messages for anybody: they name no path of this machine and no process.

Owns what is taken out of a message. Does not know who reads it.
"""

from __future__ import annotations

import os
import re
import shlex

MEMORY, FOLDER = "the memory", "its folder"

PROCESS = re.compile(r"\bprocess \d+\b")
SIGNAL = re.compile(r" \(kill -\w+ \d+\)")


def without_paths(message: object, path: str) -> str:
    """Return a message, or an error as one, in which the files of the memory at `path` and processes have no names.

    `path` is as it was given. Files beside the memory are named by its path without symbolic links, so that and the
    absolute path are taken out, too.
    """
    real, absolute = os.path.realpath(path), os.path.abspath(path)
    names = {path: MEMORY, absolute: MEMORY, real: MEMORY}
    for folder in (os.path.dirname(real), os.path.dirname(absolute)):
        if folder != os.path.dirname(folder):
            names[folder] = FOLDER
    # Commands in messages are quoted for a shell.
    names |= {shlex.quote(name): meaning for name, meaning in names.items()}
    text = str(message)
    # The longest first: others may be parts of it.
    for name in sorted(names, key=len, reverse=True):
        # A relative path may be a short word: only where it stands for itself.
        text = _replaced(text, name, names[name], alone=not name.lstrip("'").startswith("/"))
    return PROCESS.sub("another process", SIGNAL.sub("", text))


def _replaced(text: str, name: str, meaning: str, *, alone: bool) -> str:
    """Return `text` with `meaning` in place of `name`; if `alone`, only where `name` is no part of a longer path."""
    first, *others = text.split(name) if name else [text]
    result = first
    for other in others:
        longer = re.search(r"[\w./-]$", result) or re.match(r"\w", other)
        result += (name if alone and longer else meaning) + other
    return result
