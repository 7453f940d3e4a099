"""The folder of an index: which build is published, and which process writes.

Owns `state.json`, which names the published build (a sub-folder) and how far it has read the log, and `writer.lock`,
which the one writing process holds. The index is derived from the store: a damaged build is not used again, and a new
one is filled. It is filled in another sub-folder and published when it is complete; recall uses the old one until then.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt
from filelock import FileLock, Timeout

from engram.meaning.codes import NO_CODES, Coder
from engram.search.base import IndexDamaged
from engram.search.local.build import IndexBuild, Snapshot
from engram.search.local.damage import damage_noticed
from engram.search.local.forward import ForwardIndex
from engram.search.local.holder import Holder, holder_of
from engram.search.local.inverted import InvertedIndex
from engram.store.private import FILE_RIGHTS, make_private, private_file, private_folder

log = logging.getLogger("engram")

FORMAT = 6
STATE = "state.json"
LOCK = "writer.lock"
WAITING = "writer.waiting"
"""This file exists while another process waits for the writer lock."""
NAME = re.compile(r"generation-[0-9a-f]{8}")

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class State:
    """What a reader needs to know of the published build; the content of `state.json`."""

    format: int
    encoder: str
    """Fingerprint of the analyzer."""
    memory: str
    """Identity of the store."""
    build: str
    """Name of the sub-folder."""
    begun: str
    """Head of the store's log when the build was begun."""
    cursor: str
    """Position in the log up to which the build has read."""
    rows: int
    tokens: int
    passages: int
    coder: str
    """Fingerprint of the coder; empty if no passage has a code."""
    coded: int
    """Number of passages, from the first on, that have a code."""


class Build(NamedTuple):
    """Identifies a build."""

    name: str
    """Empty if there is none."""
    begun: str
    """Head of the log when it was begun."""


NO_BUILD = Build("", "")


