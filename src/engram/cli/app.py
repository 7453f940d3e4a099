"""The table of commands: their order, and when their modules are imported.

The commands in `LAZY` need large or optional packages. Until one of them runs, only its name and the first line of its
help are known.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from engram import installation
from engram.cli import arcs, backup, care, facts, forget, memories, quarantine, recall, remember, summary, transfer
from engram.cli.keys import keys_app
from engram.cli.options import help_of
from engram.cli.policy import policy_app
from engram.cli.state import state_app
from engram.errors import EngramError, MissingExtra

LAZY = {
    "chat": ("chat", "Talk with a language model that remembers."),
    "serve": ("serve", "Serve a memory: put it in front of any model's API."),
    "mcp": ("serve", "Offer a memory to an agent as MCP tools, over stdio."),
}
"""By command: the extra that installs its packages, and the first line of its help. The command `chat` is the function
`chat` in the module `engram.cli.chat`, and so on."""


class LazyCommand(TyperCommand):
    """A command whose module is imported when the command runs."""

    def __init__(self, name: str) -> None:
        self._extra, help_text = LAZY[name]
        super().__init__(name, help=help_text)

    def load(self) -> Any:
        """Import and return the command. Raises `MissingExtra` if a package that it needs is not installed."""
        name = str(self.name)
        try:
            function = getattr(import_module(f"engram.cli.{name}"), name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("engram"):
                raise EngramError(f"this installation of Engram has no command {name}: {error}") from None
            raise MissingExtra(
                f"engram {name} needs {error.name}; install it with: pip install 'engram-layer[{self._extra}]'"
            ) from None
        single = typer.Typer(add_completion=False, rich_markup_mode=app.rich_markup_mode)
        single.command(name, help=help_of(function))(function)
        return get_command(single)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of one run, or, with `resilient_parsing`, of a shell's completion."""
        try:
            command = self.load()
        except EngramError:
            if not extra.get("resilient_parsing"):
                raise
            # Completion writes no errors: without the packages of the command, only --help is offered.
            return super().make_context(info_name, args, parent=parent, **extra)
        return command.make_context(info_name, args, parent=parent, **extra)


class CommandGroup(TyperGroup):
    """All commands, including those of `LAZY`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return [*super().list_commands(ctx), *LAZY]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by name, or None."""
        return LazyCommand(cmd_name) if cmd_name in LAZY else super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=CommandGroup,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def engram(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """A memory for language models: stores conversations verbatim and finds the right part of them.

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
    ("facts", facts.facts),
    ("profile", facts.profile),
    ("summary", summary.summary),
    ("arcs", arcs.arcs),
    ("arc", arcs.arc),
    ("working", facts.working),
    ("reflect", facts.reflect),
    ("memories", memories.memories),
    ("forget", forget.forget),
    ("quarantine", quarantine.quarantine),
    ("compact", forget.compact),
    ("import", transfer.import_files),
    ("export", transfer.export_file),
    ("backup", backup.backup),
    ("restore", backup.restore),
    ("stats", memories.stats),
    ("doctor", care.doctor),
    ("reindex", care.reindex),
):
    app.command(name, help=help_of(function))(function)


app.add_typer(policy_app, name="policy")
app.add_typer(state_app, name="state")
app.add_typer(keys_app, name="keys")


def command() -> Any:
    """Return the command `engram`, ready to run."""
    return get_command(app)
