"""What goes to the terminal or to a program.

Owns the escaping: what a memory holds was written by anybody, and must not move the cursor, ring, or change colours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from engram.records import to_json

if TYPE_CHECKING:
    from engram.engram import Engram

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""All that a terminal may obey, except newline and tab; and the marks that turn the direction of reading over."""


def safe(text: str) -> str:
    """`text` with what a terminal would obey spelled out, as in Python."""
    return CONTROLS.sub(_spelled, text)


def one_line(text: str) -> str:
    """`safe`, and on one line."""
    return safe(text).replace("\n", "\\n").replace("\t", "\\t")


def _spelled(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def answer(value: object) -> None:
    """One JSON value as a line on stdout."""
    typer.echo(to_json(value))


def note(text: str) -> None:
    """Something beside the answer, on stderr."""
    typer.echo(one_line(text), err=True)


def show(engram: Engram, *, head: str = "", namespace: bool = False) -> None:
    """An engram for people: a line of what, when and who; the text; the id."""
    who = engram.speaker or engram.role
    where = f"{engram.namespace} / {engram.session}" if namespace else engram.session
    kind = "" if engram.kind == "turn" else f"  {engram.kind}"
    title = f"{head}{engram.at:%Y-%m-%d %H:%M}  {who}  ({where}){kind}"
    typer.echo(typer.style(one_line(title), bold=True))
    for line in safe(engram.text).split("\n"):
        typer.echo(f"    {line}")
    typer.echo(typer.style(f"    {engram.id}", dim=True))


def table(rows: Mapping[str, object]) -> None:
    """Names and values, one pair a line."""
    width = max(map(len, rows), default=0)
    for name, value in rows.items():
        typer.echo(f"{name:<{width}}  {one_line(str(value))}")


def size(count: int) -> str:
    """Bytes, readable."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
