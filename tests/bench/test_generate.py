"""The generator: the same seed gives the same chats, and word frequencies follow those of speech."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from bench import generate

COUNT = 4_000


@pytest.fixture(scope="module")
def generated():
    return list(generate.turns(COUNT, seed=7))


@pytest.fixture(scope="module")
def counts(generated):
    return Counter(word.strip(".?").lower() for turn in generated for word in turn.text.split())


def test_same_seed_same_text(generated):
    assert list(generate.turns(COUNT, seed=7)) == generated
    assert list(islice(generate.turns(100, seed=8), 100)) != generated[:100]


def test_shorter_run_is_the_beginning_of_a_longer_one(generated):
    assert list(generate.turns(500, seed=7)) == generated[:500]


def test_turns_generates_the_requested_count():
    assert [len(list(generate.turns(n))) for n in (0, 1, 13_000)] == [0, 1, 13_000]


def test_lengths_of_turns_follow_their_distribution(generated):
    lengths = [len(turn.text.split()) for turn in generated]
    assert np.mean(lengths) == pytest.approx(generate.MEAN_LENGTH, rel=0.05)
    assert np.std(lengths) > 10
    assert min(lengths) >= generate.SHORTEST
    assert max(lengths) <= generate.LONGEST


def test_words_follow_zipf(counts):
    frequencies = np.array([count for _, count in counts.most_common(3_000)], dtype=float)
    ranks = np.arange(1, len(frequencies) + 1)
    slope = np.polyfit(np.log(ranks[10:]), np.log(frequencies[10:]), 1)[0]
    assert -1.3 < slope < -0.7
    total = counts.total()
    assert 0.03 < frequencies[0] / total < 0.08
    assert 0.4 < frequencies[:100].sum() / total < 0.65


def test_vocabulary_keeps_growing(generated):
    def size(turns):
        return len({word.strip(".?").lower() for turn in turns for word in turn.text.split()})

    # Heaps' law: V grows like n to a power between 0.4 and 0.9.
    exponent = np.log(size(generated) / size(generated[: COUNT // 10])) / np.log(10)
    assert 0.35 < exponent < 0.9
    known = set(generate.vocabulary().rank)
    new = {word.strip(".?").lower() for turn in generated[COUNT // 2 :] for word in turn.text.split()} - known
    assert len(new) > 100


def test_sessions_have_two_speakers_and_ascending_times(generated):
    turns_in = list(Counter(turn.session for turn in generated).values())[:-1]
    assert min(turns_in) >= generate.FEWEST_TURNS
    assert max(turns_in) <= generate.MOST_TURNS
    first = [turn for turn in generated if turn.session == "session-0"]
    assert len({turn.speaker for turn in first}) == 2
    assert {turn.role for turn in first} == {"user", "assistant"}
    assert [turn.at for turn in first] == sorted(turn.at for turn in first)
    assert {turn.namespace for turn in generated} == {"user-0"}


def test_words_of_a_session_belong_to_its_topic(generated):
    """Two turns of a session share more rare words than two turns of different sessions."""
    words = [set(generate.content(turn.text)) for turn in generated]
    successive = [
        len(words[i] & words[i + 1]) for i in range(2_000) if generated[i].session == generated[i + 1].session
    ]
    distant = [len(words[i] & words[i + 1_000]) for i in range(2_000)]
    assert np.mean(successive) > 3 * np.mean(distant)


def test_sessions_alternate_between_namespaces():
    spread = list(generate.turns(3_000, namespaces=7))
    assert {turn.namespace for turn in spread} == {f"user-{n}" for n in range(7)}
    assert all(len({turn.namespace for turn in spread if turn.session == f"session-{n}"}) == 1 for n in range(5))


def test_invented_words_are_distinct_and_not_real():
    invented = [generate.invented(number) for number in range(1, 5_000) if number % generate.NUMBERS]
    assert len(set(invented)) == len(invented)
    assert all(word.isalpha() and word[0].isupper() for word in invented)
    assert generate.invented(generate.NUMBERS * 1984) == "1984"


def test_questions_contain_words_of_their_target_and_common_words(generated):
    questions = generate.questions(generated, 200, seed=7)
    assert questions == generate.questions(generated, 200, seed=7)
    assert len(questions) == 200
    texts = {turn.text: turn for turn in generated}
    common = set(generate.vocabulary().words[: generate.COMMON])
    for question in questions:
        words = question.text.rstrip("?").split()
        assert generate.SHORTEST_QUESTION <= len(words) <= generate.LONGEST_QUESTION
        assert question.text.endswith("?")
        assert texts[question.target].namespace == question.namespace
        assert set(generate.content(question.text)) & set(generate.content(question.target))
        assert {word.lower() for word in words} & common


def test_turn_without_content_words_gives_no_question(generated):
    plain = [generated[0]._replace(text="I and you.")]
    assert generate.questions(plain, 5) == []
