"""Open ends: what was asked, planned or put down as a task, and is not answered or done as far as turns tell.

Owns when an end is open. Only what can be told without guessing counts: a question after which nobody else has said
anything in its session; a task with a box that is not ticked, or the word TODO, that no later line ticks or calls
DONE; a plan after which nothing was said in a later session. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from engram.engram import Engram
from engram.reflection.arcs import PLAN, QUESTION, TASK, OpenEnd, Quote
from engram.reflection.names import READ, key_of
from engram.reflection.tellings import Sentence, is_only_talk, sentences_of

MOST_TASKS = 100
"""Open tasks of an arc that are shown, the last ones: of each, later turns are searched."""

_ASKS = re.compile(r"[?？؟՞]['\"”»’）)\]]*\Z")
_TASK = re.compile(
    r"^[ \t]*+(?:[-*+][ \t]++|\d{1,3}[.)][ \t]++)?(?:\[([ xX])\][ \t]++|(TODO|DONE)\b:?[ \t]*+)(\S.*)$", re.MULTILINE
)


def asks(text: str) -> bool:
    """Return whether a text ends as a question."""
    return _ASKS.search(text.rstrip()) is not None


def sentences_in(quotes: Sequence[Quote]) -> Iterator[tuple[Quote, Sentence]]:
    """Yield the sentences that begin in quotes, each with its quote. Each turn is read once.

    quotes: those of one turn next to each other, in their order, and none inside another.
    """
    for _, group in groupby(quotes, key=lambda quote: quote.engram.id):
        of_turn, place = list(group), 0
        for sentence in sentences_of(of_turn[0].engram.text):
            while place < len(of_turn) and of_turn[place].stop <= sentence.start:
                place += 1
            if place < len(of_turn) and of_turn[place].start <= sentence.start:
                yield of_turn[place], sentence


def open_questions(quotes: Sequence[Quote], answered: Callable[[Engram], bool]) -> list[OpenEnd]:
    """Return the questions among quotes that nobody has answered; answered: whether anybody else spoke after a turn."""
    found = []
    for quote, sentence in sentences_in(quotes):
        inside = sentence.stop <= quote.stop and asks(sentence.text)
        if inside and not is_only_talk(sentence.text) and not answered(quote.engram):
            found.append(OpenEnd(QUESTION, Quote(quote.engram, sentence.start, sentence.stop)))
    return found


def open_tasks(engrams: Sequence[Engram]) -> list[OpenEnd]:
    """Return the last tasks of turns, which are in the order of time, that no later line of them calls done."""
    tasks: dict[str, OpenEnd] = {}
    for engram in engrams:
        for done, start, stop in _tasks_of(engram.text[:READ]):
            key = key_of(engram.text[start:stop])
            tasks.pop(key, None)
            if not done:
                tasks[key] = OpenEnd(TASK, Quote(engram, start, stop))
    return list(tasks.values())[-MOST_TASKS:]


def is_done(task: Quote, engrams: Iterable[Engram]) -> bool:
    """Return whether any of some turns calls a task done, after it in its own turn, or in another one."""
    key = key_of(task.text)
    return any(
        done and key_of(engram.text[start:stop]) == key and (engram.id != task.engram.id or start > task.start)
        for engram in engrams
        for done, start, stop in _tasks_of(engram.text[:READ])
    )


def open_plans(plans: Sequence[Quote], last: Engram) -> list[OpenEnd]:
    """Return the plans after which no turn of a later session follows; last: the last turn of the arc."""
    return [OpenEnd(PLAN, quote) for quote in plans if quote.engram.session == last.session]


def _tasks_of(text: str) -> Iterator[tuple[bool, int, int]]:
    """Yield whether each task is done, and where its words begin and end."""
    for match in _TASK.finditer(text):
        done = match[2] == "DONE" if match[2] else match[1] in ("x", "X")
        yield done, match.start(3), match.start(3) + len(match[3].rstrip())
