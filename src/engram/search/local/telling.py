"""How much an engram is likely to tell of its time, for questions that ask for nothing but a time.

Owns the estimate. Knows the analysis of a text and its role, and no query.
"""

from __future__ import annotations

from engram.engram import ROLES
from engram.search.base import MOST_TELLING
from engram.search.local.forward import Entry
from engram.text.base import QUESTION
from engram.text.courtesy import ASSENTS, FILLERS, GREETINGS

HALF_TOLD = 4
"""Words of a text that tells half as much as a longer one can."""
USER = ROLES.index("user")
OTHER_VOICE, ASKED = 0.5, 0.4
"""Factors of what another role than the user's says, and of a text that ends in a question."""
COURTESY = GREETINGS | ASSENTS | FILLERS
MOST_COURTESY = 8
"""Words above which a text is not taken for a mere courtesy."""


def telling(entry: Entry) -> int:
    """Return how much an engram tells of its time, 0 to `MOST_TELLING`.

    More words tell more, and further words ever less. A user's statement of a few words tells more than anything of
    another role, a statement more than a question, and a mere courtesy nothing.
    """
    analysis = entry.analysis
    words = len(analysis.ids)
    if words <= MOST_COURTESY and COURTESY.issuperset(analysis.terms):
        return 0
    told = MOST_TELLING * words**2 / (words**2 + HALF_TOLD**2)
    if entry.role != USER:
        told *= OTHER_VOICE
    return round(told * ASKED if analysis.marks & QUESTION else told)
