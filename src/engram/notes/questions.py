"""What a question tells besides asking: a fact in its form, or a thing that it mentions.

Owns the reading of questions. The patterns for statements are English; names and digits are found in any language.
"""

from __future__ import annotations

import re

from engram.text.tokenizer import words

EXAMINED_CHARACTERS = 2_000
"""Characters of a question, from its beginning, in which a statement is looked for."""

LEAST_STATEMENT = 3
"""Words of a clause that says something: "I'm pregnant" has three, "I forgot" two."""

_SUBJECT = r"(?:i|we|he|she|it|they|there|my|our|his|her|their|the)\b"
_BE = r"(?:is|are|was|were|am|has|have|had|do|does|did|can|could|will|would|should)"
_STATEMENT = re.compile(
    rf"^\s*{_SUBJECT}"  # "I weigh 82 kg, what should I eat?"
    r"|\b(?:because|although|though|since)\s"
    # "remember that the bin day is Tuesday"
    rf"|(?=t)(?<!\bis )(?<!\bwas )(?<!\bdoes )(?<!\bdid )\bthat\s(?!\s*{_BE}\b)",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\b(?:who|whom|whose|what|which|where|when|why|how|if|whether)\b", re.IGNORECASE)
_BARE_STATEMENT = re.compile(
    rf"(?<!\w)(?!{_BE}\b)\w++\s++(?:i|we|he|she|they|(?:my|our)\s(?:\w++\s){{1,3}}{_BE})\b", re.IGNORECASE
)  # "Did you know I play the bassoon?"
_WHO = re.compile(r"(?<!\bknow)(?<!\bremember)(?<!\brecall)(?<!\btell)(?<!\bme)(?<!\bsure) who\s", re.IGNORECASE)
"""A clause about somebody: "What can I cook for Sven who is allergic to nuts?"."""

_VALUE = re.compile(
    r"(?<!\w)[^\W\d]*+\d\w*+"  # with a digit: a year, an age, a number
    r"|(?<=[\w,;:)] )(?:[A-Z\u00c0-\u00de\u0400-\u042f]\w+)"  # a name, not at the beginning of a sentence
)
_OWN = re.compile(
    r"\b(?:my|our|mein\w*|unser\w*|mon|ma|mes|notre|mi|mis|nuestr[ao]|meu|minha|mio|mia|mijn|min|mitt)\s+(\w+)",
    re.IGNORECASE,
)


def states_more(question: str, query: str) -> bool:
    """Return whether an English question also states something, with a word that `query` lacks.

    "Can you remember that my locker is number 212?" does; "What number is the locker that I rent?" does not.
    """
    known = set(words(query))
    for clause in re.split(r"[,;:.!?\n]", question[:EXAMINED_CHARACTERS]):
        found = statement_in(clause)
        said = words(found.replace("'", " ").replace("\u2019", " "))
        if len(said) >= LEAST_STATEMENT and not known.issuperset(said):
            return True
    return False


def statement_in(clause: str) -> str:
    """Return the part of a clause that states something; "" if there is none."""
    match = _STATEMENT.search(clause)
    if match is not None:
        start = match.end() if match[0].rstrip().casefold().endswith(("that", "because", "though", "since")) else 0
        return clause[start:]
    about = _WHO.search(clause)
    if about is not None and about.start() > 0:
        return clause[about.end() :]
    bare = _BARE_STATEMENT.search(clause)
    if bare is None or _ASKS.search(clause[: bare.end()]):
        return ""
    return clause[bare.start() :].partition(" ")[2]


def mentions_more(question: str, query: str) -> bool:
    """Return whether a question names something that `query` does not: a number, a name, or a thing of the user's.

    "Why does my 2014 Volvo stall?" mentions a car; "Why does it stall?" mentions nothing.
    """
    known = set(words(query))
    examined = question[:EXAMINED_CHARACTERS]
    named = [*_VALUE.findall(examined), *_OWN.findall(examined)]
    return any(not known.issuperset(words(name)) for name in named)
