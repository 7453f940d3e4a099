"""Keep many users apart: one namespace for each user, one session for each conversation.

Install:  pip install engram-layer
Run:      python examples/many_users.py      (creates example.db in the current folder)
"""

from engram import Memory

with Memory("example.db") as memory:
    memory.remember("My dog is called Biscuit.", namespace="ana", session="monday")
    memory.remember("My dog is called Rex.", namespace="ben", session="monday")

    # A recall sees one namespace. No query can reach another one.
    for user in ("ana", "ben", "eve"):
        hits = memory.recall("What is my dog called?", namespace=user)
        print(user, "->", [hit.engram.text for hit in hits])

    # A session limits a recall to one conversation.
    print("tuesday ->", len(memory.recall("What is my dog called?", namespace="ana", session="tuesday")))

    # Delete all engrams of one user: `forget` removes them from every recall, `compact` from the files.
    print("deleted", memory.forget(namespace="ben"))
    memory.compact()
    print(memory.namespaces())
