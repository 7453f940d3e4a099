import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engram.engram import draft
from engram.formats import sources

FULL = {
    "id": "018f1111-2222-7333-8444-555566667777",
    "namespace": "ana",
    "session": "s1",
    "role": "assistant",
    "speaker": "Bo",
    "text": "Füße 犬 🐕\u2028\x01",
    "at": "2026-03-01T10:00:00+02:00",
    "recorded_at": "2026-03-01T09:00:00.123456Z",
    "kind": "fact",
    "source": "chat",
    "metadata": {"a": [1, None, {"b": "c"}]},
}


def test_every_field_is_read(read, write):
    items = read(write(json.dumps(FULL)))
    times = {
        "at": datetime(2026, 3, 1, 8, tzinfo=UTC),
        "recorded_at": datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC),
    }
    assert items.engrams == [draft(**(FULL | times))]


def test_nul_is_a_problem_and_the_rest_is_kept(read, write):
    lines = [
        '{"text": "one"}',
        '{"text": "a\\u0000b"}',
        '{"text": "x", "metadata": {"k": ["\\u0000"]}}',
        '{"text": "two"}',
    ]
    items = read(write("\n".join(lines)))
    assert [engram.text for engram in items.engrams] == ["one", "two"]
    assert len(items.problems) == 2
    assert "text holds a NUL character at character 1" in str(items.problems[0])
    assert "metadata['k'][0] holds a NUL character" in str(items.problems[1])


def test_an_exported_record_with_nul_is_kept_with_a_replacement_and_a_problem(read, write):
    odd = FULL | {"text": "one\0two\\u0000", "speaker": "A\0", "metadata": {"k\0": [["\0"]]}}
    items = read(write(json.dumps(odd) + "\n" + json.dumps(FULL | {"id": "018f1111-2222-7333-8444-555566667778"})))
    first, _ = items.engrams
    assert (first.id, first.text, first.speaker) == (FULL["id"], "one\ufffdtwo\\u0000", "A\ufffd")
    assert first.metadata == {"k\ufffd": [["\ufffd"]]}
    (problem,) = items.problems
    assert ":1: holds NUL characters" in str(problem)


def test_only_text_is_required(read, write):
    (engram,) = read(write('{"text": "hello"}\n'), namespace="bo").engrams
    assert (engram.namespace, engram.session, engram.role, engram.at) == (
        "bo",
        "default",
        "user",
        datetime(2026, 3, 2, 12, tzinfo=UTC),
    )


def test_problems_are_named_with_their_line_and_the_rest_is_read(read, write):
    path = write(
        "\n".join(
            (
                '{"text": "one"}',
                '{"text": "broken',
                "",
                '{"text": 5}',
                '{"role": "user"}',
                '{"text": "x", "role": "boss"}',
                '{"text": "x", "colour": "red"}',
                '{"text": "x", "at": "yesterday"}',
                '{"text": "x", "at": 5}',
                '{"text": "x", "id": 7}',
                '{"text": "x", "id": "seven"}',
                '{"text": "x", "metadata": [1]}',
                '{"text": "x", "metadata": {"a": NaN}}',
                '{"text": "\\ud83d"}',
                '["text"]',
                '{"text": ""}',
                '{"text": "two", "speaker": null}',
            )
        )
    )
    items = read(path)
    assert items.texts == ["one", "two"]
    assert items.problems == [
        f"{path}:2: is not JSON: unterminated string starting at column 10",
        f"{path}:4: text is int; it must be str",
        f"{path}:5: has no text; the field 'text' is required",
        f"{path}:6: role is 'boss'; it must be one of user, assistant, system, tool",
        f"{path}:7: has an unknown field 'colour'; the fields are id, namespace, session, role, speaker, text, at,"
        " recorded_at, kind, source, metadata, origin, quarantined",
        f"{path}:8: at is 'yesterday'; it must be ISO 8601, such as 2026-03-02T14:05:00Z",
        f"{path}:9: at is int; it must be a time as ISO 8601 text",
        f"{path}:10: id is int; it must be a UUID in text form",
        f"{path}:11: id is 'seven'; it must be a UUID",
        f"{path}:12: metadata is list; it must be a mapping of str to JSON values",
        f"{path}:13: metadata is not JSON: Out of range float values are not JSON compliant",
        f"{path}:14: text holds a lone surrogate at character 0; it must be valid Unicode",
        f"{path}:15: is a list; it must be an object",
        f"{path}:16: text is empty; it must hold at least one character",
    ]


def test_a_line_that_is_not_utf8_affects_no_other(read, tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"text": "one"}\n{"text": "\xff\xfe"}\n{"text": "two"}\n')
    items = read(path)
    assert items.texts == ["one", "two"]
    assert items.problems == [f"{path}:2: is not UTF-8: invalid start byte at byte 11"]


def test_deep_nesting_is_a_problem(read, write):
    items = read(write('{"text": "one"}\n' + "[" * 100_000 + "\n"))
    assert items.texts == ["one"]
    assert "nested too deep" in items.problems[0]


def test_a_line_over_the_limit_is_skipped(read, write, monkeypatch):
    monkeypatch.setattr(sources, "MAX_LINE", 1 << 20)
    path = write('{"text": "one"}\n{"text": "' + "x" * (3 << 20) + '"}\n{"text": "two"}\n')
    items = read(path)
    assert items.texts == ["one", "two"]
    assert items.problems == [f"{path}:2: is longer than 1 MiB, more than any engram needs"]


