"""The kernel's calls: the functions of `accel.Implementation`, and `gathered`, done by kernel.c.

Owns the structs that cross to C, and the check of every array's type and shape. Knows no weight and no memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.accel import Array, Bits, Codes, Floats, Ints, Language, Links, Matches, Places
from engram.accel.library import Library, Unusable, difference, layout_of_dtype, load

FOLDER = Path(__file__).parent

UNFIT = "{rows} does not fit {tokens} or {passages}"
CHANGED = "{rows}, {tokens} or {passages} is not as it was written"
"""What `gathered` reports of damaged files; the braces are replaced with their paths."""

MOST_WORDS = 16
"""Greatest number of words of 64 signs for each passage."""

PASSAGE_SIZE = 12
"""Bytes of a Passage in kernel.c."""

library: Library | None = None
"""The kernel, once `start` has loaded it."""

_at_start_of: Any = (ctypes.c_char * 0).from_buffer


def struct_fields(names: str) -> tuple[tuple[str, Any], ...]:
    """Return the fields of a structure: names, a pointer where a star precedes the name, an int64 otherwise."""
    return tuple((name.lstrip("*"), ctypes.c_void_p if name[0] == "*" else ctypes.c_int64) for name in names.split())


class Match(ctypes.Structure):
    """Match in kernel.c."""

    _fields_ = struct_fields(
        """n q *columns *lengths *tokens token_count token_width *ids *has_near *near near_width near_count *similarity
        *vectors stems *counts *nearness *cosines"""
    )


class Linking(ctypes.Structure):
    """Links in kernel.c."""

    _fields_ = struct_fields(
        "n *rows *columns longest_pause *around *same_speaker *by_session *starts *session *sessions s"
    )


class LayerOfSentences(ctypes.Structure):
    """SentenceLayer in sentences.h."""

    _fields_ = struct_fields("*weights *sums *scales")


class SentenceCache(ctypes.Structure):
    """SentenceCache in sentences.h: what was computed for the pieces of the last calls."""

    _fields_ = struct_fields("sets *busy *held *used *batches *rows")


class Sentences(ctypes.Structure):
    """Sentences in sentences.h."""

    _fields_ = struct_fields(
        """*narrow *middle *wide narrow_rows middle_rows *layers *project_bias *project_gain *project_shift *first_bias
        *second_bias *gain *shift *join_bias *caches number_of_caches"""
    )


class ContextMatrix(ctypes.Structure):
    """ContextMatrix in context.h."""

    _fields_ = struct_fields("*weights *sums *scales *bias roundings")


class Context(ctypes.Structure):
    """Context in context.h."""

    _fields_ = struct_fields("layers *words *places *matrices *gains *shifts")


def start(rows: np.dtype[Any], folder: Path = FOLDER) -> bool:
    """Load the kernel; return whether there is one. Raises `library.Unusable` if it does not fit.

    rows: the dtype ROW. The kernel must read the same fields, by name, offset and size.
    """
    global library
    library = load(folder, (Match, Linking, LayerOfSentences, SentenceCache, Sentences, ContextMatrix, Context))
    if library is not None and (wrong := difference(layout_of_dtype(rows), library.row)):
        raise Unusable(f"a row has changed: {wrong}")
    return library is not None


def kernel() -> Library:
    """Return the loaded kernel."""
    if library is None:
        raise RuntimeError("the kernel is not loaded; check accel.available first")
    return library


def gathered(
    columns: Array,
    tokens: Array,
    passages: Array,
    wanted: Ints,
    first: int,
    factors: npt.NDArray[np.uint64],
    token_factor: int,
) -> tuple[Ints, Array, Array, Ints, Ints, Ints, str]:
    """Do what `engram.search.local.forward.gathered` does."""
    n, width = len(wanted), tokens.itemsize
    rows, copies, lengths = np.empty(n, np.int64), np.empty(n, columns.dtype), np.empty(n, np.int64)
    counts, totals = np.empty(n, np.int64), np.empty(2, np.int64)
    copies_at, tokens_at, reading = address_of_rows(copies), address_of_tokens(tokens), kernel().reading
    present = reading.engram_find_rows(
        *(address_of_rows(columns), len(columns), address(wanted, np.int64), n, first, len(tokens), len(passages)),
        *(address(rows, np.int64), copies_at),
        *(address(array, np.int64) for array in (lengths, counts, totals)),
    )
    if present < 0:
        none = lengths[:0]
        return rows[:0], copies[:0], tokens[:0], none, none, none, UNFIT
    token_total, part_total = totals.tolist()
    copied, parts = np.empty(token_total, tokens.dtype), np.empty(part_total, np.int64)
    right = reading.engram_copy_tokens(
        *(tokens_at, width, address_of_passages(passages), copies_at, present, address(factors, np.uint64)),
        *(token_factor, address_of_tokens(copied), address(parts, np.int64)),
    )
    if present < n:
        rows, copies, lengths, counts = rows[:present], copies[:present], lengths[:present], counts[:present]
    return rows, copies, copied, lengths, counts, parts, "" if right else CHANGED


def match_tokens(
    columns: Array, tokens: Array, lengths: Ints, ids: Sequence[int], has_near: Sequence[bool], language: Language
) -> Matches:
    """Do what `plain.match_tokens` does."""
    n, q = len(columns), len(ids)
    floats, nearness = np.empty((q + 1, n), np.float32), np.empty((q, n), np.uint8)
    wanted, near = np.array(ids, np.int64), np.array(has_near, np.bool_)
    floats_at = address(floats, np.float32)
    task = Match(
        *(n, q, address_of_rows(columns), address(lengths, np.int64), address_of_tokens(tokens), len(tokens)),
        *(tokens.itemsize, address(wanted, np.int64), address(near, np.bool_)),
        *language_fields(language),
        *(floats_at, address(nearness, np.uint8), floats_at + 4 * q * n),
    )
    wrong = -2 if len(lengths) != n else kernel().computing.engram_match(ctypes.byref(task))
    if wrong == -2:
        raise ValueError(f"{len(tokens)} tokens of {len(lengths)} turns do not fit {n} rows")
    if wrong:
        raise MemoryError
    return Matches(floats[:q], nearness, floats[q])


@lru_cache(4)
def language_fields(language: Language) -> tuple[int, ...]:
    """Return the fields of `Match` from `near` to `stems`."""
    near = language.near
    return (
        *(address_of_tokens(near), near.itemsize, near.shape[1]),
        *(address(language.similarity, np.uint8), address(language.vectors, np.float32), len(near)),
    )


def find_neighbours(rows: Ints, columns: Array, longest_pause: int) -> Links:
    """Do what `plain.find_neighbours` does."""
    n = len(columns)
    if len(rows) != n:
        raise ValueError(f"{len(rows)} rows do not fit the columns of {n} turns")
    numbers, same_speaker = np.empty((8, n), np.int64), np.empty((2, n), np.bool_)
    at = address(numbers, np.int64)
    task = Linking(
        *(n, address(rows, np.int64), address_of_rows(columns), longest_pause, at, address(same_speaker, np.bool_)),
        *(at + 8 * n * row for row in (4, 5, 6, 7)),
    )
    if kernel().computing.engram_link(ctypes.byref(task)):
        raise MemoryError
    by_session, starts, session, sessions = numbers[4:]
    return Links(numbers[:4], same_speaker, by_session, starts[: task.s], session, sessions[: task.s])


def best_in_sessions(values: Floats, by_session: Ints, starts: Ints) -> Floats:
    """Do what `plain.best_in_sessions` does."""
    (q, width), n, s = values.shape, len(by_session), len(starts)
    if n > width:
        raise ValueError(f"{n} turns do not fit {width} columns")
    best = np.empty((q, s), np.float32)
    kernel().computing.engram_best_in_sessions(
        *(address(values, np.float32), width, q, address(by_session, np.int64), n),
        *(address(starts, np.int64), s, address(best, np.float32)),
    )
    return best


def encode(
    model: Sentences,
    starts: Ints,
    place: npt.NDArray[np.int32],
    step: Floats,
    offset: Floats,
    width: int,
    limit: int = 2,
) -> Floats:
    """Do what `engram.meaning.plain.PlainEncoder.encode` does; other threads run meanwhile.

    starts: where the pieces of each text begin, and their number; each text has one at least: shape (texts + 1,).
    place, step, offset: of each piece, as in `engram.meaning.weights.Weights`. limit: 2, or less to leave out the
    fastest forms of the product. Returns a vector for each text: shape (texts, width).
    """
    if not len(place) == len(step) == len(offset) == starts[-1]:
        raise ValueError(
            f"{len(place)} places, {len(step)} steps and {len(offset)} offsets do not fit {starts[-1]} pieces"
        )
    result = np.empty((len(starts) - 1, width), np.float32)
    if kernel().reading.engram_encode(
        *(ctypes.byref(model), len(result), address(starts, np.int64), address(place, np.int32)),
        *(address(step, np.float32), address(offset, np.float32), limit, address(result, np.float32)),
    ):
        raise MemoryError
    return result


def encode_context(
    model: Context, starts: Ints, pieces: npt.NDArray[np.int32], steps: Floats, width: int, limit: int = 2
) -> Floats:
    """Do what `engram.meaning.context_plain.PlainContext.encode` does; other threads run meanwhile.

    starts: where the pieces of each text begin, and their number; each text has 1 to 128: shape (texts + 1,).
    pieces, steps: of each piece, its row in the table of words and the size of a step there. limit: 2, or less to leave
    out the fastest forms of the product. Returns a vector for each text: shape (texts, width).
    """
    if not len(pieces) == len(steps) == starts[-1]:
        raise ValueError(f"{len(pieces)} pieces and {len(steps)} steps do not fit {starts[-1]} pieces")
    result = np.empty((len(starts) - 1, width), np.float32)
    if kernel().reading.engram_encode_context(
        *(ctypes.byref(model), len(result), address(starts, np.int64), address(pieces, np.int32)),
        *(address(steps, np.float32), limit, address(result, np.float32)),
    ):
        raise MemoryError
    return result


def nearest_signs(
    signs: Bits, start: int, stop: int, places: Places | None, query: Bits, limit: int
) -> tuple[Ints, Ints]:
    """Do what `plain.nearest_signs` does; other threads run meanwhile."""
    count, words = signs.shape
    inside = places is None or not len(places) or (start <= places[0] and places[-1] < stop)
    if not (0 <= start <= stop <= count and inside and query.shape == (words,) and words <= MOST_WORDS):
        raise ValueError(f"the passages {start} to {stop} do not fit {count} passages of {words} times 64 signs")
    n = stop - start if places is None else len(places)
    limit = min(limit, n)
    if limit <= 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    room = 4 * limit
    found = np.empty((2, room), np.int64)
    at = address(found, np.int64)
    m = kernel().reading.engram_nearest_signs(
        *(address(signs, np.uint64), words, start, n, 0 if places is None else address(places, np.uint32)),
        *(address(query, np.uint64), limit, at, at + 8 * room, room),
    )
    return found[0, :m], found[1, :m]


def copy_codes(
    signs: Array, rest: Array, places: Ints, factors: npt.NDArray[np.uint64], width: int
) -> tuple[Codes, int]:
    """Return the codes of some passages, shape (len(places), width), and how many are not as they were written.

    signs, rest: those of all passages, as in `engram.search.local.vectors`. Other threads run meanwhile.
    """
    first, second = signs.itemsize, rest.itemsize - 4
    inside = not len(places) or (places.min() >= 0 and places.max() < min(len(signs), len(rest)))
    if not (inside and first + second == width and width % 4 == first % 4 == 0 and len(factors) > width // 4):
        raise ValueError(f"codes of {width} bytes do not fit {len(signs)} of {first} and {len(rest)} of {second} bytes")
    codes = np.empty((len(places), width), np.uint8)
    wrong = kernel().reading.engram_copy_codes(
        *(address_of(signs), first, address_of(rest), second, address(places, np.int64), len(places)),
        *(address(factors, np.uint64), address_of(codes)),
    )
    return codes, wrong


def compare_codes(codes: Codes, query: Floats, small: float, large: float) -> Floats:
    """Do what `plain.compare_codes` does."""
    n, width = codes.shape
    if query.shape != (4 * width,) or width % 2 or not width:
        raise ValueError(f"a query of {query.shape} values does not fit codes of {width} bytes")
    cosines = np.empty(n, np.float32)
    if kernel().computing.engram_compare_codes(
        *(address(codes, np.uint8), n, width, address(query, np.float32), small, large, address(cosines, np.float32))
    ):
        raise MemoryError
    return cosines


def address(array: Array, dtype: type[np.generic]) -> int:
    """Return the address of a dense array. Raises ValueError if its type is not `dtype` or it is not dense."""
    if array.dtype != dtype:
        raise ValueError(f"the array holds {array.dtype}; it must hold {dtype.__name__}")
    return address_of(array)


def address_of_tokens(tokens: Array) -> int:
    """Return the address of token ids, which are uint16 or uint32."""
    return address(tokens, np.uint16 if tokens.itemsize == 2 else np.uint32)


def address_of_rows(columns: Array) -> int:
    """Return the address of rows. `start` has compared their fields with the kernel's."""
    offset, size = kernel().row["check"]
    if columns.dtype.itemsize != offset + size:
        raise ValueError(f"a row has {columns.dtype.itemsize} bytes; in kernel.c it has {offset + size}")
    return address_of(columns)


def address_of_passages(passages: Array) -> int:
    """Return the address of passages, which are three numbers of 4 bytes."""
    if passages.dtype.itemsize != PASSAGE_SIZE:
        raise ValueError(f"a passage has {passages.dtype.itemsize} bytes; in kernel.c it has {PASSAGE_SIZE}")
    return address_of(passages)


def address_of(array: Array) -> int:
    """Return the address of an array. Raises ValueError if it is not dense."""
    if not array.flags.c_contiguous:
        raise ValueError("the array is not contiguous")
    if array.dtype.fields is None and array.flags.writeable:
        # A quarter of the time that array.ctypes.data takes.
        return ctypes.addressof(_at_start_of(array))
    return array.ctypes.data
