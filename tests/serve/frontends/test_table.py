"""Tells what users typed from what each front end of the table puts around it, and the front ends' own requests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.serve.frontends.messages import as_said
from engram.serve.frontends.reading import is_front_ends, read_parts
from engram.serve.frontends.request import read_request
from engram.serve.frontends.strip import Strip
from engram.serve.frontends.table import FRONTENDS, Frontend, Record, Task
from engram.serve.wire.base import ChatMessage, LeftOut, Request
from engram.serve.wire.table import CHAT, MESSAGES, RESPONSES, WIRES, Wire

from .examples import NOT_OWN, OWN, SAID, TALK, Own, Said

ROOT = Path(__file__).parents[3]
NOTHING = Strip()
WORDS = "My boat is called Kittiwake."


def request(wire: Wire, *messages: tuple[str, object], system: str = "", most_tokens: int = 9) -> Request:
    """Return a request as the server reads it."""
    sent = [{"role": role, "content": content} for role, content in messages]
    body: dict[str, object] = {"model": "m", "max_tokens": most_tokens, wire.messages_field: sent}
    if system and wire.system_field:
        body[wire.system_field] = system
    elif system:
        sent.insert(0, {"role": "system", "content": system})
    return read_request(wire, json.dumps(body).encode(), NOTHING)


def read(*parts: str, wire: Wire = CHAT) -> ChatMessage:
    """Return a user's message as the server reads it."""
    part_type = "input_text" if wire is RESPONSES else "text"
    content = [{"type": part_type, "text": part} for part in parts]
    body = {"model": "m", "max_tokens": 9, wire.messages_field: [{"role": "user", "content": content}]}
    (message,) = as_said(wire.read(json.dumps(body).encode()).messages, NOTHING)
    return message


def user_texts(message: ChatMessage) -> list[str]:
    return [part.text for part in message.parts if part.role == "user"]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: str(wire.name))
@pytest.mark.parametrize("said", SAID, ids=lambda said: str(said.frontend))
def test_of_a_front_ends_message_the_typed_words_remain(said: Said, wire: Wire) -> None:
    message = read(*said.parts, wire=wire)
    assert message.text == said.typed
    assert user_texts(message) == ([said.typed] if said.typed else [])
    assert message.canonical.split("\n")[0] == " ".join(said.typed.split())
    assert said.frontend in [one.by for one in message.left_out] or message.role == "tool"


@pytest.mark.parametrize("said", [said for said in SAID if not said.needs_parts], ids=lambda said: str(said.frontend))
def test_one_string_is_read_as_its_parts_are(said: Said) -> None:
    assert read("\n".join(said.parts)).text == said.typed


def test_the_documents_name_the_front_ends_of_the_table() -> None:
    names = {name for one in FRONTENDS for name in re.split(", | and ", one.name)} - {"its kin"}
    page = (ROOT / "docs" / "serve.md").read_text()
    rows = [line.split("|")[2] for line in page.splitlines() if re.match(r"\| (agents|front ends|frameworks) \|", line)]
    listed = {name.split(" (")[0].strip() for row in rows for name in row.split(",")}
    assert {name.removesuffix(" Chat") for name in listed} == {name.removesuffix(" Chat") for name in names}
    for text in (page, (ROOT / "README.md").read_text()):
        assert f"{len(names)} agents and front ends" in text


def test_each_front_end_has_an_example() -> None:
    assert {one.frontend for one in (*SAID, *OWN)} >= {frontend.name for frontend in FRONTENDS}
    with_tasks = {frontend.name for frontend in FRONTENDS if frontend.tasks}
    assert with_tasks <= {own.frontend for own in OWN}


@pytest.mark.parametrize("text", TALK)
def test_what_a_person_writes_about_such_marks_stays_verbatim(text: str) -> None:
    message = read(text)
    assert (message.text, message.left_out) == (text, ())
    assert not is_front_ends(text)


@pytest.mark.parametrize("text", TALK)
def test_what_a_person_writes_stays_verbatim_beside_a_front_ends_block(text: str) -> None:
    assert read(text, SAID[0].parts[0]).text == text
    assert read(f"{text}\n\n{SAID[0].parts[0]}").text == text


BLOCKS = [(frontend, block) for frontend in FRONTENDS for block in frontend.blocks]


