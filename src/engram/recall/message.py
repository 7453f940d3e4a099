"""Message: what a person or a program writes, read in its parts, of which few ask something of a memory.

Owns which parts of a message are looked up, each by itself: talk around a question, a pasted text, code and a template
must not count against its answer. Knows no candidates and no scores.
"""

from __future__ import annotations

import json
import math
import re
from typing import NamedTuple

import numpy as np

from engram.meaning.asking import leaning
from engram.meaning.base import Encoder, Vectors, answering, base_of
from engram.text.abbreviations import goes_on
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
_COLON = re.compile(r":\s|\uff1a")
READ = 65_536
"""Characters at each end of a message that are read in parts."""
_FENCE = re.compile(r"^[ \t]{0,12}(?:```|~~~)", re.MULTILINE)
LONGEST_JSON = 20_000
"""Characters of a message up to which it is read as JSON."""
MARKED = 1.0
"""What a question mark adds to the log odds that a part calls for memory."""


class Part(NamedTuple):
    """A part of a message."""

    text: str
    vector: Vectors | None
    """What would answer it, shape (dimensions,); None without an encoder."""
    asks: float
    """Log odds that it calls for what a memory could hold; infinite if that is not known."""
    replies: float | None
    """Log odds that it asks for what the assistant said; None if that is not known."""
    meaning: Vectors | None = None
    """The vector of its own text by the base of the encoder, shape (its dimensions,); None without an encoder."""


def parts_to_look_up(message: str, encoder: Encoder | None) -> list[Part]:
    """Return the parts of a message that most likely ask something of a memory, at least one, the likeliest first."""
    texts = parts_of(message)
    if len(texts) > 1 and size(message) <= WHOLE:
        texts.append(message)
    if encoder is None:
        parts = [Part(text, None, math.inf, None) for text in texts]
    else:
        known = base_of(encoder)
        vectors = known.encode(texts)
        asked = leaning(vectors, known.fingerprint)
        parts = [Part(text, vector, math.inf, None, vector) for text, vector in zip(texts, vectors, strict=True)]
        if asked is not None:
            parts = list(map(Part, texts, vectors, asked.memory.tolist(), asked.replies.tolist(), vectors))
    parts.sort(key=likelihood, reverse=True)
    parts = parts[:LOOKED_UP]
    if encoder is None:
        return parts
    turned = answering(encoder, [part.text for part in parts], np.array([part.vector for part in parts]))
    return [part._replace(vector=vector) for part, vector in zip(parts, turned, strict=True)]


def likelihood(part: Part) -> float:
    """Return a number that is greater for a part that more likely asks something of a memory."""
    return part.asks + MARKED * is_marked(part.text)


def parts_of(message: str) -> list[str]:
    """Return the sentences and lines of a message without code, quotes and tables, or the whole if nothing is left.

    Of JSON they are those of its texts. A question after a colon is a part of its own, too: "One more thing: where is
    it?".
    """
    found = [part for text in texts_of(ends_of(message)) for part in sentences(text)]
    said = [piece for part in found if part and not part.startswith(FENCES) for piece in pieces_of(part)]
    said += [rest for part in said if (rest := question_after_colon(part))]
    said = list(dict.fromkeys(said))
    if len(said) > MOST_PARTS:
        said = said[: MOST_PARTS // 3] + said[-(MOST_PARTS - MOST_PARTS // 3) :]
    return said or [message]


def ends_of(message: str) -> str:
    """Return the beginning and the end of a long message; where a block of code is cut, a fence stands between them."""
    if len(message) <= 2 * READ:
        return message
    between = len(_FENCE.findall(message, READ, len(message) - READ))
    return "\n".join((message[:READ], *("```",) * (between % 2), message[-READ:]))


def texts_of(message: str) -> list[str]:
    """Return the texts in a message that is a JSON object or array; else the message."""
    if not message.lstrip().startswith(("{", "[")) or len(message) > LONGEST_JSON:
        return [message]
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return [message]
    texts, left = list[str](), [value]
    while left:
        value = left.pop()
        # A word of ASCII is a tag, such as a role or a language.
        if isinstance(value, str) and (" " in value.strip() or not value.isascii()):
            texts.append(value)
        elif isinstance(value, dict | list):
            left += reversed(value if isinstance(value, list) else list(value.values()))
    return texts or [message]


def sentences(text: str) -> list[str]:
    """Return the sentences and lines of a text. What `goes_on`, as "am 3." does before "August", ends none."""
    parts = list[str]()
    for start, end in units(text):
        part = text[start:end].strip()
        if parts and goes_on(parts[-1], part):
            parts[-1] += f" {part}"
        else:
            parts.append(part)
    return parts


def question_after_colon(part: str) -> str:
    """Return what stands after the first colon that ends a word, if that is marked as a question; else ""."""
    found = _COLON.search(part)
    return part[found.end() :].strip() if found and is_marked(part) else ""


def is_marked(part: str) -> bool:
    """Return whether a part ends with a question mark."""
    return part.rstrip().endswith(tuple(QUESTION_MARKS))


def pieces_of(part: str) -> list[str]:
    """Return a sentence or line as pieces of at most a passage's length; what has no white space stays whole."""
    if " " not in part:
        return [part]
    return [part[start:end] for start, end in passages(part)]
