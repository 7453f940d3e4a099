"""Which turns say something lasting: LoCoMo's observations against `engram.reflection.lasting`.

Owns the protocol (docs/bench.md). LoCoMo notes for each session what its turns tell of their speakers, and names the
turns. Nothing is fitted to it but the threshold of the first figure, which comes from the other conversations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.datasets import EVIDENCE, DatasetError, Turn, locomo_conversation, read_json
from bench.figures import SHARE, Figure, Part, Progress, compared
from engram.opening import open_encoder
from engram.reflection.lasting import LASTS, lasting_of, sentences_of, told_in
from engram.text.base import QUESTION_MARKS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ENGRAM, RULE, ALL = "Engram", "a first-person statement of six words", "every turn"
_FIRST_PERSON = re.compile(r"\b(?:I|my|me|mine|we|our|us|ours)\b", re.IGNORECASE)
_WORD = re.compile(r"[\w'’]+")
LEAST_WORDS = 6


class Noted(NamedTuple):
    """The turns of a conversation, and whether its notes name them: shape (n,)."""

    turns: Sequence[Turn]
    noted: Bools


def read_noted(path: Path) -> list[Noted]:
    """Read LoCoMo's conversations with the turns that its observations name.

    Raises `DatasetError` if the file cannot be read or has another form.
    """
    samples = read_json(path)
    try:
        return [noted(sample, str(path)) for sample in samples]
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not LoCoMo's JSON with observations: {error!r}") from error


def noted(sample: Mapping[str, Any], file: str) -> Noted:
    """One sample: an observation is a text with the ids of its turns, as one text or as a list."""
    of_speakers = [notes for session in sample["observation"].values() for notes in session.values()]
    keys = {key for notes in of_speakers for _, ids in notes for key in EVIDENCE.findall(str(ids))}
    turns = locomo_conversation(sample, file).turns
    return Noted(turns, np.array([turn.key in keys for turn in turns], np.bool_))


def measure(conversations: Sequence[Noted], progress: Progress) -> Part:
    """Return the figures."""
    progress("turns that say something lasting")
    wanted = [each.noted for each in conversations]
    values = {
        ENGRAM: [chances(each.turns) for each in conversations],
        RULE: [of_first_person(each.turns) for each in conversations],
        ALL: [np.ones(len(each.turns)) for each in conversations],
    }
    found = {name: f1(chosen(scores, wanted), np.concatenate(wanted)) for name, scores in values.items()}
    own = f1(np.concatenate(values[ENGRAM]) >= LASTS, np.concatenate(wanted))
    return Part(
        "lasting",
        [
            compared("locomo-lasting", "LoCoMo's observations: turns that say something lasting, F1", found, SHARE),
            Figure("locomo-lasting-own", f"the same from Engram's own threshold on ({LASTS})", own, SHARE),
        ],
    )


def chances(turns: Sequence[Turn]) -> Floats:
    """Return how probable it is that each turn lasts: shape (n,)."""
    encoder = open_encoder()
    sessions = [[turn.text for turn in part] for _, part in groupby(turns, key=lambda turn: turn.session)]
    return np.concatenate([lasting_of(texts, told_in(texts, encoder)) for texts in sessions]).astype(np.float64)


def of_first_person(turns: Sequence[Turn]) -> Floats:
    """Return 1 for a turn with a statement of `LEAST_WORDS` words in the first person, else 0: shape (n,)."""
    return np.array([any(map(is_statement, sentences_of(turn.text))) for turn in turns], np.float64)


def is_statement(sentence: str) -> bool:
    """Return whether a sentence is in the first person, has `LEAST_WORDS` words and asks nothing."""
    asks = any(mark in sentence for mark in QUESTION_MARKS)
    return not asks and bool(_FIRST_PERSON.search(sentence)) and len(_WORD.findall(sentence)) >= LEAST_WORDS


def chosen(scores: Sequence[Floats], wanted: Sequence[Bools]) -> Bools:
    """Return which turns are chosen, those of each conversation from the best threshold of all others on."""
    result = []
    for index, own in enumerate(scores):
        others = [number for number in range(len(scores)) if number != index]
        least = best_threshold(np.concatenate([scores[n] for n in others]), np.concatenate([wanted[n] for n in others]))
        result.append(own >= least)
    return np.concatenate(result)


def best_threshold(scores: Floats, wanted: Bools) -> float:
    """Return the score from which on to choose for the greatest F1."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    values = 2 * np.cumsum(wanted[order]) / (np.arange(1, len(scores) + 1) + wanted.sum())
    # Equal scores are chosen together.
    values[:-1][ordered[:-1] == ordered[1:]] = 0
    return float(ordered[values.argmax()])


def f1(found: Bools, wanted: Bools) -> float:
    """Return the harmonic mean of precision and recall; 0 if nothing is found and nothing wanted."""
    return float(2 * (found & wanted).sum() / max(1, found.sum() + wanted.sum()))
