"""Reads a PDF in a process of its own: the file on stdin, one JSON object for each page on stdout.

Owns what it takes from the file: the text of each page, the title, the outline. A file made to harm can take any time
and memory and raise any error, so that this process has a limit of memory, and its parent kills it if it is silent
for too long. It is run by its path and imports nothing of Engram, so that it starts soon.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

MOST_MEMORY = 2 << 30
"""Bytes of address space that this process may take."""
MOST_TEXT = 8 << 20
"""Characters of one page that are read."""
MOST_OUTLINE = 10_000
"""Entries of the outline that are read."""
DEEPEST = 6
"""Levels of the outline that are read."""


def main() -> None:
    """Read the PDF on stdin."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    logging.disable()
    # What a library prints must not come between the objects.
    output = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    try:
        with open(0, "rb", closefd=False) as file:
            for record in records(file):
                output.write(json.dumps(record) + "\n")
                output.flush()
    except Exception as error:  # noqa: BLE001 (the edge of the process: the parent reports it)
        output.write(json.dumps({"error": described(error)}) + "\n")
    output.close()


def records(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield what is found: first the document, then each page, and then the end; or why it cannot be read."""
    try:
        from pypdf import PasswordType, PdfReader
    except ImportError as error:
        yield {"missing": error.name or "pypdf"}
        return
    reader = PdfReader(file, strict=False)
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        yield {"locked": True}
        return
    pages = len(reader.pages)
    lost = stated_pages(reader) - pages
    yield {"pages": pages, "title": title_of(reader), "outline": list(outline_of(reader))}
    for number in range(pages):
        try:
            text = reader.pages[number].extract_text()
            if len(text) > MOST_TEXT:
                raise ValueError(f"it holds more than {MOST_TEXT >> 20} MiB of text")
            yield {"page": number + 1, "text": text}
        except Exception as error:  # noqa: BLE001 (the other pages can be whole)
            yield {"page": number + 1, "error": described(error)}
    if lost > 0:
        yield {"lost": lost}
    yield {"end": True}


def stated_pages(reader: Any) -> int:
    """Return how many pages a document says that it has; 1 if it does not say so, because none has fewer."""
    with suppress(Exception):
        return max(1, int(reader.root_object["/Pages"]["/Count"]))
    return 1


def title_of(reader: Any) -> str:
    """Return the title that a document states; "" if there is none."""
    # A damaged title is none.
    with suppress(Exception):
        title = reader.metadata.title if reader.metadata else None
        return str(title or "")[:1000]
    return ""


def outline_of(reader: Any) -> Iterator[tuple[int, str, int]]:
    """Yield level, title and page (from 1) of the entries of the outline, up to the first one that is damaged."""
    with suppress(Exception):
        pending = [(1, iter(reader.outline))]
        for _ in range(MOST_OUTLINE):
            level, entries = pending[-1]
            entry = next(entries, None)
            if entry is None:
                pending.pop()
                if not pending:
                    return
            elif isinstance(entry, list):
                pending.append((level + 1, iter(entry)))
            elif level <= DEEPEST:
                page = reader.get_destination_page_number(entry)
                if page is not None and page >= 0:
                    yield level, str(entry.title)[:1000], page + 1


def described(error: BaseException) -> str:
    """Return an error in a few words."""
    if isinstance(error, MemoryError):
        return f"it needs more than {MOST_MEMORY >> 30} GiB of memory"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return f"{type(error).__name__}: {error}"[:300]


if __name__ == "__main__":
    main()
