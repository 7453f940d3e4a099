"""Writes the help of every command into docs/cli.md, below its mark; with --check only says whether it is current.

Run it after changing a command: python tools/cli_docs.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from engram.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
MARK = "<!-- Below this line tools/cli_docs.py writes what the commands say of themselves. -->"
WIDTH = 100


def commands() -> dict[str, str]:
    """The help of every command, plain, by name."""
    app.app.rich_markup_mode = None
    try:
        root = app.command()
        context = root.make_context("engram", [], resilient_parsing=True, terminal_width=WIDTH)
        texts = {}
        for name in root.list_commands(context):
            found = root.get_command(context, name)
            command = found.load() if isinstance(found, app.Later) else found
            own = command.make_context(name, [], parent=context, resilient_parsing=True)
            texts[name] = plain(command.get_help(own))
            for part in getattr(command, "commands", {}):
                below = command.get_command(own, part)
                texts[f"{name} {part}"] = plain(
                    below.get_help(below.make_context(part, [], own, resilient_parsing=True))
                )
        return texts
    finally:
        app.app.rich_markup_mode = "rich"


def plain(text: str) -> str:
    """A help without the spaces that end its lines."""
    return "\n".join(line.rstrip() for line in text.splitlines())


def page() -> str:
    """The page as it should be: its written part, and the help of now."""
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    sections = (f"### engram {name}\n\n```text\n{text}\n```\n" for name, text in commands().items())
    return f"{written}{MARK}\n\n" + "\n".join(sections)


def main() -> int:
    """Write the page, or check it."""
    current = PAGE.read_text(encoding="utf-8") == page()
    if "--check" in sys.argv:
        print("docs/cli.md is current" if current else "docs/cli.md is out of date; run: python tools/cli_docs.py")
        return 0 if current else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
