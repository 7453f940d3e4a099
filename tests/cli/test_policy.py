"""`engram policy`, and what other commands say of expired memories."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engram.memory import Memory
from engram.store.policy import Policy

OLD, NEW = "The boat is called Kittiwake.", "The goat is called Petunia."


@pytest.fixture
def aged(path: Path) -> None:
    """A turn of a hundred days ago, one of now, and one of long ago in quarantine."""
    with Memory(path) as memory:
        old = datetime.now(UTC) - timedelta(days=100)
        memory.remember(OLD, namespace="ana", session="old", at=old)
        memory.remember(NEW, namespace="ana", session="new")
        memory.quarantine(memory.remember("Held.", namespace="ana", at=old).id, "a doubt")


def test_a_policy_is_set_shown_and_cleared(run, aged):
    assert run("policy", "show").out == "every other namespace: keep\n"
    ran = run("policy", "set", "--namespace", "ana", "--expire-after", "90 days")
    assert (ran.code, ran.out) == (0, "ana: expire after 90 days\n")
    assert ran.err == "2 expired; engram compact erases what has expired for good\n"
    assert run("policy", "set", "--all", "--expire-after", "P1DT12H").out.endswith("expire after 1 day 12 hours\n")
    assert run("policy", "set", "-n", "b\nc\x1b[2J", "--keep").out == "b\\nc\\x1b[2J: keep\n"
    assert run("policy", "show").out.splitlines() == [
        "every other namespace: expire after 1 day 12 hours",
        "ana: expire after 90 days",
        "b\\nc\\x1b[2J: keep",
    ]
    assert run("policy", "show", "-n", "bo").out == "bo: expire after 1 day 12 hours (the default)\n"
    assert run("policy", "show", "-n", "ana").out == "ana: expire after 90 days\n"
    assert run("policy", "clear", "--all").out == "every other namespace: keep\n"
    ran = run("policy", "clear", "-n", "ana")
    assert (ran.out, ran.err) == ("every other namespace: keep\n", "2 brought back\n")
    for place in (("-n", "ana"), ("--all",)):
        missing = run("policy", "clear", *place)
        assert missing.code == 3
        assert "engram policy show lists them" in missing.err


def test_policies_as_json(run, aged):
    assert run("policy", "show", "--json").lines == [{"namespace": None, "expire_after_seconds": None}]
    assert run("policy", "set", "-n", "ana", "--expire-after", "12 h", "--json").json == {
        "namespace": "ana",
        "expire_after_seconds": 43_200,
        "expired": 2,
        "back": 0,
    }
    run("policy", "set", "--all", "--expire-after", "1.5 s")
    assert run("policy", "show", "--json").lines == [
        {"namespace": None, "expire_after_seconds": 1.5},
        {"namespace": "ana", "expire_after_seconds": 43_200},
    ]
    assert run("policy", "show", "-n", "bo", "--json").lines == [{"namespace": None, "expire_after_seconds": 1.5}]
    run("policy", "clear", "--all")
    cleared = run("policy", "clear", "-n", "ana", "--json").json
    assert cleared == {"namespace": None, "expire_after_seconds": None, "expired": 0, "back": 2}


def test_many_policies_are_all_shown(run, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engram.cli.policy.PAGE", 2)
    with Memory(path) as memory:
        for number in range(5):
            memory.set_policy(f"n{number}", expire_after=None)
    assert [line["namespace"] for line in run("policy", "show", "--json").lines] == [None, "n0", "n1", "n2", "n3", "n4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set",), "--namespace NAME, or --all"),
        (("set", "--all", "-n", "ana", "--keep"), "--namespace NAME, or --all"),
        (("clear",), "--namespace NAME, or --all"),
        (("clear", "--all", "-n", "ana"), "--namespace NAME, or --all"),
        (("set", "-n", "ana"), "--expire-after AGE or --keep"),
        (("set", "-n", "ana", "--keep", "--expire-after", "1 d"), "--expire-after AGE or --keep"),
        (("set", "-n", "ana", "--expire-after", "-1 d"), "such as 90 days, 12 h or P90D"),
        (("set", "-n", "ana", "--expire-after", "nan"), "such as 90 days, 12 h or P90D"),
        (("set", "-n", "ana", "--expire-after", ""), "such as 90 days, 12 h or P90D"),
        (("set", "-n", "ana", "--expire-after", "3 months"), "such as 90 days, 12 h or P90D"),
        (("set", "-n", "ana", "--expire-after", "0 s"), "more than 0 and at most 36,500 days"),
        (("set", "-n", "ana", "--expire-after", "0.0000001 s"), "such as 90 days, 12 h or P90D"),
        (("set", "-n", "ana", "--expire-after", "36501 days"), "more than 0 and at most 36,500 days"),
        (("set", "-n", "ana", "--expire-after", "999999999999 w"), "too long"),
        (("set", "-n", "", "--keep"), "namespace is empty"),
        (("set", "-n", "x" * 513, "--keep"), "513 bytes of UTF-8"),
        (("set", "-n", "\udcff", "--keep"), "lone surrogate"),
        (("show", "-n", "\udcff"), "lone surrogate"),
        (("clear", "-n", "\udcff"), "lone surrogate"),
    ],
)
def test_wrong_options_are_refused(run, aged, path: Path, arguments: tuple[str, ...], message: str):
    ran = run("policy", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
    with Memory(path) as memory:
        assert memory.policies() == []
        assert memory.policy(None) == Policy(None, None)


def test_policies_need_a_memory(run, path: Path):
    for command in (("show",), ("set", "--all", "--keep"), ("clear", "--all")):
        ran = run("policy", *command)
        assert ran.code == 3
        assert "there is no memory at" in ran.err
    assert not path.exists()


def test_expired_memories_are_in_no_output(run, aged):
    run("policy", "set", "--all", "--expire-after", "90 days")
    for command in (
        ("recall", "boat goat", "-n", "ana", "--floor", "0"),
        ("memories",),
        ("memories", "--sessions", "-n", "ana"),
        ("export", "-"),
        ("quarantine",),
        ("facts", "-n", "ana"),
    ):
        out = run(*command).out
        assert "Kittiwake" not in out, command
        assert "Held." not in out, command
        assert "old" not in out, command
    stats = run("stats", "--json").json
    assert (stats["engrams"], stats["sessions"], stats["quarantined"]) == (1, 1, 0)


def test_compact_erases_expired_memories(run, aged, path: Path):
    run("policy", "set", "-n", "ana", "--expire-after", "90 days")
    ran = run("compact", "--json").json
    assert ran["expired"] == 2
    assert run("compact").out.startswith("forgot") is False
    run("policy", "clear", "-n", "ana")
    assert [line["text"] for line in run("export", "-").lines] == [NEW]
    assert not any(b"Kittiwake" in file.read_bytes() for file in path.parent.rglob("*") if file.is_file())


def test_remember_says_that_a_memory_has_expired_already(run, aged):
    run("policy", "set", "-n", "ana", "--expire-after", "90 days")
    ran = run("remember", "Of long ago.", "-n", "ana", "--at", "2019-01-01")
    assert ran.code == 0
    assert "it has expired already" in ran.err
    assert run("remember", "Of now.", "-n", "ana").err == ""


def test_import_leaves_expired_turns_out_and_says_so(run, path: Path, tmp_path: Path):
    source = tmp_path / "turns.jsonl"
    turns = [{"text": OLD, "at": "2019-01-01", "namespace": "ana"}, {"text": NEW, "namespace": "ana"}]
    source.write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    # Stored before there is a policy, and then expired.
    assert run("import", str(source), "--json").json["remembered"] == 2
    run("policy", "set", "-n", "ana", "--expire-after", "90 days")
    why = "older than the policy of the namespace allows (engram policy show)"
    for _ in range(2):
        ran = run("import", str(source), "--json")
        assert ran.code == 0
        outcome = ran.json
        assert (outcome["read"], outcome["remembered"], outcome["already_there"]) == (2, 0, 1)
        assert (outcome["left_out"], outcome["problems"]) == ({why: 1}, [])
    assert f"1 left out: {why}\n" in run("import", str(source)).out
    run("compact")
    run("import", str(source))
    run("policy", "clear", "-n", "ana")
    assert [line["text"] for line in run("memories", "--json").lines] == [NEW]
    assert run("import", str(source), "--json").json["remembered"] == 1


def test_the_doctor_saves_policies(run, aged, tmp_path: Path):
    run("policy", "set", "-n", "ana", "--expire-after", "90 days")
    saved = run("doctor", "--save", str(tmp_path / "new.db"), "--json").json
    assert (saved["policies"], saved["policies_lost"]) == (1, False)
    assert run("memories", "-m", str(tmp_path / "new.db"), "--json").lines[0]["text"] == NEW