@pytest.mark.parametrize(("frontend", "block"), BLOCKS, ids=lambda value: getattr(value, "tag", ""))
def test_each_block_is_left_out_before_and_behind_the_words(frontend: Frontend, block: object) -> None:
    tag, holds, beside = (getattr(block, name) for name in ("tag", "holds", "beside"))
    element = f"<{tag}>{holds} some text\nin lines</{tag}>"
    marks = [] if not beside or beside in frontend.wrappers else [f"<{beside}>\nx\n</{beside}>"]
    words = f"<{beside}>\n{WORDS}\n</{beside}>" if beside in frontend.wrappers else WORDS
    for parts in ([element, words], [words, element], [f"{element}\n\n{words}"], [f"{words}\n{element}\n"]):
        assert read(*parts, *marks).text.removesuffix(f"\n{''.join(marks)}") == WORDS


RECORDS = [record for frontend in FRONTENDS for record in frontend.records]


def written(record: Record) -> str:
    """Return a text that a front end writes: the opening of a record, and its other marks."""
    ended = record.until[:1] if record.inclusive else ()
    return "".join([record.opening, *([] if record.is_whole or record.before else record.holds), *ended])


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.opening[:40]))
def test_each_record_is_left_out_of_a_part_of_its_own_and_not_of_a_sentence(record: Record) -> None:
    text, inner = written(record), record.before or ("" if record.inclusive else record.until[0])
    others = [f"{inner}\n{WORDS}\n{inner.replace('<', '</')}"] if inner else [WORDS]
    beside = [f"<environment_details>{''.join(record.beside)}</environment_details>"]
    message = read(*([f"{text}\n{others[0]}"] if inner else [text, *others]), *beside)
    assert message.text == WORDS
    if not (inner or record.beside):
        assert is_front_ends(text)
    quoting = f"What does it mean: {text}"
    assert read(quoting).text == quoting


@pytest.mark.parametrize("line", [line for frontend in FRONTENDS for line in frontend.lines])
def test_each_line_is_left_out_as_a_whole_line_only(line: str) -> None:
    assert read(f"{line}\n{WORDS}").text == read(f"{WORDS}\n{line}").text == WORDS
    assert read(f"{line} {WORDS}").text == f"{line} {WORDS}"


@pytest.mark.parametrize("answer", [answer for frontend in FRONTENDS for answer in frontend.answers])
def test_a_reply_that_a_front_end_wrote_is_left_out_behind_its_own_message_only(answer: str) -> None:
    own = "I have *added these files to the chat* so you can go ahead and edit them."
    said = request(CHAT, ("user", own), ("assistant", answer), ("user", WORDS)).messages
    assert [(message.role, message.text) for message in said if message.role != "system"] == [("user", WORDS)]
    said = request(CHAT, ("user", WORDS), ("assistant", answer), ("user", "Thanks.")).messages
    assert [message.text for message in said] == [WORDS, answer, "Thanks."]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: str(wire.name))
@pytest.mark.parametrize("own", OWN, ids=lambda own: str(own.frontend))
def test_a_front_ends_own_request_is_recognised(own: Own, wire: Wire) -> None:
    if wire is MESSAGES and any(role == "system" for role, _ in own.messages):
        pytest.skip("this API has no system messages between others")
    assert request(wire, *own.messages, system=own.system, most_tokens=own.most_tokens).task == own.frontend


LINES = {line for frontend in FRONTENDS for line in frontend.lines}
TASKS = [(frontend, task) for frontend in FRONTENDS for task in frontend.tasks]


@pytest.mark.parametrize(("frontend", "task"), TASKS, ids=lambda value: getattr(value, "opening", "")[:40])
def test_each_task_is_recognised_and_a_message_that_quotes_it_is_not(frontend: Frontend, task: Task) -> None:
    text = " ".join([task.opening, *task.holds])
    if task.in_system:
        assert request(CHAT, ("user", WORDS), system=text).task == frontend.name
        assert request(CHAT, ("user", WORDS), ("assistant", "Aye."), ("user", "Why?"), system=text).task is None
        assert request(CHAT, ("user", WORDS), ("user", "Why?"), system=text).task is None
        assert request(CHAT, ("user", WORDS), system=f"Never do this: {text}").task is None
    else:
        one = 1 if task.one_token else 9
        before = [("assistant", "Aye.")] if task.is_whole and not (task.system or task.one_token) else []
        assert request(CHAT, *before, ("user", text), system=task.system, most_tokens=one).task == frontend.name
        assert request(CHAT, ("user", f"My log holds {text}"), system=task.system, most_tokens=one).task is None
        if task.is_whole:
            assert request(CHAT, ("user", text)).task is None


