"""The pages of a SQLite file, read without SQLite: for rows that SQLite cannot reach because of damage.

Owns the part of the file format that this needs (https://www.sqlite.org/fileformat2.html): leaves of tables, records,
overflow chains and the list of free pages. Assumes pages of 4096 bytes without reserved bytes, as the store makes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

PAGE_SIZE = 4096
HEADER = 100
TABLE_LEAF, TABLE_INTERIOR = 0x0D, 0x05
DOCUMENT_COLUMNS = 8
"""Columns of the table `documents`; no other table has as many."""
INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)

Row = tuple[Any, ...]


class Pages:
    """All rows in the leaves of tables, whether or not a tree leads to them. Text is returned as bytes."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._content = file.read()
        self._count = len(self._content) // PAGE_SIZE
        self._free = self._free_pages()

    @cached_property
    def engrams(self) -> dict[int, Row]:
        """The rows of the table of engrams by seq, with their columns in the order of `salvage.ENGRAMS`.

        Rows of formats 1 and 2 hold no origin: it is None.
        """
        return {seq: reordered(seq, row) for seq, row in self._rows_with_id(12, 13)}

    @cached_property
    def quarantined(self) -> dict[int, Row]:
        """The rows of the table `quarantined` by number, with their columns in the order of `rows.QUARANTINED`."""
        return {number: reordered(number, row[:14]) for number, row in self._rows_with_id(15)}

    @cached_property
    def documents(self) -> dict[int, Row]:
        """The rows of the table `documents` by number, with their columns in the order of `documents.ROW`."""
        return {
            number: (number, *row[1:6], row[7])
            for page in self._leaves()
            for number, row in self._rows(page)
            if len(row) == DOCUMENT_COLUMNS and row[0] is None and isinstance(row[7], bytes)
        }

    def _rows_with_id(self, *widths: int) -> Iterator[tuple[int, Row]]:
        """Rowid and values of the rows with so many columns, of which the first is the rowid and the second an id."""
        for page in self._leaves():
            for rowid, row in self._rows(page):
                if len(row) in widths and row[0] is None and isinstance(row[1], bytes) and len(row[1]) == 16:
                    yield rowid, row

    def names(self, table: str) -> dict[int, str]:
        """Return names by number. Sessions and speakers have equal columns; the tree of sessions has the first root."""
        width = 2 if table == "namespaces" else 3
        trees: dict[int, dict[int, str]] = defaultdict(dict)
        for page in self._leaves():
            for number, row in self._rows(page):
                if len(row) == width and row[0] is None and isinstance(row[-1], bytes):
                    trees[self._root(page)][number] = row[-1].decode("utf-8", "replace")
        found = [trees[root] for root in sorted(trees)]
        if table == "namespaces" or len(found) > 2:
            # Among more than two trees, sessions and speakers cannot be told apart.
            return found[0] if table == "namespaces" and found else {}
        return dict(enumerate(found)).get(0 if table == "sessions" else 1, {})

    def _page(self, number: int) -> bytes:
        return self._content[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]

    def _leaves(self) -> list[int]:
        pages = range(2, self._count + 1)
        return [n for n in pages if n not in self._free and self._content[(n - 1) * PAGE_SIZE] == TABLE_LEAF]

    def _free_pages(self) -> set[int]:
        """Unused pages. They may hold rows that were deleted, which must stay deleted."""
        free: set[int] = set()
        trunk = int.from_bytes(self._content[32:36])
        while 1 < trunk <= self._count and trunk not in free:
            page = self._page(trunk)
            count = min(int.from_bytes(page[4:8]), PAGE_SIZE // 4 - 2)
            free.add(trunk)
            free.update(int.from_bytes(page[8 + 4 * n : 12 + 4 * n]) for n in range(count))
            trunk = int.from_bytes(page[:4])
        return free

    @cached_property
    def _parents(self) -> dict[int, int]:
        """The parent of each page in the tree of a table."""
        parents: dict[int, int] = {}
        for number in range(2, self._count + 1):
            page = self._page(number)
            if page[0] != TABLE_INTERIOR:
                continue
            for n in range(min(int.from_bytes(page[3:5]), PAGE_SIZE // 2)):
                start = int.from_bytes(page[12 + 2 * n : 14 + 2 * n])
                parents[int.from_bytes(page[start : start + 4])] = number
            parents[int.from_bytes(page[8:12])] = number
        return parents

    def _root(self, page: int) -> int:
        seen = {page}
        while (parent := self._parents.get(page)) is not None and parent not in seen:
            page = parent
            seen.add(page)
        return page

    def _rows(self, number: int) -> list[tuple[int, Row]]:
        """Rowid and values of every readable cell of a page."""
        page = self._page(number)
        rows = []
        for n in range(int.from_bytes(page[3:5])):
            start = int.from_bytes(page[8 + 2 * n : 10 + 2 * n])
            try:
                size, start = _varint(page, start)
                rowid, start = _varint(page, start)
                rows.append((rowid, _record(self._payload(page, start, size))))
            except (IndexError, ValueError):
                continue
        return rows

    def _payload(self, page: bytes, start: int, size: int) -> bytes:
        """The record of a cell, including its overflow pages. Raises ValueError if a part is missing."""
        if size > len(self._content):
            raise ValueError("a cell larger than the file")
        most = PAGE_SIZE - 35
        least = (PAGE_SIZE - 12) * 32 // 255 - 23
        here = least + (size - least) % (PAGE_SIZE - 4)
        here = size if size <= most else here if here <= most else least
        parts = [page[start : start + here]]
        left = size - here
        following = int.from_bytes(page[start + here : start + here + 4])
        while left > 0:
            if not 1 < following <= self._count:
                raise ValueError("an overflow page is missing")
            overflow = self._page(following)
            parts.append(overflow[4 : 4 + left])
            left -= PAGE_SIZE - 4
            following = int.from_bytes(overflow[:4])
        return b"".join(parts)


def reordered(number: int, row: Row) -> Row:
    """Return the columns of a row in the order in which the store selects them."""
    _, id, namespace, session, speaker, role, at, recorded, kind, source, metadata, text, *rest = row
    names = (number, id, namespace, session, role, speaker)
    return (*names, text, at, recorded, kind, source, metadata, *(rest or [None]))


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """Return a number of 1 to 9 bytes, and the offset after it. Raises IndexError at the end of the data."""
    value = 0
    for place in range(8):
        byte = data[start + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, start + place + 1
    return value << 8 | data[start + 8], start + 9


def _record(data: bytes) -> Row:
    """Return the values of a record. Raises ValueError or IndexError if the data is no record."""
    end, place = _varint(data, 0)
    kinds = []
    while place < end:
        kind, place = _varint(data, place)
        kinds.append(kind)
    values: list[object] = []
    for kind in kinds:
        if kind in (0, 8, 9):
            values.append(None if kind == 0 else kind - 8)
            continue
        if kind in (7, 10, 11):
            raise ValueError("the store writes no such values")
        size = INTEGER_BYTES[kind] if kind < 7 else (kind - 12) // 2
        part = data[place : place + size]
        if len(part) != size:
            raise ValueError("a value is cut off")
        values.append(int.from_bytes(part, signed=True) if kind < 7 else part)
        place += size
    return tuple(values)
