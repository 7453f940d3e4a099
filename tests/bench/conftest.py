"""Fixtures: conversations in the two formats that the benchmark reads."""

import copy
import gzip
import json

import pytest

LOCOMO = [
    {
        "sample_id": "tiny-1",
        "conversation": {
            "speaker_a": "Ada",
            "speaker_b": "Bo",
            "session_2_date_time": "9:05 am on 3 March, 2024",
            "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "The kiln is fixed."}],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ada", "dia_id": "D1:1", "text": "Look at this!", "blip_caption": "a blue kiln"},
                {"speaker": "Bo", "dia_id": "D1:2", "text": "Is it broken?"},
            ],
        },
        "qa": [
            {"question": "Which colour?", "answer": "blue", "evidence": ["D1:1; D2:1", "D9:9", "D"], "category": 1},
            {"question": "Who?", "answer": "Bo", "evidence": ["D2:1"], "category": 4},
            {"question": "No evidence?", "answer": "", "evidence": [], "category": 3},
            {"question": "Wrong evidence?", "answer": "", "evidence": ["D2:01"], "category": 2},
        ],
    }
]

CHATS = {
    "users": [
        {
            "name": "Ida",
            "sessions": [
                {"at": "2025-01-02T10:00:00+01:00", "turns": ["I bought a kiln.", "Congratulations!"]},
                {"at": "2025-02-02T10:00:00", "turns": ["It broke."]},
            ],
            "questions": [
                {"question": "What did I buy?", "evidence": ["1:1"], "kind": "fact"},
                {"question": "What broke?", "evidence": ["2:1", "1:1", "7:7"], "kind": "link"},
                {"question": "Nothing?", "evidence": ["7:7"], "kind": "fact"},
            ],
        }
    ]
}

TRANSCRIPTS = [
    {
        "chat": "a",
        "messages": [
            {
                "id": "0",
                "session": "s1",
                "speaker": "Ada",
                "role": "user",
                "at": "2025-05-02T09:00:00+00:00",
                "text": "My kayak is called Heron.",
            },
            {
                "id": 1,
                "session": 2,
                "role": "assistant",
                "at": "2025-05-02T09:01:00+00:00",
                "text": "A fine name for a boat.",
            },
        ],
        "questions": [
            {"question": "What is my kayak called?", "evidence": ["0"], "kind": "fact"},
            {"question": "Which lake do I paddle on?", "evidence": [], "kind": "abstention"},
        ],
    },
    {
        "chat": "b",
        "messages": [
            {
                "id": "0",
                "session": "s1",
                "role": "user",
                "at": "2025-06-02T09:00:00+00:00",
                "text": "The rye loaf needs forty minutes in the oven.",
            },
        ],
        "questions": [{"question": "How long does the rye loaf bake?", "evidence": ["0"], "kind": "fact"}],
    },
]

LIFE = {
    "name": "osei",
    "about": "Osei repairs clocks.",
    "language": "en",
    "held_out": False,
    "timezone": "Europe/London",
    "sessions": [
        {
            "at": "2025-01-12T19:04:00+00:00",
            "turns": [
                ["user", "The workshop is in Baker Lane now."],
                ["assistant", "Noted, and good luck there."],
                ["user", "My cousin Efua breeds budgerigars."],
            ],
        },
        {"at": "2025-06-01T09:00:00+01:00", "turns": [["user", "Moved the workshop to Mill Street."]]},
    ],
    "questions": [
        {
            "question": "Where is my workshop?",
            "asked_at": "2025-12-20T10:00:00+00:00",
            "kind": "now",
            "evidence": ["2:1"],
            "outdated": ["1:1"],
            "day": None,
        },
        {
            "question": "What does my cousin Efua breed?",
            "asked_at": "2025-07-20T10:00:00+00:00",
            "kind": "other",
            "evidence": ["1:3"],
            "outdated": [],
            "day": "2025-01-12",
        },
        {
            "question": "Which shoe size do I have?",
            "asked_at": "2025-12-20T10:00:00+00:00",
            "kind": "none",
            "evidence": [],
            "outdated": [],
            "day": None,
        },
    ],
}


def write_lines(path, lines):
    """Write the lines to a gzipped file, and return its path."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


@pytest.fixture
def transcripts_json():
    return copy.deepcopy(TRANSCRIPTS)


@pytest.fixture
def transcripts(tmp_path, transcripts_json):
    return write_lines(tmp_path / "transcripts.jsonl.gz", map(json.dumps, transcripts_json))


@pytest.fixture
def life_json():
    return copy.deepcopy(LIFE)


@pytest.fixture
def locomo_json():
    return copy.deepcopy(LOCOMO)


@pytest.fixture
def chats_json():
    return copy.deepcopy(CHATS)