OPENINGS = {
    *(record.opening for record in RECORDS),
    *(task.opening for _, task in TASKS),
    *(template.opening for frontend in FRONTENDS for template in frontend.templates),
    *(tail.opening for frontend in FRONTENDS for tail in frontend.tails),
    *(begin for frontend in FRONTENDS for begin, _ in frontend.enclosed),
    *(line for frontend in FRONTENDS for line in frontend.lines),
    *(f"<{block.tag}>{block.holds}" for _, block in BLOCKS),
    *(f"<{tag}>" for frontend in FRONTENDS for tag in (*frontend.wrappers, frontend.command_arguments) if tag),
}


@pytest.mark.parametrize("opening", sorted(OPENINGS), ids=lambda opening: str(opening[:40]))
@pytest.mark.parametrize("behind", [" ", "\n", "\n\n"], ids=["space", "line", "paragraph"])
def test_an_opening_that_a_person_types_and_goes_on_from_is_kept(opening: str, behind: str) -> None:
    text = f"{opening.rstrip()}{behind}{WORDS}"
    asked = request(CHAT, ("user", text))
    line_alone = opening in LINES and behind != " "
    assert asked.task is None
    assert asked.messages[0].text == (WORDS if line_alone else text)
    beside = read(text, SAID[0].parts[0]).text
    assert beside == (WORDS if line_alone else text)
    asked = request(CHAT, ("user", "Hi."), ("assistant", "Hello."), ("user", text))
    assert (asked.task, asked.messages[-1].text) == (None, WORDS if line_alone else text)


@pytest.mark.parametrize("tag", [tag for frontend in FRONTENDS if frontend.wrapped_beside for tag in frontend.wrappers])
def test_an_element_that_a_person_types_keeps_its_tags(tag: str) -> None:
    text = f"<{tag}>\n{WORDS}\n</{tag}>"
    kept = text if f"<{tag}>" not in {mark for one in FRONTENDS for mark in one.wrapped_beside} else WORDS
    assert read(text).text == kept


@pytest.mark.parametrize("messages", NOT_OWN)
def test_what_only_resembles_such_a_request_is_a_conversation(messages: tuple[tuple[str, str], ...]) -> None:
    assert request(CHAT, *messages).task is None


def test_the_words_keep_their_form() -> None:
    words = "  def leave():\n      return 9\n\n  # at nine"
    environment = "<environment_details>\nx\n</environment_details>"
    assert read(f"{words}\n\n{environment}").text == words
    assert read(f"{environment}\n\n{words}").text == words
    assert read(f"First.\n\n{environment}\n\nSecond.").text == "First.\n\nSecond."


@given(st.text(max_size=200), st.sampled_from([SAID[0].parts[0], "<environment_details>\nx\n</environment_details>"]))
def test_any_words_are_kept_verbatim_beside_a_block(words: str, block: str) -> None:
    words = words.replace("\0", "").encode(errors="replace").decode()
    assert read(words).text == (words if words.strip() else "")
    assert read(f"{words}\n\n{block}").text == words.rstrip()
    assert read(block, words).text == (words if words.strip() else "")


def test_an_open_fence_of_code_does_not_keep_what_a_front_end_adds() -> None:
    words = "Why does this fail?\n```py\nleave(9)"
    assert read(f"{words}\n\n{SAID[0].parts[0]}").text == words


def test_a_tools_result_in_a_users_message_is_the_tools() -> None:
    result = "export const leaves = 8"
    for parts in (("[read_file for 'a.ts'] Result:", result), (f"[read_file for 'a.ts'] Result:\n{result}",)):
        message = read(*parts, "<environment_details>\nx\n</environment_details>")
        assert message.role == "tool"
        assert user_texts(message) == []
        assert result in "\n".join(part.text for part in message.parts)
    assert read("[1] Result: nine").text == "[1] Result: nine"
    typed = "[blood test] Result: all is well, and my doctor is called Ines."
    assert read(typed).text == read(typed.replace("blood test", "blood")).text.replace("blood", "blood test") == typed


