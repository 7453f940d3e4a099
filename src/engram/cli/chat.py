"""`engram chat`: a talk with a language model that remembers.

Owns the terminal: lines in, pieces of the reply out, the commands that begin with a slash. Knows nothing of how a turn
is remembered or put to the model; that is `models.conversation`.
"""

from __future__ import annotations

import io
import secrets
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from engram.chat import Conversation
from engram.cli.options import MemoryPath, Namespace
from engram.engram import DEFAULT_NAMESPACE, Engram
from engram.errors import EngramError, InvalidEngram, NotFound
from engram.memory import Memory
from engram.models import open_model
from engram.notes.wording import profile_for

PROMPT = "you › "
LISTED = 15
"""Memories that /memories shows."""

COMMANDS = ("/memories", "/why", "/forget", "/help", "/quit")

HELP = """\
/memories           the latest memories; /memories WORDS looks for some
/why                which memories went into the last reply, and why those
/forget last        forget what you said last, and the reply
/forget WORDS       forget a memory that is found by these words; also a number from the last list, or an id
/help               this
/quit               leave (Ctrl-D, too); Ctrl-C stops a reply"""


def chat(
    namespace: Namespace = DEFAULT_NAMESPACE,
    memory: MemoryPath = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="smollm2 (the default), a path to a .gguf file, or URL#name of an endpoint."),
    ] = None,
    notes: Annotated[int | None, typer.Option(min=0, help="Memories that go to the model with a message.")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Tokens they may take.")] = None,
    session: Annotated[str | None, typer.Option(help="The session to go on with; a new one if left out.")] = None,
) -> None:
    r"""Talk with a language model that remembers.

    What is said is kept before the model replies, and found again in every later chat. In a pipe only the replies are
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
    forgive_encodings()
    with Memory(memory) as store:
        language_model = open_model(model)
        try:
            talk = Conversation(
                store, language_model, namespace=namespace, session=session or new_session(), profile=profile
            )
            Chat(talk, interactive=sys.stdin.isatty() and sys.stdout.isatty()).run()
        finally:
            language_model.close()


def new_session() -> str:
    """The name of a session that begins now."""
    return f"chat-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def forgive_encodings() -> None:
    """Let no byte that comes in, and no character that the terminal lacks, end the chat."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def cleaned(line: str) -> str:
    """A line as it came from the terminal or a pipe, as text that can be remembered."""
    # Bytes that are no UTF-8 arrive as lone surrogates.
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


