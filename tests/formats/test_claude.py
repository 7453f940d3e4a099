import copy
from datetime import UTC, datetime


def message(uuid, sender, text, at="2026-01-05T10:00:00.250000Z", **more):
    return {"uuid": uuid, "sender": sender, "text": text, "created_at": at, "attachments": [], "files": []} | more


CONVERSATION = {
    "uuid": "conv-1",
    "name": "Dogs",
    "created_at": "2026-01-05T09:00:00Z",
    "chat_messages": [
        message("m1", "human", "I have a dog.", files=[{"file_name": "dog.jpg"}]),
        message(
            "m2",
            "assistant",
            "shortened",
            content=[
                {"type": "thinking", "thinking": "A dog."},
                {"type": "text", "text": "What is"},
                {"type": "tool_use", "name": "search", "input": {}},
                {"type": "text", "text": "it called?"},
            ],
        ),
        message("m3", "human", "Yes.", at=None),
        message("m4", "human", "Yes."),
    ],
}


def test_messages_become_turns(read, write):
    items = read(write([CONVERSATION]), namespace="ana")
    assert [(e.role, e.speaker, e.text) for e in items.engrams] == [
        ("user", None, "I have a dog."),
        ("assistant", "Claude", "What is\n\nit called?"),
        ("user", None, "Yes."),
        ("user", None, "Yes."),
    ]
    first = items.engrams[0]
    assert (first.namespace, first.session, first.source) == ("ana", "conv-1", "import:claude")
    assert first.metadata == {"title": "Dogs", "message_id": "m1", "files": ["dog.jpg"]}
    assert items.engrams[2].at == datetime(2026, 1, 5, 10, 0, 0, 250000, tzinfo=UTC)
    assert len({e.id for e in items.engrams}) == 4


def test_attachments_become_engrams(read, write):
    paste = {"file_name": "notes.txt", "extracted_content": "Biscuit likes cheese."}
    tree = CONVERSATION | {"chat_messages": [message("m1", "human", "", attachments=[paste, {"file_name": "x.bin"}])]}
    (engram,) = read(write([tree])).engrams
    assert (engram.kind, engram.role, engram.text) == ("attachment", "user", "Biscuit likes cheese.")
    assert engram.metadata == {"title": "Dogs", "message_id": "m1", "file_name": "notes.txt"}


def test_importing_again_adds_only_new_messages(import_file, write):
    assert import_file(write([CONVERSATION])).remembered == 4
    newer = copy.deepcopy(CONVERSATION) | {"name": "Renamed"}
    newer["chat_messages"].append(message("m5", "assistant", "Good."))
    again = import_file(write([newer]))
    assert (again.remembered, again.already_there, again.problems) == (1, 4, [])


def test_an_edited_message_is_a_problem(import_file, write, memory):
    import_file(write([CONVERSATION]))
    edited = copy.deepcopy(CONVERSATION)
    edited["chat_messages"][0]["text"] = "I have two dogs."
    outcome = import_file(write([edited]))
    assert (outcome.already_there, len(outcome.problems)) == (3, 1)
    assert "[0].chat_messages[0]: id " in str(outcome.problems[0])
    assert next(iter(memory.engrams())).text == "I have a dog."


def test_problems_are_named_and_the_rest_is_read(read, write):
    messages = [
        "hello",
        message("a", "robot", "x"),
        message("b", "human", 5),
        message("c", "human", None),
        message("d", "human", "good", at="never"),
        message(None, "human", "no id"),
    ]
    items = read(
        write([CONVERSATION | {"chat_messages": messages}, {"chat_messages": []}, {"uuid": "x", "chat_messages": 1}])
    )
    assert items.texts == ["good", "no id"]
    assert items.engrams[0].at == datetime(2026, 1, 5, 10, 0, 0, 250000, tzinfo=UTC)
    assert [problem.split("conversations.json ")[1] for problem in items.problems] == [
        "[0].chat_messages[0]: is str; a message must be an object",
        "[0].chat_messages[1]: sender is 'robot'; it must be human or assistant",
        "[0].chat_messages[2]: text is int; it must be text",
        "[1]: uuid is None; it must be text, which becomes the session",
        "[2].chat_messages: is int; it must be a list of messages",
    ]
    assert items.left_out == ["contains no text"]


def talk(*messages, **fields):
    return {
        "uuid": "conv-9",
        "name": "Bees",
        "created_at": "2026-01-05T09:00:00Z",
        "chat_messages": [*messages],
    } | fields


def test_a_text_that_stands_for_a_tool_is_left_out_and_its_artifact_is_kept(read, write):
    made = {"type": "tool_use", "name": "artifacts", "input": {"title": "Hive plan", "content": "# Nine frames"}}
    items = read(write([talk(message("m1", "assistant", "Not shown on this watch.", content=[made]))]))
    assert [(e.kind, e.role, e.text) for e in items.engrams] == [("attachment", "assistant", "# Nine frames")]
    assert items.engrams[0].metadata["file_name"] == "Hive plan"
    assert items.left_out == ["stands for a block that the client could not show"]


def test_a_placeholder_between_words_is_cut_out_and_counted(read, write):
    block = "```\nThis block is not supported on your current device yet.\n```"
    items = read(write([talk(message("m1", "assistant", f"Look:\n\n{block}\n\nDone."), message("m2", "human", block))]))
    assert items.texts == ["Look:\n\n\n\nDone.", block]
    assert items.left_out == ["stands for a block that the client could not show"]


def test_a_voice_note_is_a_turn(read, write):
    note = {"type": "voice_note", "text": "The queen is marked blue."}
    assert read(write([talk(message("m1", "human", "", content=[note]))])).texts == ["The queen is marked blue."]


def test_a_conversation_without_messages_is_empty(read, write):
    bare = {"uuid": "c", "name": "Bees", "created_at": "2026-01-05T09:00:00Z"}
    items = read(write([bare, bare | {"chat_messages": None}]))
    assert (items.problems, items.left_out) == ([], ["is an empty conversation"] * 2)


def test_a_first_message_without_a_time_is_not_later_than_its_reply(read, write):
    messages = message("m1", "human", "Hi.", at=None), message("m2", "assistant", "Hello.")
    first, second = read(write([talk(*messages, created_at=None)])).engrams
    assert first.at <= second.at
