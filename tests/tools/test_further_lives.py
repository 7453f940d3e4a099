"""The lives that weights are fitted on besides those of the benchmark."""

from bench.lives import read_lives
from tools.fit import FURTHER_LIVES


def test_their_evidence_is_theirs_and_none_is_held_out() -> None:
    lives = read_lives(FURTHER_LIVES)
    assert len(lives) == 6
    for life in lives:
        keys = {turn.key for turn in life.turns}
        assert not life.held_out
        assert all({*question.evidence, *question.outdated} <= keys for question in life.questions)
        assert sum(question.kind == "now" for question in life.questions) == 16
