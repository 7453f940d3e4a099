import copy
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path


def message(role="user", parts=("hello",), at=1_700_000_000.5, **more):
    content = more.pop("content", {"content_type": "text", "parts": list(parts)})
    return {"author": {"role": role}, "content": content, "create_time": at} | more


def node(parent, children, content=None):
    return {"parent": parent, "children": children, "message": content}


CONVERSATION = {
    "title": "A dog",
    "conversation_id": "conv-1",
    "create_time": 1_699_999_999.0,
    "current_node": "a2",
    "mapping": {
        "root": node(None, ["sys"]),
        "sys": node(
            "root", ["u1"], message("system", [""], None, metadata={"is_visually_hidden_from_conversation": True})
        ),
        "u1": node("sys", ["a1", "a2"], message("user", ["I have a dog."])),
        "a1": node("u1", ["u2"], message("assistant", ["What is it called?"], 1_700_000_010.0)),
        "u2": node("a1", [], message("user", ["Biscuit."], 1_700_000_020.0)),
        "a2": node("u1", [], message("assistant", ["A dog! Tell me more."], 1_700_000_030.0)),
    },
}


def test_the_shown_path_precedes_the_other_branches(read, write):
    items = read(write([CONVERSATION]), namespace="ana")
    assert [(e.role, e.speaker, e.text) for e in items.engrams] == [
        ("user", None, "I have a dog."),
        ("assistant", "ChatGPT", "A dog! Tell me more."),
        ("assistant", "ChatGPT", "What is it called?"),
        ("user", None, "Biscuit."),
    ]
    first, second, other, _ = items.engrams
    assert (first.namespace, first.session, first.source, first.kind) == ("ana", "conv-1", "import:chatgpt", "turn")
    assert first.at == datetime.fromtimestamp(1_700_000_000.5, UTC)
    assert first.metadata == {"title": "A dog", "message_id": "u1"}
    assert (second.metadata["alternative"], other.metadata["alternative"]) == (2, 1)
    assert (items.problems, items.left_out) == ([], ["is hidden in the conversation"])


def test_without_branches_only_the_shown_path_is_read(read, write):
    items = read(write([CONVERSATION]), branches=False)
    assert items.texts == ["I have a dog.", "A dog! Tell me more."]
    assert items.left_out.count("belongs to another branch") == 2


def test_importing_again_adds_only_new_messages(import_file, write, memory):
    assert import_file(write([CONVERSATION])).remembered == 4
    again = import_file(write([CONVERSATION]))
    assert (again.remembered, again.already_there, again.problems) == (0, 4, [])
    newer = copy.deepcopy(CONVERSATION) | {"title": "Renamed", "current_node": "u3"}
    newer["mapping"]["u2"]["children"] = ["u3"]
    newer["mapping"]["u3"] = node("u2", [], message("user", ["Biscuit."], None))
    third = import_file(write([newer]))
    assert (third.remembered, third.already_there, third.problems) == (1, 4, [])
    assert [e.text for e in memory.engrams()].count("Biscuit.") == 2


def test_a_message_without_a_time_gets_the_time_of_its_parent(read, write):
    tree = copy.deepcopy(CONVERSATION)
    for name in ("a2", "u1"):
        tree["mapping"][name]["message"]["create_time"] = None
    first, second, *_ = read(write([tree])).engrams
    assert first.at == second.at == datetime.fromtimestamp(1_699_999_999.0, UTC)


def test_an_export_without_times_is_imported_once(import_file, write):
    bare = {"mapping": {"u1": node(None, [], message(at=None))}, "id": "c"}
    assert import_file(write([bare])).remembered == 1
    assert import_file(write([bare])).already_there == 1


def test_missing_links_and_loops_lose_no_message(read, write):
    tree = copy.deepcopy(CONVERSATION)
    for name in tree["mapping"]:
        tree["mapping"][name].pop("children")
    assert sorted(read(write([tree])).texts) == sorted(read(write([CONVERSATION])).texts)
    tree = copy.deepcopy(CONVERSATION)
    for name in tree["mapping"]:
        tree["mapping"][name].pop("parent")
    assert read(write([tree])).texts == read(write([CONVERSATION])).texts
    loop = {
        "id": "c",
        "current_node": "x",
        "mapping": {"x": node("y", ["y"], message(parts=["x"])), "y": node("x", ["x"], message(parts=["y"]))},
    }
    assert sorted(read(write([loop])).texts) == ["x", "y"]
    nowhere = CONVERSATION | {"current_node": "gone"}
    assert len(read(write([nowhere])).texts) == 4


