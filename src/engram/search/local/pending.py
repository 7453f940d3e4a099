"""The codes of the passages of a build that have none yet, made from the texts in the store.

Owns which passages are encoded next: whole engrams, in the order of their rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engram.meaning.codes import Codes
from engram.search.base import GONE, IndexDamaged, Ints
from engram.search.local.encoding import PassageEncoder
from engram.search.local.forward import ForwardIndex
from engram.store.base import LoggedStore


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
    seqs: dict[int, list[int]] = {}
    for key in keys:
        seqs.setdefault(key >> 32, []).append(key & 0xFFFFFFFF)
    return {
        namespace << 32 | seq: engram.text
        for namespace, wanted in seqs.items()
        for seq, engram in store.by_seq(namespace, wanted).items()
    }
