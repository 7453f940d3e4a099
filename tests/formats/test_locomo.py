import json
from datetime import UTC, datetime

import pytest

from engram.formats.locomo import session_date

SAMPLE = {
    "sample_id": "talk-1",
    "qa": [{"question": "?", "answer": "!", "evidence": ["D1:1"]}],
    "session_summary": {"session_1": "They talk."},
    "conversation": {
        "speaker_a": "Ana",
        "speaker_b": "Bo",
        "session_10_date_time": "12:05 am on 3 June, 2024",
        "session_10": [{"speaker": "Bo", "dia_id": "D10:1", "text": "Late."}],
        "session_2_date_time": "1:30 pm on 31 May, 2024",
        "session_2": [
            {"speaker": "Ana", "dia_id": "D2:1", "text": "Look!", "blip_caption": "a red kite", "img_url": ["u"]},
            {"speaker": "Bo", "dia_id": "D2:2", "text": "Look!"},
            {"speaker": "Bo", "dia_id": "D2:3", "text": "", "blip_caption": "a tree"},
        ],
        "session_11_date_time": "9:00 am on 4 June, 2024",
    },
}


def test_turns_get_session_date_and_caption(read, write):
    items = read(write([SAMPLE]))
    assert items.problems == []
    assert [(e.session, e.speaker, e.text, e.metadata) for e in items.engrams] == [
        ("session_2", "Ana", "Look! [shared a red kite]", {"dia_id": "D2:1"}),
        ("session_2", "Bo", "Look!", {"dia_id": "D2:2"}),
        ("session_2", "Bo", "[shared a tree]", {"dia_id": "D2:3"}),
        ("session_10", "Bo", "Late.", {"dia_id": "D10:1"}),
    ]
    assert {e.namespace for e in items.engrams} == {"talk-1"}
    assert items.engrams[0].at == datetime(2024, 5, 31, 13, 30, tzinfo=UTC)
    assert items.engrams[3].at == datetime(2024, 6, 3, 0, 5, tzinfo=UTC)
    ids = [e.id for e in items.engrams]
    assert ids == sorted(ids)


def test_importing_again_adds_only_new_turns(import_file, write):
    assert import_file(write([SAMPLE])).remembered == 4
    longer = json.loads(json.dumps(SAMPLE))
    longer["conversation"]["session_10"].append({"speaker": "Ana", "dia_id": "D10:2", "text": "Late."})
    again = import_file(write([longer]))
    assert (again.remembered, again.already_there, again.problems) == (1, 4, [])


def test_a_single_sample_over_several_lines_is_read(read, write):
    assert len(read(write(json.dumps(SAMPLE, indent=2))).turns) == 4


def test_problems_are_named_and_the_rest_is_read(read, write):
    bad = {
        "sample_id": "talk-2",
        "conversation": {
            "session_1_date_time": "some day",
            "session_1": [{"speaker": "Ana", "text": "Hi."}, "Hi.", {"text": 5}, {"speaker": 3, "text": "x"}],
            "session_2": "nothing",
        },
    }
    items = read(write([bad, {"conversation": {"session_1": []}}]))
    assert items.texts == ["Hi."]
    places = [problem.split("conversations.json ")[1] for problem in items.problems]
    assert places == [
        "[0].conversation.session_1_date_time: is 'some day'; a date such as '1:56 pm on 8 May, 2023' was expected, so"
        " its turns are dated today",
        "[0].conversation.session_1[1]: is str; a turn must be an object",
        "[0].conversation.session_1[2]: text is int; it must be text",
        "[0].conversation.session_1[3]: speaker is int; it must be str",
        "[0].conversation.session_2: is str; it must be a list of turns",
        "[1]: sample_id is None; it must be text, which becomes the namespace",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12:00 pm on 29 February, 2024", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("12:59 am on 1 Sep 2023", datetime(2023, 9, 1, 0, 59, tzinfo=UTC)),
        ("1:00 pm on 31 April, 2023", None),
        ("13:00 pm", None),
        ("1:00 pm on 1 Foo, 2023", None),
        (None, None),
    ],
)
def test_session_date_reads_published_dates(text, expected):
    assert session_date(text) == expected
