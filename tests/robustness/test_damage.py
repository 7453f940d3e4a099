"""Damaged, deleted and foreign index files; text of every kind; read-only file systems."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engram.errors import MemoryReadOnly
from engram.memory import Memory

OpenMemory = Callable[..., Memory]

PATH = "memory.db"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a closed memory of 600 engrams, all indexed, in two commits. Tests copy it."""
    folder = tmp_path_factory.mktemp("original")
    with Memory(folder / PATH) as memory:
        for part in (0, 1):
            memory.remember_many(
                {"text": f"animal{part * 300 + i} likes food{i % 7}", "session": f"s{i % 9}"} for i in range(300)
            )
            memory.flush()
    return folder


@pytest.fixture
def filled(original: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the memory of 600 engrams and of its index."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


def check(memory: Memory, numbers: tuple[int, ...] = (0, 299, 300, 599)) -> None:
    for number in numbers:
        hits = memory.recall(f"animal{number}", limit=5)
        assert hits[0].engram.text.startswith(f"animal{number} ")
        assert len({hit.engram.id for hit in hits}) == len(hits)


def index_files(folder: Path) -> list[Path]:
    return sorted(f for f in (folder / f"{PATH}.index").rglob("*") if f.is_file() and f.stat().st_size)


KINDS: tuple[str, ...] = ("state.json", "rows", "tokens", "ends", "meta.json", ".managed.json")
KINDS += ("*.idx", "*.term", "*.fast", "*.fieldnorm", "*.pos", "*.store")


@pytest.mark.parametrize("how", ["noise", "half", "empty", "deleted"])
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_index_file_is_noticed_and_rebuilt(filled: Path, kind: str, how: str) -> None:
    hurt = [f for f in index_files(filled) if f.match(kind)]
    assert hurt
    rng = random.Random(5)
    for file in hurt:
        size = file.stat().st_size
        if how == "noise":
            file.write_bytes(rng.randbytes(size))
        elif how == "half":
            os.truncate(file, size // 2)
        elif how == "empty":
            os.truncate(file, 0)
        else:
            file.unlink()
    with Memory(filled / PATH, read_only=True) as memory:
        check(memory)
    with Memory(filled / PATH) as memory:
        check(memory)
        memory.remember("animal600 came late")
        assert memory.flush(30)
        check(memory, (0, 299, 300, 599, 600))
        assert memory.stats().index_trouble is None
    with Memory(filled / PATH) as memory:
        check(memory, (0, 299, 300, 599, 600))
        assert memory.stats().unindexed == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[1, 2]",
        b'{"format": 1}',
        b'{"format": 3}',
        b"[" * 100_000,
        b'{"format": 2, "encoder": "x", "memory": "", "generation": "generation-01234567", "forgets": 0, "through": 1,'
        b' "tokens": 1}',
        b'{"format": 3, "encoder": "x", "memory": "", "build": "../..", "begun": "", "cursor": "", "rows": 1,'
        b' "tokens": 1}',
        b'{"format": 3, "encoder": "x", "memory": "", "build": 5, "begun": 1, "cursor": [], "rows": -1,'
        b' "tokens": true}',
    ],
)
def test_any_content_of_state_json_is_handled(filled: Path, content: bytes) -> None:
    (filled / f"{PATH}.index" / "state.json").write_bytes(content)
    with Memory(filled / PATH) as memory:
        check(memory)
        assert memory.stats().index_trouble
        assert memory.flush(30)
        assert memory.stats().index_trouble is None


@pytest.mark.parametrize("cursor", ["nonsense", "600.9", "9999.0", "600.0.0", "-1.0"])
@pytest.mark.parametrize("field", ["cursor", "begun"])
def test_index_with_an_invalid_cursor_heals(filled: Path, field: str, cursor: str) -> None:
    path = filled / f"{PATH}.index" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {field: cursor}))
    for _ in range(2):
        with Memory(filled / PATH) as memory:
            assert memory.flush(30)
            check(memory)
            memory.compact()
            assert memory.stats().unindexed == 0
            assert memory.stats().index_trouble is None


def test_few_damaged_bytes_never_raise(filled: Path) -> None:
    """Random bytes at any offset of any file but state.json."""
    rng = random.Random(11)
    files = [f for f in index_files(filled) if f.name != "state.json" and not f.name.endswith(".lock")]
    backup = filled / "backup"
    shutil.copytree(filled / f"{PATH}.index", backup)
    for _ in range(25):
        file = rng.choice(files)
        content = bytearray(file.read_bytes())
        offset = rng.randrange(len(content))
        content[offset : offset + 16] = rng.randbytes(len(content[offset : offset + 16]))
        file.write_bytes(content)
        with Memory(filled / PATH, read_only=True) as memory:
            for query in ("animal5 likes", "food3", "animal599 animal1"):
                memory.recall(query)
        shutil.rmtree(filled / f"{PATH}.index")
        shutil.copytree(backup, filled / f"{PATH}.index")


def test_index_deleted_while_closed_is_rebuilt(filled: Path) -> None:
    shutil.rmtree(filled / f"{PATH}.index")
    with Memory(filled / PATH, read_only=True) as memory:
        check(memory)
    assert not (filled / f"{PATH}.index").exists()
    with Memory(filled / PATH) as memory:
        check(memory)
        assert memory.flush(30)


