"""Which files are documents, and of which format."""

import gzip
import json
from pathlib import Path

import pytest

from engram.formats.items import ImportSettings
from engram.formats.reading import UNKNOWN, ImportFile
from tests.formats.conftest import NOW

LINE = json.dumps({"text": "hello"})


def formats(path: Path, **settings):
    file = ImportFile(str(path), ImportSettings(NOW, **settings))
    list(file)
    return dict(file.formats)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        *(
            ("a.md", "text", "markdown"),
            ("A.MARKDOWN", "text", "markdown"),
            ("a.txt", "text", "text"),
            ("a.log", "x", "text"),
        ),
        *(("a.rst", "x", "text"), ("a.htm", "x", "html"), ("a.html", "x", "html"), ("README", "text", "text")),
        *(("a.php", "<!DOCTYPE HTML><p>x", "html"), ("a", "<?xml version='1.0'?>\n<!-- x -->\n<html><p>x", "html")),
        *(("a.md", "[link](x)\n", "markdown"), ("a.md", "{{ template }}", "markdown"), ("a.txt", "[1] x", "text")),
        *(
            ("a.txt", LINE, "jsonl"),
            ("a.md", f"[{LINE}]", "jsonl"),
            ("a.txt", f"\n\n{LINE}\n", "jsonl"),
            ("a", LINE, "jsonl"),
        ),
        *(("a.jsonl", LINE, "jsonl"), ("a.txt", f"intro\n{LINE}\n", "text"), ("a", f"intro\n{LINE}\n", "jsonl")),
    ],
)
def test_content_and_name_tell_the_format(tmp_path: Path, name: str, content: str, found: str):
    path = tmp_path / name
    path.write_text(content)
    assert formats(path) == {found: 1}


@pytest.mark.parametrize("name", ["a.csv", "a.py", "a.docx", "a.yaml"])
def test_another_file_is_a_problem_that_names_the_option(read, tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_text("a,b\n1,2\n")
    assert read(path).problems == [f"{path}: {UNKNOWN}"]
    assert "--format" in UNKNOWN
    assert read(path, format="text").texts == ["a\na,b\n1,2"]


def test_a_file_of_conversations_without_json_is_no_document(read, tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text("Dear diary")
    assert "contains no JSON" in read(path).problems[0]


def test_a_binary_file_without_an_end_of_its_name_is_no_document(read, tmp_path: Path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF" + bytes(range(256)) * 10)
    assert read(path).problems == [f"{path}: {UNKNOWN}"]


def test_the_option_is_stronger_than_content_and_name(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(LINE)
    assert formats(path, format="markdown") == {"markdown": 1}


def test_a_compressed_document_has_the_name_without_the_end(read, tmp_path: Path):
    path = tmp_path / "notes.md.gz"
    path.write_bytes(gzip.compress(b"# A\n\ntext"))
    items = read(path)
    assert [(engram.text, engram.session) for engram in items.engrams] == [("A\ntext", "notes.md")]
    assert items.engrams[0].source == "notes.md, line 3"


def test_a_compressed_document_that_unpacks_to_too_much_is_a_problem(read, tmp_path: Path):
    path = tmp_path / "notes.txt.gz"
    path.write_bytes(gzip.compress(b"word " * 1_000_000))
    (problem,) = read(path, max_unpacked=1 << 20).problems
    assert problem.startswith(f"{path}: cannot be read: it unpacks to more than 1 MiB")
