"""Core memory: short texts in named blocks, which a model writes itself.

Owns the names and limits of blocks, and their form as documents of an agent's state. An edit is a new version of its
document, so it is durable, and `AgentState.rollback` undoes it. Does not know how documents are stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from engram.documents import Document
from engram.errors import StateConflict
from engram.state import AgentState
from engram.tools.arguments import ToolError, shown

CORE_PREFIX = "core/"
"""Begins the name of the document of every core block: the block `user` is the document `core/user`."""

BLOCK_LIMIT = 2_000
"""Characters of one block, by default."""

MOST_BLOCKS = 20
"""Blocks of one agent."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

Judge = Callable[[str], str | None]
"""Returns why a text may not be kept, or None if it may."""


@dataclass(frozen=True, slots=True)
class CoreBlocks:
    """The core blocks of one agent."""

    state: AgentState
    limit: int
    """Characters of one block."""
    judge: Judge

    def read(self) -> dict[str, object]:
        """Return all blocks, by name; each with at most `limit` characters of its text."""
        infos = self.state.infos(CORE_PREFIX, limit=MOST_BLOCKS + 1)
        documents = [self.state.get(info.name) for info in infos[:MOST_BLOCKS]]
        blocks = [self._shown(document) for document in documents if document is not None]
        result: dict[str, object] = {"blocks": blocks, "limit": self.limit}
        if not blocks:
            result["note"] = "there are no blocks yet; engram_core_append creates one"
        if len(infos) > MOST_BLOCKS:
            result["note"] = f"there are more than {MOST_BLOCKS} blocks; the others are not shown"
        return result

    def append(self, block: str, text: str) -> dict[str, object]:
        """Add a line to a block, unless it stands there. Raises `ToolError` if the block may not hold the text."""
        document = self.state.get(document_name(block))
        before = "" if document is None else text_of(document.value) or ""
        if document is not None and f"\n{text}\n" in f"\n{before}\n":
            # A model that does not see its call any more makes it again.
            return {**self._written(block, document), "note": "this line stood in the block already"}

        def longer(before: str) -> str:
            return f"{before.rstrip()}\n{text}" if before.strip() else text

        return self._edit(block, text, longer)

    def replace(self, block: str, old: str, new: str) -> dict[str, object]:
        """Replace the one place in a block where `old` stands. Raises `ToolError` if there is none, or several."""

        def replaced(before: str) -> str:
            count = before.count(old)
            if not count:
                raise ToolError(f"old does not stand in the block {block}; read it with engram_core_read, and copy it")
            if count > 1:
                raise ToolError(f"old stands in the block {block} {count} times; send a longer part, which is unique")
            return before.replace(old, new)

        return self._edit(block, new, replaced)

    def write(self, block: str, text: str, version: int | None) -> dict[str, object]:
        """Write a block anew. version: the one that it must have. Raises `ToolError` as `append`."""
        name = document_name(block)
        document = self.state.get(name)
        before = self._before(block, None if document is None else document.value)
        self._check(block, before, text, text)
        try:
            return self._written(block, self.state.set(name, {"text": text}, version))
        except StateConflict as conflict:
            raise ToolError(
                f"the block {block} is at version {conflict.current} (0: there is none), and not {version}; nothing was"
                " written: read it with engram_core_read, and write again"
            ) from None

    def _edit(self, block: str, added: str, change: Callable[[str], str]) -> dict[str, object]:
        """Write what `change` returns for the text of a block, so that no other edit is lost."""

        def changed(value: object) -> object:
            before = self._before(block, value)
            after = change(before)
            self._check(block, before, after, added)
            return {"text": after}

        return self._written(block, self.state.update(document_name(block), changed))

    def _before(self, block: str, value: object) -> str:
        """Return the text of a block before an edit; "" for a new one. Raises `ToolError` if it has none."""
        if value is None:
            if len(self.state.infos(CORE_PREFIX, limit=MOST_BLOCKS)) >= MOST_BLOCKS:
                raise ToolError(f"there are {MOST_BLOCKS} blocks, the most; use one that exists: engram_core_read")
            return ""
        text = text_of(value)
        if text is None:
            raise ToolError(
                f"the document {CORE_PREFIX}{block} holds no text, so it cannot be edited; use another block"
            )
        return text

    def _check(self, block: str, before: str, after: str, added: str) -> None:
        """Raise `ToolError` if a text is too long, or an edit adds what reads as an order to a model."""
        if len(after) > self.limit:
            raise ToolError(
                f"the block {block} would have {len(after):,} characters, and the limit is {self.limit:,}; nothing was"
                " written: shorten it with engram_core_write, and keep the rest with engram_archive_add"
            )
        # The whole too: an order can come in pieces. A block that holds one already was written by somebody else.
        if self.judge(added) or (self.judge(after) and not self.judge(before)):
            raise ToolError(
                "nothing was written: the text reads as an order to a model, which core memory does not keep; write"
                " what is so, not what to do"
            )

    def _written(self, block: str, document: Document) -> dict[str, object]:
        text = text_of(document.value) or ""
        return {"block": block, "version": document.version, "characters": len(text), "limit": self.limit}

    def _shown(self, document: Document) -> dict[str, object]:
        text = text_of(document.value)
        entry: dict[str, object] = {"block": document.name.removeprefix(CORE_PREFIX), "version": document.version}
        if text is None:
            return {**entry, "note": "holds no text"}
        return {**entry, "text": text[: self.limit], **({"cut": True} if len(text) > self.limit else {})}


def document_name(block: str) -> str:
    """Return the name of the document of a block. Raises `ToolError` for what is no name of a block."""
    if not _NAME.fullmatch(block):
        raise ToolError(f"{shown(block)} is no name of a block; use lower-case letters, digits, - and _, such as user")
    return CORE_PREFIX + block


def text_of(value: object) -> str | None:
    """Return the text in the value of a block's document: an object with `text`, or a text; None if it has none."""
    text = value.get("text") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None
