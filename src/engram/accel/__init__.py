"""The kernel: recall's arithmetic in compiled C, where there was a compiler when Engram was installed.

Owns the library's loading and its calls. Knows arrays only, nothing of memories; what it does is defined by the numpy
functions of `engram.index` and `engram.recall` that its own are named after. Who calls asks `available` first.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent
Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

ROW_SIZE = 84
"""Bytes of a row, as kernel.c has it."""
PARTS = 8
"""Parts that a score is the sum of, as kernel.c has them."""

UNFIT = "{rows} does not fit {tokens}"
CHANGED = "{rows} or {tokens} is not as it was written"
"""What can be wrong with rows and tokens."""

SIGNATURES = {  # A number's letter says its type; p: an array.
    "engram_held": (ctypes.c_int64, "plplllpppp"),
    "engram_gathered": (ctypes.c_int32, "piplpup"),
    "engram_pooled": (ctypes.c_int32, "p"),
    "engram_scored": (ctypes.c_int32, "p"),
    "engram_weights": (ctypes.c_int64, ""),
}
TYPES = {"p": ctypes.c_void_p, "l": ctypes.c_int64, "i": ctypes.c_int32, "u": ctypes.c_uint64}

_lies_at: Any = (ctypes.c_char * 0).from_buffer


class _Task(ctypes.Structure):
    """Task, as kernel.c has it: numbers and, written with a star, arrays."""

    _fields_ = tuple(
        (name.lstrip("*"), ctypes.c_void_p if name[0] == "*" else ctypes.c_int64)
        for name in """
        n q *rows *seqs *lengths *tokens token_width *ids *known
        *near near_width near_count *similarity *vectors stems longest_pause
        *counts *likeness *nearness *after_own *before_own
        *previous *previous_but_one *next *next_but_one *by_session *starts *session *sessions s
        *session_tokens *when *weight *names *wanted wanteds by_speaker asks_when asks_time head
        *weights *near_worth *parts *total *confidence *matched
        """.split()
    )


def load(folder: Path, loader: type[ctypes.CDLL] = ctypes.CDLL) -> ctypes.CDLL | None:
    """The library in `folder`; None, said once in the log, if it cannot be used, and None if there is none."""
    library = folder / "kernel.so"
    if not library.exists() or sys.byteorder != "little":
        return None
    try:
        loaded = loader(str(library))
        # One that was left over from another version could do anything.
        stale = loaded.engram_source() & 0xFFFFFFFF != zlib.crc32((folder / "kernel.c").read_bytes())
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, [TYPES[letter] for letter in arguments]
    except (OSError, AttributeError) as error:
        reason = str(error)
    else:
        if not stale:
            return loaded
        reason = "it was compiled from another source than the one beside it"
    logging.getLogger("engram").warning(
        "%s is not used, recall takes a millisecond longer: %s; install engram again", library, reason
    )
    return None


# What reads files may wait for a disk and lets other threads run meanwhile; the rest takes less time than that would.
_reading: Any = load(FOLDER)
_kernel: Any = None if _reading is None else load(FOLDER, ctypes.PyDLL)

_weights: int = 0 if _kernel is None else _kernel.engram_weights()

available: bool = _kernel is not None
"""Whether the functions below can be called."""


def gathered(
    rows: Array, tokens: Array, seqs: Ints, first: int, factors: npt.NDArray[np.uint64], token_factor: int
) -> tuple[Ints, Array, Array, Ints, str]:
    """`engram.search.local.forward.gathered`."""
    n, width = len(seqs), tokens.itemsize
    found, copies, lengths = np.empty(n, np.int64), np.empty(n, rows.dtype), np.empty(n, np.int64)
    total = ctypes.c_int64()
    copies_at, tokens_at = _rows(copies), _tokens(tokens)
    here = _reading.engram_held(
        *(_rows(rows), len(rows), _at(seqs, np.int64), n, first, len(tokens)),
        *(_at(found, np.int64), copies_at, _at(lengths, np.int64), ctypes.addressof(total)),
    )
    if here < 0:
        return found[:0], copies[:0], tokens[:0], lengths[:0], UNFIT
    taken = np.empty(total.value, tokens.dtype)
    right = _reading.engram_gathered(
        tokens_at, width, copies_at, here, _at(factors, np.uint64), token_factor, _tokens(taken)
    )
    if here < n:
        found, copies, lengths = found[:here], copies[:here], lengths[:here]
    return found, copies, taken, lengths, "" if right else CHANGED


class Language(NamedTuple):
    """What the kernel is told of an encoder and its table."""

    near: npt.NDArray[np.unsignedinteger]
    """The ids near each stem: shape (stems, k)."""
    similarity: npt.NDArray[np.uint8]
    """How near they are, in steps of 1/255: shape (stems, k)."""
    vectors: Floats
    """What each stem adds to a centroid, and zeros for all other tokens: shape (stems + 1, CENTROID)."""


class Work:
    """One recall's arithmetic: the pool when it is made, the scores when they are asked for."""

    def __init__(
        self,
        turns: tuple[Ints, Array, Array, Ints],
        ids: Sequence[int],
        known: Sequence[bool],
        language: Language,
        longest_pause: int,
    ) -> None:
        """`engram.recall.pool.make_pool` and `surroundings`.

        turns: the fields of `engram.index.Turns`. ids: the cue's different tokens; `known`: for each, whether what is
        near it counts.
        """
        seqs, rows, tokens, lengths = turns
        n, q = len(rows), len(ids)
        if not (len(seqs) == len(lengths) == n and lengths.sum() == len(tokens)):
            raise ValueError(f"{len(tokens)} tokens of {len(lengths)} turns do not fit {n} rows and {len(seqs)} seqs")
        floats, truths = np.empty((q + 1, n), np.float32), np.empty((2, n), np.bool_)
        self.nearness, places = np.empty((q, n), np.uint8), np.empty((8, n), np.int64)
        self.counts, self.likeness = floats[:q], floats[q]
        wanted, near = np.array(ids, np.int64), np.array(known, np.bool_)
        # All that the addresses lead to lives as long as they are used.
        self._held = [turns, floats, truths, places]
        floats_at, truths_at, places_at = _at(floats, np.float32), _at(truths, np.bool_), _at(places, np.int64)
        self._task = task = _Task(
            *(n, q, _rows(rows), _at(seqs, np.int64), _at(lengths, np.int64), _tokens(tokens), tokens.itemsize),
            *(_at(wanted, np.int64), _at(near, np.bool_)),
            *(_tokens(language.near), language.near.itemsize, language.near.shape[1]),
            *(_at(language.similarity, np.uint8), _at(language.vectors, np.float32), len(language.near), longest_pause),
            *(floats_at, floats_at + 4 * q * n, _at(self.nearness, np.uint8), truths_at, truths_at + n),
            *range(places_at, places_at + 64 * n, 8 * n or 1),
        )
        if _kernel.engram_pooled(ctypes.byref(task)):
            raise MemoryError
        s = task.s
        previous, previous_but_one, following, next_but_one, by_session, starts, session, sessions = places
        self.beside = (
            *(previous, previous_but_one, following, next_but_one, *truths),
            *(by_session, starts[:s], session, sessions[:s]),
        )
        """The fields of `engram.recall.pool.Surroundings`."""

    def scored(
        self,
        session_tokens: Ints,
        when: Floats,
        weight: npt.NDArray[np.float64],
        names: npt.NDArray[np.bool_],
        wanted: Collection[int],
        weights: npt.NDArray[np.float64],
        near_worth: Floats,
        *,
        by_speaker: bool,
        asks_when: bool,
        asks_time: bool,
        head: int,
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """`engram.recall.score.score` and `engram.recall.confidence.confidence`.

        Its parts, shape (PARTS, n), total, and matched, and the confidence. wanted: the numbers of the speakers who are
        asked about (`by_speaker`), or of the roles. weights: all fields of `Weights`. near_worth: shape (256,).
        """
        task = self._task
        n, q = task.n, task.q
        sizes = len(session_tokens), len(when), len(weight), len(names), len(weights), len(near_worth)
        if sizes != (task.s, n, q, q, _weights, 256):
            raise ValueError(
                f"arrays of {sizes} entries were given, where {(task.s, n, q, q, _weights, 256)} are needed"
            )
        floats = np.empty((PARTS + 2 + q, n), np.float32)
        asked = np.array(tuple(wanted), np.int64)
        at = _at(floats, np.float32)
        task.session_tokens, task.when = _at(session_tokens, np.int64), _at(when, np.float32)
        task.weight, task.names = _at(weight, np.float64), _at(names, np.bool_)
        task.wanted, task.wanteds, task.by_speaker = _at(asked, np.int64), len(asked), by_speaker
        task.asks_when, task.asks_time, task.head = asks_when, asks_time, head
        task.weights, task.near_worth = _at(weights, np.float64), _at(near_worth, np.float32)
        task.parts, task.total = at, at + 4 * n * PARTS
        task.confidence, task.matched = task.total + 4 * n, task.total + 8 * n
        if _kernel.engram_scored(ctypes.byref(task)):
            raise MemoryError
        return floats[:PARTS], floats[PARTS], floats[PARTS + 2 :], floats[PARTS + 1]


def _at(array: Array, dtype: type[np.generic]) -> int:
    """Where the entries of a dense array of this type lie."""
    if array.dtype != dtype:
        raise ValueError(f"an array of {array.dtype} was given where one of {dtype.__name__} is needed")
    return _address(array)


def _tokens(tokens: Array) -> int:
    return _at(tokens, np.uint16 if tokens.itemsize == 2 else np.uint32)


def _rows(rows: Array) -> int:
    if rows.dtype.itemsize != ROW_SIZE:
        raise ValueError(f"rows of {rows.dtype.itemsize} bytes were given, kernel.c has {ROW_SIZE}")
    return _address(rows)


def _address(array: Array) -> int:
    if not array.flags.c_contiguous:
        raise ValueError("an array was given whose entries do not lie side by side")
    if array.dtype.fields is None and array.flags.writeable:
        # A quarter of what array.ctypes.data takes.
        return ctypes.addressof(_lies_at(array))
    return array.ctypes.data
