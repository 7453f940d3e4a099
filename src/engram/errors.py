"""The errors that Engram raises, with their exit codes and HTTP statuses.

A message says what happened, to which file or store, and what to do next.
"""

from __future__ import annotations


class EngramError(Exception):
    """Base class of all errors that Engram raises on purpose."""

    exit_code = 1
    http_status = 500


class InvalidEngram(EngramError, ValueError):
    """A field is outside its limits. Nothing was written."""

    exit_code = 2
    http_status = 422


class NotFound(EngramError, LookupError):
    """No engram has this id, or no document this name or version."""

    exit_code = 3
    http_status = 404


class MemoryLocked(EngramError):
    """Another process held the memory for too long."""

    exit_code = 4
    http_status = 503


class MemoryReadOnly(EngramError):
    """The memory was opened for reading only, or its file or folder cannot be written."""

    exit_code = 5
    http_status = 403


class MemoryFull(EngramError):
    """The disk is full. This write was not stored; earlier acknowledged writes are safe."""

    exit_code = 6
    http_status = 507


class MemoryDamaged(EngramError):
    """The database file is damaged. `engram doctor` reports what can be saved."""

    exit_code = 7
    http_status = 500


class MemoryTooNew(EngramError):
    """The file was written by a newer version of Engram."""

    exit_code = 8
    http_status = 500


class MemoryClosed(EngramError):
    """The memory was used after `close`."""

    exit_code = 1
    http_status = 503


class MemoryReplaced(EngramError):
    """The file was deleted, moved or replaced while it was open. Nothing more is read from it or written to it.

    Also raised when a file is to be read beside the log of the one that it replaced.
    """

    exit_code = 11
    http_status = 503


class ModelUnavailable(EngramError):
    """The language model could not be loaded or reached, or its reply ended early."""

    exit_code = 9
    http_status = 502


class MissingExtra(EngramError, ImportError):
    """An optional dependency is not installed. The message names the pip command."""

    exit_code = 10
    http_status = 501


class StateConflict(EngramError):
    """A document has another version than the write expected. Nothing was written."""

    exit_code = 12
    http_status = 412

    def __init__(self, message: str, current: int = 0) -> None:
        super().__init__(message)
        self.current = current
        """The current version; 0: there is no document."""
