"""Server-sent events are parsed by the standard, for any division of the stream into chunks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.text.sse import EventParser, read_events


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (b"data: a\n\ndata:b\n\n", [("", b"a"), ("", b"b")]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [("", b"a"), ("", b"b"), ("", b"c")]),
        (b"event: x\ndata: 1\ndata:  2\n\n", [("x", b"1\n 2")]),
        (b": comment\nid: 3\nretry: 5\ndata: a\n\n: more\n\n", [("", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
        (b"data\n\n", [("", b"")]),
        (b"data: whole\n\ndata: la", [("", b"whole"), ("", b"la")]),
        ("data: a\u2028b\x85c\x0bd\n\n".encode(), [("", "a\u2028b\x85c\x0bd".encode())]),
        (b"event: \xc3\ndata: \xc3", [("\ufffd", b"\xc3")]),
        (b"", []),
    ],
)
def test_events_follow_the_standard(whole: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert list(read_events([whole])) == expected


LINES = st.lists(
    st.sampled_from(
        [b"", b"data: a", b"data:  b", b"event: x", b": comment", b"data", b"id: 1", b"\xef\xbb\xbfdata: c"]
    )
)


@given(
    lines=LINES,
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(0, 80)),
    tail=st.booleans(),
)
def test_events_do_not_depend_on_where_the_stream_is_cut(
    lines: list[bytes], line_end: bytes, cuts: list[int], tail: bool
) -> None:
    whole = line_end.join(lines) + (line_end if tail else b"")
    borders = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    chunks = [whole[begin:end] for begin, end in pairwise(borders)]
    assert list(read_events(chunks)) == list(read_events([whole]))


def test_event_is_returned_with_the_chunk_that_ends_it() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r\n") == []
    assert parser.feed(b"\r") == [("", b"a")]
    assert parser.feed(b"\ndata: b\n") == []
    assert parser.feed(b"\n") == [("", b"b")]
    assert parser.feed(b"data: c") == []
    assert parser.finish() == [("", b"c")]