@pytest.mark.parametrize("writing", [False, True])
def test_index_deleted_while_open_is_rebuilt(filled: Path, writing: bool) -> None:
    with Memory(filled / PATH) as memory:
        check(memory)
        if writing:
            memory.remember("animal600 came late")
            memory.flush()
        # Moved first: `rmtree` fails on a folder into which the index writes meanwhile.
        (filled / f"{PATH}.index").rename(filled / "deleted")
        shutil.rmtree(filled / "deleted", ignore_errors=True)
        check(memory)
        memory.remember("animal601 came later")
        check(memory, (0, 599, 601))
        assert memory.reindex(30)
        check(memory, (0, 599, 601))
    with Memory(filled / PATH) as memory:
        assert memory.stats().unindexed == 0
        check(memory, (0, 599, 601))


def test_file_instead_of_the_index_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / f"{PATH}.index").write_text("mine")
    with Memory(tmp_path / PATH) as memory:
        memory.remember_many({"text": f"animal{i} likes"} for i in range(700))
        with pytest.raises(Exception, match="index cannot be written"):
            memory.flush(30)
        check(memory)
    assert (tmp_path / f"{PATH}.index").read_text() == "mine"


def test_index_of_another_memory_is_not_used(filled: Path) -> None:
    for file in filled.glob(f"{PATH}*"):
        if file.is_file():
            file.unlink()
    with Memory(filled / PATH) as memory:
        assert not memory.recall("animal5")
        memory.remember_many({"text": f"plant{i} grows"} for i in range(1000))
        assert memory.recall("plant5")[0].engram.text == "plant5 grows"
        assert memory.flush(30)
        assert memory.recall("plant5")[0].engram.text == "plant5 grows"
        assert not memory.recall("animal5")


def test_restored_backup_rebuilds_its_index(filled: Path) -> None:
    backup = (filled / PATH).read_bytes()
    with Memory(filled / PATH) as memory:
        memory.remember_many({"text": f"later{i}"} for i in range(300))
        memory.flush()
    (filled / PATH).write_bytes(backup)
    with Memory(filled / PATH) as memory:
        memory.remember_many({"text": f"otherwise{i}"} for i in range(500))
        assert memory.flush(30)
        check(memory)
        assert memory.recall("otherwise5")[0].engram.text == "otherwise5"
        assert not memory.recall("later5")


@pytest.fixture
def frozen(filled: Path) -> Iterator[Path]:
    """A memory on a read-only file system."""
    mounted = filled / "mounted"
    mounted.mkdir()
    steps = (["--bind", str(filled), str(mounted)], ["-o", "remount,ro,bind", str(mounted)])
    for step in steps:
        if (done := subprocess.run(["mount", *step], capture_output=True)).returncode:
            pytest.skip(f"a folder cannot be mounted read-only here: {done.stderr.decode().strip()}")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def test_read_only_file_system_can_be_read(frozen: Path) -> None:
    with Memory(frozen / PATH) as memory:
        check(memory)
        stats = memory.stats()
        assert (stats.unindexed, stats.index_trouble) == (0, None)
        for write in (lambda: memory.remember("x"), lambda: memory.forget(session="s1"), memory.compact):
            with pytest.raises(MemoryReadOnly, match=r"memory\.db is open for reading only"):
                write()
    with pytest.raises(MemoryReadOnly, match="cannot open"):
        Memory(frozen / "new.db")


TEXTS = {
    "one word": "Biscuit",
    "one letter": "x",
    "only emoji": "\U0001f98a\U0001f680 \U0001f9c1",
    "right to left": "\u05d4\u05db\u05dc\u05d1 \u05e9\u05dc\u05d9 \u05e0\u05e7\u05e8\u05d0 \u05e8\u05e7\u05e1",
    "arabic": "\u0643\u0644\u0628\u064a \u0627\u0633\u0645\u0647 \u0631\u0643\u0633",
    "chinese": "\u6211\u7684\u72d7\u53eb\u997c\u5e72",
    "japanese": "\u72ac\u306e\u540d\u524d\u306f\u30dd\u30c1\u3067\u3059",
    "control characters": "before after \x01\x02\x1b[31mred\x7f \u200b\u202eevil \ufeff",
    "query syntax": 'title:"a OR b" AND +must -not *wild* ?x (group field:x^9 ~2 [a TO z] {} \\ / OR',
    "quotes": "\"'`\u201c\u201d'; DROP TABLE engrams; --",
    "html": "<script>alert(1)</script> &amp; <b>bold</b>",
    "format": "%s {0} ${x} {{y}} %(z)d",
    "white space": "a\n\n\t b\r\n\u2028 c",
    "combining": "e\u0301 a\u0308 \u1e9b\u0323 \ufb01 \uff21",
    "one long word": "pneumono" * 500,
    "a mebibyte": ("Call me Ishmael, harpoon. " * 41_000)[: 1 << 20],
}
NO_WORDS = {"one space": " ", "only signs": '"*()!', "only control characters": "\x01\x02\x7f"}


def test_every_kind_of_text_is_stored_and_recalled(open_memory: OpenMemory) -> None:
    memory = open_memory()
    engrams = {name: memory.remember(text, session=name) for name, text in (TEXTS | NO_WORDS).items()}
    for flushed in (False, True):
        if flushed:
            memory.flush()
        for name, engram in engrams.items():
            assert memory.get(engram.id).text == engram.text
            hits = memory.recall(engram.text)
            hits.context(200)
            if name in TEXTS:
                assert engram.id in [hit.engram.id for hit in hits], (name, flushed)
