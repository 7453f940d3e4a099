"""Reads PDF: the text of its pages in blocks.

Owns the process in which pypdf reads the file (`pdf_worker`), and what is said of a file that cannot be read. What the
lines of a page are is decided in `layout`.
"""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from engram.errors import MissingExtra
from engram.formats.documents import pdf_worker
from engram.formats.documents.blocks import Part, Stated
from engram.formats.documents.layout import Entry, Page, blocks, page_of
from engram.formats.items import Problem, Skipped, SourceLocation

MAGIC, WITHIN = b"%PDF-", 1024
"""What a PDF begins with, and bytes within which it does, because something can stand before it."""
PATIENCE = 60.0
"""Seconds without a further page after which the reading ends."""
MOST_CHARACTERS = 64 << 20
"""Characters of all pages together that are read."""
INSTALL = "pip install 'engram-layer[documents]'"
NO_TEXT = (
    "is a PDF without text: its pages are pictures. Recognise the text first, for example: ocrmypdf FILE.pdf NEW.pdf"
)
NO_PDF = "is no PDF: it does not begin as one; download or copy it again"
LOCKED = "is encrypted with a password; save a copy without one first"
EMPTY_PAGE = "is a page without text"

_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127], " ")


def parts(file: BinaryIO, location: SourceLocation, progress: Callable[[float], None]) -> Iterator[Part]:
    """Yield the parts of a document. progress: is told which part of the pages was read, 0 to 1.

    Raises `MissingExtra` if pypdf is not installed.
    """
    file.seek(0)
    head = file.read(WITHIN)
    if MAGIC not in head:
        if head:
            yield Problem(location, NO_PDF)
        return
    document = _Document(location)
    with _records(file) as records:
        for record in records:
            yield from document.take(record)
            progress(document.progress)
            if document.characters > MOST_CHARACTERS:
                yield Problem(location, f"holds more than {MOST_CHARACTERS >> 20} MiB of text; the rest was not read")
                break
    yield from document.without_text()
    yield from blocks(document.pages, document.outline)


class _Document:
    """What was read of a document."""

    def __init__(self, location: SourceLocation) -> None:
        self.pages: list[Page] = []
        self.outline: dict[int, list[Entry]] = {}
        """The headings on each page, by its number."""
        self.characters = 0
        self._location = location
        self._total = 0

    @property
    def progress(self) -> float:
        """The part of the pages that was read, 0 to 1."""
        return self.pages[-1].number / self._total if self.pages else 0.0

    def take(self, record: Mapping[str, Any]) -> Iterator[Part]:
        """Take in what the worker says; yield the title, or what could not be read."""
        match record:
            case {"missing": package}:
                raise MissingExtra(f"{self._location.file} is a PDF, which needs {package}; install it with: {INSTALL}")
            case {"locked": _}:
                yield Problem(self._location, LOCKED)
            case {"pages": total, "title": title, "outline": entries}:
                self._total = total
                for level, name, number in entries:
                    self.outline.setdefault(number, []).append(Entry(level, _clean(name)))
                yield Stated(_clean(title))
            case {"lost": number}:
                pages = "a page" if number == 1 else f"{number:,} pages"
                yield Problem(
                    self._location,
                    f"is a PDF that is damaged: {pages} of it cannot be found; download or copy it again",
                )
            case {"page": number, "text": text}:
                self.characters += len(text)
                self.pages.append(page_of(number, _clean(text)))
            case {"page": number, "error": error}:
                yield Problem(self._location.inside(f"page {number}"), f"cannot be read: {error}")
            case {"error": error}:
                read = len(self.pages)
                then = f"the {read:,} pages before it were read" if read else "download or copy it again"
                yield Problem(self._location, f"is a PDF that is damaged, or cannot be read: {error}; {then}")

    def without_text(self) -> Iterator[Part]:
        """Yield the pages without text as left out; the problem, if no page has text."""
        empty = [page for page in self.pages if not any(page.lines)]
        if self.pages and len(empty) == len(self.pages):
            yield Problem(self._location, NO_TEXT)
            return
        for page in empty:
            yield Skipped(self._location.inside(f"page {page.number}"), EMPTY_PAGE)


@contextmanager
def _records(file: BinaryIO) -> Iterator[Iterator[dict[str, Any]]]:
    """Yield the objects that the worker writes about a file; what is left of it is ended afterwards."""
    with ExitStack() as stack:
        try:
            source = file.fileno()
            os.lseek(source, 0, os.SEEK_SET)
        except io.UnsupportedOperation:
            source = stack.enter_context(_copied(file)).fileno()
        # -P: the folder of the worker is no place for imports, which would take its neighbours for libraries.
        command = [sys.executable, "-P", str(Path(pdf_worker.__file__))]
        process = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            yield _read(process)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def _copied(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield a copy of a stream, which a process can read: a file on the disk."""
    with tempfile.TemporaryFile() as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
        copy.seek(0)
        yield copy


def _read(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects that a worker writes; the last one says how it ended, if it did not say so itself."""
    assert process.stdout is not None
    descriptor, buffer, deadline = process.stdout.fileno(), bytearray(), time.monotonic() + PATIENCE
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            yield {"error": f"it took more than {PATIENCE:.0f} seconds for one page"}
            return
        data = os.read(descriptor, 1 << 16)
        if not data:
            yield {"error": f"its reader ended with the status {process.wait()}"}
            return
        searched = len(buffer)
        buffer += data
        while (end := buffer.find(b"\n", searched)) >= 0:
            record = json.loads(buffer[:end])
            del buffer[: end + 1]
            searched, deadline = 0, time.monotonic() + PATIENCE
            yield record
            if record.keys() & {"end", "error", "missing", "locked"} and "page" not in record:
                return


def _clean(text: str) -> str:
    """Return a text without control characters and lone surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
