"""The revision of the rules by which turns are read: with another one, what was derived is derived anew.

Owns the number. The rules are the modules that `SOURCES` names; a test compares their code with `DIGEST`. After a
change of them that changes what is read, raise `REVISION`; after any other change of their code, only note the digest
that the test prints.
"""

from __future__ import annotations

REVISION = 3
SOURCES = (
    "reflection/reading.py", "reflection/sentences.py", "reflection/wishes.py", "reflection/withdrawing.py",
    "reflection/supposing.py", "reflection/quotes.py", "text/passages.py", "text/abbreviations.py",
)  # fmt: skip
"""The modules, by their paths in the package."""
DIGEST = "1a77daa9d245e848"
"""Of their code, without comments and docstrings, at this revision: see tests/reflection/test_rules.py."""
