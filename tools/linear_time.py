"""Measures how long hostile texts take: `python -m tools.linear_time` prints the worst of every pattern and function.

A stranger's text must not stall a process, so each pattern and each function that reads such a text takes time in
proportion to its length. For each, the command prints the text that takes longest in comparison with ordinary text of
1 MB. It exits with 1 if that is over `MOST_RATIO` times, or if the time from 100 KB to 1 MB grows faster than the text.
The test `tests/robustness/test_linear_time.py` does the same with smaller texts and for the growth alone.

Each pattern or function is measured in a process of its own, which is killed at a limit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

import engram
from engram.engram import draft
from engram.errors import EngramError
from engram.serve.http.errors import ServeError
from tools.hostile import BASIC_TEXTS, GENERIC_TEXTS, Hostile, halves, hostile_to
from tools.patterns import Found, patterns_of

MOST_RATIO = 3.0
"""A hostile text may take this many times as long as ordinary text of its size."""
LEAST_SECONDS = 0.1
"""Shorter times count as this one, for a size of 1 MB: they are no stall, and mostly noise."""
MOST_GROWTH = 20.0
"""A text of ten times the size may take this many times as long."""
SECONDS = 10.0
"""A call that takes longer is killed."""
START_SECONDS = 60.0
"""How long a process may take to start."""

ORDINARY = (
    "We met at the harbour on Monday, and the ferry to Porto was late again (as usual). What did Ana say? She'd rather"
    ' take the 7:45 train.\n- "Bring 2 tickets", she wrote; see <https://example.org/a?b=1&c=2>.\n\n'
    "Nous avons déjeuné près de la gare à midi, et l'après-midi on a visité le musée.\n"
    "Вчера мы ездили на море, и погода была хорошая. Когда мы поедем снова?\n"
    "昨日は友達と海に行きました。天気がとても良かったです。\n"
    "मैं कल अपने भाई से मिलने दिल्ली जा रहा हूँ। हम साथ में खाना खाएँगे। 😀\n"
)
"""What people write, in the scripts that are read in different ways."""

Work = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a pattern or a function."""

    name: str
    work: Work
    texts: tuple[Hostile, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The times of one hostile text, in seconds; `ordinary` is that of ordinary text of the larger size."""

    subject: str
    text: str
    small: float
    large: float
    ordinary: float
    killed: bool = False

    def ratio(self, least: float) -> float:
        """Return the time in comparison with ordinary text. least: seconds that shorter times count as."""
        return self.large / max(self.ordinary, least)

    def growth(self, least: float) -> float:
        """Return the time in comparison with the smaller size. least: seconds of the larger one that are no growth."""
        return self.large / max(self.small, least / MOST_GROWTH)


# What is measured.


@cache
def subjects() -> dict[str, Subject]:
    """Return every subject by its name."""
    found = [pattern_subject(number, item) for number, item in enumerate(patterns_of(engram))]
    made = [Subject(name, work, GENERIC_TEXTS + own_texts(name)) for name, work in functions().items()]
    return {subject.name: subject for subject in (*found, *made)}


def own_texts(name: str) -> tuple[Hostile, ...]:
    """Return the texts that are made for the function `name`: the words that it looks for near each other."""
    return near_words() if name in ("may_steer", "reads_as_order") else ()


@cache
def near_words() -> tuple[Hostile, ...]:
    """Return texts of two words that the detector of orders looks for near each other, in two ways of writing."""
    from engram.text.order_words import UNSPACED, WORDS
    from engram.text.orders import TOGETHER

    pairs = []
    for first, second, _ in TOGETHER.values():
        for table, space in ((UNSPACED, ""), (WORDS, " ")):
            if first in table and second in table:
                one, other = (table[name].split()[0].strip("*").replace("_", " ") + space for name in (first, second))
                pairs.append((one, other))
    return halves(pairs)


def pattern_subject(number: int, found: Found) -> Subject:
    """Return a pattern with what its uses do to a text. Its name is the same in every process."""
    texts = (*hostile_to(found.pattern), *BASIC_TEXTS)
    return Subject(f"{found.where} ({number})", partial(run_pattern, found), texts)


def run_pattern(found: Found, text: str) -> None:
    """Read a text with a pattern by each method that the source uses."""
    pattern: Any = found.pattern
    data, nothing = (text, "") if isinstance(pattern.pattern, str) else (text.encode(errors="replace"), b"")
    for use in found.uses:
        if use in ("sub", "subn"):
            getattr(pattern, use)(nothing, data)
        elif use == "finditer":
            deque(pattern.finditer(data), 0)
        else:
            getattr(pattern, use)(data)


def functions() -> dict[str, Work]:
    """Return the functions that read texts of strangers, by name."""
    return {**text_functions(), **note_functions(), **serve_functions(), **file_functions()}


def text_functions() -> dict[str, Work]:
    """Return the functions that read the words of a text."""
    from engram.meaning.context_weights import read_vocabulary
    from engram.meaning.sentences import DATA, default_encoder
    from engram.meaning.wordpiece import WordPiece
    from engram.recall.context import estimated_tokens, excerpt, passage_shown, shortened, window
    from engram.recall.message import parts_of, parts_to_look_up
    from engram.recall.query import parse_query, speaker_names
    from engram.text import markup
    from engram.text.analyzer import TableAnalyzer
    from engram.text.orders import may_steer, reads_as_order
    from engram.text.passages import passages
    from engram.text.redaction import REDACTIONS, open_redactor
    from engram.text.sse import read_events
    from engram.text.thoughts import without_thoughts
    from engram.text.tokenizer import folded, stream_safe, words
    from engram.text.vectors import default_table

    analyzer = TableAnalyzer(default_table())
    redactor = open_redactor(REDACTIONS)
    wordpiece = WordPiece(read_vocabulary(DATA))
    assert redactor is not None
    now = draft("now").at
    named = [words, folded, stream_safe, markup.neutral, markup.one_line, markup.comparable, markup.is_question]
    others = {"passages": passages, "parts_of": parts_of}
    return {function.__name__: function for function in (*named, without_thoughts, estimated_tokens, may_steer)} | {
        **others,
        "parts_to_look_up": lambda text: parts_to_look_up(text, default_encoder()),
        "passage_shown": lambda text: passage_shown(text, 3, "ferry"),
        "reads_as_order": reads_as_order,
        "redaction": redactor,
        "analyse": analyzer.analyse,
        "parse_query": lambda text: parse_query(text, analyzer, {}, now),
        "speaker_names": lambda text: speaker_names(analyzer, {text[:512]: 1}),
        "shortened for a query": lambda text: shortened(
            text, "When does the ferry leave?", 500, estimated_tokens, max_characters=4000
        ),
        "excerpt for a hostile query": lambda text: excerpt(ORDINARY, text, 500, estimated_tokens),
        "WordPiece": wordpiece.pieces,
        "WordPiece of a word": lambda text: wordpiece.pieces("a" + text.replace(" ", "")),
        "is_english": lambda text: wordpiece.is_english(text, wordpiece.pieces(text)),
        "window": lambda text: window(text, "When does the ferry leave?"),
        "read_events": lambda text: list(read_events([text.encode(errors="replace")])),
        "read_events in chunks": lambda text: list(read_events(chunks(text.encode(errors="replace")))),
        "read_events of one line": lambda text: list(read_events(chunks(b"data: " + in_json(text)))),
        "thoughts in a reply": lambda text: without_thoughts(f"<think>{text[::2]}</think>\n{text[::2]}"),
    }


def note_functions() -> dict[str, Work]:
    """Return the functions that make notes of a text, and take notes out of one."""
    from engram.notes.injection import CLOSE, OPEN, without_notes, wording_for
    from engram.notes.listing import numbered, shown_name, shown_note
    from engram.notes.wording import LARGE, SMALL, note_line
    from engram.recall.context import HEADING

    query = "When does the ferry leave?"
    large = wording_for(embedded=False, budget=1024, notes=10, least_score=0.0)
    return {
        "note_line for a large model": lambda text: note_line(draft(text), LARGE),
        "notes for a large model": lambda text: large.render([draft(text)], query),
        "notes for a hostile question": lambda text: large.render([draft(ORDINARY * 40)], text),
        "shown_note": lambda text: numbered([shown_note(draft(text), 1000, query=query)]),
        "shown_name": lambda text: shown_name(text[:512]),
        "without_notes": lambda text: without_notes(f"{OPEN}\n{HEADING}\n{text}"),
        "without_notes of a list": lambda text: without_notes(f"{SMALL.opening}\n- {text}\n- {text}\n"),
        "without_notes after notes": lambda text: without_notes(f"{OPEN}\n{HEADING}\n- a\n{CLOSE}{text}"),
    }


def serve_functions() -> dict[str, Work]:
    """Return the functions of the server that read requests, and replies of upstream."""
    from engram.serve.auth.headers import engram_key, is_engram_key
    from engram.serve.frontends.framing import asks_same, is_framed, question_of, shares_words, typed
    from engram.serve.frontends.reading import read_parts
    from engram.serve.frontends.request import read_request
    from engram.serve.frontends.strip import Strip
    from engram.serve.http.limits import host_of
    from engram.serve.http.paths import with_headers_of_path
    from engram.serve.wire.claude_code import end_user
    from engram.serve.wire.content import collapsed, plain
    from engram.serve.wire.table import CHAT, WIRES, Wire
    from engram.text.courtesy import is_courtesy

    def path(text: str) -> object:
        raw = text.encode(errors="replace")
        return with_headers_of_path({"type": "http", "path": text, "raw_path": b"/ns/" + raw, "headers": []})

    def request(wire: Wire, text: str) -> object:
        read = read_request(wire, request_body(wire.messages_field, text), Strip(["<note>.*</note>"]))
        return wire.with_notes(read, {0: "a note"})

    def reply(wire: Wire, body: bytes, content_type: str) -> object:
        collector = wire.collector(content_type)
        for chunk in chunks(body):
            collector.feed(chunk)
            wire.ends(chunk)
        return collector.replies()

    made: dict[str, Work] = {
        "plain": plain,
        "collapsed": collapsed,
        "read_parts": lambda text: read_parts([text]),
        "read_parts of an open block": lambda text: read_parts([f"<system-reminder>{text}", text]),
        "asks_same": lambda text: asks_same(text, text[1:]),
        "shares_words": lambda text: shares_words(text, text[1:]),
        "courtesy": is_courtesy,
        "end_user": end_user,
        "host_of": host_of,
        "path": path,
        "engram_key": lambda text: engram_key({"authorization": text, "x-api-key": text}),
        "is_engram_key": lambda text: is_engram_key("authorization", text),
        "question_of": question_of,
        "question_of lines": lambda text: question_of(f"{ORDINARY}\n{text}\n"),
        "is_framed": lambda text: is_framed(text, text[: len(text) // 2]),
        "is_framed by almost the same": lambda text: is_framed(text, text[: len(text) // 2] + "b"),
        "typed": lambda text: typed(f"{text}\n\n{text}", text),
        "typed, almost": lambda text: typed(f"{text}\n\n{text}", text[: len(text) // 2] + "b"),
    }

    def body(wire: Wire, text: str) -> object:
        return wire.read(text.encode(errors="replace"))

    def stream(wire: Wire, text: str) -> object:
        return reply(wire, stream_of(text), "text/event-stream")

    def whole_reply(wire: Wire, text: str) -> object:
        return reply(wire, in_json(text), "application/json")

    def bytes_of_stream(wire: Wire, text: str) -> object:
        return reply(wire, text.encode(errors="replace"), "text/event-stream")

    for wire in WIRES:
        made[f"{wire.name}: request"] = partial(request, wire)
        made[f"{wire.name}: stream"] = partial(stream, wire)
        made[f"{wire.name}: reply"] = partial(whole_reply, wire)
    made["body"], made["bytes of a stream"] = partial(body, CHAT), partial(bytes_of_stream, CHAT)
    return made


def file_functions() -> dict[str, Work]:
    """Return the functions that read imported files, and those that show texts on a terminal."""
    from engram.cli.output import escape, escape_line
    from engram.formats import chatgpt, claude, locomo
    from engram.formats.items import ImportSettings, SourceLocation, time_or_none
    from engram.formats.jsonl import RecordReader
    from engram.formats.sources import shape_of
    from engram.records import to_json, to_record

    settings, where = ImportSettings(draft("now").at), SourceLocation("a file")

    def claude_export(text: str) -> object:
        said = {"uuid": "m", "sender": "assistant", "text": text, "created_at": text[:100]}
        return list(claude.read({"uuid": "u", "name": text, "chat_messages": [said]}, where, settings))

    def chatgpt_export(text: str) -> object:
        said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [text, text]}}
        return list(chatgpt.read({"title": text, "mapping": {"n": {"message": said}}}, where, settings))

    return {
        "escape": escape,
        "escape_line": escape_line,
        "to_json": lambda text: to_json(to_record(draft(text))),
        "shape_of": shape_of,
        "time_or_none": time_or_none,
        "session_date": locomo.session_date,
        "a Claude export": claude_export,
        "a ChatGPT export": chatgpt_export,
        "JSON Lines": lambda text: list(RecordReader(settings).read({"text": text, "session": text[:500]}, where)),
    }


def chunks(data: bytes, size: int = 16 << 10) -> Iterator[bytes]:
    """Yield `data` in pieces, as a network brings it."""
    yield from (data[start : start + size] for start in range(0, len(data), size))


def in_json(text: str) -> bytes:
    """Return a text as a reply of each API holds it, in JSON."""
    parts = [{"type": "text", "text": text}]
    said = {"role": "assistant", "content": text}
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
    return json.dumps({"id": "r", "choices": [{"message": said}], "content": parts, "output": output}).encode()


def stream_of(text: str) -> bytes:
    """Return an event stream that sends a text in the forms of each API, in many events."""
    events = []
    for start in range(0, len(text), 50):
        part = text[start : start + 50]
        delta = {"type": "text_delta", "text": part}
        choices = [{"index": 0, "delta": {"content": part}}]
        events.append({"type": "content_block_delta", "index": 0, "delta": delta, "choices": choices})
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def request_body(field: str, text: str) -> bytes:
    """Return a request with a text as the words of the user, of the model and of a tool, and as its tool calls."""
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": text}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": text}, {"type": "text", "text": text}]},
        {"role": "assistant", "content": text, "tool_calls": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": text}]},
        {"role": "user", "content": text},
    ]
    return json.dumps({"model": "m", "user": text[:100], field: messages}, ensure_ascii=False).encode(errors="replace")


# Measuring.


def seconds(work: Work, text: str) -> float:
    """Return the processor time of `work` for a text, in seconds. An error that it raises is its answer."""
    begun = time.process_time()
    with suppress(EngramError, ServeError, ValueError, RecursionError):
        work(text)
    return time.process_time() - begun


def ordinary(size: int) -> str:
    """Return ordinary text of about `size` bytes of UTF-8."""
    return ORDINARY * (size // len(ORDINARY.encode()) + 1)


def measure_texts(connection: Connection, sizes: tuple[int, int]) -> None:
    """Answer requests for the times of a text: (subject, number of the text, or None for ordinary text) until None."""
    while (asked := connection.recv()) is not None:
        name, index = asked
        subject = subjects()[name]
        if index is None:
            plain = ordinary(sizes[1])
            connection.send(min(seconds(subject.work, plain) for _ in range(2)))
            continue
        hostile = subject.texts[index]
        pair = [seconds(subject.work, hostile.text(size)) for size in sizes]
        if pair[1] > LEAST_SECONDS * sizes[1] / 1_000_000:
            # A second time, so that a pause of the machine does not count.
            pair = [min(pair[i], seconds(subject.work, hostile.text(sizes[i]))) for i in (0, 1)]
        connection.send(pair)


class Worker:
    """A process that measures, and is killed and replaced when one measurement takes too long."""

    def __init__(self, sizes: tuple[int, int], limit: float) -> None:
        self._sizes = sizes
        self._limit = limit
        self._process: Any = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def ask(self, name: str, index: int | None) -> Any:
        """Return the answer of `measure_texts`; None if it does not come in time."""
        limit = 4 * self._limit
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=measure_texts, args=(theirs, self._sizes), daemon=True)
            self._process.start()
            theirs.close()
            limit += START_SECONDS
        self._connection.send((name, index))
        if self._connection.poll(limit):
            return self._connection.recv()
        self._stop()
        return None

    def measured(self, name: str) -> list[Measured]:
        """Return the times of every text of a subject; for one that was killed, the limit."""
        usual = self.ask(name, None)
        if usual is None:
            return [Measured(name, "ordinary text", 0.0, self._limit, self._limit, killed=True)]
        results = []
        for index, hostile in enumerate(subjects()[name].texts):
            pair = self.ask(name, index)
            small, large = pair or (0.0, self._limit)
            results.append(Measured(name, hostile.name, small, large, usual, killed=pair is None))
        return results


def all_measured(names: Sequence[str], sizes: tuple[int, int], workers: int = 1) -> Iterator[list[Measured]]:
    """Yield the times of each subject, as they are measured."""
    waiting = list(reversed(names))
    done: SimpleQueue[list[Measured] | Exception] = SimpleQueue()

    def run() -> None:
        with Worker(sizes, SECONDS) as worker, suppress(IndexError):
            while True:
                name = waiting.pop()
                try:
                    done.put(worker.measured(name))
                except (EOFError, OSError) as error:
                    done.put(RuntimeError(f"the process that measures {name} ended: {error!r}"))
                    return

    with ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):
            pool.submit(run)
        for _ in names:
            results = done.get()
            if isinstance(results, Exception):
                raise results
            yield results


def main() -> int:
    """Print the worst text of each subject; return 1 if one of them is over a limit."""
    options = argparse.ArgumentParser(description="Times of hostile texts in comparison with ordinary ones.")
    options.add_argument("--only", default="", help="measure the subjects whose names hold this")
    options.add_argument("--size", type=int, default=1_000_000, help="bytes of a text (default: 1 MB)")
    options.add_argument("--all", action="store_true", help="print every subject, not only the 20 worst")
    given = options.parse_args()
    names = [name for name in subjects() if given.only in name]
    least = LEAST_SECONDS * given.size / 1_000_000
    worst = []
    for number, results in enumerate(all_measured(names, (given.size // 10, given.size)), 1):
        ratio = max(results, key=lambda result: (result.killed, result.ratio(least)))
        growth = max(results, key=lambda result: (result.killed, result.growth(least)))
        worst.append((ratio, growth))
        if sys.stderr.isatty() or number % 50 == 0:
            print(f"{number} of {len(names)}: {results[0].subject[:90]}", file=sys.stderr, flush=True)
    worst.sort(key=lambda pair: (-pair[0].killed, -pair[0].ratio(least)))
    for ratio, growth in worst if given.all else worst[:20]:
        figures = f"{ratio.ratio(least):6.1f} x ordinary, {growth.growth(least):5.1f} x growth, {ratio.large:6.3f} s"
        killed = " KILLED" if ratio.killed else ""
        print(f"{figures} ({ratio.ordinary:.3f} s){killed}  {ratio.subject[:90]}  {ratio.text}")
    texts = sum(len(subjects()[name].texts) for name in names)
    most = worst[0][0].ratio(least)
    print(f"{len(worst)} patterns and functions, {texts:,} texts: at most {most:.2f} times ordinary text")
    return int(any(a.ratio(least) > MOST_RATIO or b.growth(least) > MOST_GROWTH for a, b in worst))


if __name__ == "__main__":
    sys.exit(main())
