"""References to notes, packed and read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engram.ids import pack_ids, pack_references, read_reference, reference, unpack_references, uuid7

IDS = [uuid7() for _ in range(4)]


@given(st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 0xFFFF)), max_size=12))
def test_references_come_back_as_they_were_packed(pairs: list[tuple[str, int]]) -> None:
    references = tuple(reference(id, passage) for id, passage in pairs)
    assert unpack_references(pack_references(references)) == references
    assert [read_reference(one) for one in references] == pairs


def test_ids_that_an_earlier_version_packed_are_references() -> None:
    assert unpack_references(pack_ids(IDS)) == tuple(IDS)
    assert pack_references(IDS) == pack_ids(IDS)


def test_a_passage_beyond_what_is_packed_is_the_last_that_is() -> None:
    assert unpack_references(pack_references([reference(IDS[0], 70_000)])) == (reference(IDS[0], 0xFFFF),)
