"""Tells text that gives orders to a model: precisely for the quarantine, broadly for what goes into prompts.

Owns the rules; the words are in `engram.text.order_words`. Pure functions in time proportional to the length of the
text. A sentence gets points for classes of words (who is addressed, what a model does, how long it holds, what is kept
secret) and for how they stand together, so the result does not depend on one wording. No rule finds every order: what a
text may do is decided by its origin, and these functions only add to that.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache

from engram.text.disguise import LIMIT, blind, decoded, hides, leaks, turns
from engram.text.markup import HIDDEN, MARKUP, plain
from engram.text.order_words import UNSPACED, WORDS
from engram.text.tokenizer import HAN, HANGUL, KANA, folded, stream_safe

STEER, STEER_GROWTH = 4.0, 0.5
"""Points from which a text of one sentence may steer a model, and how many more for twice as many sentences: a long
text has more chances to look like an order."""

ORDER, ORDER_GROWTH = 10.0, 1.0
"""The same for a text that reads as an order."""

OF_MODELS = frozenset(
    "model helper called user asked_then when_asked every_question sets_aside sets_orders_aside hidden"
    " turns limit markup leak hides decoded".split()
)
"""Traits of which an order needs one: what is said to a model, about its user, or not to a reader."""

BLIND_POINTS = 6
"""Points that a text needs that is read backwards or in ROT13 without a sign of it."""

LONGEST_SENTENCE = 60
"""Words of a sentence that are looked at together; a longer sentence is several."""

JUDGED = 32_768
"""Characters at each end of a text that the quarantine looks at."""

LONGEST_STEM = 13
"""Longest beginning of a word in `WORDS`, in characters."""

Traits = frozenset[str]

NOTHING: Traits = frozenset()

POINTS: dict[str, int] = {
    # Who is addressed, and whom a model serves.
    "model": 5, "helper": 1, "called": 3, "helper_must": 6, "model_must": 3, "helper_does": 2, "user": 2, "people": 1,
    # What is to be done.
    "saying": 2, "says": 1, "speaks": 2, "acts": 2, "cancel": 1, "sets_aside": 2, "sets_orders_aside": 6,
    "stands_for": 2, "arrow": 1, "likewise": 3,
    # When, and how long.
    "when_asked": 1, "asked_then": 1, "every_question": 1, "condition": 1, "scope": 2, "ever": 1, "ever_do": 1,
    "only": 2, "in_output": 3, "output_must": 3, "itself": 4,
    # Secrecy, authority, links.
    "secret": 2, "hidden": 6, "authority": 2, "link_order": 2, "leak": 6,
    # The shape of the whole text.
    "turns": 6, "one_turn": 2, "limit": 7, "markup": 7, "stuffed": 2, "hides": 6, "decoded": 6,
}  # fmt: skip
"""Points of a trait: rounded results of a search on orders and on harmless lines (`tests/robustness/poisonings`)."""

TOGETHER = {
    "when_asked": ("condition", "asked", 8),
    "asked_then": ("asked", "condition", 3),
    "secret": ("not", "disclose", 3),
    "sets_aside": ("cancel", "earlier", 4),
    "sets_orders_aside": ("cancel", "standing", 5),
    "in_output": ("every", "output", 3),
    "every_question": ("every", "asked", 4),
    "helper_must": ("helper", "duty", 8),
    "model_must": ("model", "duty", 8),
    "helper_does": ("helper", "does", 2),
    "output_must": ("output", "duty", 5),
}
"""For each trait, two classes of words and the most tokens between the first and the second."""

_RUN = f"[{HAN}{KANA}{HANGUL}]"
_LETTER = rf"(?!{_RUN})[^\W\d_]"
_TOKEN = re.compile(
    rf"(?:https?|ftp|javascript):[^\s<>\"')\]]++|{_RUN}++|{_LETTER}++(?:['-]?{_LETTER}++)*+"
    '|[.!?;。！？；\n]|[:,\\->=|("“«「『#@/、，：\\]]'
)
_CLITIC = re.compile(r"^(?:dell|nell|all|un|qu|[ldnsjcmt])'(?=\w)")
_ENDS = frozenset(".!?;。！？；\n")
_STARTS = _ENDS | frozenset(':,->=|("“«「#/]')
_LEADING = frozenset(
    "please then and also always never must should shall only not first now simply just so do don't or but instead"
    " that".split()
)
_BEFORE_TO = frozenset("is are has have ought need needs instructed expected supposed required asked".split())
_MODAL = frozenset("must should shall always never will".split())
_TOWARDS = frozenset(":,：，")
_VERBS = ("say", "act", "say_abroad", "act_abroad")


def _unspaced_classes() -> dict[str, Traits]:
    """Return the classes of each word of `UNSPACED`, the longest words first."""
    classes: dict[str, set[str]] = {}
    for name, text in UNSPACED.items():
        for word in folded(text).split():
            classes.setdefault(word, set()).add(name)
    return {word: frozenset(classes[word]) for word in sorted(classes, key=len, reverse=True)}


_UNSPACED_CLASSES = _unspaced_classes()
_UNSPACED_WORD = re.compile("|".join(map(re.escape, _UNSPACED_CLASSES)))


def reads_as_order(text: str) -> str | None:
    """Return why `text` reads as an order to a model, in English and for a person to check; None if it does not.

    Of a text over twice `JUDGED`, only that much at the beginning and at the end is read: a write of 1 MiB does not
    wait a second for its judgement.
    """
    points, traits, count = _strongest(text if len(text) <= 2 * JUDGED else f"{text[:JUDGED]}\n{text[-JUDGED:]}")
    if points < ORDER + ORDER_GROWTH * math.log2(count) or traits.isdisjoint(OF_MODELS):
        return None
    return "it reads as an instruction to a model: " + ", ".join(sorted(traits & POINTS.keys())).replace("_", " ")


def may_steer(text: str) -> bool:
    """Return whether `text` may steer a model that reads it: far more texts than `reads_as_order` finds."""
    points, _, count = _strongest(text)
    return points >= STEER + STEER_GROWTH * math.log2(count)


def _strongest(text: str) -> tuple[int, Traits, int]:
    """Return the points and traits of the strongest two sentences, and the number of all."""
    best, count = (0, NOTHING), 0
    for traits in _evidence(text):
        count += 1
        points = _points(traits)
        if points > best[0]:
            best = points, traits
    return *best, max(1, count)


def _points(traits: Traits) -> int:
    return sum(POINTS.get(trait, 0) for trait in traits)


def _evidence(text: str) -> Iterator[Traits]:
    """Yield for every two sentences of `text`, and of what it spells in codes, their traits and those of the whole."""
    text = stream_safe(text)
    shown = HIDDEN.sub("", plain(text))
    whole = frozenset(_shape(text, shown))
    for traits in _pairs(shown):
        yield traits | whole
    for spelled in decoded(text):
        for traits in _pairs(spelled):
            yield traits | whole | {"decoded"}
    for spelled in blind(shown):
        yield from (traits | {"decoded"} for traits in _pairs(spelled) if _points(traits) >= BLIND_POINTS)


def _shape(text: str, shown: str) -> Iterator[str]:
    speakers = turns(shown)
    if speakers:
        yield "turns" if speakers > 1 else "one_turn"
    found = {
        "limit": LIMIT.search(shown),
        "markup": MARKUP.search(shown),
        "leak": leaks(shown),
        "hides": hides(text),
        "stuffed": _is_stuffed(shown),
    }
    yield from (name for name, value in found.items() if value)


def _is_stuffed(text: str) -> bool:
    """Whether the beginning of `text` repeats its words, as a text does that is made to be found."""
    found = re.findall(r"[^\W\d_]{3,}|[^\W\d_](?<![a-zA-Z])", text[:160])[:16]
    repeated = sum(n - 1 for n in Counter(word[:5].casefold() for word in found).values())
    return len(found) >= 6 and repeated > 0.24 * len(found)


def _pairs(text: str) -> Iterator[Traits]:
    before = NOTHING
    for sentence in _sentences(folded(text)):
        traits = _traits(sentence)
        yield traits | before
        before = traits


@dataclass(slots=True)
class _Sentence:
    """The words and signs of a sentence, and the classes of each."""

    tokens: list[str] = field(default_factory=list)
    classes: list[Traits] = field(default_factory=list)

    def add(self, token: str, classes: Traits) -> None:
        self.tokens.append(token)
        self.classes.append(classes)

    def where(self, *names: str) -> list[int]:
        return [i for i, classes in enumerate(self.classes) if not classes.isdisjoint(names)]

    def near(self, first: str, second: str, distance: int) -> bool:
        """Whether a word of `second` stands at most `distance` tokens behind one of `first`."""
        starts, behind = self.where(first), self.where(second)
        at = 0
        for i in starts:
            while at < len(behind) and behind[at] <= i:
                at += 1
            if at < len(behind) and behind[at] - i <= distance:
                return True
        return False

    def orders(self, name: str) -> bool:
        """Whether an English verb of the class `name` stands where an order has its verb."""
        return any(self._is_order(i) for i in self.where(name))

    def _is_order(self, i: int) -> bool:
        before, earlier = (self.tokens[i - 1] if i else "\n"), (self.tokens[i - 2] if i > 1 else "")
        if before in _STARTS or before in _LEADING or earlier in _MODAL:
            return True
        return (before == "to" and earlier in _BEFORE_TO) or bool(i and self.classes[i - 1] & {"model", "helper"})


def _traits(sentence: _Sentence) -> Traits:
    """Return the classes of the words of a sentence, and how they stand together."""
    found = set(NOTHING.union(*sentence.classes))
    if not found:
        return NOTHING
    found.update(name for name, (first, second, most) in TOGETHER.items() if sentence.near(first, second, most))
    if sentence.orders("say") or "say_abroad" in found:
        found.add("says")
    if sentence.orders("speak"):
        found.add("speaks")
    if sentence.orders("act") or "act_abroad" in found:
        found.add("acts")
    if found & {"say", "say_abroad"}:
        found.add("saying")
    if "ever" in found and found & {"says", "acts"} and _close(sentence, "ever", _VERBS):
        found.add("ever_do")
    if "link" in found and found & {"says", "acts", "user", "duty"}:
        found.add("link_order")
    if any(
        sentence.tokens[i + 1 : i + 2] and sentence.tokens[i + 1] in _TOWARDS for i in sentence.where("model", "helper")
    ):
        found.add("called")
    if any(a in "->=:" and b in ">=" for a, b in zip(sentence.tokens, sentence.tokens[1:], strict=False)):
        found.add("arrow")
    return frozenset(found)


def _close(sentence: _Sentence, name: str, others: tuple[str, ...]) -> bool:
    return any(sentence.near(name, other, 2) or sentence.near(other, name, 2) for other in others)


def _sentences(text: str) -> Iterator[_Sentence]:
    """Yield the sentences of a folded text that have words, each of at most `LONGEST_SENTENCE` tokens."""
    sentence = _Sentence()
    for token, classes in _tokens(text):
        if token in _ENDS or len(sentence.tokens) >= LONGEST_SENTENCE:
            if sentence.tokens:
                yield sentence
            sentence = _Sentence()
        if token not in _ENDS:
            sentence.add(token, classes)
    if sentence.tokens:
        yield sentence


def _tokens(text: str) -> Iterator[tuple[str, Traits]]:
    """Yield the words and signs of a folded text with their classes."""
    pairs, previous = _lexicon()[0], ""
    for token in _TOKEN.findall(text):
        if not token[0].isalpha():
            previous = "" if token in _ENDS else previous
            yield token, NOTHING
        elif ":" in token:
            yield token, frozenset({"link"})
        elif re.match(_RUN, token):
            yield from ((match[0], _UNSPACED_CLASSES[match[0]]) for match in _UNSPACED_WORD.finditer(token))
        else:
            yield token, _classes(token) | pairs.get(f"{previous} {token}", NOTHING)
            previous = token


@lru_cache(maxsize=1 << 15)
def _classes(word: str) -> Traits:
    known, stems = _lexicon()
    found = known.get(word, NOTHING)
    for length in range(2, min(len(word), LONGEST_STEM) + 1):
        found |= stems.get(word[:length], NOTHING)
    return found or (_classes(_CLITIC.sub("", word)) if _CLITIC.match(word) else NOTHING)


@cache
def _lexicon() -> tuple[dict[str, Traits], dict[str, Traits]]:
    """Return the classes of words and of pairs of words, and those of beginnings of words."""
    whole: dict[str, set[str]] = {}
    stems: dict[str, set[str]] = {}
    for name, text in WORDS.items():
        for word in folded(text).split():
            if word.endswith("*"):
                stems.setdefault(word[:-1], set()).add(name)
            else:
                whole.setdefault(word.replace("_", " "), set()).add(name)
    return {k: frozenset(v) for k, v in whole.items()}, {k: frozenset(v) for k, v in stems.items()}