class Chat:
    """A chat on a terminal, or in a pipe: then nothing is printed but the replies and what commands answer."""

    def __init__(self, talk: Conversation, *, interactive: bool) -> None:
        self.talk = talk
        self.interactive = interactive
        self.listed: list[Engram] = []
        """The list that a number in /forget means."""

    def run(self) -> None:
        """Until the user leaves or the input ends. In a pipe the first error ends it, too."""
        if not self.interactive:
            for line in map(cleaned, sys.stdin):
                if line and not self.answer(line):
                    return
            return
        enable_line_editing()
        self.greet()
        for line in typed():
            try:
                if line and not self.answer(line):
                    return
            except EngramError as error:
                typer.secho(shown(str(error)), fg="red", err=True)
            except KeyboardInterrupt:
                typer.echo()

    def greet(self) -> None:
        """Say who is there, and what is known."""
        talk = self.talk
        known = dict(talk.memory.namespaces()).get(talk.namespace, 0)
        of = "" if talk.namespace == DEFAULT_NAMESPACE else f" of {talk.namespace}"
        dim(f"{talk.model.name} · {counted(known, 'memory', 'memories')}{of} in {talk.memory.path} · /help")

    def answer(self, line: str) -> bool:
        """Reply to a line, or carry out the command that it is; whether to go on."""
        command, _, words = line.partition(" ")
        known = command in COMMANDS
        # In a pipe a line may well begin with a slash and be no command: a path, say.
        if known or (self.interactive and command.startswith("/")):
            return self.obey(command, words.strip())
        self.reply(line)
        return True

    def reply(self, line: str) -> None:
        """Stream the reply to a line, then show what it was given."""
        pieces = self.talk.say(line)
        try:
            for piece in pieces:
                sys.stdout.write(shown(piece) if self.interactive else piece)
                sys.stdout.flush()
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            sys.stdout.write(" …")
        finally:
            # Closing stops the model, and keeps what it had said.
            pieces.close()
            sys.stdout.write("\n")
            sys.stdout.flush()
        if self.interactive:
            for hit in self.talk.used:
                dim(f"  ↳ {summary(hit.engram)} · {hit.score:.2f}")

    def obey(self, command: str, words: str) -> bool:
        """Carry out a command; whether to go on."""
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
                typer.echo(f"There is no {shown(command)}; /help lists the commands.")
        return True

    def why(self) -> None:
        """Show the memories that went into the last reply, with the parts of their rank values."""
        if not self.talk.used:
            typer.echo("No memory went into the last reply.")
        for hit in self.talk.used:
            typer.echo(shown(f"{summary(hit.engram, 200)} · score {hit.score:.2f}"))
            parts = sorted(hit.why.items(), key=lambda part: -abs(part[1]))
            dim("  " + " · ".join(f"{name} {value:.2f}" for name, value in parts))
            dim(f"  id {hit.engram.id}")

    def memories(self, words: str) -> None:
        """List the latest memories, or those that `words` find, best first."""
        talk = self.talk
        if words:
            self.listed = [hit.engram for hit in talk.memory.recall(words, namespace=talk.namespace, limit=LISTED)]
        else:
            self.listed = list(talk.memory.engrams(namespace=talk.namespace, limit=LISTED, newest=True))
        self.show_list()

    def show_list(self) -> None:
        """Print the list with its numbers."""
        if not self.listed:
            typer.echo("There is none.")
        for number, engram in enumerate(self.listed, 1):
            typer.echo(
                f"{number:3}  {shown(summary(engram, 90))}" + ("" if engram.role == "user" else f" ({engram.role})")
            )

    def forget(self, words: str) -> None:
        """Forget what `words` mean, after asking."""
        if not words:
            typer.echo("/forget last, /forget NUMBER of the last list, /forget ID or /forget WORDS")
            return
        chosen = self.meant(words)
        if not chosen:
            typer.echo("Nothing was forgotten.")
            return
        for engram in chosen:
            typer.echo("  " + shown(summary(engram, 200)))
        question = f"Forget {'this' if len(chosen) == 1 else 'these'}? [y/N] "
        if self.interactive and asked(question).casefold() not in ("y", "yes"):
            typer.echo("Nothing was forgotten.")
            return
        count = self.talk.forget([engram.id for engram in chosen])
        gone = {engram.id for engram in chosen}
        self.listed = [engram for engram in self.listed if engram.id not in gone]
        typer.echo(f"Forgot {counted(count, 'memory', 'memories')}.")

    def meant(self, words: str) -> list[Engram]:
        """The memories that the words of a /forget mean; asks which where there are several."""
        talk = self.talk
        if words == "last":
            return [talk.memory.get(id) for id in talk.last_exchange()]
        if words.isdecimal() and 1 <= int(words) <= len(self.listed):
            return [self.listed[int(words) - 1]]
        try:
            engram = talk.memory.get(words)
        except (NotFound, InvalidEngram):
            engram = None
        if engram is not None and engram.namespace == talk.namespace:
            return [engram]
        found = [hit.engram for hit in talk.memory.recall(words, namespace=talk.namespace, limit=LISTED)]
        # Recall brings what stands near, too; who says the very words means those that have them.
        self.listed = [engram for engram in found if words.casefold() in engram.text.casefold()] or found
        if len(self.listed) < 2:
            return self.listed
        self.show_list()
        return picked(asked("Which? (numbers, or nothing) "), self.listed) if self.interactive else []


def typed() -> Iterator[str]:
    """What the user types, line by line, until Ctrl-D or a Ctrl-C at the prompt."""
    while True:
        try:
            yield cleaned(input(PROMPT))
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return


def asked(question: str) -> str:
    """The user's answer; nothing for Ctrl-C and Ctrl-D."""
    try:
        return input(question).strip()
    except (EOFError, KeyboardInterrupt):
        typer.echo()
        return ""


def picked(answer: str, listed: Sequence[Engram]) -> list[Engram]:
    """The engrams whose numbers are in an answer."""
    numbers = {int(word) for word in answer.replace(",", " ").split() if word.isdecimal()}
    return [engram for number, engram in enumerate(listed, 1) if number in numbers]


def summary(engram: Engram, width: int = 70) -> str:
    """A memory on one line: the beginning of its text, and its day."""
    text = " ".join(engram.text.split())
    if len(text) > width:
        text = text[: width - 1] + "…"
    day = engram.at.astimezone()
    return f"{text} · {day.day} {day:%b %Y}"


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def shown(text: str) -> str:
    """`text` without the control characters that would speak to the terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def dim(text: str) -> None:
    """Print a line that stands back."""
    typer.secho(shown(text), dim=True)


def enable_line_editing() -> None:
    """Let `input` edit its line and go back to earlier ones, where Python has readline."""
    try:
        import readline  # noqa: F401 (importing it is what does it)
    except ImportError:
        return
