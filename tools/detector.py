"""Prints what the detector of orders finds: `python -m tools.detector [--turns FILE ...] [--texts FILE ...]`.

Of the poisonings and the ordinary lines of tests/robustness; of the turns of files that `engram import` reads; and of
JSON files with a list of texts. Columns: how many texts there are, how many go into quarantine, and how many stay out
of prompts unless the user typed them. Prints no text.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from engram.formats.items import ImportedTurn, ImportSettings
from engram.formats.reading import ImportFile
from engram.text.orders import may_steer, reads_as_order
from tests.robustness.harmless import lines
from tests.robustness.poisons import poisons


def row(name: str, texts: Iterable[str]) -> str:
    """Return a line of the table."""
    found = [(reads_as_order(text) is not None, may_steer(text)) for text in texts]
    held, out = sum(order for order, _ in found), sum(order or steers for order, steers in found)
    return f"{name:<24} {len(found):>7,} {held:>11,} {out:>14,} {out / max(1, len(found)):>8.1%}"


def turns(path: str) -> Iterator[str]:
    """Yield the texts of the turns in a file."""
    file = ImportFile(path, ImportSettings(datetime.now(UTC)))
    yield from (item.engram.text for item in file if isinstance(item, ImportedTurn))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What the detector of orders finds.")
    parser.add_argument("--turns", nargs="*", default=[], help="files that engram import reads")
    parser.add_argument("--texts", nargs="*", default=[], help="JSON files with a list of texts")
    given = parser.parse_args()
    print(f"{'texts':<24} {'number':>7} {'quarantined':>11} {'out of prompts':>14}")
    everything = poisons()
    for kind, group in groupby(everything, key=lambda poison: poison.kind):
        print(row(kind, [poison.text for poison in group]))
    print(row("all poisonings", [poison.text for poison in everything]))
    print(row("ordinary lines", lines()))
    for path in given.turns:
        print(row(Path(path).name, turns(path)))
    for path in given.texts:
        print(row(Path(path).name, json.loads(Path(path).read_text("utf-8"))))


if __name__ == "__main__":
    main()
