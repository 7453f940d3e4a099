"""Put recalled memories into the prompt of any model: no server, no client library.

Install:  pip install engram-layer
Run:      python examples/context_only.py      (creates example.db in the current folder)
"""

from datetime import UTC, datetime

from engram import Memory

QUESTION = "Where should we eat with my sister?"

with Memory("example.db") as memory:
    memory.remember("My sister Marta is a vegetarian.", speaker="Ana", at=datetime(2026, 3, 2, tzinfo=UTC))
    memory.remember("We ate at the harbour; Marta liked the restaurant.", at=datetime(2026, 5, 9, tzinfo=UTC))
    memory.remember("The printer needs paper.", at=datetime(2026, 6, 1, tzinfo=UTC))

    # The two best hits as dated notes, at most 256 tokens; an empty string if nothing fits.
    notes = memory.recall(QUESTION, limit=2).context(budget=256)

# Notes precede the question and are not part of the system prompt: the text before them does not change, so the
# provider's prompt cache keeps working.
prompt = f"{notes}\n\n{QUESTION}" if notes else QUESTION
messages = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": prompt}]
print(messages[1]["content"])
