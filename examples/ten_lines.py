"""Store turns of a conversation, recall one of them, forget one.

Install:  pip install engram-layer
Run:      python examples/ten_lines.py      (creates example.db in the current folder)
"""

from engram import Memory

with Memory("example.db") as memory:
    memory.remember("My dog is called Biscuit.", speaker="Ana")
    peanuts = memory.remember("I am allergic to peanuts.", speaker="Ana")
    for hit in memory.recall("What is my dog called?"):
        print(f"{hit.score:.2f}  {hit.engram.text}")
    memory.forget(id=peanuts.id)
    print(len(list(memory.engrams())), "engram left")
