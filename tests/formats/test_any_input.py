"""Reading never raises for the content of a file, and every turn is a valid engram with a stable id."""

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram.engram import checked
from engram.formats.items import ImportedTurn, ImportSettings
from engram.formats.reading import ImportFile

from .conftest import NOW

KEYS = (
    *(
        "text",
        "id",
        "uuid",
        "role",
        "at",
        "metadata",
        "sender",
        "created_at",
        "create_time",
        "content",
        "parts",
        "type",
    ),
    *("author", "message", "parent", "children", "mapping", "current_node", "chat_messages", "attachments", "files"),
    *("extracted_content", "conversation", "session_1", "session_1_date_time", "sample_id", "speaker", "a", "b"),
)
WORDS = (
    "user",
    "human",
    "assistant",
    "text",
    "a",
    "b",
    "",
    "hello",
    "2026-03-02",
    "1:56 pm on 8 May, 2023",
    "\ud800",
    "\x00",
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)
messages = st.fixed_dictionaries(
    {"author": st.fixed_dictionaries({"role": anything}) | anything, "content": anything, "create_time": leaves}
)
nodes = st.fixed_dictionaries({"parent": leaves, "children": st.lists(leaves), "message": messages | anything})
conversations = (
    st.fixed_dictionaries(
        {"id": leaves, "current_node": leaves, "mapping": st.dictionaries(st.sampled_from("abcd"), nodes | anything)}
    )
    | st.fixed_dictionaries({"uuid": st.sampled_from(WORDS), "chat_messages": st.lists(anything) | anything})
    | st.fixed_dictionaries(
        {
            "sample_id": st.sampled_from(WORDS),
            "conversation": st.fixed_dictionaries({"session_1": st.lists(anything), "session_1_date_time": leaves}),
        }
    )
)


def read(path: Path) -> list[str]:
    turns = [item for item in ImportFile(str(path), ImportSettings(NOW)) if isinstance(item, ImportedTurn)]
    assert all(checked(turn.engram) == turn.engram for turn in turns)
    return [turn.engram.id for turn in turns]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(conversations | anything, max_size=3) | anything)
def test_any_json_gives_valid_turns_with_stable_ids(tmp_path: Path, value: object):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(value))
    assert read(path) == read(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([b"", b"{", b"[", b"PK\x03\x04", b"\x1f\x8b\x08", b"\xff\xfe", b'{"text": "a"}\n']), st.binary())
def test_any_bytes_can_be_read(tmp_path: Path, start: bytes, rest: bytes):
    path = tmp_path / "x"
    path.write_bytes(start + rest)
    read(path)
