"""Passages that have no codes yet, of the build that is written and of the tail, and the making of their codes.

Owns which are encoded next, and for how long. Of a build, whole engrams in the order of their rows; of the tail, the
newest first. The texts are read again from the store.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from engram.meaning.base import Encoder
from engram.meaning.codes import Codes
from engram.search.base import GONE, Encoded, IndexDamaged, Ints
from engram.search.local.build import IndexBuild, Snapshot
from engram.search.local.delta import DeltaIndex
from engram.search.local.encoding import PassageEncoder
from engram.search.local.folder import IndexFolder
from engram.search.local.forward import ForwardIndex, key_number
from engram.search.local.reuse import reused_codes
from engram.store.base import Key, LoggedStore

ENCODED_AT_ONCE = 128
"""Passages that one call of the encoder encodes, about."""

ENCODING = 1.0
"""Seconds of encoding after which the codes are published, and changes of the log are indexed first."""

ENCODED_ON_CLOSE = 512
"""Passages that are encoded at most when a memory is closed."""

FEW = 64
"""Engrams of the tail that a reader encodes itself: some 15 ms, if each is one passage."""

FEW_PASSAGES = 256
"""Passages that a reader encodes at most. A longer text is found by words until it is in the index."""

KNOWN_MOST = 1_000
"""Engrams whose codes are kept besides those of the tail, until the index holds them."""

TAKEN_MOST = 20 * KNOWN_MOST
"""Engrams whose codes are kept at most where another process makes them: as many as the tail may hold."""

TWO_ENCODERS = "another process that uses this memory has another encoder; give both the same"


class Backlog:
    """What is still to be encoded. The indexer's thread encodes builds, a reader the tail; never both the same."""

    def __init__(self, store: LoggedStore, folder: IndexFolder, encoder: Encoder | None) -> None:
        """`encoder`: None for an index without vectors, which has no backlog."""
        self.known: dict[int, Codes] = {}
        """The codes of engrams of the tail, by `key_number`; some have left the tail since."""
        self._fresh: dict[int, Codes] = {}
        """What `encoded` returns next."""
        self._store = store
        self._folder = folder
        self._encoder = None if encoder is None else PassageEncoder(encoder, folder.coder)
        self._encoded_build = ""
        """Name of the build that this process has encoded, or a part of it."""

    @property
    def has_encoder(self) -> bool:
        """Whether passages get vectors."""
        return self._encoder is not None

    @property
    def trouble(self) -> str | None:
        """Why nothing is encoded any more in this process; None if all is well."""
        return None if self._encoder is None else self._encoder.trouble

    @property
    def used(self) -> bool:
        """Whether this process has encoded anything, so that the encoder is loaded."""
        return self._encoder is not None and self._encoder.used

    def missing(self, snapshot: Snapshot) -> int:
        """Return the number of passages of the index that have no code."""
        return 0 if self._encoder is None else snapshot.passages - snapshot.coded

    def left(self, snapshot: Snapshot) -> int:
        """Return the number of passages of the index that this process can encode."""
        return 0 if self.trouble else self.missing(snapshot)

    def take_over(self, build: IndexBuild) -> None:
        """Give a new build the codes of the published one."""
        for codes in reused_codes(self._folder.snapshot(), build.forward):
            build.encode(codes)

    def encode_build(self, build: IndexBuild, *, closing: bool) -> bool:
        """Encode passages of a build for about `ENCODING` seconds. Returns whether any were encoded.

        closing: whether the memory is being closed. Then the encoder is not loaded for it.
        """
        encoder, start, end = self._encoder, build.coded, time.monotonic() + ENCODING
        if encoder is None or encoder.trouble or (closing and not encoder.used) or self._is_replaced(build.name):
            return False
        while build.coded < build.passages and (build.coded == start or time.monotonic() < end):
            if closing and build.coded - start >= ENCODED_ON_CLOSE:
                break
            codes = next_codes(build.forward, self._store, encoder, self.known, ENCODED_AT_ONCE)
            if codes is None:
                break
            build.encode(codes)
            self._encoded_build = build.name
        return build.coded > start

    def _is_replaced(self, build: str) -> bool:
        """Whether another process has replaced the codes of this one: two encoders would replace each other forever."""
        assert self._encoder is not None
        replaced = self._encoded_build == build and self._folder.coded_by not in ("", self._folder.coder.fingerprint)
        if replaced:
            self._encoder.give_up(TWO_ENCODERS)
        return replaced

    def encode_tail(self, tail: DeltaIndex) -> None:
        """Encode the newest engrams of the tail that have no codes yet, if they are few or nobody indexes them."""
        encoder = self._encoder
        if encoder is None or encoder.trouble or (len(tail.unencoded) > FEW and not self._store.read_only):
            return
        rows = take_few(tail)
        if not rows:
            return
        entries = [tail.entries[row - tail.first] for row in rows]
        keys = [key_number(entry.key) for entry in entries]
        texts = texts_of(self._store, keys)
        codes = encoder.encode([texts.get(key, "") for key in keys], [len(entry.passages) for entry in entries])
        if codes is None:
            tail.unencoded += rows
            return
        for row, made in zip(rows, codes, strict=True):
            tail.encode(row, made)
        if self._store.read_only:
            # At most `KNOWN_MOST`: a process that nobody asks for them keeps the latest.
            self._fresh.update(zip(keys, codes, strict=True))
            drop_oldest(self._fresh, KNOWN_MOST)
        if len(self.known) > 2 * (len(tail) + KNOWN_MOST):
            kept = {key_number(entry.key) for entry in tail.entries}
            # Of a copy: another thread may be adding some.
            for key in list(self.known):
                if key not in kept:
                    self.known.pop(key, None)

    # Between the processes of one memory.

    def encoded(self) -> Encoded:
        """Return what was encoded for recalls since the last call, in a process that only reads."""
        fresh, self._fresh = self._fresh, {}
        return Encoded(self._folder.coder.fingerprint, fresh)

    def take_encoded(self, encoded: Encoded) -> None:
        """Keep what another process has encoded, until the index holds it; the latest `TAKEN_MOST` engrams."""
        if encoded.made_by == self._folder.coder.fingerprint:
            self.known.update(encoded.codes)
            drop_oldest(self.known, TAKEN_MOST)


