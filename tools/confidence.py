"""Fit how sure a hit is: `python -m tools.confidence --locomo FILE --memdaily FILE`.

Asks questions of the memory that answers them and of another one, and prints with which area under the curve the best
score and cosine tell the two apart, for some factors of the cosine beside the score; for each factor the log odds of an
answer by a logistic regression in which all kinds count the same, and how many questions are then under the floor.
Reads the lives and facts that are not held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.datasets import Conversation, Question, read_locomo, read_transcripts
from bench.lives import NONE, read_facts, read_lives
from bench.metrics import area_under_curve
from engram.recall.score import FLOOR, told_by
from tools.fit import Memories, tuned_on

FACTORS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""What a cosine counts beside a score."""
LOCOMO_SHARE = 6
"""Of LoCoMo, one question in so many is asked."""
ROUNDS = 50
"""Steps of Newton's method."""

Evidence = npt.NDArray[np.float64]
"""The best score of each question, and the greatest cosine: shape (questions, 2)."""


def evidence(memories: Memories, asked: Iterable[tuple[Conversation, Question]]) -> Evidence:
    """Return the evidence for questions, each asked of a conversation; a question that finds no turn has none."""
    rows = []
    for conversation, question in asked:
        ranking = memories.ranking(conversation.name, question)
        if ranking is not None:
            scores = ranking.scores
            told = told_by(scores)
            rows.append((float(told.max()), float(ranking.features.meaning.max())))
    return np.array(rows)


def of_others(conversations: Sequence[Conversation], step: int = 1) -> list[tuple[Conversation, Question]]:
    """Return each `step`-th question that has evidence, with the conversation after its own."""
    followers = (*conversations[1:], conversations[0])
    pairs = zip(conversations, followers, strict=True)
    return [(after, question) for own, after in pairs for question in own.questions[::step] if question.evidence]


def own(conversations: Sequence[Conversation], step: int = 1) -> list[tuple[Conversation, Question]]:
    """Return each `step`-th question that has evidence, with its own conversation."""
    return [(each, question) for each in conversations for question in each.questions[::step] if question.evidence]


def kinds(options: argparse.Namespace) -> dict[str, tuple[Evidence, Evidence]]:
    """Return the evidence for questions that are answered, and for others, by kind."""
    lives = [life for life in read_lives() if not life.held_out]
    sheets = read_facts()
    facts = [tuned_on(sheet) for sheet in sheets]
    locomo, memdaily = read_locomo(options.locomo), read_transcripts(options.memdaily)
    both, chinese = Memories([*lives, *facts]), next(s.memory for s in sheets if s.language == "zh")
    of_lives, unlike = evidence(both, own(lives)), Memories([*memdaily, chinese])
    unanswered = [(life, question) for life in lives for question in life.questions if question.kind == NONE]
    strange = [(lives[n % len(lives)], question) for n, sheet in enumerate(facts) for _, question in own([sheet])]
    not_facts, conversations = evidence(both, strange), Memories(locomo)
    return {
        "lives, not answered": (of_lives, evidence(both, unanswered)),
        "lives, another's": (of_lives, evidence(both, of_others(lives))),
        "facts, a life": (evidence(both, own(facts)), not_facts),
        "facts in another language, a life": (evidence(both, of_others(facts)), not_facts),
        "MemDaily, an unlike one": (
            evidence(unlike, own(memdaily)),
            evidence(unlike, [(chinese, question) for _, question in own(memdaily)]),
        ),
        "LoCoMo, another's": (
            evidence(conversations, own(locomo, LOCOMO_SHARE)),
            evidence(conversations, of_others(locomo, LOCOMO_SHARE)),
        ),
    }


def odds(found: dict[str, tuple[Evidence, Evidence]], factor: float) -> tuple[float, float]:
    """Return the log odds for the evidence together, and those for none of it. Answers weigh as much as others."""
    values, answers, weights = list[float](), list[float](), list[float]()
    for pair in found.values():
        for answer, rows in zip((1.0, 0.0), pair, strict=True):
            values += (rows @ (1.0, factor)).tolist()
            answers += [answer] * len(rows)
            weights += [1 / len(rows)] * len(rows)
    inputs, result = np.stack([values, np.ones(len(values))], 1), np.zeros(2)
    for _ in range(ROUNDS):
        sure = 1 / (1 + np.exp(-inputs @ result))
        slope = inputs.T @ (np.array(weights) * (np.array(answers) - sure))
        result += np.linalg.solve((inputs * (np.array(weights) * sure * (1 - sure))[:, None]).T @ inputs, slope)
    return float(result[0]), float(result[1])


def main() -> None:
    """Ask, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("locomo", "memdaily"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    found = kinds(parser.parse_args())
    for factor in FACTORS:
        each, none = odds(found, factor)
        print(
            f"cosine times {factor}: log odds {each:.2f} for the score, {each * factor:.2f} for the cosine, {none:.2f}"
        )
        for name, pair in found.items():
            right, wrong = (rows @ (1.0, factor) for rows in pair)
            floor = (np.log(FLOOR / (1 - FLOOR)) - none) / each
            under = [float((values < floor).mean()) for values in (right, wrong)]
            area = area_under_curve(right.tolist(), wrong.tolist())
            print(f"    {name}: area {area:.3f}, under the floor {under[0]:.3f} and {under[1]:.3f}")


if __name__ == "__main__":
    main()
