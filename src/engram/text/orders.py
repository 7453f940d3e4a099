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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise

from engram.text.disguise import BLIND, backwards, decoded, hides, leaks, limits, rot13, turns, with_letters
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
DECODED: Traits = frozenset({"decoded"})
STUFFED: Traits = frozenset({"stuffed"})
LINK: Traits = frozenset({"link"})
_END: Traits = frozenset({"end"})
"""Stands for the end of a sentence in place of a sign's classes."""
_RUN_OF_WORDS: Traits = frozenset({"run"})
"""Stands for words of a script without spaces in place of their classes."""

MOST_KNOWN = 1 << 16
"""Tokens whose classes are kept."""

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

ALL_TRAITS: Traits = frozenset(POINTS)

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
_RELATING = _TOWARDS | frozenset("->=")
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
    judged = text if len(text) <= 2 * JUDGED else f"{text[:JUDGED]}\n{text[-JUDGED:]}"
    points, traits, count = _strongest(judged, ORDER, OF_MODELS)
    if points < ORDER + ORDER_GROWTH * math.log2(count) or traits.isdisjoint(OF_MODELS):
        return None
    return "it reads as an instruction to a model: " + ", ".join(sorted(traits & POINTS.keys())).replace("_", " ")


def may_steer(text: str) -> bool:
    """Return whether `text` may steer a model that reads it: far more texts than `reads_as_order` finds."""
    points, _, count = _strongest(text, STEER, ALL_TRAITS)
    return points >= STEER + STEER_GROWTH * math.log2(count)


def _strongest(text: str, least: float, of: Traits) -> tuple[int, Traits, int]:
    """Return the points and traits of the strongest two sentences, and the number of all.

    Sentences that cannot reach `least` points, or a trait in `of`, count with no points and no traits.
    """
    best, count = (0, NOTHING), 0
    for traits in _evidence(text, least, of):
        count += 1
        points = _points(traits)
        if points > best[0]:
            best = points, traits
    return *best, max(1, count)


@lru_cache(maxsize=1 << 12)
def _points(traits: Traits) -> int:
    return sum(POINTS.get(trait, 0) for trait in traits)


def _evidence(text: str, least: float, of: Traits) -> Iterator[Traits]:
    """Yield for every two sentences of `text`, and of what it spells in codes, their traits and those of the whole.

    `least`, `of`: as in `_strongest`.
    """
    text = text if text.isascii() else stream_safe(text)
    plainly = text.isascii() and text.isprintable() and "&" not in text
    shown = text if plainly else HIDDEN.sub("", plain(text))
    whole = frozenset(_shape(text, shown))
    tokens = _TOKEN.findall(_lower(shown))
    all_words = [token for token in tokens if token[0].isalpha()]
    in_a_row = set(map(" ".join, pairwise(all_words)))
    if _may_reach(tokens, in_a_row, _AS_IT_IS, whole | STUFFED, least, of):
        if _is_stuffed(shown):
            whole |= STUFFED
        for traits in _pairs(shown, whole, least, of):
            yield traits | whole
    for spelled in decoded(text):
        for traits in _pairs(spelled, whole | STUFFED | DECODED, least, of):
            yield traits | whole | DECODED
    enough = max(BLIND_POINTS, least - _points(DECODED))
    for reading in _BLIND_READINGS:
        if _may_reach(tokens, in_a_row, reading, NOTHING, enough, ALL_TRAITS):
            yield from _blind_pairs(reading.read(shown[:BLIND]), enough)
    spelled = with_letters(shown[:BLIND])
    if spelled != shown[:BLIND]:
        yield from _blind_pairs(spelled, enough, frozenset(tokens))


def _blind_pairs(spelled: str, least: float, plain_words: Traits = NOTHING) -> Iterator[Traits]:
    """Yield the traits of what a text spells, if it is read in another way, where they reach `least` points.

    plain_words: the words of the text as it is. Sentences without a further word that has a class are not spelled.
    """
    for traits in _pairs(spelled, NOTHING, least, ALL_TRAITS, plain_words):
        if _points(traits) >= BLIND_POINTS:
            yield traits | DECODED


def _may_reach(
    tokens: list[str], in_a_row: set[str], reading: _Reading, whole: Traits, least: float, of: Traits
) -> bool:
    """Whether the words of a text, however they stood together, reach `least` points and a trait in `of`.

    in_a_row: every two words in a row. Most texts do not reach it, and asking this first takes a fifth of the time of
    looking at their sentences.
    """
    words = NOTHING.union(*map(reading.known.__getitem__, tokens))
    if not _RUN_OF_WORDS.isdisjoint(words):
        return True
    pairs = reading.pairs()
    most = _most(words.union(*(pairs[two] for two in pairs.keys() & in_a_row)), True) | whole
    return _points(most) >= least and not most.isdisjoint(of)


def _shape(text: str, shown: str) -> Iterator[str]:
    speakers = turns(shown)
    if speakers:
        yield "turns" if speakers > 1 else "one_turn"
    found = {
        "limit": limits(shown),
        "markup": MARKUP.search(shown),
        "leak": leaks(shown),
        "hides": hides(text),
    }
    yield from (name for name, value in found.items() if value)


def _is_stuffed(text: str) -> bool:
    """Whether the beginning of `text` repeats its words, as a text does that is made to be found."""
    found = re.findall(r"[^\W\d_]{3,}|[^\W\d_](?<![a-zA-Z])", text[:160])[:16]
    repeated = sum(n - 1 for n in Counter(word[:5].casefold() for word in found).values())
    return len(found) >= 6 and repeated > 0.24 * len(found)


