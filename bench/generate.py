"""Chats generated from a seed: any number of turns whose word frequencies are those of real speech.

Owns the distributions: words (Zipf-Mandelbrot over the package's English stems, plus an unlimited number of invented
names and numbers, so that the vocabulary keeps growing), lengths, sessions with topics, dates, and questions about a
known turn. The first n turns of a longer run equal a run of n. Does not know `Memory`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.text.vectors import default_table

Ints = npt.NDArray[np.int64]
Strings = npt.NDArray[np.object_]


def words_of(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


# The most frequent words of speech, roughly in order; the table's order is that of books and encyclopaedias.
SPOKEN = words_of(
    "i you the a to and it that of in is my was for have so do we on but me like just with not what are be this know"
    " they he at all your if she about can get go one there or think up out really will as now then well yes no had"
    " when how from time would good been want some see did her his who them him us because could after back more"
)
ZIPF_EXPONENT = 1.1
ZIPF_SHIFT = 2.7
DRAWS = 1 << 20
COMMON = 150
"""Words before this rank belong to no topic and are not content words of a question."""

MEAN_LENGTH = 30
LENGTH_SHAPE = 2.2
"""Shape of the gamma distribution of lengths in words: many short turns, a few long ones."""
SHORTEST, LONGEST = 3, 200
SENTENCE = 11
"""Words in a sentence, on average."""

TOPIC_SEEDS, TOPIC_NEAR = 3, 12
"""Words of a session's topic, and for each the number of its neighbours in meaning."""
TOPIC_SHARE = 0.3
"""The share of a session's less common words that belong to its topic."""
INVENTED_SHARE = 0.02
SESSION_INVENTED = 3
"""Invented words that a session repeats; half of its invented words are one of these."""
INVENTED_EXPONENT = 0.15
"""An invented word's number exceeds k with probability k ** -this: few occur often, most once."""
INVENTED = 40_000_000
NUMBERS = 5
"""One in this many invented words is a number."""

CHUNK = 400
"""Sessions per chunk; each chunk has a separate random stream."""
FEWEST_TURNS, MOST_TURNS = 20, 40
ASKS = 0.15
"""The share of turns that end with a question mark."""
FRIENDS = 8
FIRST_DAY = datetime(2023, 1, 2, 7, tzinfo=UTC)
DAYS = 1000
"""Number of days over which sessions are spread."""

NAMES = words_of(
    "Ana Ben Clara David Elif Farid Grace Hugo Ines Jonas Kofi Lena Mateo Nadia Oscar Priya Quentin Rosa Samir Tara"
    " Umar Vera Wanda Xavier Yuki Zoe Amara Bruno Chloe Dmitri Esther Felix"
)
CONSONANTS = words_of("b br c ch d dr f g gr h j k kr l m n p r s sh st t tr v w z")
VOWELS = words_of("a e i o u ai ea ou")

SHORTEST_QUESTION, LONGEST_QUESTION = 6, 12
LEAST_CONTENT, MOST_CONTENT = 2, 4
OTHER_WORD = 0.15
"""The probability that a question replaces a word by one that is near in meaning."""

OPENERS = (
    "what did {name} say about the",
    "when did {name} talk about the",
    "do you remember what i said about",
    "where was the",
    "which",
    "who told me about",
    "how did it go with the",
    "why was {name} so worried about",
    "what is my",
    "when was the",
    "have we ever talked about",
    "what happened after the",
)
FILLERS = words_of("and the with my in that of for when about on to our a after from before at")


class Turn(NamedTuple):
    """One generated turn; its fields are those of `Memory.remember`."""

    text: str
    namespace: str
    session: str
    speaker: str
    role: str
    at: datetime


class GeneratedQuestion(NamedTuple):
    """A question about one turn of a namespace; the expected hit is the turn whose text is `target`."""

    text: str
    namespace: str
    target: str


@dataclass(frozen=True)
class Vocabulary:
    """Words by rank, the most frequent first."""

    words: Strings
    rank: dict[str, int]
    draw: Ints
    """Ranks, each with the frequency of its word: shape (DRAWS,)."""
    near: Ints
    """For each word, ranks of words that are near in meaning and not common: shape (words, TOPIC_NEAR)."""


