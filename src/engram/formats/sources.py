"""Reads the JSON values of a file: plain, gzip, or inside the zip that a service sends.

Owns compression, encodings and the split into lines or elements; each error becomes a `Problem` with its location. Does
not know the meaning of the JSON.

JSON Lines are read one line at a time, whatever the size of the file. A JSON document (conversations.json of an export)
is held in memory as text, and parsed one element of its outermost list at a time.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, AnyStr, BinaryIO, NamedTuple, cast

from engram.formats import MAX_UNPACKED
from engram.formats.items import Problem, SourceLocation

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE = 64 << 20
"""Maximum length of a line in bytes; the longest possible engram needs less than 13 MiB, with any escaping."""

HEAD = 64 << 10
"""Bytes from the beginning of a file by which its encoding and shape are recognised."""
EXPORT_MEMBER = re.compile(r"(^|/)conversations(-\d+)?\.json$")
BLANK = re.compile(r"[ \t\r\n]*")
MAX_MEMBERS = 1_000
"""Maximum number of files of conversations in one zip; an export splits its conversations into a few dozen."""

SPOOL = 64 << 20
"""Bytes of a pipe that are held in memory; a longer input goes to a temporary file."""

READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError)
"""Exceptions raised while reading a damaged, encrypted or truncated file."""

_decoder = json.JSONDecoder()


class UnpacksTooLarge(OSError):
    """A compressed file that unpacks to more than its limit."""

    def __init__(self, limit: int) -> None:
        size = f"{limit / (1 << 20):,.0f} MiB"
        super().__init__(f"it unpacks to more than {size}; --max-unpacked or ENGRAM_MAX_UNPACKED raises the limit")


class LimitedReader(io.RawIOBase):
    """Reads an unpacking stream. Raises `UnpacksTooLarge` at the first byte after `limit`."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: an unpacking stream unpacks again from its beginning."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position and return it."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Return the number of unpacked bytes before the current position."""
        return self._stream.tell()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into `buffer`; return the number of bytes, 0 at the end."""
        view = memoryview(buffer).cast("B")
        data = self._stream.read(len(view))
        if self._stream.tell() > self._limit:
            raise UnpacksTooLarge(self._limit)
        view[: len(data)] = data
        return len(data)


def limited(stream: IO[bytes], limit: int) -> BinaryIO:
    """Return `stream` with a limit on the bytes that it unpacks to."""
    return io.BufferedReader(LimitedReader(stream, limit))


class SourceValue(NamedTuple):
    """One JSON value of a file."""

    location: SourceLocation
    value: object
    progress: float
    """The part of the file up to the end of this value, 0 to 1."""


class Source(NamedTuple):
    """An open file: seekable, and unpacked unless it is a zip."""

    file: BinaryIO
    path: str
    """Its path, for messages; "stdin" for stdin."""
    name: str
    """The name in it, without the end of a compression."""
    progress: Callable[[], float]
    """Returns the part of the file that was read, 0 to 1."""
    modified: datetime | None
    """When the file was written; None if it has no such time."""
    is_stdin: bool = False
    is_zip: bool = False


@contextmanager
def opened(path: str, stdin: BinaryIO | None = None, max_unpacked: int = MAX_UNPACKED) -> Iterator[Source]:
    """Open the file at `path` ("-": `stdin`). Raises one of `READ_ERRORS`, also later, when the file is read.

    max_unpacked: the bytes that a gzip file may unpack to.
    """
    is_stdin = path == "-" and stdin is not None
    shown = "stdin" if is_stdin else path
    with ExitStack() as stack:
        file = stdin if is_stdin and stdin is not None else stack.enter_context(open(path, "rb"))
        modified = None if is_stdin else _modified(file)
        if not file.seekable():
            # The beginning is read twice to recognise the format, and the directory of a zip is at its end.
            spooled = stack.enter_context(tempfile.SpooledTemporaryFile(max_size=SPOOL))
            shutil.copyfileobj(file, spooled)
            file = cast(BinaryIO, spooled)
        size = file.seek(0, os.SEEK_END) or 1
        file.seek(0)
        magic = file.read(2)
        file.seek(0)
        name = PurePath(shown).name
        source = Source(file, shown, name, lambda: file.tell() / size, modified, is_stdin, is_zip=magic == b"PK")
        if magic == b"\x1f\x8b":
            unpacked = stack.enter_context(closing(gzip.GzipFile(fileobj=file)))
            file_inside = limited(cast(BinaryIO, unpacked), max_unpacked)
            source = source._replace(file=file_inside, name=name.removesuffix(".gz"))
        yield source


def _modified(file: BinaryIO) -> datetime | None:
    try:
        return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None


def values(source: Source, max_unpacked: int = MAX_UNPACKED) -> Iterator[SourceValue | Problem]:
    """Yield the JSON values of a file. Errors in its content are yielded. Raises one of `READ_ERRORS`.

    max_unpacked: the bytes that a zip may unpack to.
    """
    if source.is_zip:
        yield from _values_of_zip(source.file, source.path, max_unpacked)
    else:
        yield from _values_of_text(source.file, source.path, source.progress)


def _values_of_zip(file: BinaryIO, name: str, max_unpacked: int) -> Iterator[SourceValue | Problem]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        yield Problem(SourceLocation(name), f"is a zip that is damaged or cut off ({error}); download or copy it again")
        return
    with archive:
        members = sorted((m for m in archive.infolist() if EXPORT_MEMBER.search(m.filename)), key=lambda m: m.filename)
        if not members:
            content_names = ", ".join(archive.namelist()[:5]) or "nothing"
            yield Problem(SourceLocation(name), f"is a zip without a conversations.json; it contains {content_names}")
        if len(members) > MAX_MEMBERS:
            yield Problem(
                SourceLocation(name),
                f"contains {len(members):,} files of conversations; the limit is {MAX_MEMBERS:,}: nothing was read",
            )
            return
        left = max_unpacked
        for number, member in enumerate(members):
            location = SourceLocation(f"{name}/{member.filename}")
            try:
                content = _unpacked(archive, member, left, max_unpacked)
            except READ_ERRORS as error:
                yield Problem(location, f"cannot be read: {reason(error)}")
                continue
            left -= len(content)
            for part in _values_of_text(cast(BinaryIO, io.BytesIO(content)), location.file, lambda: 1.0):
                if isinstance(part, SourceValue):
                    part = part._replace(progress=(number + part.progress) / len(members))
                yield part


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int, max_unpacked: int) -> bytes:
    """Return the content of a member. Raises `UnpacksTooLarge` if its stated or its real size is above `left`."""
    if member.file_size > left:
        raise UnpacksTooLarge(max_unpacked)
    with archive.open(member) as stream, limited(stream, left) as unpacked:
        return unpacked.read()


def _values_of_text(file: BinaryIO, name: str, progress: Callable[[], float]) -> Iterator[SourceValue | Problem]:
    head = file.read(HEAD)
    file.seek(0)
    encoding = encoding_of(head)
    shape = shape_of(head.decode(encoding, "replace"))
    if shape == "lines":
        yield from _lines(file, name, encoding, progress)
    elif shape == "document":
        # Bytes that are not UTF-8 become lone surrogates; only the turn that contains them is refused.
        errors = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
        yield from _elements(file.read().decode(encoding, errors), name)
    elif shape == "unknown":
        yield Problem(
            SourceLocation(name),
            "contains no JSON; it must be JSON Lines, a ChatGPT or Claude export, or LoCoMo's JSON",
        )


def beginning(source: Source) -> tuple[bytes, str, str]:
    """Return the beginning of a file: its bytes, its text, and the shape of that as `shape_of` returns it."""
    source.file.seek(0)
    head = source.file.read(HEAD)
    source.file.seek(0)
    text = head.decode(encoding_of(head), "replace")
    return head, text, shape_of(text)


def encoding_of(head: bytes) -> str:
    """Return the encoding, UTF-8, -16 or -32, by the byte order mark or the zero bytes at the beginning."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return json.detect_encoding(head)


