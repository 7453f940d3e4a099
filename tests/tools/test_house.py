"""tools/house.py, on a small source tree and on this repository."""

from pathlib import Path

import pytest

from tools import house

FILES = {
    "src/engram/__init__.py": "from engram.memory import Memory\n",
    "src/engram/memory.py": (
        '"""The start."""\nimport json\nfrom engram import opening\nfrom engram.recall import rank\n\n\n'
        "def late():\n    from .recall.score import score\n\n    return score\n"
    ),
    "src/engram/opening.py": "import engram.store.sqlite\nimport engram.ids\n",
    "src/engram/ids.py": "NEXT = 1\n",
    "src/engram/never.py": "import engram.memory\n",
    "src/engram/recall/__init__.py": '"""Only a docstring."""\n',
    "src/engram/recall/rank.py": "from engram.recall.score import score\nfrom engram.search.base import Reader\n",
    "src/engram/recall/score.py": "from . import weights\n\n\ndef score():\n    return weights\n",
    "src/engram/recall/weights.py": "A = 1\n",
    "src/engram/recall/features.py": "",
    "src/engram/recall/query.py": "Q = 1\n",
    "src/engram/search/__init__.py": "X = 1\n",
    "src/engram/search/base.py": "class Reader:\n    pass\n",
    "src/engram/store/__init__.py": "",
    "src/engram/store/sqlite.py": "S = 1\n",
    "src/engram/serve/app.py": "A = 1\n",
    "src/engram/serve/wire/base.py": "A = 1\nB = 2\n",
    "src/engram/serve/wire/forms/chat.py": "A = 1\n",
    "src/engram/serve/wire/notes.txt": "not counted\n",
    "tests/recall/test_recall.py": "T = 1\nU = 2\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_reach_follows_imports_inside_functions_and_stops_at_opening(tree: Path) -> None:
    reached = house.reach(tree / "src")
    assert list(reached) == [
        "engram.memory",
        "engram.opening",
        "engram.recall.rank",
        "engram.recall.score",
        "engram.recall.weights",
        "engram.search",
        "engram.search.base",
    ]
    assert house.lines(reached["engram.memory"]) == 10


def test_reach_without_exceptions_follows_opening(tree: Path) -> None:
    reached = house.reach(tree / "src", not_followed=frozenset())
    assert {"engram.ids", "engram.store.sqlite"} < reached.keys()
    assert "engram.never" not in reached


def test_rooms_are_the_folders_and_the_files_outside_of_folders(tree: Path) -> None:
    assert house.rooms(tree / "src/engram/serve") == {"serve/wire/": 3, "serve/*.py": 1}


def test_report_compares_each_figure_with_its_limit(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "REACH_LINES", 20)
    first = [line.split() for line in house.report(tree).splitlines()[:5]]
    assert [line[-3:] for line in first] == [
        ["measured", "value", "limit"],
        ["7", "25", "ok"],
        ["23", "20", "over"],
        ["9", "800", "ok"],
        ["3", "1,800", "ok"],
    ]


def test_report_of_this_repository_names_the_files_of_ranking() -> None:
    text = house.report(house.ROOT)
    assert all(f"  {name} " in text for name in house.RANKING)
    assert "  engram.recall.score " in text
