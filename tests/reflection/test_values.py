"""Values: which numbers a sentence states, of which type, and when two sentences differ in one."""

from __future__ import annotations

import pytest

from engram.reflection.values import differ, values_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("We have 150 commits on main.", "main has 165 commits by now"),
        ("coverage is at 65%", "we reached 78 percent"),
        ("I pay $900 for it", "the rent is 950 dollars now"),
        ("it starts at 9:30", "it starts at 10 am"),
        ("due April 1, 2024", "now due on 5 April"),
        ("我弟弟今年36岁", "他37岁了"),
        ("fällig am 3. Juni", "fällig am 12. Juni"),
        ("1,200 calls a day", "800 calls a day"),
    ],
)
def test_other_values_of_one_type_differ(one: str, other: str) -> None:
    assert differ(values_of(one), values_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("We have 150 commits on main.", "and 12 branches"),
        ("150 commits, 3 tags", "150 commits, 9 branches"),
        ("coverage is at 65%", "it costs $65"),
        ("no number here", "none here"),
        ("I pay 900 euros", "900 euros, as ever"),
    ],
)
def test_the_same_values_and_those_of_other_types_do_not_differ(one: str, other: str) -> None:
    assert not differ(values_of(one), values_of(other))
    assert not differ(values_of(other), values_of(one))


@pytest.mark.parametrize(
    "text", ["", "1" * 50_000, "1,.:" * 5_000, "\ud800 3 \ud800", "$", "٣ أيام", "1" + "," * 50_000]
)
def test_any_text_has_values(text: str) -> None:
    values_of(text)
