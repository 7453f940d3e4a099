"""The index on disk: Tantivy for which engrams hold a term, columns for what scoring needs of each.

Owns the folder: `state.json` names the current generation (a sub-folder) and how far it reaches; `writer.lock` is held
by the one process that writes. Nothing in here is true by itself: whatever is wrong with it raises `IndexDamaged`, and
a new generation is filled from the store. A reader sees a generation as it was last published.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt
from filelock import FileLock, Timeout

from engram.index.columns import Columns, Entry, IndexDamaged, Previous
from engram.index.lexical import Lexical, LexicalReader

FORMAT = 1
STATE = "state.json"


@dataclass(frozen=True, slots=True)
class State:
    """What a reader needs to know of the published generation."""

    format: int
    encoder: str
    generation: str
    through: int
    rows: int
    tokens: int


class Snapshot(NamedTuple):
    """The index as one recall sees it."""

    through: int
    """Every engram with a seq up to this is in it."""
    reader: LexicalReader
    columns: Columns


class Index:
    """The engrams up to `through`, by term and by seq. Reading is safe from threads; writing is one thread's."""

    def __init__(self, folder: Path | None, encoder: str, token_type: npt.DTypeLike) -> None:
        """Look at the index in `folder` (None: one in RAM), made by the encoder with this fingerprint.

        Never raises for what it finds there: an index that cannot be used has `through` 0 and `damage` says why.
        """
        self.folder = folder
        self.damage: str | None = None
        self._encoder = encoder
        self._token_type = token_type
        self._stamp: tuple[int, int] | None = None
        self._lock: FileLock | None = None
        self._writing = False
        self._state: State | None = None
        self._through = 0
        self._lexical, self._columns = Lexical(None), Columns(1, token_type)
        self.refresh()

    # Reading.

    @property
    def through(self) -> int:
        """Every engram with a seq up to this is searchable."""
        return self._through

    def snapshot(self) -> Snapshot:
        """The index as it is now."""
        return Snapshot(self._through, self._lexical.reader, self._columns)

    def refresh(self) -> bool:
        """See what the writing process has published since; True if there was something."""
        if self.folder is None or self._writing:
            return False
        try:
            found = os.stat(self.folder / STATE)
        except OSError:
            if self._stamp is None:
                return False
            # Somebody took the folder away: what is open stays readable, but nothing will ever be added to it.
            self.fail("its folder is gone")
            return True
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            with damage_noticed():
                self._adopt(self._read_state())
            self.damage = None
        except IndexDamaged as error:
            self.fail(str(error))
        return True

    def fail(self, why: str) -> None:
        """Use no more of this generation: recall answers from the store's tail until a new one is filled."""
        self.damage = why
        self._state = None
        self._through = 0
        self._lexical, self._columns = Lexical(None), Columns(1, self._token_type)

    def _read_state(self) -> State:
        assert self.folder is not None
        try:
            values = json.loads((self.folder / STATE).read_bytes())
            state = State(**values)
            whole = all(isinstance(n, int) for n in (state.through, state.rows, state.tokens))
        except (OSError, ValueError, TypeError) as error:
            raise IndexDamaged(f"{self.folder / STATE} cannot be read: {error}") from error
        if not whole or state.format != FORMAT:
            raise IndexDamaged(f"{self.folder / STATE} has another format than {FORMAT}")
        if state.encoder != self._encoder:
            raise IndexDamaged(f"{self.folder} was made with another encoder ({state.encoder})")
        return state

    def _adopt(self, state: State) -> None:
        """Show the generation of `state` as far as it says."""
        assert self.folder is not None
        same = self._state is not None and self._state.generation == state.generation
        folder = self.folder / state.generation
        if same:
            lexical, columns = self._lexical, self._columns
            lexical.refresh()
        else:
            if not folder.is_dir():
                raise IndexDamaged(f"{folder} is missing")
            lexical, columns = Lexical(folder), Columns(1, self._token_type, folder)
        columns.truncate(state.rows, state.tokens)
        self._state, self._through, self._lexical, self._columns = state, state.through, lexical, columns

    # Writing.

    @property
    def writing(self) -> bool:
        """Whether this is the one index that writes to the folder."""
        return self._writing

    def start_writing(self) -> bool:
        """Become the one writer; False if another is. What a crash left half done is undone.

        Raises OSError where the folder cannot be written, IndexDamaged if what is there cannot be continued.
        """
        if self._writing:
            return True
        if self.folder is None:
            self._writing = self._lexical.start_writing()
            return self._writing
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "writer.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._lock = lock
        try:
            self.refresh()
            if self._state is None:
                self.reset()
            else:
                with damage_noticed():
                    self._resume()
            self._writing = True
        except IndexDamaged as error:
            self.fail(str(error))
            self.reset()
            self._writing = True
        except BaseException:
            self._release()
            raise
        return True

    def _resume(self) -> None:
        """Continue the published generation: what was committed after it was published is taken back."""
        if not self._lexical.start_writing():
            raise IndexDamaged(f"{self.folder}: its inverted index is locked by something else")
        last = self._lexical.reader.last_seq()
        if last > self._through:
            self._lexical.drop(range(self._through + 1, last + 1))
            self._lexical.commit()
            self._lexical.refresh()

    def reset(self) -> None:
        """Begin an empty generation and publish it; the one before is deleted."""
        self._lexical.stop_writing()
        self._through = 0
        if self.folder is None:
            self._lexical, self._columns = Lexical(None), Columns(1, self._token_type)
            self._lexical.start_writing()
            return
        generation = f"generation-{secrets.token_hex(4)}"
        folder = self.folder / generation
        folder.mkdir()
        self._lexical, self._columns = Lexical(folder), Columns(1, self._token_type, folder)
        self._lexical.start_writing()
        self.damage = None
        self._publish(State(FORMAT, self._encoder, generation, 0, 0, 0))
        self._delete_other_generations(generation)

    def _delete_other_generations(self, current: str) -> None:
        assert self.folder is not None
        for other in self.folder.iterdir():
            if other.is_dir() and other.name != current:
                shutil.rmtree(other, ignore_errors=True)

    def add(self, entries: Sequence[Entry], through: int, previous_in_session: Previous) -> None:
        """Add engrams with seqs over `self.through`, lowest first, and publish the index as reaching `through`."""
        self._columns.extend(entries, through, previous_in_session)
        self._columns.sync()
        self._lexical.add((e.seq, e.namespace, e.analysis.terms) for e in entries)
        self._lexical.commit()
        self._lexical.refresh()
        self._advance(through)

    def drop(self, seqs: Sequence[int]) -> None:
        """Take engrams out that were forgotten, and publish."""
        here = [seq for seq in seqs if seq <= self._through]
        if not here:
            return
        for seq in here:
            self._columns.drop(seq)
        self._lexical.drop(here)
        self._lexical.commit()
        self._lexical.refresh()
        self._advance(self._through)

    def _advance(self, through: int) -> None:
        self._through = through
        if self._state is not None:
            rows, tokens = self._columns.rows.size, self._columns.tokens.size
            self._publish(State(FORMAT, self._encoder, self._state.generation, through, rows, tokens))

    def _publish(self, state: State) -> None:
        assert self.folder is not None
        path = self.folder / STATE
        draft = path.with_suffix(".new")
        values = {name: getattr(state, name) for name in State.__slots__}
        with open(draft, "w") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        found = os.stat(path)
        self._stamp = (found.st_mtime_ns, found.st_ino)
        self._state = state

    def stop_writing(self) -> None:
        """Let another process write."""
        if self._writing:
            self._writing = False
            self._lexical.stop_writing()
            self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def bytes(self) -> int:
        """What its files take on disk."""
        if self.folder is None or not self.folder.exists():
            return 0
        return sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file())


@contextmanager
def damage_noticed() -> Iterator[None]:
    """Whatever reading a damaged index raises, as `IndexDamaged`: Tantivy panics on some noise."""
    try:
        yield
    except IndexDamaged:
        raise
    except (ValueError, OSError, IndexError, OverflowError) as error:
        raise IndexDamaged(f"the index cannot be read: {error}") from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise IndexDamaged(f"the index cannot be read: {error}") from error
        raise
