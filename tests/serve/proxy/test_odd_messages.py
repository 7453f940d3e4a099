"""Odd messages on each API: upstream gets what came, byte for byte, whatever memory can make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.proxied import Caller

FIELDS = {"/v1/chat/completions": "messages", "/v1/messages": "messages", "/v1/responses": "input"}
MISSING = object()
ROLES = ["user", "assistant", "tool", "function", "critic", "model", None, 7, "", ["user"], {}, MISSING]
CONTENTS: list[Any] = [
    None, "", 0, 2.5, False, [], {}, [None], [3], ["words"], [[]], [[{"type": "text", "text": "x"}]], [{}],
    [{"type": None}], [{"type": "text"}], [{"type": "text", "text": None}], [{"type": "text", "text": ["a"]}],
    [{"type": 1, "text": "x"}], {"type": "text", "text": "x"}, [{"type": "image_url", "image_url": {"url": "data:x"}}],
    [{"type": "image", "source": None}], [{"type": "tool_result", "tool_use_id": None, "content": {"a": [1]}}],
    [{"type": "tool_use", "id": 1, "name": None, "input": "x"}], [{"type": "input_text", "text": {"value": "x"}}],
    [{"type": "hologram", "data": 1}], "\0", "\ud800", MISSING,
]  # fmt: skip
EXTRAS: list[dict[str, Any]] = [
    {"tool_calls": 5}, {"tool_calls": {}}, {"tool_calls": [None]}, {"tool_calls": [{"function": None}]},
    {"tool_calls": [{"function": {"name": 5, "arguments": {"a": 1}}}]}, {"function_call": 5}, {"name": 5},
    {"name": "x" * 600}, {"tool_call_id": {"a": 1}}, {"refusal": 5}, {"type": "function_call", "arguments": 5},
    {"type": "function_call_output", "output": {"a": 1}}, {"type": "reasoning", "summary": 5}, {"type": 5}, {"id": 5},
]  # fmt: skip
TOPS: list[dict[str, Any]] = [
    {"user": 5}, {"user": {}}, {"metadata": 5}, {"metadata": {"user_id": 5}}, {"previous_response_id": 5},
    {"safety_identifier": []}, {"instructions": 5}, {"system": [None]}, {"tools": 5},
]  # fmt: skip


def message(role: Any, content: Any, **more: Any) -> dict[str, Any]:
    given = {"role": role, "content": content, **more}
    return {name: value for name, value in given.items() if value is not MISSING}


def odd_values() -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield messages, and further fields of the request."""
    for whole in (None, [], {}, 5, True, [None], ["x"], [[]], [{}], MISSING):
        yield whole, {}
    for role in ROLES:
        for content in CONTENTS:
            yield [message(role, content)], {}
    for extra in EXTRAS:
        for role in ("user", "assistant", "tool"):
            yield [message("user", "hi"), message(role, "x", **extra), message("user", "and?")], {}
    for top in TOPS:
        yield [message("user", "hi")], top


@pytest.mark.parametrize("path", FIELDS)
def test_odd_messages_reach_upstream_unchanged(ana: Caller, path: str) -> None:
    for messages, more in odd_values():
        given = {} if messages is MISSING else {FIELDS[path]: messages}
        body = json.dumps({"model": "plain", "max_tokens": 9, **given, **more}).encode()
        before = len(ana.upstream.asked)
        answer = ana.post(path, body, X_Engram_Namespace="odd")
        assert answer.status_code == 200, (body, answer.text)
        assert len(ana.upstream.asked) == before + 1
        error = answer.headers.get("x-engram-error", "")
        assert "failed" not in error
        if not answer.headers.get("x-engram-recalled"):
            assert ana.last.body == body


@pytest.mark.parametrize("path", FIELDS)
def test_what_is_usable_beside_an_image_is_remembered(ana: Caller, path: str) -> None:
    kind = {"/v1/responses": "input_text"}.get(path, "text")
    parts = [
        {"type": "hologram", "data": 1},
        {"type": kind, "text": "My loom is from Oslo."},
        {"type": "image", "source": None},
    ]
    answer = ana.post(path, {"model": "plain", "max_tokens": 9, FIELDS[path]: [message("user", parts)]})
    assert answer.status_code == 200
    ana.settle()
    assert ("user", "My loom is from Oslo.") in ana.said()
