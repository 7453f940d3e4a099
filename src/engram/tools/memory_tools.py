"""Runs the function tools over a memory.

Owns which function does what, and that a call always gives a result which a model can read. Does not know how a model
is reached.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import UTC, tzinfo
from typing import Any, cast

from engram.documents import DEFAULT_AGENT
from engram.engram import DEFAULT_NAMESPACE, Origin, check_name, check_origin, draft
from engram.errors import (
    EngramError,
    InvalidEngram,
    MemoryClosed,
    MemoryDamaged,
    MemoryFull,
    MemoryLocked,
    MemoryReadOnly,
    MemoryReplaced,
    NotFound,
)
from engram.memory import Memory
from engram.notes.choosing import LEAST_TRUST
from engram.opening import Detector, open_detector
from engram.text.prompt_json import shown_json
from engram.tools.arguments import ToolError, Values, read_arguments, shown
from engram.tools.blocks import BLOCK_LIMIT, CoreBlocks
from engram.tools.functions import FUNCTIONS, LONGEST_EDIT, definitions
from engram.tools.passages import Passages

logger = logging.getLogger("engram.tools")

FAILURES: tuple[tuple[type[EngramError], str], ...] = (
    (MemoryFull, "its disk is full"),
    (MemoryLocked, "another process holds it"),
    (MemoryReadOnly, "it cannot be written"),
    (MemoryReplaced, "its file was replaced"),
    (MemoryDamaged, "its file is damaged"),
)
"""Failures of the store in words without the path of the memory, which is nothing for a model's provider."""


class MemoryTools:
    """The function tools of one namespace and agent. Safe to use from several threads.

    Core blocks are documents of the agent's state: the block `user` is `memory.state(namespace, agent)`'s document
    `core/user`, `{"text": ...}`, with its history.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        agent: str = DEFAULT_AGENT,
        session: str | None = None,
        writes: bool = True,
        block_limit: int = BLOCK_LIMIT,
        zone: tzinfo = UTC,
        least_trust: Origin = LEAST_TRUST,
        seen: Collection[str] = (),
        detector: Detector | None = None,
    ) -> None:
        """Read and write nothing yet.

        session: the conversation, which passages for the archive belong to, so that they are forgotten with it; None:
        the session "archive". writes: False offers and runs only the functions that read. block_limit: characters of
        one core block, 1 to 20,000. zone: the reader's, in which times are shown, and times without a zone are read.
        least_trust: the least trusted origin of what a search returns; with "agent", no turn of a tool, and the whole
        archive. seen: ids of turns that the model sees anyway; searches leave them out. detector: as for `Memory`; an
        edit of a core block that it finds is refused.

        Raises `InvalidEngram` for a wrong name, `ValueError` for a wrong limit.
        """
        if not 1 <= block_limit <= LONGEST_EDIT:
            raise ValueError(f"block_limit is {block_limit}; it must be from 1 to {LONGEST_EDIT:,} characters")
        if session is not None:
            check_name("session", session)
        check_origin("least_trust", least_trust)
        self._writes = writes
        self._detector = open_detector() if detector is None else detector
        self._blocks = CoreBlocks(memory.state(namespace, agent), block_limit, self._why_not_kept)
        self._passages = Passages(memory, namespace, session, zone, least_trust, frozenset(seen))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the functions, in the order of their definitions."""
        return tuple(name for name, function in FUNCTIONS.items() if self._writes or not function.writes)

    def definitions(self, provider: str) -> list[dict[str, Any]]:
        """Return the functions in the form of an API, for the field `tools` of a request.

        provider: "openai" (chat completions), "openai-responses" or "anthropic". The result is always the same, so that
        a provider's prompt cache holds. Raises `ValueError` for another provider.
        """
        return definitions(provider, writes=self._writes)

    def call(self, name: str, arguments: str | Mapping[str, object] | None = None) -> str:
        """Run one call of a model, and return its result: the text of a JSON object, of bounded size.

        arguments: the JSON text of an object, or a mapping. A call that is wrong, or that the memory refuses, gives
        {"error": ...}, which says what is wrong and what to do. So does a failure of the memory (a full disk, a lock):
        nothing was stored then, and the error is logged. What is in the result cannot be read as the markup of a chat
        template. Raises `MemoryClosed` if the memory was closed.
        """
        try:
            return shown_json(self._result(name, arguments))
        except (ToolError, InvalidEngram, NotFound) as error:
            return shown_json({"error": str(error)})
        except MemoryClosed:
            raise
        except EngramError as error:
            logger.error("the memory failed in the tool %s: %s", name, error)
            why = next((text for kind, text in FAILURES if isinstance(error, kind)), "it cannot be used")
            return shown_json(
                {"error": f"the memory failed: {why}. Nothing was stored. Go on without it, and tell the user."}
            )

    def _result(self, name: object, arguments: object) -> dict[str, object]:
        """Return the result of a call. Raises `ToolError` for a wrong one."""
        function = FUNCTIONS.get(name) if isinstance(name, str) else None
        if function is None or name not in self.names:
            what = "may not be called here" if function is not None else "does not exist"
            raise ToolError(f"the function {shown(name)} {what}; the functions are {', '.join(self.names)}")
        values = read_arguments(function.arguments, {} if arguments is None else arguments)
        return self._run(function.name, values)

    def _run(self, name: str, values: Values) -> dict[str, object]:
        # `read_arguments` has checked that each value is of the kind of its argument.
        text = cast(Mapping[str, str], values)
        number = cast(Mapping[str, int], values)
        match name:
            case "engram_core_read":
                return self._blocks.read()
            case "engram_core_append":
                return self._blocks.append(text["block"], text["text"])
            case "engram_core_replace":
                return self._blocks.replace(text["block"], text["old"], text["new"])
            case "engram_core_write":
                return self._blocks.write(text["block"], text["text"], number.get("version"))
            case "engram_conversation_search":
                times = text.get("after"), text.get("before")
                return self._passages.search_turns(text["query"], number.get("limit"), *times)
            case "engram_archive_search":
                return self._passages.search_archive(text["query"], number.get("limit"))
            case "engram_archive_add":
                return self._passages.add(text["text"])
        raise AssertionError(f"the function {name} is not run")

    def _why_not_kept(self, text: str) -> str | None:
        """Return why a core block may not hold a text; None if it may. An agent's text has no quarantine there."""
        return self._detector(draft(text, role="assistant", origin="agent")) if text else None