def _pairs(text: str, whole: Traits, least: float, of: Traits, without: Traits = NOTHING) -> Iterator[Traits]:
    """Yield the traits of every two sentences of `text`; none for those that cannot reach `least` points and `of`.

    whole: traits of the whole text, which count for every sentence. without: if there are any, two sentences need a
    word with a class that is none of these.
    """
    before: _Sentence | None = None
    for sentence in _sentences(_lower(text)):
        words = sentence.words if before is None else sentence.words | before.words
        most = _most(words, sentence.signs or (before is not None and before.signs)) | whole
        # The words are looked at last, because few sentences reach that.
        if (
            _points(most) < least
            or most.isdisjoint(of)
            or (without and not any(one.tells_besides(without) for one in (sentence, before) if one is not None))
        ):
            yield NOTHING
        else:
            yield _traits(sentence) | (NOTHING if before is None else _traits(before))
        before = sentence


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else folded(text)


@lru_cache(maxsize=1 << 14)
def _most(words: Traits, signs: bool) -> Traits:
    """Return all traits that sentences with these classes of words can have; signs: whether one is in `_RELATING`."""
    if not words:
        return NOTHING
    found = set(words)
    found.update(name for name, (first, second, _) in TOGETHER.items() if first in words and second in words)
    if "say" in words or "say_abroad" in words:
        found.update(("says", "saying"))
    if "speak" in words:
        found.add("speaks")
    if "act" in words or "act_abroad" in words:
        found.add("acts")
    if "ever" in words:
        found.add("ever_do")
    if "link" in words:
        found.add("link_order")
    if signs:
        found.update(("called", "arrow"))
    return frozenset(found)


@dataclass(slots=True)
class _Sentence:
    """The words and signs of a sentence, and the classes of each."""

    tokens: list[str]
    classes: list[Traits]
    words: Traits
    """The classes of all words together."""

    @property
    def signs(self) -> bool:
        """Whether a sign is in it that can call a reader, or let one thing stand for another."""
        return not _RELATING.isdisjoint(self.tokens)

    def tells_besides(self, known: Traits) -> bool:
        """Return whether it has a word with a class that is none of `known`."""
        return any(classes and token not in known for token, classes in zip(self.tokens, self.classes, strict=True))

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
    found = set(sentence.words)
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
    tokens: list[str] = []
    classes: list[Traits] = []
    for token, found in _tokens(text):
        if found is _END or len(tokens) >= LONGEST_SENTENCE:
            if tokens:
                yield _Sentence(tokens, classes, NOTHING.union(*classes))
            tokens, classes = [], []
        if found is not _END:
            tokens.append(token)
            classes.append(found)
    if tokens:
        yield _Sentence(tokens, classes, NOTHING.union(*classes))


def _tokens(text: str) -> Iterator[tuple[str, Traits]]:
    """Yield the words and signs of a folded text with their classes; `_END` for what ends a sentence."""
    pairs, known, previous = _AS_IT_IS.pairs(), _AS_IT_IS.known, ""
    for token in _TOKEN.findall(text):
        found = known[token]
        if found is _END:
            previous = ""
        elif found is _RUN_OF_WORDS:
            yield from ((match[0], _UNSPACED_CLASSES[match[0]]) for match in _UNSPACED_WORD.finditer(token))
            continue
        elif token[0].isalpha() and ":" not in token:
            found |= pairs.get(f"{previous} {token}", NOTHING)
            previous = token
        yield token, found


class _Known(dict[str, Traits]):
    """The classes of tokens, computed when they are first asked for. Two threads may compute the same."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read

    def __missing__(self, token: str) -> Traits:
        if len(self) >= MOST_KNOWN:
            self.clear()
        if not token[0].isalpha():
            found = _END if token in _ENDS else NOTHING
        elif ":" in token:
            found = LINK
        else:
            found = _RUN_OF_WORDS if re.match(_RUN, token) else _classes(self._read(token))
        self[token] = found
        return found


class _Reading:
    """A way to read a text: the classes of its tokens, and of two words in a row, as they stand in the text."""

    def __init__(self, read: Callable[[str], str]) -> None:
        """`read`: takes a text to what is read, and back."""
        self.read = read
        self.known = _Known(read)
        self._pairs: dict[str, Traits] | None = None

    def pairs(self) -> dict[str, Traits]:
        """Return the classes of pairs of words as these are spelled in the text."""
        if self._pairs is None:
            self._pairs = {self.read(words): classes for words, classes in _lexicon()[0].items() if " " in words}
        return self._pairs


_AS_IT_IS = _Reading(str)
_BLIND_READINGS = (_Reading(backwards), _Reading(rot13))


def _classes(word: str) -> Traits:
    known, stems, stem_starts = _lexicon()
    found = known.get(word, NOTHING)
    if word[:2] in stem_starts:
        for length in range(2, min(len(word), LONGEST_STEM) + 1):
            found |= stems.get(word[:length], NOTHING)
    return found or (_classes(_CLITIC.sub("", word)) if _CLITIC.match(word) else NOTHING)


@cache
def _lexicon() -> tuple[dict[str, Traits], dict[str, Traits], Traits]:
    """Return the classes of words and of pairs of words, those of beginnings of words, and how the latter begin."""
    whole: dict[str, set[str]] = {}
    stems: dict[str, set[str]] = {}
    for name, text in WORDS.items():
        for word in folded(text).split():
            if word.endswith("*"):
                stems.setdefault(word[:-1], set()).add(name)
            else:
                whole.setdefault(word.replace("_", " "), set()).add(name)
    starts = frozenset(stem[:2] for stem in stems)
    return {k: frozenset(v) for k, v in whole.items()}, {k: frozenset(v) for k, v in stems.items()}, starts
