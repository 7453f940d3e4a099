"""Backups of a memory that may be in use, and their restoration.

Owns which files belong to a backup, and in which order they are copied and put in place. Knows no format.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from engram.errors import EngramError, NotFound
from engram.opening import file_of, index_folder, open_store
from engram.store.base import Filter
from engram.store.sqlite.copying import copy_database, new_database, put_in_place
from engram.store.sqlite.errors import no_file
from engram.store.sqlite.files import SERVER_SUFFIX
from engram.store.sqlite.migrations import renew_identity


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup that was made, or restored."""

    source: str
    target: str
    engrams: int
    state_documents: int
    """Documents of agents' states."""
    bytes: int
    server: bool
    """Whether the server's file was copied with it."""


def back_up(path: str | os.PathLike[str], target: str | os.PathLike[str], *, overwrite: bool = False) -> Copy:
    """Copy the memory at `path`, and the server's file beside it, to `target`. Other processes may be writing to them.

    The backup holds all that was acknowledged before the call. It appears when it is whole and on the disk, or not at
    all. Raises `NotFound` if there is no memory, `MemoryDamaged` if the copy is not whole, and `EngramError` if
    `target` exists, unless `overwrite`.
    """
    source, new = _existing(path), _new(path, target, overwrite)
    server = os.path.exists(source + SERVER_SUFFIX)
    _new(source + SERVER_SUFFIX, new + SERVER_SUFFIX, overwrite)
    with ExitStack() as stack:
        if server:
            # Copied first: what the server calls stored is then in the copy of the memory. Put in place last.
            stack.enter_context(_copied(source + SERVER_SUFFIX, new + SERVER_SUFFIX))
        stack.enter_context(_copied(source, new, renew_identity))
    if not server:
        # That of the replaced backup: it does not belong to this memory.
        try:
            os.unlink(new + SERVER_SUFFIX)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise no_file(error, new + SERVER_SUFFIX, "delete") from error
    return _result(source, new, server)


def restore(backup: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> Copy:
    """Copy a backup to `path`, in the place of the memory there.

    The server's file of the backup is used only if there is none beside `path`: keys that were revoked since then stay
    revoked, and erased names stay erased. The index is built anew. A kill leaves the old memory or the new one, whole.
    Raises `MemoryLocked` if a process has the memory open, else as `back_up`.
    """
    source, new = _existing(backup), _new(backup, path, overwrite)
    server = os.path.exists(source + SERVER_SUFFIX) and not os.path.exists(new + SERVER_SUFFIX)
    with ExitStack() as stack:
        if server:
            stack.enter_context(_copied(source + SERVER_SUFFIX, new + SERVER_SUFFIX))
        stack.enter_context(_copied(source, new, renew_identity))
    return _result(source, new, server)


def _existing(path: str | os.PathLike[str]) -> str:
    """Return the path of a memory's file, without symbolic links. Raises `EngramError` if it is not a memory."""
    where = os.path.realpath(file_of(path))
    if not os.path.isfile(where):
        raise NotFound(f"there is no memory at {where}; check the path")
    with closing(open_store(where, read_only=True)):
        return where


def _new(source: str | os.PathLike[str], target: str | os.PathLike[str], overwrite: bool) -> str:
    """Return the path of a file to be written, without symbolic links."""
    new = os.path.realpath(file_of(target))
    if os.path.isdir(new):
        raise EngramError(f"{new} is a folder; give the path of a file in it")
    if os.path.exists(new) and not os.path.isfile(new):
        raise EngramError(f"{new} is no regular file but a device, a pipe or a socket; give the path of a file")
    if os.path.realpath(file_of(source)) == new or (os.path.exists(new) and os.path.samefile(file_of(source), new)):
        raise EngramError(f"{new} is the memory itself; give another path")
    if os.path.exists(new) and not overwrite:
        raise EngramError(f"{new} exists already; give another path, or replace it with --force")
    return new


@contextmanager
def _copied(source: str, target: str, finish: Callable[..., object] = lambda _: None) -> Iterator[None]:
    """Copy a file under a temporary name; at the end, put it in place and delete the index of the replaced file."""

    def put(draft: str, path: str) -> None:
        put_in_place(draft, path)
        # It has another identity, so it would not be used; but it may hold text that the backup does not.
        shutil.rmtree(index_folder(path), ignore_errors=True)

    with new_database(target, put) as draft:
        copy_database(source, draft, target, finish)
        yield


def _result(source: str, target: str, server: bool) -> Copy:
    with closing(open_store(target, read_only=True)) as store:
        return Copy(source, target, store.count(Filter()), store.stats().documents, os.path.getsize(target), server)