def drop_oldest(codes: dict[int, Codes], most: int) -> None:
    """Delete the first entries of a dict until at most `most` are left."""
    if len(codes) > most:
        # Of a copy, because another thread may be adding some.
        for key in list(codes)[:-most]:
            codes.pop(key, None)


def take_few(tail: DeltaIndex) -> list[int]:
    """Take from a tail the newest rows that a reader encodes, in ascending order; leave longer texts to the indexer."""
    rows, passages = list[int](), 0
    while tail.unencoded and len(rows) < FEW:
        count = len(tail.entries[tail.unencoded[-1] - tail.first].passages)
        if count > FEW_PASSAGES:
            tail.long.append(tail.unencoded.pop())
        elif passages + count > FEW_PASSAGES:
            break
        else:
            rows.append(tail.unencoded.pop())
            passages += count
    return rows[::-1]


def next_codes(
    forward: ForwardIndex, store: LoggedStore, encoder: PassageEncoder, known: Mapping[int, Codes], most: int
) -> Codes | None:
    """Return the codes that follow in a forward index, of about `most` passages; None if the encoder failed.

    known: codes that need not be made again, by `key_number`. Engrams that are gone get empty codes.
    """
    first, counts = following(forward, most)
    rows = np.arange(first, first + len(counts))
    keys, columns = forward.keys(first, first + len(counts) - 1).tolist(), forward.columns(rows)
    present = (columns["length"] != GONE).tolist()
    found = [known.get(key) if here else empty(encoder, n) for key, here, n in zip(keys, present, counts, strict=True)]
    missing = [i for i, codes in enumerate(found) if codes is None or len(codes) != counts[i]]
    texts = texts_of(store, [keys[i] for i in missing])
    with_text = [i for i in missing if keys[i] in texts]
    made = encoder.encode([texts[keys[i]] for i in with_text], [counts[i] for i in with_text])
    if made is None:
        return None
    for i in missing:
        found[i] = empty(encoder, counts[i])
    for i, codes in zip(with_text, made, strict=True):
        found[i] = codes
    return np.concatenate([codes for codes in found if codes is not None])


def empty(encoder: PassageEncoder, count: int) -> Codes:
    """Return `count` empty codes."""
    return np.zeros((count, encoder.coder.width), np.uint8)


def following(forward: ForwardIndex, most: int) -> tuple[int, list[int]]:
    """Return the first row without codes, and the numbers of passages of it and of the rows that follow."""
    passages, start = forward.passages.view(), forward.vectors.size
    first, last = (int(passages["row"][place]) for place in (start, min(start + most, len(passages)) - 1))
    if not forward.first <= first <= last <= forward.last:
        raise IndexDamaged(f"{forward.passages.path} is not as it was written")
    (end,) = forward.columns(np.array([last]))
    stop = int(end["passage"]) + int(end["passages"])
    owners = passages["row"][start:stop].astype(np.int64)
    counts = np.bincount(owners - first, minlength=last - first + 1) if is_sorted(owners, first, last) else owners[:0]
    if len(counts) != last - first + 1 or not counts.all():
        raise IndexDamaged(f"{forward.passages.path} is not as it was written")
    return first, counts.tolist()


def is_sorted(rows: Ints, first: int, last: int) -> bool:
    """Return whether `rows` ascend from `first` to `last`."""
    return bool(len(rows) and rows[0] == first and rows[-1] == last and (rows[1:] >= rows[:-1]).all())


def texts_of(store: LoggedStore, keys: list[int]) -> dict[int, str]:
    """Return the texts of engrams that are in the store, by `key_number`."""
    texts = store.texts([Key(key >> 32, key & 0xFFFFFFFF) for key in keys])
    return {key_number(key): text for key, text in texts.items()}
