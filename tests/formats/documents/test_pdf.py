"""PDF: pages, headings of the outline, heads and feet, and files that cannot be read."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engram.errors import MissingExtra
from engram.formats.documents import pdf as reader
from engram.formats.documents.layout import Entry, blocks, page_of
from engram.formats.documents.pdf import INSTALL
from engram.formats.items import ImportSettings
from engram.formats.reading import ImportFile
from tests.formats.conftest import NOW, ReadItems

from .conftest import blocks as shown
from .conftest import pdf

needs_pypdf = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import pypdf, cryptography"], capture_output=True).returncode != 0,
    reason=f"pypdf is not installed: {INSTALL}",
)

LINES = [
    ["The ferry to Porto leaves at seven in the morning, and it is often late in", "winter because of the fog."],
    ["Tickets cost twelve euro for adults and six euro for children on all days, also on", "- Christmas", "- New Year"],
]


def layout(*pages: str, outline: dict[int, list[Entry]] | None = None):
    return list(blocks([page_of(number, text) for number, text in enumerate(pages, 1)], outline or {}))


def rewritten(content: bytes, change) -> bytes:
    """A PDF that pypdf writes, after a change."""
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(content))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


# The layout of pages.


def test_lines_of_a_paragraph_are_joined_and_other_lines_stay():
    page = (
        "The ferry to Porto leaves at seven in the morning, and the har-\n"
        "bour is a long walk from the old part of the city, so that many\n"
        "people take the bus.\n"
        "A second paragraph follows here, and it is as long as the others\n"
        "are, but for its last line.\n"
        "• bread\n• milk\nTotal 12\nSum 13"
    )
    assert shown(layout(page)) == [
        (
            "text",
            "The ferry to Porto leaves at seven in the morning, and the harbour is a long walk from the old part of the"
            " city, so that many people take the bus.",
        ),
        ("text", "A second paragraph follows here, and it is as long as the others are, but for its last line."),
        *(("item", "• bread"), ("item", "• milk"), ("item", "Total 12"), ("item", "Sum 13")),
    ]


def test_heads_feet_and_numbers_of_pages_are_no_text():
    texts = [f"Text of page {letter} that is only on it" for letter in "abcde"]
    pages = [f"Annual report\n{text}\n{number}" for number, text in enumerate(texts, 7)]
    assert [text for _, text in shown(layout(*pages))] == texts
    pages = [f"{text}\nPage {number} of 5" for number, text in enumerate(texts, 1)]
    assert [text for _, text in shown(layout(*pages))] == texts
    chapters = [f"Chapter {'AABBC'[n]} {n + 1}\n{text}" for n, text in enumerate(texts)]
    assert [text for _, text in shown(layout(*chapters))] == [*texts[:4], "Chapter C 5", texts[4]]


def test_lines_at_the_edge_that_differ_are_text():
    totals = ["Apples\nTotal 12", "Pears\nTotal 7", "Plums\nTotal 900", "Nuts\nTotal 1"]
    assert [text for _, text in shown(layout(*totals))] == "\n".join(totals).split("\n")
    assert [text for _, text in shown(layout("One\n7", "Two\n7"))] == ["One", "7", "Two", "7"]


def test_a_sentence_goes_on_on_the_next_page():
    found = layout("Title\nThe ferry was late be-", "cause of the fog.\nThe next one leaves at nine.", "Nine again.")
    assert [(block.text, block.place) for block in found] == [
        *(("Title", 1), ("The ferry was late because of the fog.", 1)),
        *(("The next one leaves at nine.", 2), ("Nine again.", 3)),
    ]


def test_the_outline_names_the_headings():
    outline = {1: [Entry(1, "Ferries"), Entry(2, "Times")], 2: [Entry(2, "Prices"), Entry(1, "Buses")]}
    found = layout("Welcome.\n1 Ferries\n1.1 Times\nAt nine.", "12 euro.\nBUSES\nEvery hour.", outline=outline)
    assert shown(found) == [
        *(("item", "Welcome."), ("heading 1", "Ferries"), ("heading 2", "Times"), ("item", "At nine.")),
        *(("heading 2", "Prices"), ("item", "12 euro."), ("heading 1", "Buses"), ("item", "Every hour.")),
    ]


def test_dots_that_lead_to_a_number_are_one_sign():
    assert shown(layout("Prices . . . . . . . . 7\nTimes.......8")) == [("item", "Prices … 7"), ("item", "Times…8")]


# Files.


@needs_pypdf
def test_the_passages_of_a_file_name_their_pages(document):
    items = document("report.pdf", pdf(LINES, "Harbour report"))
    assert items.problems == []
    (engram,) = items.engrams
    assert engram.text.splitlines() == [
        "Harbour report",
        "The ferry to Porto leaves at seven in the morning, and it is often late in winter because of the fog.",
        "Tickets cost twelve euro for adults and six euro for children on all days, also on",
        *("- Christmas", "- New Year"),
    ]
    assert engram.source == "report.pdf, page 1"
    assert engram.metadata == {
        "title": "Harbour report",
        "headings": ["Harbour report"],
        "format": "pdf",
        "page": 1,
        "last_page": 2,
    }


@needs_pypdf
def test_the_outline_of_a_file_is_read(document):
    def outlined(writer):
        parent = writer.add_outline_item(title="Ferries", page_number=0)
        writer.add_outline_item(title="Prices", page_number=1, parent=parent)

    items = document("report.pdf", rewritten(pdf(LINES), outlined))
    assert [engram.text.partition("\n")[0] for engram in items.engrams] == ["Ferries", "Ferries > Prices"]
    assert [engram.source for engram in items.engrams] == ["report.pdf, page 1", "report.pdf, page 2"]


@needs_pypdf
def test_a_file_that_only_limits_what_may_be_done_is_read(document):
    content = rewritten(pdf(LINES), lambda writer: writer.encrypt("", "owner", algorithm="AES-256"))
    assert len(document("report.pdf", content).engrams) == 1


@needs_pypdf
def test_a_file_with_a_password_is_a_problem(document, tmp_path: Path):
    content = rewritten(pdf(LINES), lambda writer: writer.encrypt("secret", algorithm="AES-256"))
    items = document("report.pdf", content)
    assert (items.texts, items.problems) == (
        [],
        [f"{tmp_path}/report.pdf: is encrypted with a password; save a copy without one first"],
    )


@needs_pypdf
def test_a_scanned_file_is_a_problem_that_says_what_to_do(document, tmp_path: Path):
    (problem,) = document("scan.pdf", pdf([[], []])).problems
    assert problem.startswith(f"{tmp_path}/scan.pdf: is a PDF without text: its pages are pictures. Recognise the text")


@needs_pypdf
def test_pages_without_text_among_others_are_counted(document):
    items = document("report.pdf", pdf([LINES[0], [], LINES[1]]))
    assert (len(items.texts), items.left_out, items.problems) == (1, ["is a page without text"], [])


@needs_pypdf
@pytest.mark.parametrize("length", [20, 500, 900])
def test_a_file_that_is_cut_off_is_a_problem(document, length: int):
    (problem,) = document("report.pdf", pdf(LINES)[:length]).problems
    assert "is a PDF that is damaged, or cannot be read: " in problem
    assert problem.endswith("; download or copy it again")


@needs_pypdf
@pytest.mark.parametrize(
    ("old", "new", "found", "lost"),
    [
        (b"/Kids", b"/Kidz", 0, "2 pages"),
        (b"/Count 2", b"/Count 3", 2, "a page"),
        (b"/Count 2", b"/Count x", 2, None),
    ],
)
def test_pages_that_cannot_be_found_are_a_problem(document, tmp_path: Path, old, new, found: int, lost: str | None):
    content = pdf([[f"{line} ({number})" for line in LINES[0]] for number in range(2)])
    assert old in content
    items = document("report.pdf", content.replace(old, new))
    assert sum(text.count("The ferry to Porto") for text in items.texts) == found
    what = f"{tmp_path}/report.pdf: is a PDF that is damaged: {lost} of it cannot be found; download or copy it again"
    assert (items.problems, items.left_out) == ([what] if lost else [], [])


@needs_pypdf
def test_a_damaged_page_does_not_hide_the_others(document, tmp_path: Path):
    content = pdf(LINES).replace(b"BT", b"((", 1)
    items = document("report.pdf", content)
    assert len(items.texts) == 1
    assert items.problems[0].startswith(f"{tmp_path}/report.pdf page 1: cannot be read: ")


def test_a_file_that_is_no_pdf_is_a_problem(document, tmp_path: Path):
    items = document("report.pdf", "hello")
    assert items.problems == [f"{tmp_path}/report.pdf: is no PDF: it does not begin as one; download or copy it again"]
    assert document("empty.pdf", "").left_out == ["is a document without text"]


@needs_pypdf
def test_a_file_that_takes_too_long_is_a_problem(document, monkeypatch):
    monkeypatch.setattr(reader, "PATIENCE", 0.0)
    (problem,) = document("report.pdf", pdf(LINES)).problems
    assert "it took more than 0 seconds for one page" in problem


@needs_pypdf
def test_a_file_with_too_much_text_is_read_in_part(document, monkeypatch):
    monkeypatch.setattr(reader, "MOST_CHARACTERS", 50)
    items = document("report.pdf", pdf(LINES))
    assert [engram.metadata["page"] for engram in items.engrams] == [1]
    assert "holds more than 0 MiB of text; the rest was not read" in items.problems[0]


@needs_pypdf
def test_what_unpacks_to_more_memory_than_is_allowed_is_a_problem(document):
    import zlib

    bomb = zlib.compress(b"(x) Tj " * 30_000_000)
    content = pdf([["x"]])
    start = content.index(b"<< /Length")
    end = content.index(b"endobj", start)
    stream = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream\n" % (len(bomb), bomb)
    items = document("bomb.pdf", content[:start] + stream + content[end:])
    assert items.texts == []
    assert len(items.problems) == 1


@needs_pypdf
def test_a_pipe_is_read_like_a_file():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    file = ImportFile("-", ImportSettings(NOW, session="report"), Pipe(pdf(LINES)))
    (engram,) = ReadItems(list(file)).engrams
    assert (engram.session, engram.source) == ("report", "stdin, page 1")


@needs_pypdf
def test_the_name_of_a_file_does_not_tell_that_it_is_a_pdf(document):
    assert document("report", pdf(LINES)).engrams[0].metadata["format"] == "pdf"
    assert document("report.txt", pdf(LINES)).engrams[0].metadata["format"] == "pdf"


def test_without_pypdf_the_error_says_what_to_install(document, tmp_path: Path, monkeypatch):
    # A package of this name that cannot be imported, in front of the installed one.
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "pypdf.py").write_text("raise ModuleNotFoundError(\"No module named 'pypdf'\", name='pypdf')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(
        MissingExtra, match=r"is a PDF, which needs pypdf; install it with: pip install 'engram-layer\[documents\]'"
    ):
        document("report.pdf", pdf(LINES))


@needs_pypdf
def test_the_process_that_reads_ends_with_the_import(tmp_path: Path):
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf(LINES * 50))
    items = iter(ImportFile(str(path), ImportSettings(NOW)))
    next(items)
    items.close()  # type: ignore[attr-defined]
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    assert not children.exists() or "pdf_worker" not in "".join(
        Path(f"/proc/{child}/cmdline").read_text() for child in children.read_text().split()
    )
