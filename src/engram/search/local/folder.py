"""The index beside a memory: which generation is shown, and the one process that may write.

Owns the folder: `state.json` names the published generation (a sub-folder) and how far it reaches; `writer.lock` is
held by the one process that writes. Nothing in here is true by itself: a generation that turns out to be damaged is
not looked at again, and a new one is filled from the store. It is filled aside and published when it has caught up,
so that recall has the old one until then.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy.typing as npt
from filelock import FileLock, Timeout

from engram.search.base import IndexDamaged
from engram.search.local.build import IndexBuild, Snapshot
from engram.search.local.damage import damage_noticed
from engram.search.local.forward import Entry, ForwardIndex, Previous
from engram.search.local.inverted import InvertedIndex

log = logging.getLogger("engram")

FORMAT = 2
STATE = "state.json"
LOCK = "writer.lock"
WAITING = "writer.waiting"
"""There while another process waits for the writer lock."""
NAME = re.compile(r"generation-[0-9a-f]{8}")

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class State:
    """What a reader needs to know of the published generation."""

    format: int
    encoder: str
    memory: str
    """The identity of the store that it was made from."""
    generation: str
    forgets: int
    """How often the store had forgotten something when it was begun: what was forgotten until then is not in it."""
    through: int
    tokens: int


class IndexFolder:
    """The engrams up to `through`, by term and by seq. Reading is safe from threads; writing is one thread's."""

    def __init__(self, folder: Path | None, encoder: str, token_type: npt.DTypeLike, memory: str | None = None) -> None:
        """Look at the index in `folder` (None: one in RAM), made by the encoder with this fingerprint.

        `memory`: the identity of the store; None looks at the index of any. Never raises for what it finds there: an
        index that cannot be used has `through` 0 and `damage` says why.
        """
        self.folder = folder
        self.damage: str | None = None
        """Why what was found cannot be used, if so."""
        self._encoder = encoder
        self._memory = memory
        self._token_type = token_type
        self._guard = threading.RLock()
        self._empty = Snapshot(0, InvertedIndex(None).read(), ForwardIndex(1, token_type))
        self._snapshot = self._empty
        self._state: State | None = None
        self._stamp: Stamp | None = None
        self._shown: IndexBuild | None = None
        self._bad: set[str] = set()
        # Writing.
        self._writing = False
        self._lock: FileLock | None = None
        self._filling: IndexBuild | None = None
        self._filling_forgets = 0
        self.refresh()

    # Reading.

    @property
    def through(self) -> int:
        """Every engram with a seq up to this is searchable."""
        return self._snapshot.through

    def snapshot(self) -> Snapshot:
        """The index as it is now."""
        return self._snapshot

    def refresh(self) -> None:
        """See what the writing process has published since."""
        if self.folder is None or self._writing:
            return
        with self._guard:
            while not self._writing and (stamp := self._look()) != self._stamp:
                self._stamp = stamp
                if stamp is None:
                    # Somebody took the folder away: what is open stays good, but nothing will be added to it.
                    self._state, self.damage = None, f"{self.folder} is gone"
                    return
                try:
                    with damage_noticed():
                        self._adopt(self._read_state())
                    self.damage = None
                except IndexDamaged as error:
                    # Another process can have put a new generation in its place meanwhile: then look again.
                    if self._look() == stamp:
                        self._fail(str(error))

    def distrust(self, snapshot: Snapshot, why: str) -> bool:
        """Look no more at the generation of `snapshot`, which is damaged; False if another is shown already."""
        with self._guard:
            if snapshot.generation != self._snapshot.generation:
                return False
            self._bad.add(snapshot.generation)
            if self._filling is not None and self._filling.name == snapshot.generation:
                self._filling.abandoned = True
            self._fail(why)
            return True

    def _fail(self, why: str) -> None:
        """Show nothing: recall answers from the store's tail until a new generation is filled."""
        self.damage = why
        self._state = self._shown = None
        self._snapshot = self._empty

    def _look(self) -> Stamp | None:
        assert self.folder is not None
        try:
            found = os.stat(self.folder / STATE)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read_state(self) -> State:
        assert self.folder is not None
        path = self.folder / STATE
        try:
            state = State(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise IndexDamaged(f"{path} cannot be read: {error}") from error
        numbers = (state.forgets, state.through, state.tokens)
        whole = all(type(n) is int and n >= 0 for n in numbers) and NAME.fullmatch(str(state.generation))
        if not whole or state.format != FORMAT:
            raise IndexDamaged(f"{path} has another format than {FORMAT}")
        if state.encoder != self._encoder:
            raise IndexDamaged(f"{self.folder} was made with another encoder ({state.encoder})")
        if self._memory is not None and state.memory != self._memory:
            raise IndexDamaged(f"{self.folder} was made from another memory")
        if state.generation in self._bad:
            raise IndexDamaged(f"{self.folder / state.generation} is damaged")
        return state

    def _adopt(self, state: State) -> None:
        """Show the generation of `state` as far as it says."""
        if self._shown is None or self._shown.name != state.generation:
            self._shown = self._open(state)
        self._snapshot = self._shown.show(state.through, state.tokens)
        self._state = state

    def _open(self, state: State) -> IndexBuild:
        assert self.folder is not None
        return IndexBuild(state.generation, self.folder / state.generation, self._token_type, create=False)

    # Writing.

    @property
    def writing(self) -> bool:
        """Whether this is the one index that writes to the folder."""
        return self._writing

    @property
    def target(self) -> IndexBuild | None:
        """The generation that is being written; None: `begin` one first."""
        filling = self._filling
        return None if filling is None or filling.abandoned else filling

    @property
    def aside(self) -> bool:
        """Whether another generation is shown than the one being written."""
        return self._filling is not None and self._filling.name != self._snapshot.generation

    @property
    def newest(self) -> tuple[str, int]:
        """The name of the generation being written, else of the one shown, and its `State.forgets`."""
        if self.target is not None:
            return self.target.name, self._filling_forgets
        return self.published

    @property
    def published(self) -> tuple[str, int]:
        """The name of the generation shown ("" for none), and its `State.forgets`."""
        state = self._state
        return ("", 0) if state is None else (state.generation, state.forgets)

    def start_writing(self) -> bool:
        """Become the one writer; False if another is. What a crash left half done is undone."""
        if self._writing:
            return True
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Let go by another thread than the one that took it, when closing.
            lock = FileLock(self.folder / LOCK, thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            self._lock = lock
        with self._guard:
            self.refresh()
            self._writing = True
        if self._state is not None:
            self._resume(self._state)
        return True

    def _resume(self, state: State) -> None:
        """Go on with the published generation; if that cannot be written, a new one will have to be begun."""
        try:
            with damage_noticed():
                # Opened anew, so that a write that failed half-way has left nothing in it.
                filling = self._open(state)
                filling.show(state.through, state.tokens)
                filling.start_writing()
        except IndexDamaged as error:
            log.warning("%s; it is made again", error)
            return
        with self._guard:
            self._shown, self._filling, self._filling_forgets = filling, filling, state.forgets
            self._snapshot = filling.snapshot()

    def begin(self, forgets: int) -> None:
        """Begin an empty generation aside, the store having forgotten `forgets` times; shown once it is published."""
        self._drop_filling()
        name = f"generation-{secrets.token_hex(4)}"
        folder = None if self.folder is None else self.folder / name
        if folder is not None:
            self._delete_others(self._state.generation if self._state else "")
            folder.mkdir()
        filling = IndexBuild(name, folder, self._token_type)
        filling.start_writing()
        with self._guard:
            self._filling, self._filling_forgets = filling, forgets

    def publish(self) -> None:
        """Have every process see the generation being written as it is now; the one before is deleted."""
        filling = self.target
        if filling is None:
            return
        filling.commit()
        snapshot = filling.snapshot()
        state = State(
            FORMAT,
            self._encoder,
            self._memory or "",
            filling.name,
            self._filling_forgets,
            snapshot.through,
            filling.tokens,
        )
        with self._guard:
            if filling.abandoned:
                return
            if self.folder is not None:
                if self._look() != self._stamp:
                    raise IndexDamaged(f"{self.folder} was changed by somebody else")
                self._write_state(state)
            replaced = self._snapshot.generation != filling.name
            self._state, self._shown, self._snapshot, self.damage = state, filling, snapshot, None
        if replaced and self.folder is not None:
            self._delete_others(filling.name)

    def _write_state(self, state: State) -> None:
        assert self.folder is not None
        path = self.folder / STATE
        draft = path.with_suffix(".new")
        with open(draft, "w") as file:
            json.dump(asdict(state), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        self._stamp = self._look()

    def _delete_others(self, current: str) -> None:
        """Delete every generation but one: only the writer makes them, so nobody else needs them."""
        assert self.folder is not None
        for other in self.folder.iterdir():
            if other.name != current and NAME.fullmatch(other.name):
                shutil.rmtree(other, ignore_errors=True)

    def add(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams over those in `target`, lowest first, which then reaches `through`; seen once published."""
        if self.target is not None:
            self.target.add(entries, through, previous_in_session)

    def drop(self, seqs: Iterable[int]) -> bool:
        """Take engrams that were forgotten out of `target`; False if none of them is in it."""
        return self.target is not None and self.target.drop(seqs)

    def is_lost(self) -> bool:
        """Whether somebody has taken the folder away, or changed it, while this is writing."""
        return self._writing and self.folder is not None and self._look() != self._stamp

    def stop_writing(self) -> None:
        """Let another process write. What was not published is given up."""
        # What is in RAM has no other writer, and could not be opened again.
        if not self._writing or self.folder is None:
            return
        try:
            self._drop_filling()
        finally:
            with self._guard:
                self._writing = False
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def abandon(self) -> None:
        """Give up what a write that failed has left half done; `start_writing` goes on from what was published."""
        if self.folder is None and self._filling is not None:
            self._filling.abandoned = True
        self.stop_writing()

    def _drop_filling(self) -> None:
        filling, aside = self._filling, self.aside
        self._filling = None
        if filling is not None:
            filling.stop_writing()
            if aside and filling.folder is not None:
                shutil.rmtree(filling.folder, ignore_errors=True)

    # Other processes.

    def ask_for_lock(self) -> None:
        """Let the process that writes know that another waits to."""
        if self.folder is not None and not self.writing:
            with suppress(OSError):
                (self.folder / WAITING).touch()

    def is_asked_for_lock(self) -> bool:
        """Whether another process waits; asked once for each time it says so."""
        if self.folder is None or not (self.folder / WAITING).exists():
            return False
        (self.folder / WAITING).unlink(missing_ok=True)
        return True

    # Keeping.

    def generations(self) -> list[str]:
        """The names of all generations that there are, shown or not."""
        if self.folder is None:
            return [self._snapshot.generation] if self._snapshot.generation else []
        try:
            return sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        except OSError:
            return []

    def bytes(self) -> int:
        """What its files take on disk."""
        if self.folder is None:
            return 0
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                try:
                    total += os.stat(os.path.join(folder, name)).st_size
                except OSError:
                    # Deleted since it was listed.
                    continue
        return total
