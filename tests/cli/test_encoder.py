"""--encoder of the commands that open a memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engram.errors import EngramError
from engram.meaning import encoders
from engram.meaning.base import Encoder
from tests.search.concepts import ConceptEncoder

from .conftest import Ran

Run = Callable[..., Ran]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[ConceptEncoder]:
    """The encoders that were opened under the name "concepts"."""
    opened: list[ConceptEncoder] = []

    def make() -> Encoder:
        opened.append(ConceptEncoder())
        return opened[-1]

    monkeypatch.setitem(encoders.ENCODERS, "concepts", make)
    monkeypatch.setenv(encoders.VARIABLE, "")
    return opened


def test_the_commands_use_the_encoder_that_is_named(run: Run, made: list[ConceptEncoder]) -> None:
    assert run("remember", "The trawler lies at the quay.", "--encoder", "concepts").code == 0
    assert run("recall", "Where is my boat?", "--encoder", "concepts", "--json").json["hits"]
    assert any("Where is my boat?" in encoder.encoded for encoder in made)
    # For the processes that a command starts.
    assert os.environ[encoders.VARIABLE] == "concepts"


def test_the_option_can_be_an_environment_variable(
    run: Run, made: list[ConceptEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(encoders.VARIABLE, "concepts")
    run("remember", "The trawler lies at the quay.")
    assert made


@pytest.mark.parametrize("command", ["remember", "recall", "serve", "reindex", "doctor"])
def test_an_unknown_encoder_is_refused(run: Run, path: Path, command: str) -> None:
    arguments = ["x"] if command in ("remember", "recall") else []
    ran = run(command, *arguments, "--encoder", "word2vec")
    assert ran.code == 2
    assert "there is no encoder 'word2vec'; the encoders are: use, contextual, minilm" in ran.err
    assert not path.exists()


def test_an_unknown_encoder_in_the_environment_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(encoders.VARIABLE, "x" * 1_000)
    with pytest.raises(EngramError, match=r"^ENGRAM_ENCODER: there is no encoder 'x{80}'; .*minilm"):
        encoders.open_encoder()
