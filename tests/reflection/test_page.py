"""The code of docs/facts.md runs, and gives what its comments say."""

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
