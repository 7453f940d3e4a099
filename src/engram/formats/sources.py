"""A file as the JSON in it: plain, gzip, or inside the zip that a service sends.

Owns compression, encodings and the cutting into lines or elements; whatever is wrong there becomes a `Problem` with
its place. Knows nothing of what the JSON means.

JSON Lines are read a line at a time, whatever the size of the file. A JSON document (an export's conversations.json)
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
from typing import IO, AnyStr, BinaryIO, NamedTuple, cast

from engram.formats.items import Place, Problem

MAX_LINE = 64 << 20
"""Longest line read, in bytes; the longest engram takes under 13 MiB, however it is escaped."""

HEAD = 64 << 10
EXPORT_MEMBER = re.compile(r"(^|/)conversations(-\d+)?\.json$")
BLANK = re.compile(r"[ \t\r\n]*")
SPOOL = 64 << 20
"""Bytes of a pipe that are held in memory; more goes to a temporary file."""

BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError)
"""What reading a damaged, encrypted or cut-off file raises."""

_decoder = json.JSONDecoder()


class Value(NamedTuple):
    """One JSON value, its place, and how much of the file is behind it (0 to 1)."""

    place: Place
    value: object
    done: float


def values(path: str, stdin: BinaryIO | None = None) -> Iterator[Value | Problem]:
    """The JSON values in the file at `path` ("-": what `stdin` holds); never raises for what the file is like."""
    name = "stdin" if path == "-" else path
    try:
        with _opened(path, stdin) as file:
            yield from _of_file(file, name)
    except BROKEN as error:
        yield Problem(Place(name), f"cannot be read: {reason(error)}")


@contextmanager
def _opened(path: str, stdin: BinaryIO | None) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        file = stdin if path == "-" and stdin is not None else stack.enter_context(open(path, "rb"))
        if not file.seekable():
            # Telling formats apart means reading the beginning twice, and a zip's list of members stands at its end.
            spooled = stack.enter_context(tempfile.SpooledTemporaryFile(max_size=SPOOL))
            shutil.copyfileobj(file, spooled)
            file = cast(BinaryIO, spooled)
        yield file


def _of_file(file: BinaryIO, name: str) -> Iterator[Value | Problem]:
    size = file.seek(0, os.SEEK_END) or 1
    file.seek(0)
    magic = file.read(2)
    file.seek(0)
    if magic == b"PK":
        yield from _of_zip(file, name)
    elif magic == b"\x1f\x8b":
        with closing(gzip.GzipFile(fileobj=file)) as unpacked:
            yield from _of_text(cast(BinaryIO, unpacked), name, lambda: file.tell() / size)
    else:
        yield from _of_text(file, name, lambda: file.tell() / size)


def _of_zip(file: BinaryIO, name: str) -> Iterator[Value | Problem]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        yield Problem(Place(name), f"is a zip that is damaged or cut off ({error}); download or copy it again")
        return
    with archive:
        members = sorted(m for m in archive.namelist() if EXPORT_MEMBER.search(m))
        if not members:
            found = ", ".join(archive.namelist()[:5]) or "nothing"
            yield Problem(Place(name), f"is a zip without a conversations.json; it holds {found}")
        for number, member in enumerate(members):
            try:
                with archive.open(member) as unpacked:
                    content = unpacked.read()
            except BROKEN as error:
                yield Problem(Place(f"{name}/{member}"), f"cannot be read: {reason(error)}")
                continue
            plain = cast(BinaryIO, io.BytesIO(content))
            for found_value in _of_text(plain, f"{name}/{member}", lambda: 1.0):
                if isinstance(found_value, Value):
                    found_value = found_value._replace(done=(number + found_value.done) / len(members))
                yield found_value


def _of_text(file: BinaryIO, name: str, done: Callable[[], float]) -> Iterator[Value | Problem]:
    head = file.read(HEAD)
    file.seek(0)
    encoding = encoding_of(head)
    shape = shape_of(head.decode(encoding, "replace"))
    if shape == "lines":
        yield from _lines(file, name, encoding, done)
    elif shape == "document":
        # Bytes that are no UTF-8 become lone surrogates, which the turn that holds them is refused for, alone.
        errors = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
        yield from _elements(file.read().decode(encoding, errors), name)
    elif shape == "unknown":
        yield Problem(Place(name), "holds no JSON; it must be JSON Lines, a ChatGPT or Claude export, or LoCoMo's JSON")


def encoding_of(head: bytes) -> str:
    """UTF-8, -16 or -32, by the mark or the zero bytes at the beginning."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return json.detect_encoding(head)


