"""Abbreviations: full stops that end no sentence, as in "Dr. Suhr", "ext. 208", "z. B." and "am 3. August".

Owns the closed class of such words, in the languages of the package that write a full stop. Pure functions that read a
bounded part of the text.
"""

from __future__ import annotations

import re

LONGEST_JOINED = 200
"""Characters of a sentence that goes on, at most, so that the time to join many is linear."""
LONGEST = 16
"""Characters at the end of a text that are read."""

_TITLES = (
    "dr dra prof profa mr mrs ms mx rev hon capt lt sgt messrs mme mlle sra srta srs sig dott avv ing dña dhr mevr mw"
    " mgr inż ks doç проф им dipl st"
).split()
"""Before a name, and so before a letter. "St." ends a sentence as often as not, and is joined."""
_BEFORE_NUMBER = (
    "no nos nr núm num ext tel telef apt ste p pp pg pág pag fig vol vols approx ca circa abs art str ul al godz cad"
    " sok mah bd av ave blvd стр тел кв д ул сл"
).split()
_BEFORE_ANYTHING = "e.g i.e z.b d.h u.a bzw evtl ggf inkl zzgl cf vs p.ej т.е т.к np tzn m.in bijv".split()

_TITLE = re.compile(rf"(?<![\w.])(?:{'|'.join(_TITLES)})\.$", re.IGNORECASE)
_FRENCH = re.compile(r"(?<![\w.])(?:M|MM|D|Sr)\.$")
_NUMBERED = re.compile(rf"(?<![\w.])(?:\w*str|{'|'.join(_BEFORE_NUMBER)})\.$", re.IGNORECASE)
_ANY = re.compile(rf"(?<![\w.])(?:z\. ?b|d\. ?h|u\. ?a|{'|'.join(map(re.escape, _BEFORE_ANYTHING))})\.$", re.IGNORECASE)
_INITIAL = re.compile(r"(?:^|[^\W\d_a-z][^\W\d_]{1,16}\.? |[^\W\d_]\. ?)(?!I)[^\W\d_a-z]\.$")
"""A letter behind a name or another letter: "J. R. Okonkwo", "Mary K. Holt"."""
_ORDINAL = re.compile(r"(?:^|\s)\d{1,2}\.$")


def goes_on(text: str, rest: str) -> bool:
    """Return whether a sentence goes on behind the full stop that `text` ends in; `rest`: what follows."""
    end, first = text[-LONGEST:], rest.lstrip()[:1]
    if len(text) > LONGEST_JOINED or not end.endswith(".") or not first:
        return False
    if first.isdigit():
        return bool(_NUMBERED.search(end) or _ANY.search(end) or _ORDINAL.search(end))
    if not first.isalpha():
        return bool(_ANY.search(end))
    return any(each.search(end) for each in (_TITLE, _FRENCH, _ANY, _ORDINAL)) or bool(
        first.isupper() and _INITIAL.search(end)
    )