class IndexFolder:
    """The index of a store in a folder, or in RAM. Any thread may read; one thread of one process writes."""

    def __init__(
        self,
        folder: Path | None,
        encoder: str,
        token_type: npt.DTypeLike,
        memory: str | None = None,
        coder: Coder = NO_CODES,
    ) -> None:
        """Open the index in `folder`; None makes one in RAM.

        `encoder`: fingerprint of the analyzer. `memory`: identity of the store; None accepts any. `coder`: makes the
        codes of passages; those of another one are not read. Raises nothing for what is in the folder: an index that
        cannot be used is shown as empty, and `damage` states the reason.
        """
        self.folder = folder
        self.damage: str | None = None
        """Why the content of the folder cannot be used; None if it can."""
        self._encoder = encoder
        self._memory = memory
        self._token_type = token_type
        self.coder = coder
        self.coded_by = ""
        """Fingerprint of the coder that made the published codes; empty if there are none."""
        self._coded_by_other = 0
        """Number of published codes of another coder, which a process without an encoder keeps."""
        self._guard = threading.RLock()
        self.empty = Snapshot(0, "", InvertedIndex(None).read(), ForwardIndex(1, token_type, coder=coder))
        """The state of an index that has read nothing."""
        self._snapshot = self.empty
        self._published = NO_BUILD
        self._stamp: Stamp | None = None
        self._shown: IndexBuild | None = None
        self._bad: set[str] = set()
        # Writing.
        self._writing = False
        self._lock: FileLock | None = None
        self._filling: IndexBuild | None = None
        self.refresh()

    # Reading.

    def snapshot(self) -> Snapshot:
        """Return the published state of the index."""
        return self._snapshot

    def refresh(self) -> None:
        """Read what the writing process has published since the last call."""
        if self.folder is None or self._writing:
            return
        with self._guard:
            while not self._writing and (stamp := self._look()) != self._stamp:
                self._stamp = stamp
                if stamp is None:
                    # The folder was deleted. Open files stay readable, but nothing will be added to them.
                    self._published, self.damage = NO_BUILD, f"{self.folder} was deleted"
                    return
                try:
                    with damage_noticed():
                        self._adopt(self._read_state())
                    self.damage = None
                except IndexDamaged as error:
                    # If another process has published a new build in the meantime, read again.
                    if self._look() == stamp:
                        self._fail(str(error))

    def distrust(self, snapshot: Snapshot, why: str) -> bool:
        """Stop to use the build of `snapshot`, which is damaged. Returns False if another one is published already."""
        with self._guard:
            if snapshot.build != self._snapshot.build:
                return False
            self._bad.add(snapshot.build)
            if self._filling is not None and self._filling.name == snapshot.build:
                self._filling.abandoned = True
            self._fail(why)
            return True

    def _fail(self, why: str) -> None:
        """Show an empty index: recall answers from the tail until a new build is filled."""
        self.damage = why
        self._published, self._shown = NO_BUILD, None
        self._snapshot = self.empty

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
            content = json.loads(path.read_bytes())
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise IndexDamaged(f"{path} has another format than {FORMAT}")
            state = State(**content)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise IndexDamaged(f"{path} cannot be read: {error}") from error
        numbers = (state.rows, state.tokens, state.passages, state.coded)
        texts = (state.begun, state.cursor, state.coder)
        valid = all(type(n) is int and n >= 0 for n in numbers) and all(type(text) is str for text in texts)
        if not valid or state.coded > state.passages or not NAME.fullmatch(str(state.build)):
            raise IndexDamaged(f"{path} does not contain the written data")
        if state.encoder != self._encoder:
            raise IndexDamaged(f"{self.folder} was made with another encoder ({state.encoder})")
        if self._memory is not None and state.memory != self._memory:
            raise IndexDamaged(f"{self.folder} was made from another memory")
        if state.build in self._bad:
            raise IndexDamaged(f"{self.folder / state.build} is damaged")
        return state

    def _adopt(self, state: State) -> None:
        """Show the published part of the build of `state`."""
        if self._shown is None or self._shown.name != state.build:
            self._shown = self._open(state.build, state.begun)
        self._snapshot = self._show(self._shown, state)
        self._published = Build(state.build, state.begun)

    def _show(self, build: IndexBuild, state: State) -> Snapshot:
        """Show the published part of a build; codes of another coder are left out."""
        ours = state.coder == self.coder.fingerprint
        self.coded_by, self._coded_by_other = state.coder, 0 if ours else state.coded
        return build.show(state.rows, state.tokens, state.passages, state.coded if ours else 0, state.cursor)

    def _open(self, name: str, begun: str) -> IndexBuild:
        assert self.folder is not None
        return IndexBuild(name, self.folder / name, self._token_type, begun, create=False, coder=self.coder)

    # Writing.

    @property
    def writing(self) -> bool:
        """Whether this process writes to the folder."""
        return self._writing

    @property
    def target(self) -> IndexBuild | None:
        """The build that is being written; None: call `begin` first."""
        filling = self._filling
        return None if filling is None or filling.abandoned else filling

    @property
    def aside(self) -> bool:
        """Whether the build that is being written is not the published one."""
        return self._filling is not None and self._filling.name != self._snapshot.build

    @property
    def newest(self) -> Build:
        """The build that is being written, else the published one."""
        return self._published if self.target is None else Build(self.target.name, self.target.begun)

    @property
    def published(self) -> Build:
        """The published build."""
        return self._published

    def start_writing(self, *, resume: bool = True) -> bool:
        """Become the writer and undo what a crash has left. Returns False if another process is the writer."""
        if self._writing:
            return True
        if self.folder is not None:
            private_folder(str(self.folder))
            # On close, another thread releases the lock than the one that acquired it.
            lock = FileLock(self.folder / LOCK, mode=FILE_RIGHTS, thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            self._lock = lock
        with self._guard:
            self.refresh()
            self._writing = True
        if resume and self.folder is not None and self._published.name:
            self._resume()
        return True

    def _resume(self) -> None:
        """Continue the published build. If it cannot be written, `target` stays None."""
        try:
            with damage_noticed():
                # Opened again, so that nothing is left of a write that failed.
                state = self._read_state()
                filling = self._open(state.build, state.begun)
                self._show(filling, state)
                filling.start_writing()
        except IndexDamaged as error:
            log.warning("%s; the index is rebuilt", error)
            return
        with self._guard:
            self._shown = self._filling = filling
            self._snapshot = filling.snapshot()

    def begin(self, head: str) -> None:
        """Begin an empty build. `head`: head of the store's log. It is shown when it is published."""
        self._drop_filling()
        name = f"generation-{secrets.token_hex(4)}"
        folder = None if self.folder is None else self.folder / name
        if folder is not None:
            self._delete_others(self._published.name)
            private_folder(str(folder))
        filling = IndexBuild(name, folder, self._token_type, head, coder=self.coder)
        filling.start_writing()
        with self._guard:
            self._filling = filling

    def publish(self) -> None:
        """Commit the build that is being written, and show it to every process. Deletes the build that it replaces."""
        filling = self.target
        if filling is None:
            return
        filling.commit()
        snapshot = filling.snapshot()
        coder, coded = self._codes_of(filling)
        state = State(
            *(FORMAT, self._encoder, self._memory or "", filling.name, filling.begun, snapshot.cursor),
            *(snapshot.rows, filling.tokens, filling.passages, coder, coded),
        )
        with self._guard:
            if filling.abandoned:
                return
            if self.folder is not None:
                if self._look() != self._stamp:
                    raise IndexDamaged(f"{self.folder} was changed by another program")
                assert filling.folder is not None
                make_private(str(filling.folder))
                self._write_state(state)
            replaced, recoded = self._snapshot.build != filling.name, coder not in ("", self.coded_by)
            self.coded_by, self._coded_by_other = coder, 0 if snapshot.coded else coded
            self._published, self._shown = Build(filling.name, filling.begun), filling
            self._snapshot, self.damage = snapshot, None
        if replaced and self.folder is not None:
            self._delete_others(filling.name)
        if recoded:
            filling.forward.vectors.delete_others()

    def _codes_of(self, filling: IndexBuild) -> tuple[str, int]:
        """The coder of the codes of a build, and how many there are: those of another coder until this one has some."""
        if not filling.coded and self._coded_by_other and filling.name == self._published.name:
            return self.coded_by, self._coded_by_other
        return self.coder.fingerprint if filling.coded else "", filling.coded

    def _write_state(self, state: State) -> None:
        assert self.folder is not None
        path = self.folder / STATE
        draft = path.with_suffix(".new")
        private_file(str(draft))
        with open(draft, "w") as file:
            json.dump(asdict(state), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        self._stamp = self._look()

    def _delete_others(self, current: str) -> None:
        """Delete every build but one. Only the writer creates builds, so that no other process needs them."""
        assert self.folder is not None
        for other in self.folder.iterdir():
            if other.name != current and NAME.fullmatch(other.name):
                shutil.rmtree(other, ignore_errors=True)

    def is_lost(self) -> bool:
        """Return whether another program has deleted or changed the folder while this process writes."""
        return self._writing and self.folder is not None and self._look() != self._stamp

    def stop_writing(self) -> None:
        """Release the writer lock. Changes that were not published are lost."""
        # An index in RAM has no other writer, and could not be opened again.
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
        """Drop the changes of a write that failed; `start_writing` continues from the published state."""
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
        """Tell the writing process that this one waits for the lock."""
        if self.folder is not None and not self.writing:
            with suppress(OSError):
                (self.folder / WAITING).touch(FILE_RIGHTS)

    def is_asked_for_lock(self) -> bool:
        """Return whether another process waits for the lock, once for each call of its `ask_for_lock`."""
        if self.folder is None or not (self.folder / WAITING).exists():
            return False
        (self.folder / WAITING).unlink(missing_ok=True)
        return True

    def activity(self) -> object:
        """Return a value that changes while the writing process makes progress."""
        return self.folder and (self._look(), self.bytes())

    def holder(self) -> Holder | None:
        """Return the process that holds the writer lock; None if there is none, or if it cannot be known."""
        return None if self.folder is None else holder_of(self.folder / LOCK)

    def take_over(self, holder: Holder) -> bool:
        """Take the writer lock from a stopped process, and start to write; False if it is not stopped, or not alone.

        The next build is a new one: the process may go on writing to its own once it is continued. It then finds the
        folder changed, and drops what it wrote.
        """
        if self.folder is None or not holder.stopped or self.holder() != holder:
            return False
        lock, aside = self.folder / LOCK, self.folder / f"{LOCK}.{holder.pid}"
        try:
            os.rename(lock, aside)
            if holder_of(aside) != holder:
                # Another process has taken it over in the meantime.
                os.rename(aside, lock)
                return False
            os.unlink(aside)
        except OSError:
            return False
        return self.start_writing(resume=False)

    # Maintenance.

    def uncoded(self) -> int:
        """Return the number of published passages that have no code of any encoder."""
        return self._snapshot.passages - max(self._snapshot.coded, self._coded_by_other)

    def builds(self) -> list[str]:
        """Return the names of all builds that exist, published or not."""
        if self.folder is None:
            return [self._snapshot.build] if self._snapshot.build else []
        try:
            return sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        except OSError:
            return []

    def exists(self) -> bool:
        """Return whether the folder has ever held a published build."""
        return self.folder is not None and (self.folder / STATE).exists()

    def bytes(self) -> int:
        """Return the size of the files in bytes."""
        if self.folder is None:
            return 0
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                try:
                    total += os.stat(os.path.join(folder, name)).st_size
                except OSError:
                    # The file was deleted after it was listed.
                    continue
        return total
