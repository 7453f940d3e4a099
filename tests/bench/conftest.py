"""Fixtures: conversations in the two formats that the benchmark reads."""

import copy

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


@pytest.fixture
def locomo_json():
    return copy.deepcopy(LOCOMO)


@pytest.fixture
def chats_json():
    return copy.deepcopy(CHATS)