@cache
def vocabulary() -> Vocabulary:
    """The words of speech, then the table's stems by frequency."""
    table = default_table()
    index_of = {stem: index for index, stem in enumerate(table.stems)}
    order = np.argsort(-table.probability, kind="stable")
    words = list(dict.fromkeys([*SPOKEN, *(table.stems[i] for i in order if len(table.stems[i]) > 1)]))
    rank = {word: number for number, word in enumerate(words)}
    near = np.empty((len(words), TOPIC_NEAR), dtype=np.int64)
    for number, word in enumerate(words):
        neighbours = table.near[index_of[word]] if word in index_of else ()
        ranks = [r for r in (rank.get(table.stems[n], 0) for n in neighbours) if r >= COMMON][:TOPIC_NEAR]
        near[number] = ranks + [number] * (TOPIC_NEAR - len(ranks))
    share = (np.arange(len(words)) + 1 + ZIPF_SHIFT) ** -ZIPF_EXPONENT
    # A list of ranks is faster than a search in the sums for each word; even the rarest word is in it a few times.
    draw = np.searchsorted(np.cumsum(share) / share.sum(), (np.arange(DRAWS) + 0.5) / DRAWS)
    return Vocabulary(np.array(words, dtype=object), rank, np.minimum(draw, len(words) - 1), near)


def turns(count: int, seed: int = 0, namespaces: int = 1) -> Iterator[Turn]:
    """The first `count` turns; the n-th session belongs to the namespace n modulo `namespaces`."""
    remaining, chunk = count, 0
    while remaining > 0:
        generated = chunk_of_turns(seed, chunk, namespaces)
        yield from generated[:remaining]
        remaining -= len(generated)
        chunk += 1


def chunk_of_turns(seed: int, chunk: int, namespaces: int) -> list[Turn]:
    """The turns of `CHUNK` sessions, in their order."""
    rng = np.random.default_rng([seed, chunk])
    turns_in = rng.integers(FEWEST_TURNS, MOST_TURNS + 1, CHUNK)
    mean = (MEAN_LENGTH - SHORTEST) / LENGTH_SHAPE
    # Half a word is lost on average where a length is cut to whole words.
    drawn_lengths = SHORTEST + 0.5 + rng.gamma(LENGTH_SHAPE, mean, int(turns_in.sum()))
    lengths = np.minimum(drawn_lengths, LONGEST).astype(np.int64)
    session_of = np.repeat(np.repeat(np.arange(CHUNK), turns_in), lengths)
    words = vocabulary().words[draw_ranks(rng, session_of)]
    replace_with_invented(rng, words, session_of)
    texts = join_sentences(rng, words, np.cumsum(lengths))
    heads = headers(rng, chunk, turns_in, namespaces)
    return [Turn(text, *head) for text, head in zip(texts, heads, strict=True)]


def draw_ranks(rng: np.random.Generator, session_of: Ints) -> Ints:
    """A rank for each word, some of them of its session's topic: shape as `session_of`, the session of each word."""
    known, size = vocabulary(), len(session_of)
    ranks = known.draw[rng.integers(0, DRAWS, size)]
    # Topics have words of every rarity, so their ranks are uniform on a logarithmic scale.
    seeds = np.exp(rng.uniform(np.log(COMMON), np.log(len(known.words) - 1), (CHUNK, TOPIC_SEEDS))).astype(np.int64)
    topics = np.concatenate([seeds[:, :, None], known.near[seeds]], axis=2).reshape(CHUNK, -1)
    index = (topics.shape[1] * rng.random(size) ** 2).astype(np.int64)
    of_topic = (ranks >= COMMON) & (rng.random(size) < TOPIC_SHARE)
    return np.asarray(np.where(of_topic, topics[session_of, index], ranks))


def replace_with_invented(rng: np.random.Generator, words: Strings, session_of: Ints) -> None:
    """Replace some of the words by invented ones; half of these are the repeated ones of their session."""
    replaced = np.flatnonzero(rng.random(len(words)) < INVENTED_SHARE)
    session_numbers = invented_numbers(rng, (CHUNK, SESSION_INVENTED))
    numbers = invented_numbers(rng, (len(replaced),))
    repeated = rng.random(len(replaced)) < 0.5
    chosen = session_numbers[session_of[replaced], rng.integers(0, SESSION_INVENTED, len(replaced))]
    distinct, inverse = np.unique(np.where(repeated, chosen, numbers), return_inverse=True)
    words[replaced] = np.array([invented(int(number)) for number in distinct], dtype=object)[inverse]