def test_a_reminder_at_the_end_of_a_tools_result_is_left_out() -> None:
    reminder = SAID[0].parts[0]
    result = {"type": "tool_result", "tool_use_id": "t", "content": f"1 def leave()\n\n{reminder}\n\n{reminder}\n"}
    (message,) = request(MESSAGES, ("user", [result, {"type": "text", "text": reminder}])).messages
    assert (message.role, [part.text for part in message.parts]) == ("tool", ["1 def leave()"])
    assert message.left_out == (LeftOut("Claude Code", 3, 3 * len(reminder)),)
    quoting = {**result, "content": f"{reminder}\nis what the file holds"}
    (message,) = request(MESSAGES, ("user", [quoting])).messages
    assert [part.text for part in message.parts] == [quoting["content"]]


def test_the_mark_of_a_reply_that_was_broken_off_is_left_out_of_the_reply() -> None:
    broken = "The ferry leaves\n\n[Response interrupted by user feedback]"
    said = request(CHAT, ("user", WORDS), ("assistant", broken), ("user", "At nine.")).messages
    assert [message.text for message in said] == [WORDS, "The ferry leaves", "At nine."]
    assert said[1].canonical == "The ferry leaves"
    quoting = "It says [Response interrupted by user feedback]"
    assert request(CHAT, ("user", WORDS), ("assistant", quoting), ("user", "Why?")).messages[1].text == quoting


def test_a_message_of_which_nothing_was_typed_is_no_part_of_the_conversation() -> None:
    environment = "<environment_context>\n<cwd>/w</cwd>\n</environment_context>"
    said = request(CHAT, ("user", environment), ("user", WORDS)).messages
    assert [message.role for message in said] == ["system", "user"]
    image = [{"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": environment}]
    (message,) = request(CHAT, ("user", image)).messages
    assert (message.role, message.parts) == ("user", ())


def test_a_request_of_which_nothing_was_typed_is_the_front_ends_own() -> None:
    command = "<command-name>/init</command-name>\n<command-message>init</command-message>"
    assert request(CHAT, ("user", command), system="Be kind.").task == "Claude Code"
    assert request(CHAT, ("user", command), ("user", WORDS)).task is None
    assert request(CHAT, ("user", WORDS), ("assistant", "Aye."), ("user", command)).task is None
    assert request(CHAT, system="Be kind.").task is None


MARKS = sorted(
    {f"<{block.tag}>" for _, block in BLOCKS}
    | {f"</{tag}>" for frontend in FRONTENDS for tag in (*frontend.wrappers, *(one.tag for one in frontend.blocks))}
    | {f"<{tag}>" for frontend in FRONTENDS for tag in frontend.wrappers}
    | {record.opening for record in RECORDS}
    | {"[read_file for 'x'] Result:", "```", "\n", "\n\n", " ", "    ", "word", "."}
)


@given(st.lists(st.lists(st.sampled_from(MARKS), max_size=12).map("".join), min_size=1, max_size=3))
def test_every_mixture_of_marks_is_read_and_accounted_for(parts: list[str]) -> None:
    for part, reading in zip(parts, read_parts(parts), strict=True):
        assert all(line in part for line in f"{reading.words}\n{reading.result}".split("\n"))
        assert sum(length for _, length in reading.left_out) <= len(part)
        if not reading.left_out and not reading.result:
            assert reading.words == (part if part.strip() else "")


def test_what_is_left_out_is_summed_for_each_front_end() -> None:
    piece = "<info-msg>\nIt is nine.\n</info-msg>"
    message = read(piece, WORDS, piece, SAID[0].parts[0])
    assert message.left_out == (
        LeftOut("Claude Code", 1, len(SAID[0].parts[0])),
        LeftOut("Goose", 2, 2 * len(piece)),
    )


def test_the_operators_patterns_are_left_out_first() -> None:
    wire_message = CHAT.read(json.dumps({"messages": [{"role": "user", "content": f"[[ctx 7]] {WORDS}"}]}).encode())
    (message,) = as_said(wire_message.messages, Strip([r"\[\[ctx \d+\]\]"]))
    assert (message.text, message.left_out) == (WORDS, (LeftOut("--strip", 1, 9),))


def test_a_request_of_which_nothing_was_typed_names_the_front_end_before_the_operators_patterns() -> None:
    strip = Strip([r"\[\[ctx \d+\]\]"])
    info = "<info-msg>\nIt is nine.\n</info-msg>"
    for text, task in ((f"[[ctx 7]]\n{info}", "Goose"), ("[[ctx 7]]", "--strip"), (f"[[ctx 7]] {WORDS}", None)):
        body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
        assert read_request(CHAT, body, strip).task == task
