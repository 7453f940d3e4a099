"""Files and folders that only their owner can read, because they hold conversations.

Owns the rights of what Engram creates. The umask of the process does not matter.
"""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

FILE_RIGHTS, FOLDER_RIGHTS = 0o600, 0o700

_creating = threading.Lock()
"""Closing a file releases the locks that SQLite holds on it elsewhere in the process, so no file is opened twice."""


def private_folder(path: str) -> None:
    """Create a folder, and every missing folder above it, with rights for the owner only, whatever the umask."""
    missing = []
    path = os.path.realpath(path)
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder, FOLDER_RIGHTS)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
        else:
            os.chmod(folder, FOLDER_RIGHTS)


def private_file(path: str) -> None:
    """Create an empty file with rights for the owner only, whatever the umask. An existing file is not touched."""
    with _creating, suppress(FileExistsError):
        descriptor = os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_RIGHTS)
        try:
            os.fchmod(descriptor, FILE_RIGHTS)
        finally:
            os.close(descriptor)


@contextmanager
def whole_file(path: str, put: Callable[[str, str], object] | None = None) -> Iterator[str]:
    """Lend the name of a new file in the folder of `path`; at the end it is synced, and `put(name, path)` is called.

    On an error the new file is deleted. A killed process leaves it under its temporary name. By default raises
    `FileExistsError` if `path` exists at the end: nothing is overwritten.
    """
    folder, name = os.path.split(os.path.abspath(path))
    descriptor, draft = tempfile.mkstemp(prefix=f".{name}.", suffix=".part", dir=folder)
    os.close(descriptor)
    try:
        yield draft
        sync(draft)
        (put or rename_new)(draft, path)
        sync(folder)
    finally:
        for end in ("", "-wal", "-shm", "-inodes", "-journal"):
            with suppress(FileNotFoundError):
                os.unlink(draft + end)


def rename_new(name: str, path: str) -> None:
    """Rename a file to `path`. Raises `FileExistsError` if there is a file: nothing is overwritten."""
    try:
        os.link(name, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links.
        if os.path.exists(path):
            raise
        os.rename(name, path)


def sync(path: str) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exposed(paths: Iterable[str]) -> list[str]:
    """Return, for each of the files and folders that other users may read or write, the command that ends that."""
    commands = []
    for path in paths:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if mode & 0o077:
            rights = FOLDER_RIGHTS if stat.S_ISDIR(mode) else FILE_RIGHTS
            commands.append(f"chmod {rights:o} {shlex.quote(path)}")
    return commands


def make_private(folder: str) -> None:
    """Take the rights of others from every file in a folder: for files that a library has created."""
    with os.scandir(folder) as found:
        for entry in found:
            # A library may delete the file in the meantime.
            with suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mode & 0o077:
                    os.chmod(entry.path, FILE_RIGHTS)
