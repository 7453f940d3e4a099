"""Which commands there are, in which order, and when their code is imported.

Owns the table of commands. Those that need much (chat, bench) are known by name and first line only, until one runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from engram import installation
from engram.cli import care, forget, memories, recall, remember, transfer
from engram.cli.keys import keys_app
from engram.cli.options import help_of
from engram.errors import EngramError, MissingExtra

LATER = {
    "chat": ("engram.cli.chat", "chat", "Talk with a language model that remembers.", "chat"),
    "serve": ("engram.cli.serve", "serve", "Serve a memory: put it in front of any model's API.", "serve"),
    "mcp": ("engram.cli.mcp", "mcp", "Offer a memory to an agent as MCP tools, over stdio.", "serve"),
}
"""Commands by name: module, function, first line of the help, the extra that installs what it needs."""


class Later(TyperCommand):
    """A command whose module is imported when it runs."""

    def __init__(self, name: str) -> None:
        self._module, self._function, help_text, self._extra = LATER[name]
        super().__init__(name, help=help_text)

    def load(self) -> Any:
        """The command itself."""
        try:
            function = getattr(import_module(self._module), self._function)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("engram"):
                raise EngramError(f"this installation of Engram has no {self.name}: {error}") from None
            raise MissingExtra(
                f"engram {self.name} needs {error.name}; install it with: pip install 'engram-layer[{self._extra}]'"
            ) from None
        own = typer.Typer(add_completion=False, rich_markup_mode=app.rich_markup_mode)
        own.command(self.name, help=help_of(function))(function)
        return get_command(own)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of one run, or, with `resilient_parsing`, of a shell's completion."""
        try:
            command = self.load()
        except EngramError:
            if not extra.get("resilient_parsing"):
                raise
            # Completion writes no errors: without the packages of the command, only --help is offered.
            return super().make_context(info_name, args, parent=parent, **extra)
        return command.make_context(info_name, args, parent=parent, **extra)


class Commands(TyperGroup):
    """All commands, those of `LATER` among them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the help."""
        return [*super().list_commands(ctx), *LATER]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by name, or None."""
        return Later(cmd_name) if cmd_name in LATER else super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def engram(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """A memory for language models: keeps what was said, and finds the right part of it.

    Example:
      engram remember "My dog is called Biscuit."
      engram recall "What is my dog called?"
    """
    if version:
        typer.echo(f"engram {installation.version()}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.callback(invoke_without_command=True, help=help_of(engram))(engram)
for name, function in (
    ("remember", remember.remember),
    ("recall", recall.recall),
    ("why", recall.why),
    ("memories", memories.memories),
    ("forget", forget.forget),
    ("compact", forget.compact),
    ("import", transfer.import_files),
    ("export", transfer.export_file),
    ("stats", memories.stats),
    ("doctor", care.doctor),
    ("reindex", care.reindex),
):
    app.command(name, help=help_of(function))(function)


app.add_typer(keys_app, name="keys")


def command() -> Any:
    """The whole of it, ready to be run."""
    return get_command(app)
