"""The protocol of turns that last: which turns count as noted, and from where the threshold comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import lasting
from bench.datasets import DatasetError
from bench.figures import silent

NOTES = {
    "session_1_observation": {"Ada": [["Ada has a kiln.", "D1:1"]], "Bo": []},
    "session_2_observation": {"Bo": [["Bo repaired it.", ["D2:1", "D9:9"]]]},
}


def test_a_turn_is_noted_if_an_observation_names_it(tmp_path: Path, locomo_json: Any) -> None:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([{**locomo_json[0], "observation": NOTES}]))
    (conversation,) = lasting.read_noted(path)
    noted = {turn.key for turn, named in zip(conversation.turns, conversation.noted, strict=True) if named}
    assert noted == {"D1:1", "D2:1"}
    assert len(conversation.turns) == 3


def test_a_file_without_observations_is_refused_by_name(tmp_path: Path, locomo_json: Any) -> None:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps(locomo_json))
    with pytest.raises(DatasetError, match=r"locomo\.json is not LoCoMo's JSON with observations: KeyError"):
        lasting.read_noted(path)


def test_the_best_threshold_chooses_equal_scores_together() -> None:
    scores, wanted = np.array([3.0, 2.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False, False])
    assert lasting.best_threshold(scores, wanted) == 3.0
    assert lasting.best_threshold(scores, np.array([True, True, True, False, False])) == 2.0


def test_a_threshold_comes_from_the_other_conversations() -> None:
    wanted = [np.array([True, False]), np.array([True, False])]
    chosen = lasting.chosen([np.array([0.9, 0.6]), np.array([0.5, 0.1])], wanted)
    # From 0.5 on both turns of the first one are chosen; from 0.9 on none of the second one.
    assert chosen.tolist() == [True, True, False, False]


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert lasting.f1(np.array([True, True, False]), np.array([True, False, False])) == pytest.approx(2 / 3)
    assert lasting.f1(np.zeros(3, bool), np.zeros(3, bool)) == 0.0


@pytest.mark.parametrize(
    ("sentence", "is_one"),
    [
        ("I have kept bees for nine years.", True),
        ("The ferry to Bergen leaves at nine.", False),
        ("I like that.", False),
        ("Did I ever tell you about the bees?", False),
    ],
)
def test_the_rule_beside_it_is_a_statement_in_the_first_person(sentence: str, is_one: bool) -> None:
    assert lasting.is_statement(sentence) is is_one


def test_the_part_has_both_figures_and_its_references(tmp_path: Path, locomo_json: Any) -> None:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([{**locomo_json[0], "observation": NOTES}] * 2))
    part = lasting.measure(lasting.read_noted(path), silent)
    assert [figure.key for figure in part.figures] == ["locomo-lasting", "locomo-lasting-own"]
    assert [reference.name for reference in part.figures[0].references] == [lasting.RULE, lasting.ALL]
    assert all(0 <= figure.value <= 1 for figure in part.figures)
