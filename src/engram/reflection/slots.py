"""Slots: the attributes of which a person, or a thing, has one value at a time.

Owns their names and their order, which `labels.npz` and the derived data depend on. What fills a slot is told by the
meaning of a sentence (`reflection.labels`), not by words.
"""

from __future__ import annotations

NONE = 0
"""Position of no slot."""

SLOTS = (
    "none",
    # Where and how one lives, and how one is reached.
    "home", "rent", "phone", "email", "flatmates", "code",
    # Work.
    "job", "employer", "boss", "pay", "hours", "role",
    # People and animals.
    "partner", "relationship", "family", "pet", "name", "age",
    # Health.
    "doctor", "medicine", "health", "allergy", "diet", "habit",
    # Free time, and the body.
    "instrument", "sport", "team", "hobby", "body", "level",
    # Things and money.
    "vehicle", "device", "bank", "provider", "price", "budget",
    # Days and plans.
    "deadline", "appointment", "recurring", "trip", "venue", "plan",
    # Names and numbers of things, favourites, learning, care.
    "group", "version", "count", "favourite", "reading", "carer", "study",
)  # fmt: skip

SLOT_OF = {name: number for number, name in enumerate(SLOTS)}
"""Position of each slot by its name."""

_ONE_VALUE = "home phone email job employer boss partner".split()
ONE_VALUE = frozenset(SLOT_OF[name] for name in _ONE_VALUE)
"""Slots of which a person has one value at a time, whatever else is known: only in these a later statement closes an
earlier one. Of the others there may be several (two pets, a dentist and a doctor), or their sentences are not told well
enough (docs/LOG.md): pay, hours, rent, age."""
