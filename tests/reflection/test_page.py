"""The code of docs/facts.md and docs/arcs.md runs, and gives what its comments say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engram import Memory

PAGE = Path(__file__).parents[2] / "docs" / "facts.md"


def test_the_examples_of_the_page_give_what_their_comments_say() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    with Memory(":memory:") as memory:
        names: dict[str, Any] = {"memory": memory, "datetime": datetime, "UTC": UTC}
        for block in blocks:
            exec(block, names)
            quoted = re.findall(r'^(\S+\.text)  # "(.*?)"', block, re.MULTILINE)
            assert quoted
            for expression, text in quoted:
                assert eval(expression, names) == text
        assert names["working"].parts[0].name == "standing"
        assert "including tax" in names["profile"].text
        assert "including tax" in names["working"].text


def test_the_example_of_the_page_on_arcs_gives_what_its_comments_say() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.with_name("arcs.md").read_text(encoding="utf-8"), re.DOTALL)
    with Memory(":memory:") as memory:
        names: dict[str, Any] = {"memory": memory, "datetime": datetime, "UTC": UTC}
        exec(block, names)
        arc, view = names["arc"], names["view"]
        assert (arc.id, arc.title, arc.turns, arc.sessions) == ("valdemora", "Valdemora", 3, 3)
        assert len(view.quotes) == 3
        assert view.things[0].latest[0].text == "In Valdemora the bakery is shut."
        assert [end.kind for end in view.open_ends] == ["question"]