def shape_of(head: str) -> str:
    """Return the shape of a text by its beginning: "lines" of JSON, one "document", "empty" or "unknown"."""
    head = head.lstrip("\ufeff")
    text = head.lstrip()
    if not text:
        return "empty" if len(head) < HEAD else "unknown"
    if text[0] == "[":
        return "document"
    first, *rest = text.split("\n")
    if any(line.startswith("{") for line in rest):
        return "lines"
    if text[0] != "{":
        return "unknown"
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        # One object over several lines, or one line that is longer than `head`.
        return "document" if rest else "lines"
    return "lines"


def _lines(file: BinaryIO, name: str, encoding: str, progress: Callable[[], float]) -> Iterator[SourceValue | Problem]:
    number = 0
    try:
        for number, line in enumerate(_split(file, encoding), start=1):
            location = SourceLocation(name, number)
            if line is None:
                yield Problem(location, f"is longer than {MAX_LINE >> 20} MiB, more than any engram needs")
                continue
            try:
                text = (line if isinstance(line, str) else line.decode()).rstrip("\r\n")
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if text.strip():
                    yield SourceValue(location, json.loads(text), progress())
            except UnicodeDecodeError as error:
                yield Problem(location, f"is not UTF-8: {error.reason} at byte {error.start + 1}")
            except (ValueError, RecursionError) as error:
                yield Problem(location, f"is not JSON: {reason(error)}")
    except READ_ERRORS as error:
        yield Problem(SourceLocation(name, number + 1), f"cannot be read from here on: {reason(error)}")


