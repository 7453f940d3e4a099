"""A model at an OpenAI-compatible endpoint, over HTTP.

Owns the wire format: the request, the server-sent events of the reply, and an error message for each failure. Does not
know where the endpoint runs, nor the content of the messages.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engram.errors import MissingExtra, ModelUnavailable
from engram.models.answering import Answer, Limits, NotAnswered, Schema, check_limits
from engram.models.base import Message
from engram.text.sse import read_events

if TYPE_CHECKING:
    import httpx

DEFAULT_CONTEXT = 8192
"""Assumed context window of a remote model in tokens: less than nearly all have, and enough for a chat with notes."""

_PATH = "/chat/completions"
_ADVICE = {
    400: "the request was not accepted; check the model's name and what it supports",
    401: "set ENGRAM_MODEL_KEY to a key that this endpoint accepts",
    403: "the key may not use this model",
    404: "check the address (it usually ends in /v1) and the model's name",
    429: "too many requests, or the account's quota is used up; wait and try again",
}


_FORMATS = ("json_schema", "json_object", "")
"""How an endpoint is asked for JSON, the strictest first; what it refuses with status 400 is not asked of it again."""
_LIMITS = ("max_tokens", "max_completion_tokens")
"""What endpoints call the maximum tokens of a reply."""


def key_from_environment(url: str) -> str | None:
    """Return the API key for `url`: ENGRAM_MODEL_KEY, or OPENAI_API_KEY if the host belongs to openai.com.

    A key named after one company is never sent to the server of another.
    """
    host = urlsplit(url).hostname or ""
    is_openai = host == "openai.com" or host.endswith(".openai.com")
    return os.environ.get("ENGRAM_MODEL_KEY") or (os.environ.get("OPENAI_API_KEY") if is_openai else None) or None


class OpenAIModel:
    """The model called `name` at `url` (such as https://api.openai.com/v1)."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        key: str | None = None,
        context: int = DEFAULT_CONTEXT,
        wait_seconds: float = 120.0,
        use_proxy: bool = True,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("a model at a URL needs httpx: pip install 'engram-layer[chat]'") from error
        self.name = name
        self.context = context
        self.url = url.rstrip("/").removesuffix(_PATH)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            # `wait_seconds` is the maximum silence, before the reply and between two pieces of it.
            timeout = httpx.Timeout(wait_seconds, connect=10.0)
            self._client = httpx.Client(headers=headers, timeout=timeout, trust_env=use_proxy)
        except (UnicodeEncodeError, httpx.InvalidURL) as error:
            raise ModelUnavailable(f"the key or a proxy setting for {self.url} cannot be used: {error}") from None
        self._format, self._limit = 0, 0
        """Positions in `_FORMATS` and `_LIMITS` of what this endpoint accepts, as far as it is known."""

    def reply(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
        extra: dict[str, object] | None = None,
    ) -> Generator[str, None, None]:
        """Yield the reply in pieces; see `Model`. `extra`: fields that are added to the request body unchanged."""
        body: dict[str, object] = {
            "model": self.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
        }
        # Some models refuse settings that they do not have, so only given settings are sent.
        optional = {"max_tokens": max_tokens, "temperature": temperature, "stop": list(stop) or None}
        body |= {name: value for name, value in optional.items() if value is not None} | (extra or {})
        with self._failures(), self._client.stream("POST", self.url + _PATH, json=body) as response:
            if response.status_code != 200:
                response.read()
                raise ModelUnavailable(self._refusal(response))
            if "text/event-stream" in response.headers.get("content-type", ""):
                yield from self._streamed(response.iter_bytes())
            else:
                yield self._whole(response.read())

    def answer(self, messages: Sequence[Message], schema: Schema, limits: Limits) -> Answer:
        """Return a whole reply in JSON; see `AnsweringModel`. The schema is sent if the endpoint takes one."""
        deadline = time.monotonic() + limits.seconds
        while True:
            status, body = self._posted(self._request_for(messages, schema, limits), deadline, limits)
            if status == 200:
                return self._answer(body, messages)
            text = body.decode(errors="replace")
            if status != 400 or not self._step_down(text):
                raise NotAnswered(self._refused(status, "", text))

    def _request_for(self, messages: Sequence[Message], schema: Schema, limits: Limits) -> dict[str, object]:
        formats: dict[str, object] = {
            "json_schema": {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}},
            "json_object": {"type": "json_object"},
        }
        wanted = formats.get(_FORMATS[self._format])
        return {
            "model": self.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": False,
            _LIMITS[self._limit]: limits.tokens,
        } | ({} if wanted is None else {"response_format": wanted})

    def _step_down(self, refusal: str) -> bool:
        """Change what the endpoint has refused for the next weaker form; False if there is none."""
        if self._limit == 0 and _LIMITS[1] in refusal:
            self._limit = 1
            return True
        if self._format + 1 < len(_FORMATS):
            self._format += 1
            return True
        return False

    def _posted(self, request: dict[str, object], deadline: float, limits: Limits) -> tuple[int, bytes]:
        """Return the status and the body of the response to a request, within the limits."""
        import httpx

        body = bytearray()
        left = max(0.1, deadline - time.monotonic())
        timeout = httpx.Timeout(left, connect=min(10.0, left))
        with (
            self._failures(),
            self._client.stream("POST", self.url + _PATH, json=request, timeout=timeout) as response,
        ):
            for chunk in response.iter_bytes():
                body += chunk
                check_limits(self.url, len(body), deadline, limits)
            return response.status_code, bytes(body)

    def _answer(self, body: bytes, messages: Sequence[Message]) -> Answer:
        text = self._whole(body)
        usage = self._json(body.decode(errors="replace")).get("usage")
        counted = usage if isinstance(usage, dict) else {}

        def count(name: str, texts: Sequence[str]) -> int:
            value = counted.get(name)
            return value if type(value) is int and 0 <= value < 1 << 31 else sum(map(self.count_tokens, texts))

        asked = count("prompt_tokens", [message.content for message in messages])
        return Answer(text, asked, count("completion_tokens", [text]))

    def post_json(self, url: str, body: dict[str, object]) -> dict[str, object]:
        """Post `body` to `url`, another path of the same server, and return the JSON object of the response."""
        with self._failures():
            response = self._client.post(url, json=body)
        if response.status_code != 200:
            raise ModelUnavailable(self._refusal(response))
        return self._json(response.text)

    def count_tokens(self, text: str) -> int:
        """Return an upper estimate: a token of the usual tokenizers has at least three bytes of ordinary text."""
        return len(text.encode(errors="replace")) // 3 + 1

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn connection errors into `ModelUnavailable` with a cause and a next step."""
        import httpx

        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ModelUnavailable(f"{self.url} is not an address of a model: {error}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotAnswered(
                f"nothing answers at {self.url} ({error}); check the address, and that the model's server is running"
            ) from None
        except httpx.TimeoutException:
            raise ModelUnavailable(f"{self.url} did not answer in time; try again, or use a faster model") from None
        except httpx.HTTPError as error:
            raise ModelUnavailable(f"{self.url} broke off its reply ({error}); try again") from None

    def _refusal(self, response: httpx.Response) -> str:
        return self._refused(response.status_code, response.reason_phrase, response.text)

    def _refused(self, status: int, reason: str, text: str) -> str:
        advice = _ADVICE.get(status, "the endpoint has a problem; try again later" if status >= 500 else "")
        detail = _error_text(text)
        message = f"{self.url} answered {status} {reason}".rstrip()
        return message + (f" ({detail})" if detail else "") + (f"; {advice}" if advice else "")

    def _streamed(self, chunks: Iterator[bytes]) -> Generator[str, None, None]:
        """Yield the texts of an event stream. Raises `ModelUnavailable` if it ends before the reply is complete."""
        finished = False
        for event in read_events(chunks):
            data = event.data.decode(errors="replace").strip()
            if data == "[DONE]":
                return
            piece, finish = self._piece(data)
            finished = finished or finish
            if piece:
                yield piece
        if not finished:
            raise ModelUnavailable(f"{self.url} broke off its reply before the end; try again")

    def _piece(self, data: str) -> tuple[str, bool]:
        """Return the text of one event, and whether the event marks the end of the reply."""
        event = self._json(data)
        choices = event.get("choices")
        if "error" in event:
            raise ModelUnavailable(f"{self.url} broke off its reply ({_error_text(data)}); try again")
        # The last event of some endpoints contains usage figures and no choice.
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return "", False
        delta = choices[0].get("delta")
        content = delta.get("content") if isinstance(delta, dict) else None
        return content if isinstance(content, str) else "", choices[0].get("finish_reason") is not None

    def _whole(self, body: bytes) -> str:
        """Return the reply of an endpoint that does not stream."""
        response = self._json(body.decode(errors="replace"))
        try:
            content = response["choices"][0]["message"]["content"]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str):
            raise ModelUnavailable(f"{self.url} answered without a reply; is it an OpenAI-compatible endpoint?")
        return content

    def _json(self, text: str) -> dict[str, object]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ModelUnavailable(
                f"{self.url} answered something that is not JSON ({_short(text)!r}); "
                "is it an OpenAI-compatible endpoint? Its address usually ends in /v1"
            )
        return value


def _error_text(text: str) -> str:
    """Return the error message of an endpoint as one short line."""
    try:
        error = json.loads(text)["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError, RecursionError):
        message = text
    return _short(str(message))


def _short(text: str, limit: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
