"""The reflector: derives statements from a store, in the order of its log.

Owns how far the log was read. Each step is one commit with the new cursor, so that a step that was broken off is done
again and one that another process did is not.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engram.engram import ORIGINS, ROLES
from engram.meaning.base import Encoder
from engram.meaning.codes import Coder
from engram.reflection.database import DerivedDatabase, Meaning, Statement, clear, delete, insert, set_value, value_of
from engram.reflection.labels import KINDS, Labels, labels_of, packed
from engram.reflection.sentences import statements_of
from engram.reflection.wishes import speaks_of_user, stands
from engram.store.base import Changes, CursorExpired, LoggedStore, Record

USER, TYPED, TRUSTED = ROLES.index("user"), ORIGINS.index("user"), ORIGINS.index("import")
"""Whose turns are read: what an assistant, an agent, a document or a tool says is no fact of the user's."""
STEP = 500
"""Turns of a step."""
AT_ONCE = 256
"""Sentences that are encoded at once."""
ASKS_SOMETHING, PASTED = 0.05, 0.3
"""Probability of an order or a request, and of something general, from which a sentence is not kept that a program or a
file says that the user said: it may be there to steer a model."""
SURE = 0.5
"""Probability of a slot from which a sentence counts as speaking of it."""
LASTS = 0.25
"""Probability of a kind that lasts from which a sentence is kept. One with a number is kept in any case: a request or
a question may tell it in passing ("how do I go on, now that it is down to 4 hours?")."""
_DIGIT = re.compile(r"\d")


def tells_only(labels: Labels, sentences: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return whether n sentences tell something, surely ask nothing of a model and are no pasted matter: shape (n,)."""
    kinds, worded = labels.kinds, np.array([not stands(each) and not speaks_of_user(each) for each in sentences])
    asks = kinds[:, KINDS.index("order")] + kinds[:, KINDS.index("request")]
    return np.asarray(worded & (asks < ASKS_SOMETHING) & (kinds[:, KINDS.index("general")] < PASTED))


class Reflector:
    """Keeps the derived data of one store up to date, when it is asked to. Safe to use from several threads."""

    def __init__(self, store: LoggedStore, database: DerivedDatabase, encoder: Encoder) -> None:
        """`encoder`: the one that the labels were fitted for."""
        self._store, self._database, self._encoder = store, database, encoder
        self._coder = Coder(encoder.dimensions, encoder=encoder.fingerprint)
        self._lock = threading.Lock()

    def pending(self) -> int:
        """Return the number of turns that were not read yet."""
        try:
            return self._store.distance(self._database.cursor(), self._store.head()).appended
        except CursorExpired:
            return self._store.distance("", self._store.head()).appended

    def reflect(self, seconds: float | None = None) -> int:
        """Read what the log holds by now, for at most about `seconds`. Returns the number of turns that were read.

        Reads nothing if the derived data is open for reading only: another process derives it.
        """
        if self._database.read_only:
            return 0
        deadline = None if seconds is None else time.monotonic() + seconds
        read = 0
        with self._lock:
            while True:
                cursor = self._database.cursor()
                if cursor == self._store.head():
                    return read
                try:
                    changes = self._store.changes(cursor, STEP)
                except CursorExpired:
                    self._start_over(cursor)
                    continue
                read += self._apply(cursor, changes)
                if not changes.more or (deadline is not None and time.monotonic() >= deadline):
                    return read

    def _start_over(self, cursor: str) -> None:
        with self._database.writing() as db:
            if value_of(db, "cursor") == cursor:
                clear(db)

    def _apply(self, cursor: str, changes: Changes) -> int:
        statements = self._statements(changes.present())
        with self._database.writing() as db:
            # Another process may have done this step.
            if value_of(db, "cursor") != cursor:
                return 0
            insert(db, statements)
            delete(db, changes.deleted)
            set_value(db, "cursor", changes.cursor)
        return len(changes.appended)

    def _statements(self, records: Sequence[Record]) -> list[tuple[Statement, Meaning]]:
        """Return the sentences of users' turns that may state something."""
        places = [
            (r, span) for r in records if r.role == USER and r.origin <= TRUSTED for span in statements_of(r.text)
        ]
        result = []
        for start in range(0, len(places), AT_ONCE):
            part = places[start : start + AT_ONCE]
            vectors = self._encoder.encode([record.text[a:b] for record, (a, b) in part])
            labels = labels_of(vectors)
            codes, shares = self._coder.encode(vectors), packed(labels)
            kinds, slots = labels.kinds.argmax(axis=1), labels.slots.argmax(axis=1)
            sure = labels.slots[np.arange(len(part)), slots]
            slots = np.where(sure >= SURE, slots, 0)
            numbers = np.array([_DIGIT.search(record.text, a, b) is not None for record, (a, b) in part])
            harmless = tells_only(labels, [record.text[a:b] for record, (a, b) in part])
            harmless |= np.array([record.origin == TYPED for record, _ in part])
            kept = ((labels.lasting >= LASTS) | (slots > 0) | numbers) & harmless
            for row in np.flatnonzero(kept).tolist():
                r, (a, b) = part[row]
                effect = int(labels.effects[row].argmax())
                statement = Statement(
                    r.namespace, r.seq, r.session, r.speaker, r.at, a, b, int(kinds[row]),
                    int(slots[row]), effect, float(labels.own[row]), float(sure[row]), r.origin,
                )  # fmt: skip
                result.append((statement, Meaning(codes[row].tobytes(), shares[row])))
        return result
