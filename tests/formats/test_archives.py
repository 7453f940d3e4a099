import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from engram.formats.items import ImportSettings
from engram.formats.reading import ImportFile
from engram.formats.sources import shape_of

from .conftest import NOW, ReadItems

CONVERSATION = {
    "uuid": "c",
    "chat_messages": [{"uuid": "m", "sender": "human", "text": "hi", "created_at": "2026-01-05"}],
}


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", ".", 1), content)
    return path


def test_a_truncated_zip_is_a_problem(read, tmp_path: Path):
    path = zipped(tmp_path / "x.zip", conversations_json=json.dumps([CONVERSATION]))
    path.write_bytes(path.read_bytes()[:-20])
    assert read(path).problems == [
        f"{path}: is a zip that is damaged or cut off (File is not a zip file); download or copy it again"
    ]


def test_a_zip_with_damaged_content_is_a_problem(read, tmp_path: Path):
    path = zipped(tmp_path / "x.zip", conversations_json=json.dumps([CONVERSATION] * 50))
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    (problem,) = read(path).problems
    assert problem.startswith(f"{path}/conversations.json: cannot be read: ")


def test_a_zip_without_conversations_is_a_problem(read, tmp_path: Path):
    path = zipped(tmp_path / "x.zip", photo_jpg="", users_json="[]")
    assert read(path).problems == [f"{path}: is a zip without a conversations.json; it contains photo.jpg, users.json"]


def test_elements_before_a_syntax_error_are_read(read, write):
    path = write(json.dumps([CONVERSATION, CONVERSATION | {"uuid": "d"}], indent=1)[:-40])
    items = read(path)
    assert items.texts == ["hi"]
    (problem,) = items.problems
    assert problem.startswith(f"{path}:")
    assert "[1]: is not JSON from here on: " in problem
    assert problem.endswith("; the elements before it were read")


@pytest.mark.parametrize(("end", "texts"), [("] x", 1), ("]]", 1), (",]", 1), ("", 1), ("}", 1)])
def test_a_wrong_end_of_a_document_is_a_problem(read, write, end: str, texts: int):
    items = read(write("[" + json.dumps(CONVERSATION) + end))
    assert (len(items.texts), len(items.problems)) == (texts, 1)


@pytest.mark.parametrize("text", ["[]", " [ ] ", "[\n]\n"])
def test_an_empty_list_has_no_items(read, write, text: str):
    items = read(write(text))
    assert (items.texts, items.problems) == ([], [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_documents_in_other_encodings_are_read(read, tmp_path: Path, encoding: str):
    path = tmp_path / "x.json"
    path.write_bytes(json.dumps([CONVERSATION], indent=2).encode(encoding))
    assert read(path).texts == ["hi"]


def test_a_byte_that_is_not_utf8_affects_its_message_only(read, tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_bytes(json.dumps([CONVERSATION, CONVERSATION]).encode().replace(b'"hi"', b'"\xff"', 1))
    items = read(path)
    assert items.texts == ["hi"]
    assert "lone surrogate" in items.problems[0]


def test_stdin_that_cannot_seek_is_read():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    items = ReadItems(list(ImportFile("-", ImportSettings(NOW), Pipe(json.dumps([CONVERSATION]).encode()))))
    assert items.texts == ["hi"]
    assert str(items.turns[0].location) == "stdin [0].chat_messages[0]"


def test_progress_rises_to_one(write):
    import_file = ImportFile(str(write([CONVERSATION] * 4)), ImportSettings(NOW))
    progress = [import_file.progress for _ in import_file]
    assert progress == sorted(progress)
    assert 0.2 < progress[0] < 0.3
    assert import_file.progress == 1.0
    assert import_file.formats == {"claude": 4}


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
def test_shape_of_recognises_lines_and_documents(head: str, shape: str):
    assert shape_of(head) == shape


MIB = 1 << 20


def padded_document(size: int) -> str:
    return json.dumps([CONVERSATION])[:-1] + " " * size + "]"


def test_a_zip_whose_members_state_more_than_the_limit_is_refused(read, tmp_path: Path):
    path = zipped(tmp_path / "x.zip", conversations_json=padded_document(3 * MIB))
    items = read(path, max_unpacked=2 * MIB)
    assert items.texts == []
    assert items.problems == [
        f"{path}/conversations.json: cannot be read: it unpacks to more than 2 MiB; "
        "--max-unpacked or ENGRAM_MAX_UNPACKED raises the limit"
    ]
    assert read(path, max_unpacked=4 * MIB).texts == ["hi"]


def test_the_members_of_a_zip_share_one_limit(read, tmp_path: Path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"conversations-{number:03}.json", padded_document(MIB))
    items = read(path, max_unpacked=5 * MIB // 2)
    assert len(items.texts) == 2
    assert "conversations-002.json: cannot be read: it unpacks to more than" in items.problems[0]


def test_a_zip_that_states_a_smaller_size_does_not_unpack_past_it(read, tmp_path: Path):
    path = zipped(tmp_path / "x.zip", conversations_json=padded_document(3 * MIB))
    content = path.read_bytes()
    real = len(padded_document(3 * MIB)).to_bytes(4, "little")
    assert content.count(real) == 2
    path.write_bytes(content.replace(real, (1000).to_bytes(4, "little")))
    items = read(path, max_unpacked=2 * MIB)
    assert (items.texts, len(items.problems)) == ([], 1)


@pytest.mark.parametrize("end", ["]", "", "x"])
def test_a_gzip_document_that_unpacks_to_too_much_is_refused(read, tmp_path: Path, end: str):
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(("[" + " " * (3 * MIB) + end).encode()))
    assert read(path, max_unpacked=2 * MIB).problems == [
        f"{path}: cannot be read: it unpacks to more than 2 MiB; --max-unpacked or ENGRAM_MAX_UNPACKED raises the limit"
    ]


def test_the_lines_of_a_gzip_file_before_the_limit_are_read(read, tmp_path: Path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "first"}\n' + b"\n" * (3 * MIB)))
    items = read(path, max_unpacked=2 * MIB)
    assert items.texts == ["first"]
    assert "cannot be read from here on: it unpacks to more than 2 MiB" in items.problems[0]


def test_a_zip_with_too_many_files_of_conversations_is_refused(read, tmp_path: Path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1_001):
            archive.writestr(f"conversations-{number}.json", "[]")
    assert read(path).problems == [
        f"{path}: contains 1,001 files of conversations; the limit is 1,000: nothing was read"
    ]


def test_an_archive_inside_an_archive_is_not_unpacked(read, tmp_path: Path):
    inner = gzip.compress(json.dumps([CONVERSATION]).encode())
    path = tmp_path / "x.json.gz"
    path.write_bytes(gzip.compress(inner))
    assert "contains no JSON" in read(path).problems[0]
