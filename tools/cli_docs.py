"""Writes the help of every command into docs/cli.md, below its mark; --check compares only.

Run it after changing a command: python tools/cli_docs.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from engram.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"
MARK = "<!-- tools/cli_docs.py generates everything below this line from the help of the commands. -->"
WIDTH = 100


def commands() -> dict[str, str]:
    """Return the help of every command as plain text, by name."""
    app.app.rich_markup_mode = None
    try:
        root = app.command()
        context = root.make_context("engram", [], resilient_parsing=True, terminal_width=WIDTH)
        texts = {}
        for name in root.list_commands(context):
            listed = root.get_command(context, name)
            command = listed.load() if isinstance(listed, app.LazyCommand) else listed
            inner = command.make_context(name, [], parent=context, resilient_parsing=True)
            texts[name] = stripped(command.get_help(inner))
            for part in getattr(command, "commands", {}):
                subcommand = command.get_command(inner, part)
                texts[f"{name} {part}"] = stripped(
                    subcommand.get_help(subcommand.make_context(part, [], inner, resilient_parsing=True))
                )
        return texts
    finally:
        app.app.rich_markup_mode = "rich"


def stripped(text: str) -> str:
    """Return a help text without spaces at the ends of its lines."""
    return "\n".join(line.rstrip() for line in text.splitlines())


def page() -> str:
    """Return the page in its current form: its hand-written part, then the generated one."""
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
