"""What can go wrong, as one small tree; what each means to a shell and to HTTP.

A message says what happened, to which file, and what to do next.
"""

from __future__ import annotations


class EngramError(Exception):
    """Base of every error that Engram raises on purpose."""

    exit_code = 1
    http_status = 500


class InvalidEngram(EngramError, ValueError):
    """A field is outside its limits; nothing was written."""

    exit_code = 2
    http_status = 422


class NotFound(EngramError, LookupError):
    """No engram has this id."""

    exit_code = 3
    http_status = 404


class MemoryLocked(EngramError):
    """Another process holds the memory and did not let go in time."""

    exit_code = 4
    http_status = 503


class MemoryReadOnly(EngramError):
    """The memory was opened for reading, or its file or folder cannot be written."""

    exit_code = 5
    http_status = 403


class MemoryFull(EngramError):
    """The disk is full; what was acknowledged before is safe, this write is not kept."""

    exit_code = 6
    http_status = 507


class MemoryDamaged(EngramError):
    """The database file is damaged; `engram doctor` says what can be saved."""

    exit_code = 7
    http_status = 500


class MemoryTooNew(EngramError):
    """The file was written by a newer Engram than this one."""

    exit_code = 8
    http_status = 500


class MemoryClosed(EngramError):
    """The memory was used after `close`."""

    exit_code = 1
    http_status = 503


class ModelUnavailable(EngramError):
    """The language model could not be loaded or reached, or broke off its reply."""

    exit_code = 9
    http_status = 502


class MissingExtra(EngramError, ImportError):
    """An optional part is not installed; the message names the pip command."""

    exit_code = 10
    http_status = 501
