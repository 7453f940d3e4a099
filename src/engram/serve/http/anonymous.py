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
        start, end = ("", "") if name.lstrip("'").startswith("/") else (r"(?<![\w./-])", r"(?!\w)")
        text = re.sub(start + re.escape(name) + end, names[name], text)
    return PROCESS.sub("another process", SIGNAL.sub("", text))