def test_a_text_over_the_limit_is_a_problem(read, write):
    items = read(write(json.dumps({"text": "x" * ((1 << 20) + 1)}) + '\n{"text": "y"}'))
    assert items.texts == ["y"]
    assert "the limit is 1,048,576" in items.problems[0]


LINES = '{"text": "één"}\r\n\r\n{"text": "two"}\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_and_line_ends_are_recognised(read, tmp_path: Path, encoding: str):
    path = tmp_path / "x"
    path.write_bytes(LINES.encode(encoding))
    items = read(path)
    assert (items.texts, items.problems) == (["één", "two"], [])


def test_lines_before_the_end_of_a_truncated_utf16_file_are_read(read, tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(LINES.encode("utf-16")[:-21])
    items = read(path)
    assert items.texts == ["één"]
    assert items.problems[0].startswith(f"{path}:3: ")


def test_gzip_is_read(read, tmp_path: Path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(LINES.encode()))
    assert read(path).texts == ["één", "two"]


def test_lines_before_the_end_of_a_truncated_gzip_are_read(read, tmp_path: Path):
    lines = "".join(f'{{"text": "number {n * 7919}"}}\n' for n in range(20_000))
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(lines.encode())[:-30_000])
    items = read(path)
    assert items.texts[0] == "number 0"
    assert items.problems == [
        f"{path}:{len(items.texts) + 1}: cannot be read from here on: Compressed file ended before the end-of-stream"
        " marker was reached"
    ]


@pytest.mark.parametrize("content", ["", "\n\n", " \t"])
def test_an_empty_file_has_no_items(read, write, content: str):
    items = read(write(content))
    assert (items.turns, items.problems) == ([], [])


def test_a_file_without_json_is_a_problem(read, write):
    path = write("Dear diary, today\nnothing happened.\n")
    assert read(path).problems == [
        f"{path}: contains no JSON; it must be JSON Lines, a ChatGPT or Claude export, or LoCoMo's JSON"
    ]


def test_a_broken_first_line_is_one_problem(read, write):
    path = write('# a comment\n{"text": "one"}\n')
    items = read(path)
    assert items.texts == ["one"]
    assert items.problems[0].startswith(f"{path}:1: is not JSON")


def test_a_file_that_cannot_be_opened_is_a_problem(read, tmp_path: Path):
    assert read(tmp_path / "no").problems == [f"{tmp_path / 'no'}: cannot be read: No such file or directory"]
    assert read(tmp_path).problems == [f"{tmp_path}: cannot be read: Is a directory"]


def test_a_json_list_of_records_is_read(read, write):
    items = read(write([{"text": "one"}, 7, {"text": "two"}]))
    assert items.texts == ["one", "two"]
    assert items.problems[0].endswith("conversations.json [1]: is a number; it must be an object")


def test_ids_depend_on_content_and_not_on_position(read, write):
    first = read(write('{"text": "a"}\n{"text": "b", "at": "2026-01-01"}\n{"text": "a"}\n')).engrams
    moved = read(write('{"text": "new"}\n{"text": "a"}\n{"at": "2026-01-01", "text": "b"}\n{"text": "a"}\n')).engrams
    assert [e.id for e in moved[1:]] == [first[0].id, first[1].id, first[2].id]
    assert len({e.id for e in moved}) == 4


def test_importing_twice_adds_nothing(import_file, write, memory):
    path = write('{"text": "a"}\n{"text": "a"}\n{"text": "b", "at": "2026-01-01"}\n' + json.dumps(FULL))
    first, second = import_file(path), import_file(path)
    assert (first.read, first.remembered, first.already_there, first.problems) == (4, 4, 0, [])
    assert (second.read, second.remembered, second.already_there, second.problems) == (4, 0, 4, [])
    assert len(list(memory.engrams())) == 4


def test_a_longer_file_adds_only_new_records(import_file, write):
    import_file(write('{"text": "a"}\n{"text": "b"}\n'))
    again = import_file(write('{"text": "0"}\n{"text": "a"}\n{"text": "b"}\n{"text": "b"}\n'))
    assert (again.remembered, again.already_there, again.problems) == (2, 2, [])


def test_ids_depend_on_the_namespace(import_file, write):
    path = write('{"text": "a"}')
    assert import_file(path, namespace="ana").remembered == 1
    assert import_file(path, namespace="bo").remembered == 1


def test_an_id_with_other_content_is_a_problem_and_the_rest_is_stored(import_file, write, memory):
    import_file(write(json.dumps(FULL)))
    path = write(json.dumps(FULL | {"text": "other", "speaker": "Ana"}) + '\n{"text": "new"}\n' + json.dumps(FULL))
    outcome = import_file(path)
    assert (outcome.read, outcome.remembered, outcome.already_there) == (3, 1, 1)
    assert list(map(str, outcome.problems)) == [
        f"{path}:1: id {FULL['id']} is in the memory with other content (speaker, text); the existing engram is kept"
    ]
    assert memory.get(FULL["id"]).text == FULL["text"]


def test_the_second_record_with_an_id_is_a_problem(import_file, write):
    path = write(
        "\n".join(json.dumps({"id": FULL["id"], "text": text, "at": "2026-01-01"}) for text in ("a", "b", "a"))
    )
    outcome = import_file(path)
    assert (outcome.remembered, outcome.already_there, len(outcome.problems)) == (1, 1, 1)
    assert ":2: id" in str(outcome.problems[0])
