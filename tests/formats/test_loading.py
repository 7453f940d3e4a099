"""Writing of imported turns into a memory."""

from engram.engram import draft
from engram.formats import loading
from engram.formats.items import LONGEST_WHY, ImportedTurn, Problem, Skipped, SourceLocation
from engram.formats.loading import load

LOCATION = SourceLocation("x", 1)


def test_every_item_has_an_outcome(memory):
    items = [
        ImportedTurn(LOCATION, draft("one")),
        Problem(LOCATION, "bad"),
        Skipped(LOCATION, "hidden"),
        Skipped(LOCATION, "hidden"),
    ]
    outcome = load(items, memory)
    assert (outcome.read, outcome.remembered, outcome.already_there) == (1, 1, 0)
    assert outcome.left_out == {"hidden": 2}
    assert list(map(str, outcome.problems)) == ["x:1: bad"]


def test_a_dry_run_writes_nothing():
    outcome = load([ImportedTurn(LOCATION, draft("one"))], None)
    assert (outcome.read, outcome.remembered) == (1, 0)


def test_batches_are_limited_by_number_and_by_size(memory, monkeypatch):
    sizes: list[int] = []

    class RecordingMemory:
        get, policy = memory.get, memory.policy

        def add(self, engrams):
            sizes.append(len(engrams))
            return memory.add(engrams)

    monkeypatch.setattr(loading, "BATCH", 3)
    monkeypatch.setattr(loading, "BATCH_CHARACTERS", 10)
    texts = ["a", "b", "c", "d", "e" * 20, "f", "g"]
    outcome = load((ImportedTurn(LOCATION, draft(text)) for text in texts), RecordingMemory())
    assert sizes == [3, 2, 2]
    assert outcome.remembered == 7
    assert [e.text for e in memory.engrams()] == texts


def test_a_conflict_affects_its_turn_only(memory):
    old = [draft(f"number {n}") for n in range(4)]
    memory.add(old)
    other = draft("something else", id=old[2].id, at=old[2].at, recorded_at=old[2].recorded_at)
    outcome = load([ImportedTurn(LOCATION, e) for e in (draft("new"), old[1], other, draft("newer"))], memory)
    assert (outcome.remembered, outcome.already_there) == (2, 1)
    assert "other content (text)" in str(outcome.problems[0])


def test_the_first_problems_are_kept_and_the_others_counted(monkeypatch):
    monkeypatch.setattr(loading, "MOST_PROBLEMS", 3)
    outcome = load((Problem(SourceLocation("x", line), "bad") for line in range(5)), None)
    outcome.add(load((Problem(SourceLocation("y", line), "bad") for line in range(5)), None))
    assert (list(map(str, outcome.problems)), outcome.more_problems) == (["x:0: bad", "x:1: bad", "x:2: bad"], 7)


def test_reasons_that_a_file_makes_up_are_counted_together(monkeypatch):
    monkeypatch.setattr(loading, "MOST_REASONS", 2)
    outcome = load((Skipped(LOCATION, f"reason {number % 4}") for number in range(12)), None)
    assert outcome.left_out == {"reason 0": 3, "reason 1": 3, loading.OTHER_REASONS: 6}


def test_a_problem_quotes_a_part_of_a_long_value():
    problem = Problem(LOCATION, f"role is {'x' * 1_000_000!r}")
    assert len(problem.why) <= LONGEST_WHY + 1
