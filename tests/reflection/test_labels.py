"""Labels of sentences and questions, on texts that no fit has read."""

from __future__ import annotations

import numpy as np
import pytest

from engram.opening import open_encoder
from engram.reflection.labels import EFFECTS, KINDS, LASTING, asked_of, labels_of, networks
from engram.reflection.slots import SLOT_OF, SLOTS


def test_the_networks_belong_to_the_encoder_of_the_package() -> None:
    encoder, says, asks = networks()
    assert encoder == open_encoder().fingerprint
    assert says.outer.shape[1] == len(KINDS) + len(SLOTS) + len(EFFECTS) + 2
    assert asks.outer.shape[1] == len(SLOTS) + 4


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("My brother is a plumber in Cork.", "fact"),
        ("我弟弟在青岛当厨师。", "fact"),
        ("Gestern habe ich meine Fahrprüfung bestanden.", "event"),
        ("Next spring we are going to sail to Gotland.", "plan"),
        ("I hate raisins in anything.", "preference"),
        ("Always give me temperatures in Celsius from now on.", "order"),
        ("Make that a bit shorter.", "request"),
        ("What is the capital of Mongolia?", "question"),
        ("Merci beaucoup, c'est parfait !", "reaction"),
        ("Ugh, I'm so sleepy right now.", "mood"),
        ("Water boils at a lower temperature in the mountains.", "general"),
    ],
)
def test_kinds_are_told_in_several_languages(text: str, kind: str) -> None:
    labels = labels_of(open_encoder().encode([text]))
    assert KINDS[int(labels.kinds[0].argmax())] == kind
    assert bool(labels.kinds[0, :LASTING].sum() > 0.5) is (KINDS.index(kind) < LASTING)


@pytest.mark.parametrize(
    ("text", "slot", "own"),
    [
        ("My phone number is 0171 220 4415.", "phone", True),
        ("We live in a flat above the bakery in Bergen.", "home", True),
        ("Ich spiele seit zwei Jahren Klarinette.", "instrument", True),
        ("我弟弟在青岛当厨师。", "job", False),
        ("She's the treasurer of the chess club.", "role", False),
    ],
)
def test_statements_tell_their_slot_and_whose_it_is(text: str, slot: str, own: bool) -> None:
    labels = labels_of(open_encoder().encode([text]))
    assert SLOTS[int(labels.slots[0].argmax())] == slot
    assert bool(labels.own[0] > 0.5) is own


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("My phone number is 0171 220 4415.", "tells"),
        ("We live in a flat above the bakery in Bergen.", "tells"),
        ("I've given up the trumpet.", "ends"),
        ("Our dog Biscuit died last week.", "ends"),
        ("The traffic was dreadful on the way to the office today.", "mentions"),
    ],
)
def test_a_value_that_is_told_or_over_is_told_from_a_mention(text: str, effect: str) -> None:
    labels = labels_of(open_encoder().encode([text]))
    assert EFFECTS[int(labels.effects[0].argmax())] == effect


@pytest.mark.parametrize(
    ("text", "slot", "then"),
    [
        ("Where do I live?", "home", False),
        ("Where did I live before?", "home", True),
        ("What was my number until last year?", "phone", True),
        ("Quel instrument jouais-je avant ?", "instrument", True),
        ("我的电话号码是多少?", "phone", False),
        ("What's my sister's job?", "job", False),
        ("What is the capital of Mongolia?", "none", False),
    ],
)
def test_questions_tell_their_slot_and_whether_they_ask_for_the_past(text: str, slot: str, then: bool) -> None:
    asked = asked_of(open_encoder().encode([text]))
    assert int(asked.slots[0].argmax()) == SLOT_OF[slot]
    assert bool(asked.then[0] > 0.5) is then


def test_probabilities_of_each_head_sum_to_one() -> None:
    labels = labels_of(open_encoder().encode(["I moved to Oslo.", "thanks!", ""]))
    for part in (labels.kinds, labels.slots, labels.effects):
        assert np.allclose(part.sum(axis=1), 1, atol=1e-5)
