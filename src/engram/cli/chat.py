"""`engram chat`: a conversation with a language model that remembers.

Owns the terminal: input lines, the streamed reply, and the commands that begin with a slash. Does not know how a
message is stored or sent to the model; that is `engram.chat`.
"""

from __future__ import annotations

import io
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer

from engram.chat import Conversation
from engram.cli.options import EncoderName, LeastTrust, MemoryPath, Namespace, Redact, Timezone
from engram.cli.output import escape
from engram.cli.reading import reading
from engram.engram import DEFAULT_NAMESPACE, Engram
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.memory import Memory
from engram.models import open_model
from engram.notes.choosing import LEAST_TRUST
from engram.notes.wording import profile_for
from engram.notes.zones import MACHINE, local
from engram.recall.context import author_of
from engram.text.redaction import redaction_kinds

PROMPT = "you › "
MAX_LISTED = 15
"""Maximum number of memories in a list of /memories."""

COMMANDS = ("/memories", "/why", "/forget", "/help", "/quit")

HELP = """\
/memories           list the latest memories; /memories WORDS lists those that WORDS find
/why                show the memories that went into the last reply, and their scores
/forget last        forget your last message, and the reply
/forget WORDS       forget a memory that WORDS find; also a number of the last list, or an id
/help               show this help
/quit               leave (also Ctrl-D); Ctrl-C stops a reply"""


def chat(
    namespace: Namespace = DEFAULT_NAMESPACE,
    path: MemoryPath = None,
    encoder: EncoderName = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="smollm2 (the default), a path to a .gguf file, or URL#name of an endpoint."),
    ] = None,
    notes: Annotated[
        int | None, typer.Option(min=0, help="Maximum number of memories sent to the model with a message.")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Maximum tokens of these memories.")] = None,
    least_trust: LeastTrust = LEAST_TRUST,
    redact: Redact = "",
    session: Annotated[str | None, typer.Option(help="The session to continue. Default: a new session.")] = None,
    timezone: Timezone = MACHINE,
) -> None:
    r"""Talk with a language model that remembers.

    Every message is stored before the model replies, and every later chat can recall it. In a pipe only the replies are
    printed, one for each line of input.

    Example:
      engram chat --namespace ana
      printf 'What is my dog called?\n' | engram chat
    """
    profile = profile_for(model)
    profile = replace(
        profile,
        max_notes=profile.max_notes if notes is None else notes,
        budget=profile.budget if budget is None else budget,
    )
    tolerate_encoding_errors()
    with Memory(path, redact=redaction_kinds(redact)) as memory, reading(memory):
        language_model = open_model(model)
        try:
            conversation = Conversation(
                memory,
                language_model,
                namespace=namespace,
                session=session or new_session(),
                profile=profile,
                zone=timezone,
                least_trust=least_trust,
            )
            ChatTerminal(conversation, interactive=sys.stdin.isatty() and sys.stdout.isatty()).run()
        finally:
            language_model.close()