def invented_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Ints:
    """Random numbers of invented words: an array of the given shape."""
    return np.minimum((1 - rng.random(shape)) ** (-1 / INVENTED_EXPONENT), INVENTED).astype(np.int64)


def invented(number: int) -> str:
    """The invented word with this number: a name, or digits."""
    if number % NUMBERS == 0:
        return str(number // NUMBERS % 10_000)
    syllables, rest = [], number + len(CONSONANTS) * len(VOWELS)
    while rest:
        rest, vowel = divmod(rest, len(VOWELS))
        rest, consonant = divmod(rest, len(CONSONANTS))
        syllables.append(CONSONANTS[consonant] + VOWELS[vowel])
    return "".join(syllables).capitalize()


def join_sentences(rng: np.random.Generator, words: Strings, ends: Ints) -> list[str]:
    """The texts of turns as sentences; turn i ends before the word with index `ends[i]`."""
    starts = np.concatenate([[0], ends[:-1]])
    last = rng.random(len(words)) < 1 / SENTENCE
    last[ends - 1] = False
    first = np.zeros(len(words), dtype=bool)
    first[1:] = last[:-1]
    first[starts] = True
    words[first] = [word[0].upper() + word[1:] for word in words[first]]
    words[last] = words[last] + "."
    words[ends - 1] = words[ends - 1] + np.where(rng.random(len(ends)) < ASKS, "?", ".").astype(object)
    parts = words.tolist()
    return [" ".join(parts[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def headers(
    rng: np.random.Generator, chunk: int, turns_in: Ints, namespaces: int
) -> Iterator[tuple[str, str, str, str, datetime]]:
    """Namespace, session, speaker, role and time of each turn."""
    days = np.sort(rng.integers(0, DAYS, CHUNK)).tolist()
    minutes, friends = rng.integers(0, 840, CHUNK).tolist(), rng.integers(1, FRIENDS + 1, CHUNK).tolist()
    gaps = rng.integers(5, 120, (CHUNK, MOST_TURNS)).tolist()
    for index, count in enumerate(turns_in.tolist()):
        number = chunk * CHUNK + index
        owner = number % namespaces
        speakers = (NAMES[owner % len(NAMES)], NAMES[(owner + friends[index]) % len(NAMES)])
        at = FIRST_DAY + timedelta(days=days[index], minutes=minutes[index])
        for turn in range(count):
            at += timedelta(seconds=gaps[index][turn])
            role = "assistant" if turn % 2 else "user"
            yield f"user-{owner}", f"session-{number}", speakers[turn % 2], role, at


def questions(turns: Sequence[Turn], count: int, seed: int = 0) -> list[GeneratedQuestion]:
    """Questions of 6 to 12 words, made of words of one turn and of common words; at most one question per turn."""
    rng = np.random.default_rng([seed, 1 << 32])
    generated: list[GeneratedQuestion] = []
    for number in rng.permutation(len(turns)):
        if len(generated) == count:
            break
        turn = turns[int(number)]
        words = content(turn.text)
        if len(words) >= LEAST_CONTENT:
            generated.append(GeneratedQuestion(question(rng, turn.speaker, words), turn.namespace, turn.text))
    return generated


def content(text: str) -> list[str]:
    """The distinct words of a text that are not common, in lower case."""
    rank = vocabulary().rank
    distinct = dict.fromkeys(word.strip(".?").lower() for word in text.split())
    return [word for word in distinct if rank.get(word, COMMON) >= COMMON]


def question(rng: np.random.Generator, speaker: str, words: Sequence[str]) -> str:
    """A question with two to four of `words`, some of them replaced by a word that is near in meaning."""
    known = vocabulary()
    chosen = [words[i] for i in rng.permutation(len(words))[: rng.integers(LEAST_CONTENT, MOST_CONTENT + 1)]]
    for index in range(1, len(chosen)):
        rank = known.rank.get(chosen[index])
        if rank is not None and rng.random() < OTHER_WORD:
            chosen[index] = known.words[known.near[rank, 0]]
    parts = OPENERS[rng.integers(len(OPENERS))].format(name=speaker).split()
    for word in chosen:
        parts += [word, FILLERS[rng.integers(len(FILLERS))]]
    while len(parts) <= SHORTEST_QUESTION:
        parts += ["the", FILLERS[rng.integers(len(FILLERS))]]
    # The last word is a content word.
    parts = parts[:-1][:LONGEST_QUESTION]
    return " ".join(parts)[:1].upper() + " ".join(parts)[1:] + "?"
