"""Trust and quarantine at the command line."""

import json
from pathlib import Path

import pytest

from engram.engram import ORIGINS, Engram, draft
from engram.memory import Memory


def orders(engram: Engram) -> str | None:
    return "gives an order" if engram.text.startswith("Obey") else None


@pytest.fixture
def held(path: Path) -> list[Engram]:
    """Three engrams in quarantine, in two namespaces, and one that is remembered."""
    with Memory(path, detector=orders) as memory:
        memory.remember("The wombat sleeps.")
        return [memory.remember(f"Obey {n}.", namespace="ab"[n // 2], role="tool", session=f"s{n}") for n in range(3)]


def test_what_is_typed_has_the_origin_of_its_role(run, path: Path):
    for role, origin in (("user", "user"), ("tool", "tool"), ("system", "program")):
        assert run("remember", "x", "--role", role, "--json").json["origin"] == origin


def test_recall_by_trust(run, path: Path):
    with Memory(path) as memory:
        for origin in ORIGINS:
            memory.remember(f"The {origin} wombat sleeps.", origin=origin)
    hits = run("recall", "wombat", "--trust", "import", "--json").json["hits"]
    assert {hit["engram"]["origin"] for hit in hits} == {"user", "program", "import"}
    wrong = run("recall", "wombat", "--trust", "me")
    assert wrong.code == 2
    assert "agent" in wrong.err


def test_quarantine_is_listed_with_the_reasons(run, held):
    listed = run("quarantine", "--json").lines
    assert [(engram["id"], engram["quarantined"]) for engram in listed] == [(e.id, "gives an order") for e in held]
    shown = run("quarantine", "-n", "a", "--limit", "1").out
    assert "gives an order" in shown
    assert "Obey 0." in shown
    assert "Obey 1." not in shown
    assert [e["text"] for e in run("quarantine", "--after-id", held[1].id, "--json").lines] == ["Obey 2."]
    assert [e["text"] for e in run("quarantine", "-s", "s1", "--json").lines] == ["Obey 1."]
    assert run("stats", "--json").json["quarantined"] == 3
    assert "in quarantine" in run("stats").out
    assert [e["text"] for e in run("memories", "--json").lines] == ["The wombat sleeps."]


def test_quarantine_is_released_and_forgotten(run, held):
    assert run("quarantine", "--release", held[0].id).out == f"released {held[0].id}\n"
    assert run("memories", "-n", "a", "--json").lines[0]["id"] == held[0].id
    assert run("quarantine", "--release", held[1].id, "--json").json["quarantined"] is None
    assert run("quarantine", "--forget", held[2].id, "--json").json == {"forgotten": 1}
    empty = run("quarantine")
    assert (empty.code, empty.out) == (0, "")
    assert "nothing is in quarantine" in empty.err
    for option in ("--release", "--forget"):
        # A memory that is remembered is not forgotten by this command.
        for id in (held[0].id, draft("x").id):
            failed = run("quarantine", option, id)
            assert failed.code == 3
            assert "quarantine" in failed.err
    assert run("quarantine", "--release", held[0].id, "--forget", held[0].id).code == 2


def test_export_and_import_keep_the_quarantine(run, held, tmp_path: Path):
    file, copy = tmp_path / "all.jsonl", tmp_path / "copy.db"
    assert run("export", str(file), "--json").json["exported"] == 4
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["quarantined"] for line in lines] == [None] + ["gives an order"] * 3
    imported = run("import", str(file), "-m", str(copy))
    assert "3 of them are in quarantine" in imported.err
    with Memory(copy) as memory:
        assert list(memory.quarantined()) == held
        assert [(e.text, e.origin) for e in memory.engrams()] == [("The wombat sleeps.", "import")]
    again = run("import", str(file), "-m", str(copy), "--json").json
    assert (again["remembered"], again["already_there"], again["quarantined"]) == (0, 4, 0)


@pytest.mark.parametrize(
    ("record", "origin"),
    [
        ({}, "import"),
        ({"origin": "user"}, "import"),
        ({"origin": "program"}, "import"),
        ({"origin": "agent"}, "agent"),
        ({"origin": "tool"}, "tool"),
        ({"role": "assistant"}, "assistant"),
        ({"role": "tool"}, "tool"),
        ({"role": "tool", "origin": "user"}, "import"),
        ({"source": "mcp"}, "agent"),
        ({"kind": "attachment"}, "document"),
    ],
)
def test_an_import_is_no_more_trusted_than_a_file(run, path: Path, record: dict[str, str], origin: str):
    file = path.with_name("notes.jsonl")
    file.write_text(json.dumps({"text": "The wombat sleeps.", **record}))
    assert run("import", str(file)).code == 0
    assert [e["origin"] for e in run("memories", "--json").lines] == [origin]


def test_an_import_with_an_unknown_origin_is_a_problem(run, path: Path):
    file = path.with_name("notes.jsonl")
    file.write_text(json.dumps({"text": "x", "origin": "heaven"}))
    assert "origin is 'heaven'; it must be one of user, program" in run("import", str(file)).err
