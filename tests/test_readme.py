"""The code in the README runs, and all links in the documents lead to files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")))


def test_the_ten_lines_run(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "from engram import" in block)
    assert len(code.splitlines()) <= 12
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("My dog is called Biscuit. ")
    assert lines[1].startswith("Notes from earlier conversations")
    assert lines[-1].endswith("it came first")
    assert ran.stderr == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_linked_file_exists(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_document_is_linked_from_the_readme_or_a_page_that_it_links() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            targets = re.findall(r"\]\((?!https?:)([^)#]+\.md)", page.read_text(encoding="utf-8"))
            waiting += [(page.parent / target).resolve() for target in targets]
    assert set(PAGES) - seen == set()


def test_the_decisions_are_numbered_without_gaps_and_have_one_form() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    parts = ["Context", "Decision", "Why", "Consequences", "What would change our mind"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} · ")
        assert re.findall(r"^\*\*([^*.]+)\.\*\*", text, re.MULTILINE) == parts, page.name
        assert f"]({page.name})" in index


def test_the_glossary_names_modules_and_classes_that_exist() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| .+ \| `([\w.]+)`.*\|$", glossary, re.MULTILINE)
    assert len(rows) > 60
    for term, owner in rows:
        base = ROOT / "src/engram" / owner.replace(".", "/")
        paths = [path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()]
        assert paths, f"{term}: {owner} does not exist"
        for name in re.findall(r"`(\w+)`", term):
            assert re.search(rf"^class {name}\b", paths[0].read_text(encoding="utf-8"), re.MULTILINE), (
                f"{name}, {owner}"
            )
