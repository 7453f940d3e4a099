"""No document stalls the import: reading takes time in proportion to its length. Only the growth is asserted."""

import io
from collections.abc import Iterable
from contextlib import suppress

import pytest

from engram.formats.documents import layout, markdown, plain, webpage
from engram.formats.documents.blocks import Part
from engram.formats.documents.cutting import passages
from engram.formats.documents.decoding import Undecodable, decoding_of
from tools.hostile import GENERIC_TEXTS, Hostile
from tools.linear_time import MOST_GROWTH, Measured, seconds

from .conftest import WHERE

pytestmark = pytest.mark.slow

SIZES = (1_500, 15_000)
NO_GROWTH = 0.25
"""Seconds of processor time for a text of 15 KB that are no sign of quadratic time."""
OWN = [
    Hostile(before, repeated, after="", then=then)
    for before, repeated, then in [
        *(
            ("", "<a ", ""),
            ("", "<a b='", ""),
            ("", "<!--", ""),
            ("", "<![CDATA[", ""),
            ("", "<?", ""),
            ("", "</a ", ""),
        ),
        *(
            ("", "<b>", "</i>"),
            ("<b>", "<div><i>", "</b>"),
            ("", "<table><tr><td>", "</table>"),
            ("", "<nav>", "</div>"),
        ),
        *(
            ("", "<li>", "</ul>"),
            ("", "&#9", ""),
            ("", "<title>", ""),
            ("", "<script>", "</"),
            ("", "> ", ""),
            ("", "- a\n", ""),
        ),
        *(
            ("", "  - a\n", ""),
            ("", "|a", "\n|-"),
            ("|a|b|\n|-|-|\n", "|c|d|\n", ""),
            ("", "[a]: b\n", ""),
            ("", "# a\n", ""),
        ),
        *(
            ("", "a\n===\n", ""),
            ("---\n", "a: b\n", ""),
            ("", "{#", ""),
            ("", "a.", " b."),
            ("", "1\n", ""),
            ("", "Dr. ", ""),
        ),
    ]
]


def cut(parts: Iterable[Part]) -> None:
    for _ in passages(parts, "name"):
        pass


def pages(text: str) -> None:
    starts = range(0, len(text), 500)
    cut(
        layout.blocks([layout.page_of(number, text[start : start + 500]) for number, start in enumerate(starts, 1)], {})
    )


def encoding(text: str) -> None:
    with suppress(Undecodable):
        decoding_of(io.BytesIO(text.encode("latin-1", "replace")), page=True)


FUNCTIONS = {
    "markdown": lambda text: cut(markdown.parts(text, WHERE, lambda _: None)),
    "a heading": markdown.plain,
    "a page": lambda text: cut(webpage.page_parts(text, WHERE, lambda _: None)),
    "an attribute": lambda text: cut(webpage.page_parts(f"<a b={text} {text}>", WHERE, lambda _: None)),
    "text": lambda text: cut(plain.blocks(io.StringIO(text))),
    "pages": pages,
    "encoding": encoding,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reading_takes_linear_time(name: str) -> None:
    work, slow = FUNCTIONS[name], []
    for hostile in (*GENERIC_TEXTS, *OWN):
        small, large = (seconds(work, hostile.text(size)) for size in SIZES)
        if large > NO_GROWTH:
            # A second time, so that a pause of the machine does not count.
            small, large = (
                min(before, seconds(work, hostile.text(size)))
                for before, size in ((small, SIZES[0]), (large, SIZES[1]))
            )
        if Measured(name, hostile.name, small, large, 0.0).growth(NO_GROWTH) > MOST_GROWTH:
            slow.append((hostile.name, small, large))
    assert slow == []
