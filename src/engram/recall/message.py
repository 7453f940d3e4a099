"""Message: what a person or a program writes, read in its parts, of which few ask something of a memory.

Owns which parts of a message are looked up, each by itself: talk around a question, a pasted text, code and a template
must not count against its answer. Knows no candidates and no scores.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from engram.meaning.asking import leaning
from engram.meaning.base import Encoder, Vectors
from engram.text.base import QUESTION_MARKS
from engram.text.passages import passages, size, units

MOST_PARTS = 24
"""Parts of a message that are read: the first third and the last two thirds of these."""
LOOKED_UP = 3
"""Parts that are looked up."""
WHOLE = 60.0
"""Words of a message up to which the whole of it is looked up, too."""
FENCES = ("```", "~~~", ">", "|")
"""How blocks of code, quoted lines and rows of tables begin: none of them is asked by who sends them."""
MARKED = 1.0
"""What a question mark adds to the log odds that a part calls for memory."""


class Part(NamedTuple):
    """A part of a message."""

    text: str
    vector: Vectors | None
    """What it means, shape (dimensions,); None without an encoder."""
    asks: float
    """Log odds that it calls for what a memory could hold; infinite if that is not known."""


def parts_to_look_up(message: str, encoder: Encoder | None) -> list[Part]:
    """Return the parts of a message that most likely ask something of a memory, at least one, the likeliest first."""
    texts = parts_of(message)
    if len(texts) > 1 and size(message) <= WHOLE:
        texts.append(message)
    if encoder is None:
        parts = [Part(text, None, math.inf) for text in texts]
    else:
        vectors = encoder.encode(texts)
        asks = leaning(vectors, encoder.fingerprint).tolist()
        parts = list(map(Part, texts, vectors, asks))
    parts.sort(key=likelihood, reverse=True)
    return parts[:LOOKED_UP]


def likelihood(part: Part) -> float:
    """Return a number that is greater for a part that more likely asks something of a memory."""
    return part.asks + MARKED * part.text.rstrip().endswith(tuple(QUESTION_MARKS))


def parts_of(message: str) -> list[str]:
    """Return the sentences and lines of a message without code, quotes and tables, or the whole if nothing is left."""
    found = [message[start:end].strip() for start, end in units(message)]
    said = [piece for part in found if part and not part.startswith(FENCES) for piece in pieces_of(part)]
    if len(said) > MOST_PARTS:
        said = said[: MOST_PARTS // 3] + said[-(MOST_PARTS - MOST_PARTS // 3) :]
    return said or [message]


def pieces_of(part: str) -> list[str]:
    """Return a sentence or line as pieces of at most a passage's length; what has no white space stays whole."""
    if " " not in part:
        return [part]
    return [part[start:end] for start, end in passages(part)]
