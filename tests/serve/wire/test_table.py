"""The table of wire formats."""

from __future__ import annotations

import json

import pytest

from engram.serve.auth.headers import UPSTREAM_KEY_HEADERS
from engram.serve.http.errors import ServeError
from engram.serve.wire.table import (
    CHAT,
    KEY_HEADERS,
    MESSAGES,
    RESPONSES,
    WIRES,
    Wire,
    error_wire,
    key_for_upstream,
    wire_at,
)


def test_wire_at_knows_exactly_the_paths_of_the_table() -> None:
    assert [wire_at(wire.path) for wire in WIRES] == [CHAT, MESSAGES, RESPONSES]
    for path in ("/v1/models", "/v1/messages/count_tokens", "/v1/responses/resp_1", ""):
        assert wire_at(path) is None


@pytest.mark.parametrize(
    ("path", "anthropic"),
    [("/v1/messages", True), ("/v1/messages/count_tokens", True), ("/v1/models", False), ("/v1/responses/x", False)],
)
def test_error_has_the_form_of_the_api_at_the_path(path: str, anthropic: bool) -> None:
    body = json.loads(error_wire(path).error(ServeError(401, "no key", "key_missing")))
    assert body["error"]["type"] == "authentication_error"
    assert ("code" in body["error"]) is not anthropic


@pytest.mark.parametrize(
    ("names", "header"),
    [
        (["anthropic-version", "x-api-key"], ("x-api-key", "k")),
        (["authorization"], ("authorization", "Bearer k")),
        ([], ("authorization", "Bearer k")),
    ],
)
def test_key_goes_upstream_as_the_calling_api_sends_it(names: list[str], header: tuple[str, str]) -> None:
    assert key_for_upstream("k", names) == header


def test_callers_can_send_an_engram_key_in_every_key_header() -> None:
    assert set(UPSTREAM_KEY_HEADERS) == KEY_HEADERS


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_names_and_paths_are_unique(wire: Wire) -> None:
    assert [one for one in WIRES if one.name == wire.name or one.path == wire.path] == [wire]
