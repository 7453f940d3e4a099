"""Language models with one small interface: a local model, and any OpenAI-compatible endpoint.

Owns how a model is named on a command line. Does not know terminals, memories or notes.
"""

from __future__ import annotations

from pathlib import Path

from engram.errors import ModelUnavailable
from engram.models.base import Message, Model

__all__ = ["SMOLLM2", "Message", "Model", "open_model"]

SMOLLM2 = "smollm2"

_EXAMPLE = "https://api.openai.com/v1#gpt-4o-mini"


def open_model(spec: str | None = None) -> Model:
    """Return the model that `spec` names.

    None or "smollm2" is the small local model, a path ending in .gguf is a local file, and "URL#name" is the model
    `name` at an OpenAI-compatible endpoint. Raises `ModelUnavailable` or, if a package is missing, `MissingExtra`.
    """
    # Imported here because each kind of model needs packages that the others do not.
    if spec is None or spec == SMOLLM2:
        from engram.models.local import LocalModel, smollm2_path

        return LocalModel(smollm2_path(), name="SmolLM2-135M-Instruct")
    if "://" in spec:
        from engram.models.openai import OpenAIModel, key_from_environment

        url, _, name = spec.partition("#")
        if not url.startswith(("http://", "https://")) or not name:
            raise ModelUnavailable(f"{spec!r} names no model at an endpoint; write URL#name, as in {_EXAMPLE}")
        return OpenAIModel(url, name, key=key_from_environment(url))
    if spec.endswith(".gguf"):
        from engram.models.local import LocalModel

        return LocalModel(Path(spec).expanduser())
    raise ModelUnavailable(f"{spec!r} names no model; give smollm2, the path of a .gguf file, or {_EXAMPLE}")
