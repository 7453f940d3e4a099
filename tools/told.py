"""What the sentence encoder is tuned on: statements of people's lives, and questions that they answer in other words.

Owns the formats of `tools/data/told/*.jsonl`, a statement a line with two questions (and one that it only seems to
answer, which nothing is fitted to), and of `tools/data/siblings/*.jsonl`: up to four statements of one matter a line,
each with two questions that the others do not answer. All were written for this, in the languages of the encoder.
Knows no encoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "data"
TOLD, SIBLINGS = DATA / "told", DATA / "siblings"


class Item(NamedTuple):
    """A statement."""

    told: str
    asked: tuple[str, str]
    """What it answers."""
    matter: str
    """The same for statements of one matter."""


def lines_of(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the lines of the files of a folder, with a name for each."""
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{folder.name}/{path.name}:{number}", json.loads(line)


def read_items() -> list[Item]:
    """Return all statements; those of one matter follow each other."""
    items = [Item(line["told"], (line["asked"][0], line["asked"][1]), name) for name, line in lines_of(TOLD)]
    for name, line in lines_of(SIBLINGS):
        items += [Item(one["text"], (one["asked"][0], one["asked"][1]), name) for one in line["told"]]
    return items


def read_languages() -> list[tuple[str, str]]:
    """Return the languages of each statement and of its questions, in the order of `read_items`."""
    both = [(line, 1) for _, line in lines_of(TOLD)] + [(line, len(line["told"])) for _, line in lines_of(SIBLINGS)]
    return [pair for line, count in both for pair in [(line["lang"], line.get("asked_lang", line["lang"]))] * count]
