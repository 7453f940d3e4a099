"""Reads a document as engrams: one for each passage.

Owns what an engram says of its passage: its session, place, time and id. The text of a document is nobody's word: its
origin is `document`, and its role is not the user's.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

from engram.engram import MAX_NAME_BYTES
from engram.errors import InvalidEngram
from engram.formats.documents import KIND, DocumentFormat, markdown, pdf, plain, webpage
from engram.formats.documents.blocks import Part, Stated
from engram.formats.documents.cutting import Passage, passages
from engram.formats.documents.decoding import Undecodable, decoding_of
from engram.formats.items import ImportSettings, Item, Problem, Remark, Skipped, SourceLocation, derived_id, imported
from engram.formats.sources import Source
from engram.times import as_utc, parse_time

MOST_BYTES = 64 << 20
"""Size of a document that is held in memory: Markdown and HTML."""
MOST_PASSAGES = 1_000_000
"""Passages of one document that are imported."""
ROLE = "tool"
"""The role of a passage: what a document says is said by neither the user nor the assistant."""
EMPTY = "is a document without text"
NAMELESS = "is a document without a name, because it comes from stdin; give it one with --session NAME"


class Document(NamedTuple):
    """A document that is read, and what the import says of it."""

    source: Source
    format: DocumentFormat
    settings: ImportSettings
    session: str

    @property
    def name(self) -> str:
        """The name of the file in the fields of its engrams."""
        return shown(self.source.name)


def session_of(source: Source, settings: ImportSettings) -> str | None:
    """Return the session of a document: the one of the settings, else the name of the file; None for stdin."""
    if settings.session is not None:
        return settings.session
    return None if source.is_stdin else shown(source.name)


def shown(name: str) -> str:
    """Return a name of a file as text that a field can hold."""
    return os.fsencode(name).decode(errors="replace").encode()[: MAX_NAME_BYTES - 100].decode(errors="ignore")


def document_items(document: Document, progress: Callable[[float], None]) -> Iterator[Item]:
    """Yield the passages of a document as items. progress: is told which part of it was read, 0 to 1.

    Raises `MissingExtra` for a PDF if pypdf is not installed.
    """
    location = SourceLocation(document.source.path)
    try:
        parts = _parts(document, location, progress)
        maker = _EngramMaker(document)
        stem = PurePath(document.session if document.source.is_stdin else document.name).stem
        for part in passages(parts, stem):
            match part:
                case Passage():
                    if maker.made == MOST_PASSAGES:
                        yield Problem(location, f"has more than {MOST_PASSAGES:,} passages; the others were not read")
                        return
                    yield maker.item(part, location)
                case Stated():
                    yield from maker.state(part, location)
                case _:
                    maker.noted = maker.noted or isinstance(part, Problem)
                    yield part
    except Undecodable as error:
        yield Problem(location, str(error))
        return
    if not maker.made and not maker.noted:
        yield Skipped(location, EMPTY)


def _parts(document: Document, location: SourceLocation, progress: Callable[[float], None]) -> Iterator[Part]:
    source = document.source
    match document.format:
        case "pdf":
            return pdf.parts(source.file, location, progress)
        case "text":
            return _plain_parts(source, location, progress)
        case "markdown":
            return _held_parts(source, location, "Markdown", partial(markdown.parts, progress=progress))
        case "html":
            return _held_parts(source, location, "HTML", partial(webpage.page_parts, progress=progress))


def _held_parts(
    source: Source, location: SourceLocation, name: str, read: Callable[[str, SourceLocation], Iterator[Part]]
) -> Iterator[Part]:
    """Yield the parts of a document that is held in memory. name: of its format."""
    source.file.seek(0)
    content = source.file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        why = f"is larger than {MOST_BYTES >> 20} MiB, the most for {name}; split it"
        yield Problem(location, f"{why}, or import it as it is: --format text")
        return
    decoding = decoding_of(io.BytesIO(content), page=name == "HTML")
    if decoding.remark:
        yield Remark(location, decoding.remark)
    text = content.decode(decoding.encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    yield from read(text, location)


def _plain_parts(source: Source, location: SourceLocation, progress: Callable[[float], None]) -> Iterator[Part]:
    decoding = decoding_of(source.file)
    if decoding.remark:
        yield Remark(location, decoding.remark)
    source.file.seek(0)
    stream = io.TextIOWrapper(source.file, decoding.encoding, errors="replace")
    try:
        for block in plain.blocks(stream):
            yield block
            progress(source.progress())
    finally:
        # The caller closes the file.
        stream.detach()


class _EngramMaker:
    """Makes the engrams of one document. Counts equal passages, so that each gets a different id."""

    def __init__(self, document: Document) -> None:
        self.made = 0
        self.noted = False
        """Whether a problem was reported."""
        self._document = document
        self._title = ""
        settings = document.settings
        self._at = settings.at or document.source.modified
        self._seen: Counter[str] = Counter()

    def state(self, stated: Stated, location: SourceLocation) -> Iterator[Problem]:
        """Take in what the document states of itself; yield the problem of a date that cannot be read."""
        self._title = stated.title[:1000]
        if not stated.date or self._document.settings.at is not None:
            return
        try:
            # YAML puts a space between a time and its zone.
            moment = parse_time("date", stated.date.replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=self._document.settings.zone)
            self._at = as_utc("date", moment)
        except InvalidEngram as error:
            self.noted = True
            yield Problem(location, f"{error}; the time of its file is taken instead")

    def item(self, passage: Passage, location: SourceLocation) -> Item:
        """Return the item of a passage."""
        self.made += 1
        document, settings = self._document, self._document.settings
        unit = "page" if document.format == "pdf" else "line"
        where = location.inside(f"page {passage.place}") if unit == "page" else replace(location, line=passage.place)
        metadata = {
            "title": self._title,
            "headings": list(passage.headings),
            "format": document.format,
            unit: passage.place,
            "last_page": passage.last_place if unit == "page" and passage.last_place > passage.place else None,
        }
        return imported(
            where,
            settings,
            self._at,
            # An edit moves what is behind it, and changes the time of the file; the passage is the same.
            open_fields={"at", "metadata", "source"},
            text=passage.text,
            namespace=settings.namespace,
            session=document.session,
            role=ROLE,
            kind=KIND,
            source=f"{document.name}, {unit} {passage.place}",
            metadata={name: value for name, value in metadata.items() if value},
            origin="document",
            id=self._id(passage.text),
        )

    def _id(self, text: str) -> str:
        """Return an id derived from a text, and from how often the document has had the same passage."""
        key = (KIND, self._document.settings.namespace, self._document.session, text)
        first = derived_id(None, *key)
        self._seen[first] += 1
        count = self._seen[first]
        return first if count == 1 else derived_id(None, *key, count)
