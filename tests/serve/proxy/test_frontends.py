"""Conversations of front ends through the proxy: what is stored, recalled, counted, and what passes without memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engram.serve.frontends.reading import is_front_ends
from engram.serve.proxy import handler
from tests.serve.conftest import LocalServer, StartLocal, StartServer
from tests.serve.frontends.examples import OWN, SAID, Said
from tests.serve.proxied import Caller, assistant, recalled, user
from tests.serve.upstream import Upstream

ENVIRONMENT = "<environment_details>\n# Current Time\n9:00\n\n# Open Tabs\nkittiwake.md\n</environment_details>"
ONE_EACH = list({said.frontend: said for said in SAID if said.typed}.values())
TITLE = "### Task:\nGenerate a concise title.\n### Chat History:\n<chat_history>\nUSER: My boat leaks.\n</chat_history>"


def parts(*texts: str) -> dict[str, object]:
    return user([{"type": "text", "text": text} for text in texts])


@pytest.mark.parametrize("said", ONE_EACH, ids=lambda said: str(said.frontend))
def test_each_front_end_leaves_what_was_typed_and_answered(ana: Caller, said: Said) -> None:
    ana.chat([parts(*said.parts)], "text=Aye")
    receipt = ana.settle()
    assert ana.said() == [("user", said.typed), ("assistant", "Aye")]
    assert said.frontend in [one["by"] for one in receipt["left_out"]]
    # Upstream gets the message as it came.
    assert ana.last.messages[-1]["content"] == parts(*said.parts)["content"]


def test_a_new_environment_in_each_request_keeps_one_conversation_without_repeats(ana: Caller) -> None:
    first = parts("<task>\nMy boat Kittiwake leaks.\n</task>", ENVIRONMENT)
    ana.chat([first], "text=Where")
    ana.settle()
    changed = parts("<task>\nMy boat Kittiwake leaks.\n</task>", ENVIRONMENT.replace("9:00", "9:05"))
    ana.chat([changed, assistant("Where"), parts("At the bow.", ENVIRONMENT)], "text=Caulk_it")
    ana.settle()
    assert ana.said() == [
        ("user", "My boat Kittiwake leaks."),
        ("assistant", "Where"),
        ("user", "At the bow."),
        ("assistant", "Caulk it"),
    ]
    assert len(ana.sessions()) == 1


def test_messages_of_a_front_end_alone_are_no_part_of_the_conversation(ana: Caller) -> None:
    def context(time: str) -> dict[str, object]:
        return user(f"<environment_context>\n  <cwd>/w</cwd>\n  <time>{time}</time>\n</environment_context>")

    ana.chat([context("9:00"), user("My boat leaks.")], "text=Where")
    ana.settle()
    ana.chat([context("9:05"), user("My boat leaks."), assistant("Where"), user("At the bow.")], "text=Caulk_it")
    receipt = ana.settle()
    assert [text for _, text in ana.said()] == ["My boat leaks.", "Where", "At the bow.", "Caulk it"]
    assert len(ana.sessions()) == 1
    assert receipt["left_out"] == []


def test_recall_looks_for_the_typed_words_and_the_notes_stand_in_front_of_them(ana: Caller) -> None:
    (id, _) = ana.remember(
        "My sloop Kittiwake is moored at Ullapool.", "Open tabs are tabs that are open in an editor."
    )
    ana.chat([parts(ENVIRONMENT, "Where is Kittiwake moored?")])
    assert recalled(ana.answer)[:1] == [id]
    content = ana.last.messages[-1]["content"]
    assert [part["text"] for part in content][0::2] == [ENVIRONMENT, "Where is Kittiwake moored?"]
    assert "Ullapool" in content[1]["text"]


def test_the_place_of_notes_in_a_large_body_is_looked_for_off_the_event_loop(
    local: StartLocal, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_loop: list[bool] = []

    def recorded(text: str) -> bool:
        in_loop.append(asyncio._get_running_loop() is not None)
        return is_front_ends(text)

    monkeypatch.setattr(handler, "is_front_ends", recorded)
    large = ENVIRONMENT.replace("9:00", "9:00\n" * (handler.LARGE_BODY // 4))
    with Caller(local(), upstream) as caller:
        caller.remember("My sloop Kittiwake is moored at Ullapool.")
        caller.chat([parts(large, "Where is Kittiwake moored?")])
        content = caller.last.messages[-1]["content"]
    assert [part["text"] for part in content][0::2] == [large, "Where is Kittiwake moored?"]
    assert in_loop == [False, False]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("own", [own for own in OWN if not own.system], ids=lambda own: str(own.frontend))
def test_a_front_ends_own_request_passes_without_memory(ana: Caller, own: object, stream: bool) -> None:
    ana.remember("My boat leaks.")
    messages = [{"role": role, "content": content} for role, content in own.messages]  # type: ignore[attr-defined]
    body = {"model": "text=Boats", "messages": messages, "stream": stream, "max_tokens": own.most_tokens}  # type: ignore[attr-defined]
    answer = ana.post("/v1/chat/completions", body)
    assert answer.status_code == 200
    assert ana.last.messages == messages
    assert answer.headers["x-engram-task"] == own.frontend  # type: ignore[attr-defined]
    assert "x-engram-receipt" not in answer.headers
    assert [text for _, text in ana.said()] == ["My boat leaks."]


def test_a_title_that_is_asked_for_first_does_not_disturb_the_conversation(ana: Caller) -> None:
    ana.chat([user(TITLE)], "text=Boats")
    ana.chat([user("My boat leaks.")], "text=Where")
    ana.settle()
    assert ana.said() == [("user", "My boat leaks."), ("assistant", "Where")]


def test_metrics_count_what_is_left_out_once(local: StartLocal, upstream: Upstream) -> None:
    server = local()
    with Caller(server, upstream) as caller:
        caller.chat([parts("My boat leaks.", ENVIRONMENT)], "text=Where")
        caller.settle()
        caller.chat([parts("My boat leaks.", ENVIRONMENT), assistant("Where"), user("At the bow.")])
        caller.settle()
        caller.chat([user(TITLE)])
        figures = server.http.get("/metrics").text.splitlines()
    assert 'engram_left_out_pieces_total{frontend="Cline, Roo Code and Kilo Code"} 1.0' in figures
    assert (
        f'engram_left_out_characters_total{{frontend="Cline, Roo Code and Kilo Code"}} {len(ENVIRONMENT)}.0' in figures
    )
    assert 'engram_frontend_tasks_total{frontend="Open WebUI"} 1.0' in figures


def test_a_receipt_says_after_a_restart_what_was_left_out(
    local: StartLocal, upstream: Upstream, tmp_path: Path
) -> None:
    server: LocalServer = local(memory=tmp_path / "memory.db")
    with Caller(server, upstream) as caller:
        caller.chat([parts("My boat leaks.", ENVIRONMENT)], "text=Where")
        receipt = caller.settle()
        server.stop()
        again = local(memory=tmp_path / "memory.db")
        left_out = again.receipt(receipt["id"], **caller.headers)["left_out"]
    assert left_out == [{"by": "Cline, Roo Code and Kilo Code", "pieces": 1, "characters": len(ENVIRONMENT)}]


# The operator's patterns.


def test_the_operators_patterns_are_left_out_of_users_messages_only(server: StartServer, upstream: Upstream) -> None:
    running = server("--deadline", "20000", "--strip", r"\[\[crm [^\]]*\]\]", ENGRAM_STRIP=r"(?m)^-- sent from .*$")
    with Caller(running, upstream) as caller:
        sent = "[[crm 7 gold]] My boat leaks.\n-- sent from my phone"
        caller.chat([user(sent)], "text=[[crm_7_gold]]_Where")
        receipt = caller.settle()
        assert caller.said() == [("user", "My boat leaks."), ("assistant", "[[crm 7 gold]] Where")]
        assert caller.last.messages == [user(sent)]
    assert receipt["left_out"] == [{"by": "--strip", "pieces": 2, "characters": 35}]


# A reply that the request begins.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("answer", ["_are_the_best_of_all.", "Soft_paws_are_the_best_of_all."])
def test_a_reply_that_the_request_begins_is_one_turn(ana: Caller, path: str, stream: bool, answer: str) -> None:
    history = [user("What are the best paws?"), assistant("Soft paws")]
    body = {"model": f"text={answer}", "messages": history, "stream": stream, "max_tokens": 9}
    ana.post(path, body)
    ana.settle()
    whole = "Soft paws are the best of all."
    assert ana.said() == [("user", "What are the best paws?"), ("assistant", whole)]
    assert ana.last.messages[-1] == assistant("Soft paws")
    # The client continues with the whole reply.
    ana.post(path, {**body, "messages": [history[0], assistant(whole), user("Why so?")], "model": "text=They_purr."})
    ana.settle()
    assert [text for _, text in ana.said()] == ["What are the best paws?", whole, "Why so?", "They purr."]
    assert len(ana.sessions()) == 1


def test_a_stored_reply_that_is_continued_stays_in_its_conversation(ana: Caller) -> None:
    ana.chat([user("What are the best paws?")], "text=Soft_paws")
    ana.settle()
    ana.chat([user("What are the best paws?"), assistant("Soft paws")], "text=And_warm_ones.")
    ana.settle()
    assert [text for _, text in ana.said()] == ["What are the best paws?", "Soft paws", "And warm ones."]
    assert len(ana.sessions()) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_the_request_begins_is_not_stored_if_the_model_fails(ana: Caller, stream: bool) -> None:
    history = [user("What are the best paws?"), assistant("Soft paws")]
    ana.post("/v1/chat/completions", {"model": "500", "messages": history, "stream": stream})
    ana.settle()
    assert ana.said() == [("user", "What are the best paws?")]
    ana.post("/v1/chat/completions", {"model": "text=_it_is.", "messages": history, "stream": stream})
    ana.settle()
    assert ana.said() == [("user", "What are the best paws?"), ("assistant", "Soft paws it is.")]