def shape_of(head: str) -> str:
    """What the beginning of a text is of: "lines" of JSON, one "document", "empty" or "unknown"."""
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
        # One object over several lines; or one line that is longer than what was looked at.
        return "document" if rest else "lines"
    return "lines"


def _lines(file: BinaryIO, name: str, encoding: str, done: Callable[[], float]) -> Iterator[Value | Problem]:
    number = 0
    try:
        for number, line in enumerate(_cut(file, encoding), start=1):
            place = Place(name, number)
            if line is None:
                yield Problem(place, f"is longer than {MAX_LINE >> 20} MiB, more than any engram takes")
                continue
            try:
                text = (line if isinstance(line, str) else line.decode()).rstrip("\r\n")
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if text.strip():
                    yield Value(place, json.loads(text), done())
            except UnicodeDecodeError as error:
                yield Problem(place, f"is not UTF-8: {error.reason} at byte {error.start + 1}")
            except (ValueError, RecursionError) as error:
                yield Problem(place, f"is not JSON: {reason(error)}")
    except BROKEN as error:
        yield Problem(Place(name, number + 1), f"cannot be read from here on: {reason(error)}")


def _cut(file: BinaryIO, encoding: str) -> Iterator[bytes | str | None]:
    """Lines, split at newlines only; None for one that is too long.

    UTF-8 is cut before it is decoded, so that one bad line spoils no other.
    """
    if encoding.startswith("utf-8"):
        yield from _whole_lines(file, b"\n")
        return
    stream = io.TextIOWrapper(file, encoding, errors="surrogatepass", newline="\n")
    try:
        yield from _whole_lines(stream, "\n")
    finally:
        # The file is not this wrapper's to close.
        stream.detach()


def _whole_lines(stream: IO[AnyStr], newline: AnyStr) -> Iterator[AnyStr | None]:
    while line := stream.readline(MAX_LINE):
        if len(line) < MAX_LINE:
            yield line
            continue
        while line and line[-1:] != newline:
            line = stream.readline(MAX_LINE)
        yield None


def _elements(text: str, name: str) -> Iterator[Value | Problem]:
    """The elements of the outermost list, or the one object there is, each parsed alone; up to the first break."""
    cursor = _blank(text, 0)
    listed = text.startswith("[", cursor)
    if listed:
        cursor = _blank(text, cursor + 1)
    more = not (listed and text.startswith("]", cursor))
    number = 0
    while more:
        place = Place(name).at(number) if listed else Place(name)
        try:
            value, cursor = _decoder.raw_decode(text, cursor)
        except (ValueError, RecursionError) as error:
            yield _broken(place, error, number)
            return
        cursor = _blank(text, cursor)
        yield Value(place, value, cursor / len(text))
        number += 1
        more = listed and text.startswith(",", cursor)
        if more:
            cursor = _blank(text, cursor + 1)
        elif listed and not text.startswith("]", cursor):
            yield _broken(place, json.JSONDecodeError("expecting ',' or ']'", text, cursor), number)
            return
    if text[_blank(text, cursor + listed) :]:
        yield Problem(Place(name), "goes on after the end of its JSON; the rest was not read")


def _broken(place: Place, error: BaseException, number: int) -> Problem:
    line = error.lineno if isinstance(error, json.JSONDecodeError) else None
    kept = "; what stands before it was read" if number else ""
    return Problem(replace(place, line=line), f"is not JSON from here on: {reason(error)}{kept}")


def _blank(text: str, start: int) -> int:
    """Where the white space from `start` on ends."""
    found = BLANK.match(text, start)
    return start if found is None else found.end()


def reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, json.JSONDecodeError):
        what = error.msg.removesuffix(" at")
        return f"{what[:1].lower()}{what[1:]} at column {error.colno}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
