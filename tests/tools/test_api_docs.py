"""docs/api.md is current and complete; the tool that generates it reads the right names."""

import dataclasses
from types import ModuleType
from typing import Protocol

import pytest

import engram
from engram import errors
from tools import api_docs

PAGE = api_docs.PAGE.read_text(encoding="utf-8")


def test_the_page_is_current():
    assert api_docs.page() == PAGE, "run: python tools/api_docs.py"


@pytest.mark.parametrize("name", [name for name in engram.__all__ if not name.startswith("_")])
def test_every_exported_name_has_a_section_with_text(name: str):
    section = PAGE.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    code, _, text = section.removeprefix("\n```python\n").partition("```")
    assert code.startswith(f"class {name}")
    assert text.strip()


def test_every_public_method_of_memory_is_on_the_page():
    names = [name for name in vars(engram.Memory) if not name.startswith("_")]
    assert len(names) > 15
    assert [name for name in names if f"\n#### Memory.{name}\n" not in PAGE] == []


def test_every_error_is_in_the_table():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EngramError)]
    assert len(kinds) > 10
    assert [kind.__name__ for kind in kinds if f"\n| `{kind.__name__}` | " not in PAGE] == []


@dataclasses.dataclass(frozen=True)
class Box:
    """Holds things."""

    width: int
    """In centimetres,
    inside."""
    label: str = "none"
    things: list[str] = dataclasses.field(default_factory=list)
    _hidden: int = 0

    @property
    def area(self) -> int:
        """Return the area."""
        return self.width**2

    @staticmethod
    def of(*parts: int, label: str = "new", **others: str) -> "Box":
        """Make a box."""
        return Box(sum(parts), label, list(others))

    def _secret(self) -> None:
        """Not public."""


def test_a_class_is_shown_with_its_fields_and_members():
    text = "\n\n".join(api_docs.class_sections(Box))
    assert text == (
        "### Box\n\n```python\nclass Box\n```\n\nHolds things.\n\n"
        "- `width: int`: In centimetres, inside.\n- `label: str = 'none'`\n- `things: list[str]`\n\n"
        "#### Box.area\n\n```python\narea: int\n```\n\nReturn the area.\n\n"
        "#### Box.of\n\n```python\nof(*parts: int, label: str = 'new', **others: str) -> Box\n```\n\nMake a box."
    )


class Reads(Protocol):
    """A reader."""

    def read(
        self, size: int, *, wait_for_the_other_process: float = 10.0, and_for_the_whole_disk: float = 2.0
    ) -> bytes:
        """Read."""
        ...


def test_a_long_signature_is_written_on_several_lines():
    assert "class Reads(Protocol)" in "\n".join(api_docs.class_sections(Reads))
    assert api_docs.signature("read", Reads.read) == (
        "read(\n    size: int,\n    *,\n    wait_for_the_other_process: float = 10.0,\n"
        "    and_for_the_whole_disk: float = 2.0,\n) -> bytes"
    )


def test_a_module_without_all_lists_what_it_defines_itself():
    module = ModuleType("made_up")
    module.__dict__.update(Local=type("Local", (), {"__module__": "made_up"}), Box=Box, number=3)
    assert list(api_docs.public(module)) == ["Local"]


def test_check_reports_without_writing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.argv", ["api_docs.py", "--check"])
    assert api_docs.main() == 0
    assert capsys.readouterr().out == "docs/api.md is current\n"
    assert api_docs.PAGE.read_text(encoding="utf-8") == PAGE
