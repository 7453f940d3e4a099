"""The model that the server asks for proposals, by its options.

Owns how `--reflect-model` names a model, and whose key it gets: the operator's, never a caller's.
"""

from __future__ import annotations

import os

from engram.errors import EngramError
from engram.models import Model, open_model
from engram.models.openai import OpenAIModel
from engram.reflection.proposals.asking import Asking
from engram.serve.proxy.upstream import Upstream, upstream_key
from engram.serve.settings import Settings

OWN = "upstream"
"""The word that stands for the server's own upstream, as in upstream#NAME."""


def asking_of(settings: Settings) -> Asking:
    """Return what the options allow a model to be asked. Raises `EngramError` if they contradict each other."""
    try:
        return Asking(
            quiet=settings.reflect_quiet,
            tokens_per_day=settings.reflect_tokens,
            money_per_day=settings.reflect_money,
            prices=settings.reflect_prices,
        )
    except ValueError as error:
        raise EngramError(f"--reflect-model cannot be used so: {error}") from None


def open_reflect_model(settings: Settings, upstream: Upstream) -> Model | None:
    """Return the model that is asked for proposals; None without one.

    "upstream#NAME" is a model of the server's own upstream, with the key of --upstream-key-env if there is one. What
    else names a model is as in `open_model`. Raises `EngramError` if the option names none.
    """
    spec = settings.reflect_model
    if spec is None:
        return None
    asking_of(settings)
    if not settings.reflect:
        raise EngramError("--reflect-model was given with --no-reflect; leave one of them out")
    word, _, name = spec.partition("#")
    if word != OWN:
        return open_model(spec)
    if settings.upstream is None or not name:
        raise EngramError(f"{spec!r} names no model; write upstream#NAME, and give --upstream with its URL")
    return OpenAIModel(upstream.base, name, key=upstream_key(settings, os.environ))
