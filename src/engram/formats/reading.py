"""Reads one file of any supported format: a document, or JSON whose values go to the readers of their formats.

Owns the table of the formats of conversations. Reading never raises for the content of a file: errors become `Problem`
items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import BinaryIO

from engram.formats import chatgpt, claude, locomo
from engram.formats.documents import DocumentFormat
from engram.formats.documents.detecting import document_format
from engram.formats.documents.reading import NAMELESS, Document, document_items, session_of
from engram.formats.items import ImportSettings, Item, Problem, SourceLocation
from engram.formats.jsonl import RecordReader
from engram.formats.sources import READ_ERRORS, Source, beginning, opened, reason, values

EXPORTS = (
    ("chatgpt", chatgpt.is_conversation, chatgpt.read),
    ("claude", claude.is_conversation, claude.read),
    ("locomo", locomo.is_sample, locomo.read),
)
"""For each format: its name, a test for its objects, and its reader. An object of no format is read as an engram."""

OF_JSON = (".json", ".jsonl", ".ndjson")
"""Ends of the names of files of conversations."""
UNKNOWN = (
    "is neither conversations in JSON nor a document whose name says its format (.md, .txt, .html, .pdf); "
    "--format says what it is"
)


class ImportFile:
    """The items of the file at `path` ("-": `stdin`), in file order, read while they are iterated.

    Raises `MissingExtra` if the file is a document whose reader is not installed.
    """

    def __init__(self, path: str, settings: ImportSettings, stdin: BinaryIO | None = None) -> None:
        self.path = path
        self.progress = 0.0
        """The part of the file that has been read, 0 to 1."""
        self.formats: Counter[str] = Counter()
        """Number of objects or documents of each format: jsonl, chatgpt, claude, locomo; markdown, text, html, pdf."""
        self.document: str | None = None
        """The session of the document that the file is; None if it is none."""
        self._settings = settings
        self._stdin = stdin

    def __iter__(self) -> Iterator[Item]:
        try:
            with opened(self.path, self._stdin, self._settings.max_unpacked) as source:
                document, shape = self._document_format(source)
                if document is not None:
                    yield from self._document(source, document)
                elif shape == "unknown" and PurePath(source.name).suffix.lower() not in OF_JSON:
                    yield Problem(SourceLocation(source.path), UNKNOWN)
                else:
                    yield from self._values(source)
        except READ_ERRORS as error:
            yield Problem(
                SourceLocation("stdin" if self.path == "-" else self.path), f"cannot be read: {reason(error)}"
            )
        self.progress = 1.0

    def _document_format(self, source: Source) -> tuple[DocumentFormat | None, str]:
        """Return the format of the document that a file is, None for no document; and the shape of its JSON."""
        if self._settings.format is not None or source.is_zip:
            return self._settings.format, ""
        head, text, shape = beginning(source)
        # What comes from stdin has no name that tells its format.
        return document_format("-" if source.is_stdin else source.name, head, text, shape), shape

    def _document(self, source: Source, document: DocumentFormat) -> Iterator[Item]:
        self.document = session_of(source, self._settings)
        if self.document is None:
            yield Problem(SourceLocation(source.path), NAMELESS)
            return
        self.formats[document] += 1

        def report(progress: float) -> None:
            self.progress = progress

        yield from document_items(Document(source, document, self._settings, self.document), report)

    def _values(self, source: Source) -> Iterator[Item]:
        given = [name for name in ("session", "at") if getattr(self._settings, name) is not None]
        if given:
            yield Problem(
                SourceLocation(source.path),
                f"is no document: --{given[0]} is for documents, and what is in this file states its own",
            )
            return
        records = RecordReader(self._settings)
        for part in values(source, self._settings.max_unpacked):
            if isinstance(part, Problem):
                yield part
                continue
            self.progress = part.progress
            if isinstance(part.value, dict):
                yield from self._items(part.value, part.location, records)
            else:
                yield Problem(part.location, f"is {json_type(part.value)}; it must be an object")

    def _items(self, value: Mapping[str, object], location: SourceLocation, records: RecordReader) -> Iterator[Item]:
        for name, recognises, read in EXPORTS:
            if recognises(value):
                self.formats[name] += 1
                yield from read(value, location, self._settings)
                return
        self.formats["jsonl"] += 1
        yield from records.read(value, location)


def json_type(value: object) -> str:
    """Return the type of a JSON value, named as in JSON."""
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
