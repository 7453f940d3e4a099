"""What is read of a page, what is left out, and broken pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.formats.documents.blocks import Block, Stated
from engram.formats.documents.tags import Token, Unclosed, attributes_of, text_of, tokens
from engram.formats.documents.webpage import LEFT_OUT, NOT_MAIN, fragment_parts
from engram.formats.items import Problem, Skipped

from .conftest import WHERE, blocks, page_parts


def read(page):
    return blocks(page_parts(page))


def left_out(page):
    return [part.why for part in page_parts(page) if isinstance(part, Skipped)]


def test_the_text_of_a_page_is_read_in_blocks():
    page = """<!DOCTYPE html><html lang=en><head><meta charset="utf-8"><title> Harbour &amp;
        ferries </title><style>p { color: red }</style><script>if (1<2) { say("<p>no</p>") }</script></head>
        <body><h1>Ferries <a href="#f">¶</a></h1>
        <p>The   ferry to <b>Por</b>to<br>leaves at&nbsp;nine.</p><div>On <div>Sundays</div> at ten.</div>
        <pre>line 1
  line &lt;2&gt;
</pre><blockquote>Quoted.</blockquote><dl><dt>Term<dd>Meaning</dl></body></html>"""
    assert page_parts(page)[0] == Stated("Harbour & ferries", of_site=True)
    assert read(page) == [
        ("heading 1", "Ferries"),
        ("text", "The ferry to Porto\nleaves at nine."),
        *(("text", "On"), ("text", "Sundays"), ("text", "at ten.")),
        ("code", "line 1\n  line <2>"),
        *(("text", "Quoted."), ("text", "Term"), ("text", "Meaning")),
    ]


def test_items_are_marked_and_indented():
    page = "<ul><li>one<li>two<ol><li>a</li><li>b</ol><li><p>three</p><p>more</p></ul><li>alone"
    assert read(page) == [
        *(("item", "- one"), ("item", "- two"), ("item", "  1. a"), ("item", "  2. b")),
        *(("item", "- three"), ("text", "more"), ("item", "- alone")),
    ]


def test_rows_of_a_table_are_blocks_with_its_header():
    page = """<table><caption>Prices</caption><thead><tr><th>who<th>what</thead><tbody>
        <tr><td>Adults</td><td><p>12 <b>euro</b></p></td></tr><tr><td>Dogs<td><ul><li>free<li>leash</ul></table>after"""
    assert read(page) == [
        *(("text", "Prices"), ("row", "| who | what |\n|---|---|"), ("row", "| Adults | 12 euro |")),
        *(("row", "| Dogs | - free - leash |"), ("text", "after")),
    ]
    assert [part.frame for part in page_parts(page) if isinstance(part, Block)][2] == "| who | what |\n|---|---|"


def test_a_table_that_lays_out_a_page_is_none():
    page = "<table><tr><td>menu<td><h2>News</h2><p>Rain.</p><table><tr><td>a<td>b</table>tail</table>end"
    assert read(page) == [
        *(
            ("text", "menu"),
            ("heading 2", "News"),
            ("text", "Rain."),
            ("row", "| a | b |"),
            ("text", "tail"),
            ("text", "end"),
        ),
    ]


@pytest.mark.parametrize(
    "aside",
    [
        *(
            "<nav>no</nav>",
            "<footer>no</footer>",
            "<aside>no</aside>",
            "<form>no <input></form>",
            "<button>no</button>",
        ),
        *('<div role="navigation">no</div>', "<p hidden>no</p>", '<p aria-hidden="true">no</p>'),
        *('<div style="color: red; DISPLAY : none">no</div>', "<div style='visibility:hidden'>no</div>"),
        *("<select><option>no</select>", "<nav><ul><li>no<li>no</nav>", "<dialog><h2>no</h2></dialog>"),
    ],
)
def test_what_is_around_the_text_is_left_out_and_counted(aside: str):
    page = f"<p>before</p>{aside}<p>after</p>"
    assert read(page) == [("text", "before"), ("text", "after")]
    assert left_out(page) == [LEFT_OUT]


@pytest.mark.parametrize(
    "unread",
    [
        *("<script>no</script>", "<style>no</style>", "<noscript>no</noscript>", "<template><p>no</template>"),
        *(
            "<svg><title>no</title><text>no</text></svg>",
            "<!-- no --->",
            "<!doctype no>",
            "<?no ?>",
            "</no no>",
            "</3 no>",
        ),
        *("<SCRIPT>var a = '<p>no</p>';</SCRIPT >", "<script>a</scripted>no</script>"),
    ],
)
def test_what_is_no_text_is_not_read(unread: str):
    page = f"<p>before</p>{unread}<p>after</p>"
    assert read(page) == [("text", "before"), ("text", "after")]
    assert left_out(page) == []


def test_only_the_main_part_is_read_of_a_page_that_marks_one():
    page = "<title>T</title><h1>Site</h1>x<main><aside>A note.</aside><h2>News</h2><nav>no</nav>Rain.</main>y<p>z"
    assert read(page) == [("text", "A note."), ("heading 2", "News"), ("text", "Rain.")]
    assert left_out(page) == [LEFT_OUT, NOT_MAIN]
    assert Stated("T", of_site=True) in page_parts(page)
    assert read("<p>a</p><div role='main'>b</div>") == [("text", "b")]
    assert read("<p>a</p><main> </main>") == [("text", "a")]
    assert read(f"<p>{'The text of the page. ' * 9}</p><main>Loading</main>")[1:] == [("text", "Loading")]


def test_of_the_header_of_a_page_only_headings_are_read():
    assert read("<header><img alt=x>Site<h1>News</h1>by Ana</header>text") == [("heading 1", "News"), ("text", "text")]
    assert read("<article><header>by Ana</header>text</article>") == [("text", "by Ana"), ("text", "text")]


def test_elements_end_where_browsers_end_them():
    # An end tag of an element inside a line does not close a block; one of a block closes what is open in it.
    assert read("<b><main>a</b><p>b</main>") == [("text", "a"), ("text", "b")]
    assert read("<div><nav>no</div>yes") == [("text", "yes")]
    assert read("</nav></div>yes<p></p></p>no") == [("text", "yes"), ("text", "no")]
    assert read("<h2>Title<p>text") == [("heading 2", "Title"), ("text", "text")]
    assert read("<h2><div>Title</div></h2>text") == [("heading 2", "Title"), ("text", "text")]
    assert read("<pre><div>a</div><div>b</div></pre>") == [("code", "a\nb")]


@pytest.mark.parametrize("text", ["a < b", "3 <5", "<>", "a <- b", "<", "a & b &unknown; &#", "1 </ 2"])
def test_signs_that_begin_no_tag_are_text(text: str):
    assert read(f"{text}>")[0][1].startswith(text.partition("</")[0].strip())


@pytest.mark.parametrize(
    ("source", "text"),
    [
        *(("&lt;p&gt; &eacute;&#233;&#xE9; &hearts;", "<p> ééé ♥"), ("&#0;&#xD800;&#99999999999999;", "\ufffd" * 3)),
        *((f"&#{'9' * 10_000};", "\ufffd"), ("a\0b", "a\ufffdb"), ("&amp;lt;", "&lt;")),
    ],
)
def test_references_to_characters_are_read(source: str, text: str):
    assert text_of(source) == text


def test_attributes_are_read_in_every_form():
    (token,) = tokens("<a A=1 b='2 >' c=\"3>\"d e = &amp;4 A=5 / =x>")
    assert attributes_of(token) == {"a": "1", "b": "2 >", "c": "3>", "d": "", "e": "&4", "x": ""}


@pytest.mark.parametrize(
    ("end", "what"),
    [
        *(("<!-- more", "the comment <!--"), ("<script>x", "the element <script>"), ("<a href='x>y", "the tag <a")),
        *(("<title>x", "the element <title>"), ("</p", "the tag </p"), ("<!x", "the tag <!"), ("<p", "the tag <p")),
    ],
)
def test_what_does_not_end_is_a_problem(end: str, what: str):
    (problem,) = (part for part in page_parts(f"<p>text\n\n{end}") if isinstance(part, Problem))
    assert str(problem) == f"a file:3: {what}, which begins here, does not end, so that nothing after it was read"
    assert read(f"<p>text\n\n{end}") == [("text", "text")]
    with pytest.raises(Unclosed):
        list(tokens(end))


def test_blocks_have_the_lines_of_the_file():
    page = "<html>\n<p>\none\n\n<p>two<p>\n three <b>\n</b>\n<h2>\nfour"
    assert [(part.text, part.place) for part in page_parts(page) if isinstance(part, Block)] == [
        *(("one", 3), ("two", 5), ("three", 6), ("four", 9)),
    ]


def test_html_inside_of_another_document_has_no_title_and_its_own_place():
    parts = list(fragment_parts("<title>no</title>\n<p>one", WHERE, 7))
    assert parts == [Block("text", "one", 8)]


@pytest.mark.parametrize(
    "piece", ["<div>", "<b><p>", "<table><tr><td>", "<ul><li>", "<b>", "</p>", "<nav>", "<h1>", "<pre>"]
)
def test_a_page_can_be_nested_to_any_depth(piece: str):
    assert "".join(text for _, text in read("begin " + piece * 50_000 + "end")).startswith("begin")


PIECES = (
    "<p> </p> <b> </b> <nav> </nav> <main> </main> <table> <tr> <td> </table> <li> <ul> </ul> <pre> </pre> <h2> </h2>"
    " <header> </header> <!-- --> <br> <title> </title> <a\tb='> x &amp; \n"
).split(" ")


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_page_is_read(pieces: list[str]):
    parts = page_parts("".join(pieces))
    assert all(part.text.strip() for part in parts if isinstance(part, Block))
    assert all("\0" not in part.text for part in parts if isinstance(part, Block))


def test_tokens_have_the_positions_of_the_page():
    assert list(tokens("a<B c>d</b><!-- x -->e")) == [
        Token(0, "a"),
        Token(1, "", "b", False, " c"),
        Token(6, "d"),
        Token(7, "", "b", True),
        Token(21, "e"),
    ]
