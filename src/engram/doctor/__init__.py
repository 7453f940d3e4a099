"""What is wrong with a memory, and what of it can be saved.

Owns looking and saving; never changes the memory it looks at: what is damaged is read around, into a new file. The
index is only judged here, since `Memory.reindex` makes it again from the store.
"""

from engram.doctor.checkup import Report, Salvage, examine, salvage

__all__ = ["Report", "Salvage", "examine", "salvage"]
