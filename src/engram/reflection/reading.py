"""Reading: which sentences of turns are kept as statements, and with which labels.

Owns whose turns are read, and what a sentence must be to be kept. Knows no store and no file: `reflection.reflector`
brings the turns and writes what is read of them. After a change of what is read, `reflection.rules` needs a new
revision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from engram.engram import ORIGINS, ROLES
from engram.meaning.base import Encoder, Vectors
from engram.meaning.codes import Coder
from engram.parts import ahead, in_parts
from engram.reflection.database import Meaning, Statement
from engram.reflection.labels import KINDS, Labels, labels_of, packed
from engram.reflection.sentences import statements_of
from engram.reflection.slots import ONE_VALUE
from engram.reflection.supposing import supposes
from engram.reflection.wishes import is_wish, mentions_always, speaks_of_user
from engram.reflection.withdrawing import WITHDRAWS, withdraws
from engram.store.base import Record

USER, TYPED, TRUSTED = ROLES.index("user"), ORIGINS.index("user"), ORIGINS.index("import")
"""Whose turns are read: what an assistant, an agent, a document or a tool says is no fact of the user's."""
AT_ONCE, AHEAD = 128, 3
"""Sentences that are encoded at once, and how often so many before they are read."""
ASKS_SOMETHING, PASTED = 0.05, 0.3
"""Probability of an order or a request, and of something general, from which a sentence is not kept that a program or a
file says that the user said: it may be there to steer a model."""
SURE = 0.5
"""Probability of a slot from which a sentence counts as speaking of it."""
LASTS = 0.25
"""Probability of a kind that lasts from which a sentence is kept. One with a number is kept in any case: a request or
a question may tell it in passing ("how do I go on, now that it is down to 4 hours?")."""
PREFERENCE = KINDS.index("preference")
_DIGIT = re.compile(r"\d")

Bools = npt.NDArray[np.bool_]

Place = tuple[Record, tuple[int, int]]
"""A turn, and where a sentence begins and ends in it, in characters."""


def statements_in(
    records: Sequence[Record], encoder: Encoder, coder: Coder, pool: Executor | None = None
) -> list[tuple[Statement, Meaning]]:
    """Return the sentences of users' turns that may state something, in the order of the turns.

    encoder: the one that the labels were fitted for. coder: of its vectors. pool: threads that encode meanwhile.
    """
    places = [(r, span) for r in records if r.role == USER and r.origin <= TRUSTED for span in statements_of(r.text)]

    def encode(part: Sequence[Place]) -> Vectors:
        return encoder.encode([record.text[a:b] for record, (a, b) in part])

    parts = list(in_parts(places, AT_ONCE))
    encoded: Iterable[tuple[Sequence[Place], Vectors]]
    encoded = ((part, encode(part)) for part in parts) if pool is None else ahead(pool, encode, parts, AHEAD)
    return [each for part, vectors in encoded for each in _read(part, vectors, coder)]


def _read(places: Sequence[Place], vectors: Vectors, coder: Coder) -> list[tuple[Statement, Meaning]]:
    """Return those of n sentences that may state something. vectors: shape (n, dimensions)."""
    texts = [record.text[a:b] for record, (a, b) in places]
    labels = labels_of(vectors)
    codes, shares = coder.encode(vectors), packed(labels)
    kinds, slots = labels.kinds.argmax(axis=1), labels.slots.argmax(axis=1)
    sure = labels.slots[np.arange(len(places)), slots]
    slots = np.where(sure >= SURE, slots, 0)
    typed = np.array([record.origin == TYPED for record, _ in places])
    # "I no longer have that phone" ends a slot and takes no order back.
    withdrawing = are(withdraws, texts, typed & ~np.isin(slots, sorted(ONE_VALUE)))
    lasts = (labels.lasting >= LASTS) | (slots > 0) | are(_DIGIT.search, texts) | withdrawing
    kept = lasts & (typed | tells_only(labels, texts, lasts & ~typed))
    kept &= ~are(supposes, texts, kept)
    result = []
    for row in np.flatnonzero(kept).tolist():
        r, (a, b) = places[row]
        statement = Statement(
            r.namespace, r.seq, r.session, r.speaker, r.at, a, b, int(kinds[row]), int(slots[row]),
            WITHDRAWS if withdrawing[row] else int(labels.effects[row].argmax()), float(labels.own[row]),
            float(sure[row]), r.origin,
            is_wish(texts[row], preference=kinds[row] == PREFERENCE),
        )  # fmt: skip
        result.append((statement, Meaning(codes[row].tobytes(), shares[row])))
    return result


def are(test: Callable[[str], object], sentences: Sequence[str], among: Bools | None = None) -> Bools:
    """Return of which of n sentences a test is true, among some of them: shape (n,)."""
    tried = [True] * len(sentences) if among is None else among.tolist()
    return np.array([of and bool(test(each)) for each, of in zip(sentences, tried, strict=True)], np.bool_)


def tells_only(labels: Labels, sentences: Sequence[str], among: Bools | None = None) -> Bools:
    """Return whether n sentences tell something, surely ask nothing of a model and are no pasted matter: shape (n,).

    among: those that are asked for; for the others it is False.
    """
    kinds = labels.kinds
    asks = kinds[:, KINDS.index("order")] + kinds[:, KINDS.index("request")]
    tells = np.asarray((asks < ASKS_SOMETHING) & (kinds[:, KINDS.index("general")] < PASTED))
    tells = tells if among is None else tells & among
    tells &= ~are(speaks_of_user, sentences, tells)
    return tells & ~are(mentions_always, sentences, tells)
