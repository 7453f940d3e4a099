"""Uses: counts how engrams are used, in the background, and orders hits by it.

Owns when the file is read and written, and what happens if it cannot be: then there is no strength, the log says so
once, and nothing else changes. What was counted since the last write is lost if the process is killed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from engram.engram import canonical_id
from engram.errors import EngramError, InvalidEngram, MemoryClosed, MemoryLocked, MemoryReplaced
from engram.parts import in_parts
from engram.recall.result import Hit
from engram.store.base import Store
from engram.store.sqlite.files import LOG_SUFFIXES, record_of
from engram.strength.database import AT_ONCE, UseDatabase
from engram.strength.rule import Use, counted, strengthened, today

PAUSE = 5.0
"""Seconds after the first count that is not written until it is."""
MOST_WAITING = 10_000
"""Counts that wait at most; more are dropped until these are written."""
OFF_WORDS, ON_WORDS = ("0", "false", "f", "no", "n", "off"), ("1", "true", "t", "yes", "y", "on")
VARIABLE = "ENGRAM_STRENGTH"
"""The environment variable that switches strength off or on where the program does not say."""

logger = logging.getLogger("engram")


def is_wanted(strength: bool | None) -> bool:
    """Return whether use strengthens: as given, else as `VARIABLE` says, else yes. Raises `EngramError` for a typo."""
    if strength is not None:
        return strength
    word = os.environ.get(VARIABLE, "").strip().lower()
    if word and word not in OFF_WORDS + ON_WORDS:
        raise EngramError(f"{VARIABLE}: {word[:80]!r} is no switch; write 1 or 0")
    return word not in OFF_WORDS


def canonical(ids: Iterable[str]) -> Iterator[str]:
    """Yield ids in their canonical form, without those that are no UUID: no engram has them."""
    for id in ids:
        with suppress(InvalidEngram):
            yield canonical_id(id)


class Uses:
    """The uses of the engrams of one store. Safe to use from several threads, and by several processes at once."""

    def __init__(self, store: Store, path: str | None, *, day: Callable[[], int] = today) -> None:
        """`path`: that of the file; None keeps the uses in RAM. Opens nothing. day: returns the current day."""
        self._store, self._path, self._day = store, path, day
        self._in_ram: dict[str, Use] = {}
        self._waiting: dict[str, int] = {}
        """Days of the uses that are not written yet, by id."""
        self._done: tuple[int, set[str]] = (0, set())
        """A day, and the ids that were counted on it by this process."""
        self._lock, self._file = threading.Lock(), threading.RLock()
        """`_lock` guards the counts; `_file` the opening, writing and closing of the file."""
        self._timer: threading.Timer | None = None
        self._database: UseDatabase | None = None
        self._off = False
        """Whether nothing is read or written any more: the file was found unusable, or this is closed."""

    # Recall.

    def ordered(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return hits, best first, in the order that strength gives them; see `recall.recaller.Strength`."""
        uses = self.of([hit.engram.id for hit in hits])
        return strengthened(hits, uses, self._day()) if uses else list(hits)

    def of(self, ids: Sequence[str]) -> dict[str, Use]:
        """Return the uses of engrams as far as they are written, by id; {} if the file cannot be read."""
        if self._path is None:
            return {id: self._in_ram[id] for id in ids if id in self._in_ram}
        try:
            database = self._opened()
            return {} if database is None else database.uses(ids)
        except EngramError as error:
            self._failed(error)
            return {}

    # Counting.

    def count(self, ids: Iterable[str]) -> None:
        """Count that engrams are used today. Returns at once; the file is written in the background."""
        if self._store.read_only or self._off:
            return
        ids = list(canonical(ids))
        day = self._day()
        with self._lock:
            if self._done[0] != day:
                self._done = day, set()
            new = [id for id in ids if id not in self._done[1]][: MOST_WAITING - len(self._waiting)]
            self._done[1].update(new)
            if self._path is None:
                known = self._store.keys(new)
                self._in_ram.update((id, counted(self._in_ram.get(id), day)) for id in known)
                return
            self._waiting.update(dict.fromkeys(new, day))
            if self._waiting and self._timer is None:
                self._timer = threading.Timer(PAUSE, self.write)
                self._timer.daemon = True
                self._timer.start()

    def write(self) -> None:
        """Write what was counted. Raises nothing: what fails is logged."""
        with self._file:
            with self._lock:
                waiting, self._waiting, self._timer = self._waiting, {}, None
            if not waiting or self._off:
                return
            try:
                # An engram may have been forgotten since.
                days = [(id, waiting[id]) for part in in_parts(list(waiting), AT_ONCE) for id in self._store.keys(part)]
                database = self._opened(create=True)
                if days and database is not None:
                    database.count(days)
            except MemoryLocked as error:
                logger.info("uses were not counted: %s", error)
            except EngramError as error:
                self._failed(error)

    # Forgetting.

    def forget(self, id: str | None = None) -> None:
        """Forget the uses of an engram that is deleted, or with None of all that the store does not hold any more.

        Raises nothing: `erase` does again what fails, which is logged.
        """
        with self._lock:
            gone = self._in_ram.keys() | self._waiting.keys() if id is None else {id}
            if id is None:
                gone = {
                    id for part in in_parts(list(gone), AT_ONCE) for id in set(part).difference(self._store.keys(part))
                }
            for one in gone:
                self._in_ram.pop(one, None)
                self._waiting.pop(one, None)
        with self._file:
            try:
                database = self._opened()
                if database is not None and id is not None:
                    database.delete([id])
                elif database is not None:
                    database.keep(self._store.keys)
            except EngramError as error:
                logger.warning("uses of what was forgotten are still counted until the memory is compacted: %s", error)

    def erase(self) -> None:
        """Remove every trace of engrams that the store does not hold from the file; delete a file that is unusable.

        Raises `MemoryLocked` if another process keeps using it, `EngramError` if it can be neither read nor deleted.
        """
        if self._path is None or not os.path.isfile(self._path):
            return
        with self._file:
            self.write()
            try:
                database = self._opened(again=True)
                if database is not None:
                    database.keep(self._store.keys)
                    database.vacuum()
            except MemoryLocked:
                raise
            except EngramError as error:
                self._failed(error)
                self._delete(self._path)

    def close(self) -> None:
        """Write what was counted, and release the file. A second call does nothing."""
        with self._file:
            if self._timer is not None:
                self._timer.cancel()
            self.write()
            self._release()
            self._off = True

    # The file.

    def _opened(self, *, create: bool = False, again: bool = False) -> UseDatabase | None:
        """Return the open file; None if there is none, unless `create`, or if it was found unusable, unless `again`."""
        database = self._database
        if database is not None:
            return database
        if self._path is None or (self._off and not again):
            return None
        if not create and not os.path.isfile(self._path):
            return None
        with self._file:
            if self._database is None:
                self._database = UseDatabase(self._path, read_only=self._store.read_only)
            return self._database

    def _failed(self, error: EngramError) -> None:
        """Go on without the file. A file that was deleted is made anew; of any other failure the log says once."""
        with self._file:
            self._release()
            if isinstance(error, MemoryReplaced | MemoryLocked | MemoryClosed) or self._off:
                return
            self._off = True
            logger.warning("what is used often does not come before its equals: %s", error)

    def _release(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _delete(self, path: str) -> None:
        for name in (path, *(path + suffix for suffix in LOG_SUFFIXES), record_of(path)):
            try:
                os.unlink(name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise EngramError(f"{name} cannot be deleted: {error}; delete it by hand") from error
