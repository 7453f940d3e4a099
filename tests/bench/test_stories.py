"""Generated stories: the same for the same seed, true to their state, and the two halves without a form in common."""

import itertools
import json
import os
import re
import subprocess
import sys

import pytest

from bench.datasets import DatasetError, data_folder, read_json
from bench.stories import forms as read
from bench.stories.prose import sentences_with
from bench.stories.telling import MOST_ASKED, QUESTIONS, tell
from bench.stories.world import HOLDER, INJURY, NAME, PLACE

HALVES = read.read_stories()
NAMES = [forms.name for forms in HALVES]


@pytest.fixture(scope="module", params=HALVES, ids=NAMES)
def forms(request):
    return request.param


@pytest.fixture(scope="module")
def story(forms):
    return tell(forms)


def test_one_story_is_tuned_on_and_one_is_held_out():
    assert [forms.held_out for forms in HALVES] == [False, True]


def test_same_seed_same_story(forms, story):
    assert tell(forms, 0) == story
    assert tell(forms, 1).texts != story.texts


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_tells_the_same_story(story, hash_seed):
    program = (
        "import sys; from bench.stories.forms import read_stories; from bench.stories.telling import tell\n"
        "print(*(repr((s.sessions, s.questions)) for s in map(tell, read_stories()) if s.name == sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(
        [sys.executable, "-c", program, story.name], env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert told.stdout == f"{(story.sessions, story.questions)!r}\n", told.stderr


@pytest.mark.parametrize("seed", range(6))
def test_a_story_has_its_size_with_any_seed(forms, seed):
    story = tell(forms, seed)
    assert len(story.sessions) == 40
    assert 45_000 <= story.tokens <= 60_000
    assert all(60 <= len(text.split()) <= 400 for text in story.texts.values())
    assert len(story.questions) == sum(QUESTIONS.values()) == 500


def test_turns_alternate_and_follow_each_other_in_time(story):
    turns = [turn for session in story.sessions for turn in session]
    assert {turn.role for turn in turns[::2]} == {"user"}
    assert {turn.role for turn in turns[1::2]} == {"assistant"}
    assert all(one.at < other.at for one, other in itertools.pairwise(turns))
    assert len(story.texts) == len(turns)
    for number, session in enumerate(story.sessions, 1):
        assert {turn.session for turn in session} == {f"session_{number}"}


def test_a_question_is_asked_once_at_a_point_and_each_change_seldom(story):
    assert len({(question.slot, question.point) for question in story.questions}) == 500
    evidence = [question.evidence for question in story.questions]
    assert max(map(evidence.count, evidence)) <= MOST_ASKED
    assert {question.aspect for question in story.questions} == read.ASPECTS.keys()
    assert [question.point for question in story.questions] == sorted(question.point for question in story.questions)
    assert sum(bool(question.outdated) for question in story.questions) > 250


def test_the_evidence_is_the_last_change_before_the_point_and_names_the_value(story):
    for question in story.questions:
        history = [
            event for event in story.events if event.change.slot == question.slot and event.session <= question.point
        ]
        assert question.evidence == history[-1].told
        assert question.outdated == tuple(event.told for event in history[:-1])
        assert question.evidence.value.casefold() in story.text_of(question.evidence).casefold()
        assert question.asked_at > story.sessions[question.point - 1][-1].at


def test_what_is_told_follows_from_what_was_told_before(forms, story):
    """Replays the events: who gives something has it, who hides something is there, what heals was hurt."""
    real_name = {name: name for name in forms.people}
    state = {}
    for event in story.events:
        kind, slot, value, fields = event.change
        who = real_name[fields["A"]] if "A" in fields else None
        if kind == "move":
            assert state.get((PLACE, who), fields["from"]) == fields["from"] != value
        elif kind in ("give", "hide"):
            assert state[(HOLDER, fields["thing"])] == who
        elif kind == "take":
            assert state.get((HOLDER, fields["thing"])) not in forms.people
        elif kind == "hurt":
            assert (INJURY, who) not in state
        elif kind == "heal":
            assert state.pop((INJURY, who)) == value
        elif kind == "learn":
            assert slot not in state
        if kind == "give":
            assert real_name[fields["B"]] != who
        if kind == "hide":
            assert state.get((PLACE, who), value) == value
        if slot[0] == NAME:
            real_name[value] = who
        if kind != "heal":
            state[slot] = real_name.get(value, value)


def test_no_other_sentence_tells_the_same(story):
    texts = "\n".join(story.texts.values())
    for event in story.events:
        told = sentences_with(story.text_of(event.told), event.told.value)
        assert told
        assert all(texts.count(sentence) == 1 for sentence in told)


def test_a_user_writes_notes_about_the_story_and_the_assistant_none(story):
    starts = [
        (event.told.key.rpartition(":")[2], story.text_of(event.told).startswith(read.USERS_ONLY))
        for event in story.events
    ]
    assert any(note for _, note in starts)
    assert all(int(turn) % 2 == 1 for turn, note in starts if note)


def test_each_kind_of_change_is_told_in_at_least_twelve_ways(forms, story):
    assert forms.changes.keys() == read.CHANGES.keys() == {event.change.kind for event in story.events}
    for kind, given in forms.changes.items():
        assert len(set(given)) >= 12, kind


def runs(form, length=5):
    """Every run of so many words of a form; a field is a word."""
    words = re.findall(r"\{[^}]*\}|\w+", form.lower())
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_the_two_halves_share_no_form_and_no_run_of_five_words():
    one, other = HALVES
    assert not set(read.all_forms(one)) & set(read.all_forms(other))
    shared = set().union(*map(runs, read.all_forms(one))) & set().union(*map(runs, read.all_forms(other)))
    assert not shared


def entities(forms):
    """The names of everything in a story, and the words of its lists."""
    listed = (forms.things, forms.parts, forms.secrets, forms.titles, forms.sides, forms.locks, forms.words)
    groups = [forms.people, forms.places, *listed, *forms.names.values(), *forms.lists.values()]
    return {entity for group in groups for entity in group}


def test_the_two_halves_share_no_name_place_or_thing():
    one, other = map(entities, HALVES)
    assert not one & other


def test_the_file_that_is_held_out_says_so():
    tuned, reported = (read_json(data_folder() / "stories" / f"{name}.json") for name in ("tuned", "reported"))
    assert "may be tuned on" in tuned["about"]
    assert "never looked at while anything is tuned" in reported["about"]


def test_a_person_is_named_with_pronouns():
    forms = HALVES[0]
    maren = forms.person("Maren", "Nell Tarrant")
    assert f"{maren}: {maren.he} {maren.him} {maren.his} {maren.He} {maren.His}" == "Nell Tarrant: she her her She Her"
    assert "{to.Cap} is near".format(to=read.Phrase("the rope walk")) == "The rope walk is near"


def write(path, change):
    """A copy of the first half with a change."""
    content = json.loads((data_folder() / "stories" / "tuned.json").read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_forms_that_cannot_be_filled_are_named_in_the_error(tmp_path):
    def expect(message, change):
        with pytest.raises(DatasetError, match=rf"s\.json.*{message}"):
            read.read_forms(write(tmp_path / "s.json", change))

    expect("'hurt' has under 12 forms", lambda content: content["changes"]["hurt"].__delitem__(slice(3, None)))
    expect(
        r"'\{A\} slept\.' lacks one of \['A', 'to'\]", lambda content: content["changes"]["move"].append("{A} slept.")
    )
    expect("'Where now\\?' lacks one of", lambda content: content["asks"]["place"].append("Where now?"))
    expect(r"'A \{dragon\}\.' has an unknown field", lambda content: content["filler"]["musings"].append("A {dragon}."))
    expect("there are no tags", lambda content: content["filler"]["tags"].clear())
    expect("not a file of a story", lambda content: content.pop("people"))
    expect("not a file of a story", lambda content: content["filler"]["lines"].append("an open { brace"))
    expect("'x' is the gender of 'Maren'", lambda content: content["people"].__setitem__(0, ["Maren", "x"]))


def test_a_file_that_is_no_story_is_named_in_the_error(tmp_path):
    (tmp_path / "s.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"s\.json is not a file of a story"):
        read.read_stories(tmp_path)
