import io
import json
import zipfile
from pathlib import Path

import pytest

from engram.formats.items import Settings
from engram.formats.reading import Reading
from engram.formats.sources import shape_of

from .conftest import NOW, Found

TALK = {"uuid": "c", "chat_messages": [{"uuid": "m", "sender": "human", "text": "hi", "created_at": "2026-01-05"}]}


def packed(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", ".", 1), content)
    return path


def test_a_zip_that_is_cut_off(read, tmp_path: Path):
    path = packed(tmp_path / "x.zip", conversations_json=json.dumps([TALK]))
    path.write_bytes(path.read_bytes()[:-20])
    assert read(path).problems == [
        f"{path}: is a zip that is damaged or cut off (File is not a zip file); download or copy it again"
    ]


def test_a_zip_whose_content_is_damaged(read, tmp_path: Path):
    path = packed(tmp_path / "x.zip", conversations_json=json.dumps([TALK] * 50))
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    (problem,) = read(path).problems
    assert problem.startswith(f"{path}/conversations.json: cannot be read: ")


def test_a_zip_without_conversations(read, tmp_path: Path):
    path = packed(tmp_path / "x.zip", photo_jpg="", users_json="[]")
    assert read(path).problems == [f"{path}: is a zip without a conversations.json; it holds photo.jpg, users.json"]


def test_a_document_that_breaks_off_keeps_what_stands_before(read, write):
    path = write(json.dumps([TALK, TALK | {"uuid": "d"}], indent=1)[:-40])
    found = read(path)
    assert found.texts == ["hi"]
    (problem,) = found.problems
    assert problem.startswith(f"{path}:")
    assert "[1]: is not JSON from here on: " in problem
    assert problem.endswith("; what stands before it was read")


@pytest.mark.parametrize(("end", "texts"), [("] x", 1), ("]]", 1), (",]", 1), ("", 1), ("}", 1)])
def test_documents_that_end_wrong(read, write, end: str, texts: int):
    found = read(write("[" + json.dumps(TALK) + end))
    assert (len(found.texts), len(found.problems)) == (texts, 1)


@pytest.mark.parametrize("text", ["[]", " [ ] ", "[\n]\n"])
def test_an_empty_list(read, write, text: str):
    found = read(write(text))
    assert (found.texts, found.problems) == ([], [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_documents_in_other_encodings(read, tmp_path: Path, encoding: str):
    path = tmp_path / "x.json"
    path.write_bytes(json.dumps([TALK], indent=2).encode(encoding))
    assert read(path).texts == ["hi"]


def test_a_byte_that_is_not_utf8_loses_its_message_only(read, tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_bytes(json.dumps([TALK, TALK]).encode().replace(b'"hi"', b'"\xff"', 1))
    found = read(path)
    assert found.texts == ["hi"]
    assert "lone surrogate" in found.problems[0]


def test_stdin_that_cannot_be_read_twice():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    found = Found(list(Reading("-", Settings(NOW), Pipe(json.dumps([TALK]).encode()))))
    assert found.texts == ["hi"]
    assert str(found.turns[0].place) == "stdin [0].chat_messages[0]"


def test_how_much_is_done(write):
    reading = Reading(str(write([TALK] * 4)), Settings(NOW))
    done = [reading.done for _ in reading]
    assert done == sorted(done)
    assert 0.2 < done[0] < 0.3
    assert reading.done == 1.0
    assert reading.formats == {"claude": 4}


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        ('{"text": "a"}', "lines"),
        ('{"text": "a', "lines"),
        ('{\n  "uuid": 1\n}', "document"),
        ('{"text": "a"}\n{"text"', "lines"),
        ("[\n{", "document"),
        ("garbage\n{", "lines"),
        ("garbage", "unknown"),
        ("\ufeff \n", "empty"),
    ],
)
def test_shapes(head: str, shape: str):
    assert shape_of(head) == shape