def new_session() -> str:
    """Return a name for a session that begins now."""
    return f"chat-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def tolerate_encoding_errors() -> None:
    """Set stdin and stdout so that invalid bytes and characters that the terminal lacks do not end the chat."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def cleaned(line: str) -> str:
    """Return a line of input as text that can be remembered: valid Unicode, without white space at its ends."""
    # Bytes that are not UTF-8 arrive as lone surrogates.
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


class ChatTerminal:
    """A chat on a terminal or in a pipe. In a pipe only replies and the output of commands are printed."""

    def __init__(self, conversation: Conversation, *, interactive: bool) -> None:
        self.conversation = conversation
        self.interactive = interactive
        self.listed: list[Engram] = []
        """The last list; a number in /forget refers to it."""

    def run(self) -> None:
        """Read and answer lines until the user leaves or the input ends. In a pipe, the first error ends the chat."""
        if not self.interactive:
            for line in map(cleaned, sys.stdin):
                if line and not self.handle(line):
                    return
            return
        enable_line_editing()
        self.greet()
        for line in typed_lines():
            try:
                if line and not self.handle(line):
                    return
            except EngramError as error:
                typer.secho(escape(str(error)), fg="red", err=True)
            except KeyboardInterrupt:
                typer.echo()

    def greet(self) -> None:
        """Print the model, the number of memories, and the file."""
        conversation = self.conversation
        # Of the names that begin with this one, the name itself is the first.
        first = conversation.memory.namespaces(conversation.namespace, limit=1)
        count = dict(first).get(conversation.namespace, 0)
        of = "" if conversation.namespace == DEFAULT_NAMESPACE else f" of {conversation.namespace}"
        memories = counted(count, "memory", "memories")
        print_dim(f"{conversation.model.name} · {memories}{of} in {conversation.memory.path} · /help")

    def handle(self, line: str) -> bool:
        """Reply to a line, or run the command in it; return whether the chat continues."""
        command, _, words = line.partition(" ")
        # In a pipe, a line that begins with a slash and is no command is a message: a path, for example.
        if command in COMMANDS or (self.interactive and command.startswith("/")):
            return self.run_command(command, words.strip())
        self.reply(line)
        return True

    def reply(self, line: str) -> None:
        """Stream the reply to a line, then print the memories that the model received."""
        pieces = self.conversation.say(line)
        try:
            for piece in pieces:
                sys.stdout.write(escape(piece) if self.interactive else piece)
                sys.stdout.flush()
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            sys.stdout.write(" …")
        finally:
            # Closing stops the model and stores the part of the reply that it has sent.
            pieces.close()
            sys.stdout.write("\n")
            sys.stdout.flush()
        if self.interactive:
            for hit in self.conversation.used:
                print_dim(f"  ↳ {summary(hit.engram, self.conversation.zone)} · {hit.score:.2f}")

    def run_command(self, command: str, words: str) -> bool:
        """Run a command; return whether the chat continues."""
        match command:
            case "/quit":
                return False
            case "/help":
                typer.echo(HELP)
            case "/why":
                self.why()
            case "/memories":
                self.memories(words)
            case "/forget":
                self.forget(words)
            case _:
                typer.echo(f"There is no command {escape(command)}; /help lists the commands.")
        return True

    def why(self) -> None:
        """Print the memories that went into the last reply, with the parts of their rank values."""
        if not self.conversation.used:
            typer.echo("No memory went into the last reply.")
        for hit in self.conversation.used:
            typer.echo(escape(f"{summary(hit.engram, self.conversation.zone, 200)} · score {hit.score:.2f}"))
            parts = sorted(hit.why.items(), key=lambda part: -abs(part[1]))
            print_dim("  " + " · ".join(f"{name} {value:.2f}" for name, value in parts))
            print_dim(f"  id {hit.engram.id}")

    def memories(self, words: str) -> None:
        """List the latest memories, or those that `words` find, best first."""
        memory, namespace = self.conversation.memory, self.conversation.namespace
        if words:
            now = datetime.now(self.conversation.zone)
            hits = memory.recall(words, namespace=namespace, limit=MAX_LISTED, now=now)
            self.listed = [hit.engram for hit in hits]
        else:
            self.listed = list(memory.engrams(namespace=namespace, limit=MAX_LISTED, newest=True))
        self.print_list()

    def print_list(self) -> None:
        """Print the last list with its numbers."""
        if not self.listed:
            typer.echo("There are no such memories.")
        for number, engram in enumerate(self.listed, 1):
            author = author_of(engram)
            shown = escape(summary(engram, self.conversation.zone, 90))
            typer.echo(f"{number:3}  {shown}" + (f" ({author})" if author else ""))

    def forget(self, words: str) -> None:
        """Forget the memories that `words` select, after a confirmation."""
        if not words:
            typer.echo("/forget last, /forget NUMBER of the last list, /forget ID or /forget WORDS")
            return
        chosen = self.selected(words)
        if not chosen:
            typer.echo("Nothing was forgotten.")
            return
        for engram in chosen:
            typer.echo("  " + escape(summary(engram, self.conversation.zone, 200)))
        question = f"Forget {'this' if len(chosen) == 1 else 'these'}? [y/N] "
        if self.interactive and ask(question).casefold() not in ("y", "yes"):
            typer.echo("Nothing was forgotten.")
            return
        ids = {engram.id for engram in chosen}
        count = self.conversation.forget(ids)
        self.listed = [engram for engram in self.listed if engram.id not in ids]
        typer.echo(f"Forgot {counted(count, 'memory', 'memories')}.")

    def selected(self, words: str) -> list[Engram]:
        """Return the memories that the words of a /forget select; ask which if there are several."""
        memory, namespace = self.conversation.memory, self.conversation.namespace
        if words == "last":
            return [memory.get(id) for id in self.conversation.last_exchange()]
        if words.isdecimal() and 1 <= int(words) <= len(self.listed):
            return [self.listed[int(words) - 1]]
        try:
            engram = memory.get(words)
        except (NotFound, InvalidEngram):
            engram = None
        if engram is not None and engram.namespace == namespace:
            return [engram]
        hits = [hit.engram for hit in memory.recall(words, namespace=namespace, limit=MAX_LISTED)]
        # Recall also returns related memories: if some contain the exact words, only those are meant.
        self.listed = [engram for engram in hits if words.casefold() in engram.text.casefold()] or hits
        if len(self.listed) < 2:
            return self.listed
        self.print_list()
        return picked(ask("Which? (numbers, or nothing) "), self.listed) if self.interactive else []


def typed_lines() -> Iterator[str]:
    """Yield the lines that the user types, until Ctrl-D or Ctrl-C at the prompt."""
    while True:
        try:
            yield cleaned(input(PROMPT))
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return


def ask(question: str) -> str:
    """Return the user's answer; "" for Ctrl-C and Ctrl-D."""
    try:
        return input(question).strip()
    except (EOFError, KeyboardInterrupt):
        typer.echo()
        return ""


def picked(answer: str, listed: Sequence[Engram]) -> list[Engram]:
    """Return the engrams of a list whose numbers are in an answer."""
    numbers = {int(word) for word in answer.replace(",", " ").split() if word.isdecimal()}
    return [engram for number, engram in enumerate(listed, 1) if number in numbers]


def summary(engram: Engram, zone: tzinfo, width: int = 70) -> str:
    """Return a memory on one line: the beginning of its text, at most `width` characters, and its day in `zone`."""
    text = " ".join(engram.text.split())
    if len(text) > width:
        text = text[: width - 1] + "…"
    day = local(engram.at, zone)
    return f"{text} · {day.day} {day:%b %Y}"


def counted(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def print_dim(text: str) -> None:
    """Print a dimmed line."""
    typer.secho(escape(text), dim=True)


def enable_line_editing() -> None:
    """Enable line editing and history for `input`, if Python has readline."""
    try:
        import readline  # noqa: F401 (the import has the effect)
    except ImportError:
        return