def test_parts_without_text_are_listed_in_the_metadata(read, write):
    parts = [
        {"content_type": "image_asset_pointer", "asset_pointer": "x"},
        "What is this?",
        {"content_type": "audio_transcription", "text": "I said it aloud."},
        "",
    ]
    tree = {
        "id": "c",
        "mapping": {"u": node(None, [], message(content={"content_type": "multimodal_text", "parts": parts}))},
    }
    items = read(write([tree]))
    assert items.texts == ["What is this?\nI said it aloud."]
    assert items.engrams[0].metadata["parts"] == ["image_asset_pointer"]


def test_tool_calls_thoughts_and_empty_messages_are_skipped(read, write):
    messages = {
        "tool": message("tool", ["42"]),
        "call": message("assistant", ["1+1"], recipient="python"),
        "thoughts": message("assistant", content={"content_type": "thoughts", "thoughts": []}),
        "picture": message("user", content={"content_type": "multimodal_text", "parts": [{"content_type": "image"}]}),
        "blank": message("user", ["  \n"]),
    }
    items = read(write([{"id": "c", "mapping": {name: node(None, [], content) for name, content in messages.items()}}]))
    assert (items.texts, items.problems) == ([], [])
    assert sorted(items.left_out) == [
        "contains no text",
        "contains no text",
        "contains thoughts, which is not part of the conversation",
        "passes between the model and a tool",
        "passes between the model and a tool",
    ]


def test_problems_are_named_and_the_rest_is_read(read, write):
    mapping = {
        "role": node(None, [], message("critic")),
        "none": node(None, [], {"create_time": 1}),
        "parts": node(None, [], message(content={"content_type": "text", "parts": "hello"})),
        "part": node(None, [], message(parts=[5])),
        "content": node(None, [], message(content=7)),
        "node": 7,
        "message": node(None, [], "hello"),
        "good": node(None, [], message(parts=["good"])),
    }
    items = read(write([{"id": "c", "mapping": mapping}, {"mapping": []}, {"mapping": {}}, "x"]))
    assert items.texts == ["good"]
    assert sorted(problem.split("conversations.json ")[1] for problem in items.problems) == [
        "[0].mapping.content: content is int; it must be an object",
        "[0].mapping.message: is not an object with a message",
        "[0].mapping.node: is not an object with a message",
        "[0].mapping.none: author.role is None; it must be one of user, assistant, system, tool",
        "[0].mapping.part: content.parts[0] is int; it must be text or an object",
        "[0].mapping.parts: content.parts is str; it must be a list",
        "[0].mapping.role: author.role is 'critic'; it must be one of user, assistant, system, tool",
        "[1].mapping: is list; it must be an object of messages by id",
        "[3]: is text; it must be an object",
    ]


def test_a_zip_with_one_or_several_parts_is_read(read, tmp_path: Path):
    other = copy.deepcopy(CONVERSATION) | {"conversation_id": "conv-2"}
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("shared_conversations.json", "[{}]")
        archive.writestr("data/conversations-001.json", json.dumps([other]))
        archive.writestr("data/conversations-000.json", json.dumps([CONVERSATION]))
    items = read(path)
    assert [e.session for e in items.engrams] == ["conv-1"] * 4 + ["conv-2"] * 4
    assert str(items.turns[0].location) == f"{path}/data/conversations-000.json [0].mapping.u1"


def test_a_conversation_without_a_mapping_is_empty(read, write):
    bare = {"title": "New chat", "create_time": 1767600000.0, "id": "c"}
    items = read(write([bare, bare | {"mapping": None}, bare | {"mapping": {}}]))
    assert (items.problems, items.left_out) == ([], ["is an empty conversation"] * 3)


def test_a_root_without_a_time_is_not_later_than_its_reply(read, write):
    def node(name, parent, role, at):
        content = {"content_type": "text", "parts": [f"from {role}"]}
        return {
            "id": name,
            "parent": parent,
            "children": [],
            "message": {"author": {"role": role}, "content": content, "create_time": at},
        }

    mapping = {"a": node("a", None, "user", None), "b": node("b", "a", "assistant", 1767600000.0)}
    first, second = read(write([{"id": "c", "mapping": mapping, "current_node": "b"}])).engrams
    assert first.at <= second.at