def _split(file: BinaryIO, encoding: str) -> Iterator[bytes | str | None]:
    """Yield the lines, split at newlines only; None for a line that is too long.

    UTF-8 is split before it is decoded, so that one bad line does not affect others.
    """
    if encoding.startswith("utf-8"):
        yield from _whole_lines(file, b"\n")
        return
    stream = io.TextIOWrapper(file, encoding, errors="surrogatepass", newline="\n")
    try:
        yield from _whole_lines(stream, "\n")
    finally:
        # The caller closes the file.
        stream.detach()


def _whole_lines(stream: IO[AnyStr], newline: AnyStr) -> Iterator[AnyStr | None]:
    while line := stream.readline(MAX_LINE):
        if len(line) < MAX_LINE:
            yield line
            continue
        while line and line[-1:] != newline:
            line = stream.readline(MAX_LINE)
        yield None


def _elements(text: str, name: str) -> Iterator[SourceValue | Problem]:
    """Yield the elements of the outermost list, or the single value, each parsed alone; stops at the first error."""
    cursor = _skip_blank(text, 0)
    is_list = text.startswith("[", cursor)
    if is_list:
        cursor = _skip_blank(text, cursor + 1)
    more = not (is_list and text.startswith("]", cursor))
    number = 0
    while more:
        location = SourceLocation(name).inside(number) if is_list else SourceLocation(name)
        try:
            value, cursor = _decoder.raw_decode(text, cursor)
        except (ValueError, RecursionError) as error:
            yield _syntax_problem(location, error, number)
            return
        cursor = _skip_blank(text, cursor)
        yield SourceValue(location, value, cursor / len(text))
        number += 1
        more = is_list and text.startswith(",", cursor)
        if more:
            cursor = _skip_blank(text, cursor + 1)
        elif is_list and not text.startswith("]", cursor):
            yield _syntax_problem(location, json.JSONDecodeError("expecting ',' or ']'", text, cursor), number)
            return
    if text[_skip_blank(text, cursor + is_list) :]:
        yield Problem(SourceLocation(name), "continues after the end of its JSON; the rest was not read")


def _syntax_problem(location: SourceLocation, error: BaseException, number: int) -> Problem:
    line = error.lineno if isinstance(error, json.JSONDecodeError) else None
    before = "; the elements before it were read" if number else ""
    return Problem(replace(location, line=line), f"is not JSON from here on: {reason(error)}{before}")


def _skip_blank(text: str, start: int) -> int:
    """Return the end of the white space that begins at `start`."""
    match = BLANK.match(text, start)
    return start if match is None else match.end()


def reason(error: BaseException) -> str:
    """Return the cause of an error in a few words."""
    if isinstance(error, json.JSONDecodeError):
        message = error.msg.removesuffix(" at")
        return f"{message[:1].lower()}{message[1:]} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
