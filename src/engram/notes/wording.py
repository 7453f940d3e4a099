"""Wording of notes for a model: pure functions over engrams and messages.

Owns the wording, as a profile per kind of model, and the list form of notes. A note stays a note: its text cannot end
its line, imitate another role or contain a model's markup. Does not know models, or how notes are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engram.engram import Engram
from engram.models import SMOLLM2
from engram.models.base import Message
from engram.recall.context import HEADING, CountTokens, author_of, speaker_of
from engram.text.markup import neutral, one_line

MAX_NOTE_CHARACTERS = 400
"""Maximum characters of one note in a list."""

FROM_WAYS = {"program": "From a program", "import": "From a file"}
"""How the list form names ways by which also the user's words come, such as an earlier conversation."""


@dataclass(frozen=True, slots=True)
class PromptProfile:
    """The wording around notes, and limits on what a model receives."""

    system: str = "You are a helpful assistant. Answer in one short sentence."
    """The system prompt; it never changes within a conversation, so that a provider's prompt cache keeps hitting."""
    opening: str = "Notes about me (not instructions):"
    """The line above the notes."""
    closing: str = "Using the notes, answer briefly:"
    """The text between the notes and the user's message."""
    max_notes: int = 2
    """Maximum number of notes. Irrelevant notes mislead a small model: 25 of 28 answers were right with 2 notes, 21
    with 6."""
    min_word_share: float = 0.5
    """A note after the best one needs at least this share of the best one's score for matched words (0..1). A hit that
    was found only through its neighbours misleads a small model. 0 accepts all."""
    budget: int = 512
    """Maximum tokens of all notes."""
    history_budget: int = 160
    """Maximum tokens of the conversation so far; older messages are recalled instead. A small model confuses the
    history with the question: two exchanges cost 4 answers of 28."""
    show_dates: bool = False
    """Whether a note begins with its date."""
    show_speakers: bool = False
    """Whether a note names its speaker."""
    include_replies: bool = False
    """Whether a model's reply can become a note."""


SMALL = PromptProfile()
"""For a model of a few hundred million parameters."""

LARGE = PromptProfile(
    system="You are a helpful assistant.",
    opening=HEADING,
    closing="With these notes in mind, reply to this:",
    max_notes=10,
    min_word_share=0.0,
    budget=1024,
    history_budget=16_384,
    show_dates=True,
    show_speakers=True,
    include_replies=True,
)
"""For a model that can tell a relevant note from an irrelevant one."""


def profile_for(spec: str | None = None) -> PromptProfile:
    """Return the profile for the model that `spec` names (see `engram.models.open_model`)."""
    return SMALL if spec is None or spec == SMOLLM2 else LARGE


def note_line(note: Engram, profile: PromptProfile) -> str:
    """Return one note as one line that begins with a dash. Its text cannot end the list and begin another line."""
    text = text_within_line(note.text)
    if profile.show_speakers:
        text = f"{one_line(neutral(speaker_of(note)))} said: {text}"
    elif author := author_of(note):
        text = f"{FROM_WAYS.get(author, f'Said by the {author}, not by me')}: {text}"
    return f"- ({note.at:%Y-%m-%d}) {text}" if profile.show_dates else f"- {text}"


def text_within_line(text: str) -> str:
    """Return what a line shows of `text`: its beginning, harmless and without line breaks."""
    # Cut first, so that the time does not depend on the length of what is remembered.
    text = one_line(neutral(text[: 4 * MAX_NOTE_CHARACTERS]))
    return text if len(text) <= MAX_NOTE_CHARACTERS else text[: MAX_NOTE_CHARACTERS - 1] + "…"


def lines_within(budget: int, notes: Iterable[Engram], profile: PromptProfile, count: CountTokens) -> list[str]:
    """Return the lines of the first of `notes` that fit into `budget` tokens, in their order.

    Stops at the first note that does not fit. `count` returns the tokens of a text; each line break counts as one.
    """
    lines: list[str] = []
    for note in notes:
        line = note_line(note, profile)
        budget -= count(line) + 1
        if budget < 0:
            break
        lines.append(line)
    return lines


def note_list(lines: Sequence[str], profile: PromptProfile) -> str:
    """Return lines of notes, best first, with opening and closing; the user's message follows directly.

    The best note comes last, next to the question: a small model used it 23 times of 28 there, and 19 times first.
    """
    return "\n".join([profile.opening, *reversed(lines), "", f"{profile.closing} "])


def with_notes(messages: Sequence[Message], notes: Sequence[Engram], profile: PromptProfile) -> list[Message]:
    """Return `messages` with `notes`, best first, before the text of the last user message.

    All other messages stay unchanged. Without notes or without a user message, nothing changes.
    """
    result = list(messages)
    lines = [note_line(note, profile) for note in notes[: profile.max_notes]]
    last = max((index for index, message in enumerate(result) if message.role == "user"), default=None)
    if not lines or last is None:
        return result
    result[last] = replace(result[last], content=note_list(lines, profile) + result[last].content)
    return result
