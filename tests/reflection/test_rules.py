"""The revision of the rules: it must change with their code, and what another revision derived is derived anew."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

import engram
from engram import Memory
from engram.reflection import rules

PACKAGE = Path(engram.__file__).parent
ORDER = "From now on always give me prices including tax."


def code_of(source: str) -> str:
    """Return the code of a module without comments on lines of their own, docstrings and empty lines."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def digest_of(sources: list[str]) -> str:
    return hashlib.sha256("\n".join(map(code_of, sources)).encode()).hexdigest()[:16]


def test_the_rules_have_not_changed_since_their_revision() -> None:
    found = digest_of([(PACKAGE / name).read_text(encoding="utf-8") for name in rules.SOURCES])
    assert found == rules.DIGEST, (
        f"the rules of reading have changed: note DIGEST = {found!r} in reflection/rules.py, and raise REVISION if"
        " other sentences are kept, or with other labels"
    )


def test_a_digest_changes_with_code_and_not_with_comments() -> None:
    code = '"""Doc."""\nWORDS = "always|never"\n"""Words."""\n'
    assert digest_of([code]) == digest_of(['"""Other."""\n\n# Why.\nWORDS = "always|never"\n'])
    assert digest_of([code]) != digest_of([code.replace("never", "ever")])


def test_another_revision_derives_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as memory:
        memory.remember(ORDER)
        assert memory.reflect() == 1
    with Memory(path) as memory:
        assert memory.reflect() == 0
    monkeypatch.setattr(rules, "REVISION", rules.REVISION + 1)
    with Memory(path) as memory:
        assert memory.unread() == 1
        assert [fact.text for fact in memory.profile().standing] == [ORDER]
