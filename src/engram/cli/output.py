"""Output for the terminal or for a program.

Owns the escaping: a memory contains text of any origin, and must not move the cursor, ring the bell, or change colours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING

import typer

from engram.notes.zones import local
from engram.records import to_json

if TYPE_CHECKING:
    from engram.engram import Engram

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that control a terminal, except newline and tab, and marks that change the direction of reading."""

ESCAPES = {
    number: f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    for number in (*range(0xA0), *range(0x2028, 0x206A), *range(0xD800, 0xE000), 0xFEFF)
    if CONTROLS.match(chr(number))
}


def escape(text: str) -> str:
    """Return `text` with control characters as escape sequences of Python."""
    return text.translate(ESCAPES) if CONTROLS.search(text) else text


def escape_line(text: str) -> str:
    """Return `text` escaped, on one line."""
    return escape(text).replace("\n", "\\n").replace("\t", "\\t")


def print_json(value: object) -> None:
    """Print a JSON value as one line on stdout."""
    typer.echo(to_json(value))


def print_note(text: str) -> None:
    """Print a remark on stderr."""
    typer.echo(escape_line(text), err=True)


def print_engram(engram: Engram, *, prefix: str = "", namespace: bool = False, zone: tzinfo) -> None:
    """Print an engram for people: a line with time (in `zone`), speaker and session, the text, and the id."""
    who = engram.speaker or engram.role
    where = f"{engram.namespace} / {engram.session}" if namespace else engram.session
    kind = "" if engram.kind == "turn" else f"  {engram.kind}"
    title = f"{prefix}{local(engram.at, zone):%Y-%m-%d %H:%M}  {who}  ({where}){kind}"
    typer.echo(typer.style(escape_line(title), bold=True))
    for line in escape(engram.text).split("\n"):
        typer.echo(f"    {line}")
    typer.echo(typer.style(f"    {engram.id}", dim=True))


def print_table(rows: Mapping[str, object]) -> None:
    """Print names and values, one pair per line."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        typer.echo(f"{name:<{width}}  {escape_line(str(value))}")


def format_bytes(count: int) -> str:
    """Return a number of bytes with a unit."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
