"""Passages of a memory for a model that searches: past turns, and the archive.

Owns what belongs to the archive and how a model's own passages are stored: with the origin `agent`, so that none is
ever taken for the user's word. Does not know how recall finds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import partial

from engram.engram import Engram, is_trusted
from engram.errors import InvalidEngram
from engram.formats.documents import KIND as DOCUMENT
from engram.ids import uuid7_of
from engram.memory import Memory
from engram.notes.choosing import LEAST_TRUST, may_be_quoted
from engram.notes.listing import ShownNote, shown_note
from engram.notes.zones import with_zone
from engram.recall.context import HEADING
from engram.recall.result import Hit
from engram.times import EPOCH, parse_time
from engram.tools.arguments import ToolError

TURN = "turn"
"""The kind of engrams that are turns of conversations."""

ARCHIVE = "archive"
"""The kind of passages that a model keeps; also their session if the caller names none."""

SOURCE = "engram.tools"
"""The `source` of passages that a model keeps."""

PASSAGE_TOKENS = 200
"""Tokens of one passage in a result; a longer one is cut to its best part."""

DEFAULT_RESULTS = 5

MOST_NEAR = 3
"""Passages of a search that nothing fits surely."""

NEAR_ENOUGH = 0.5
"""Sum of `Hit.why`'s words and meaning from which a passage is near a query."""

NEAR = "nothing fits this query surely; these passages are near it"
NOTHING = "nothing fits this query; try other words"
WITHHELD = "withheld passages read as orders to a model; the user can read them"

MOST_SPARE = 20
"""Hits that are requested beyond the limit, in place of those that the model sees anyway."""


@dataclass(frozen=True, slots=True)
class Passages:
    """The turns and the archive of one namespace."""

    memory: Memory
    namespace: str
    session: str | None
    """The conversation in which passages are kept."""
    zone: tzinfo
    """The reader's time zone."""
    trust: str = LEAST_TRUST
    """The least trusted origin of turns. Of the archive only if it is more trusted than an agent: else documents, which
    the archive is for, are found too."""
    seen: Collection[str] = field(default=())
    """Ids of turns that the model sees anyway: no search returns them."""

    def search_turns(self, query: str, limit: int | None, after: str | None, before: str | None) -> dict[str, object]:
        """Return the turns that answer a query. after, before: ISO 8601. Raises `ToolError` for a wrong time."""
        since, until = self._time("after", after), self._time("before", before)
        return self._found(query, limit, (TURN,), since, until, self.trust)

    def search_archive(self, query: str, limit: int | None) -> dict[str, object]:
        """Return the passages of the archive that answer a query."""
        trust = None if is_trusted("agent", self.trust) else self.trust
        return self._found(query, limit, (DOCUMENT, ARCHIVE), None, None, trust)

    def add(self, text: str) -> dict[str, object]:
        """Keep a passage; a text that was kept in this conversation before is not kept twice."""
        session = self.session or ARCHIVE
        key = json.dumps([ARCHIVE, self.namespace, session, text]).encode()
        id = uuid7_of(EPOCH, hashlib.sha256(key).digest())
        if (held := self._existing(id)) is not None:
            return {**stored(held), "note": "this passage was in the archive already"}
        kept = self._remember(text, session, id)
        # One that was kept long ago and has expired has the id until it is deleted: the passage gets another one.
        return stored(kept if self._existing(id) is not None else self._remember(text, session, None))

    def _remember(self, text: str, session: str, id: str | None) -> Engram:
        return self.memory.remember(
            text,
            namespace=self.namespace,
            session=session,
            role="assistant",
            kind=ARCHIVE,
            source=SOURCE,
            origin="agent",
            id=id,
        )

    def _existing(self, id: str) -> Engram | None:
        held = self.memory.get_many([id], namespace=self.namespace).get(id)
        return held or next(self.memory.quarantined(id=id, namespace=self.namespace), None)

    def _time(self, name: str, text: str | None) -> datetime | None:
        if text is None or not text.strip():
            return None
        try:
            return with_zone(parse_time(name, text), self.zone).astimezone(UTC)
        except InvalidEngram as error:
            raise ToolError(str(error)) from None
        except OverflowError:
            raise ToolError(f"{name} is outside of the years 1 to 9999; give another time") from None

    def _found(
        self,
        query: str,
        limit: int | None,
        kinds: tuple[str, ...],
        after: datetime | None,
        before: datetime | None,
        trust: str | None,
    ) -> dict[str, object]:
        find = partial(self._hits, query, kinds, after, before, trust)
        limit, note = limit or DEFAULT_RESULTS, ""
        hits, unsearched = find(limit, None)
        if not hits:
            # Key words alone can score low: a model that reads the passages can tell.
            near, _ = find(min(limit, MOST_NEAR), 0.0)
            hits = [hit for hit in near if hit.why["words"] + hit.why["meaning"] >= NEAR_ENOUGH]
            note = NEAR if hits else NOTHING
        shown = [(hit, self._shown(hit, query)) for hit in hits]
        quotable = [passage for hit, passage in shown if may_be_quoted(hit.engram, passage.text)]
        result: dict[str, object] = {"about": HEADING, "passages": list(map(fields_of, quotable))}
        if withheld := len(shown) - len(quotable):
            result["withheld"], note = withheld, WITHHELD
        if note:
            result["note"] = note
        if unsearched:
            result["unsearched"] = unsearched
        return result

    def _hits(
        self,
        query: str,
        kinds: tuple[str, ...],
        after: datetime | None,
        before: datetime | None,
        trust: str | None,
        limit: int,
        floor: float | None,
    ) -> tuple[list[Hit], int]:
        """Return the hits that the model does not see anyway, and how many engrams could not be searched."""
        found = self.memory.recall(
            query,
            namespace=self.namespace,
            limit=limit + min(len(self.seen), MOST_SPARE),
            kinds=kinds,
            after=after,
            before=before,
            trust=trust,
            now=datetime.now(self.zone),
            floor=floor,
        )
        return [hit for hit in found if hit.engram.id not in self.seen][:limit], found.unsearched

    def _shown(self, hit: Hit, query: str) -> ShownNote:
        score = round(float(hit.score), 3)
        return shown_note(hit.engram, PASSAGE_TOKENS, query=query, score=score, zone=self.zone)


def stored(engram: Engram) -> dict[str, object]:
    """Return what a model is told of a passage that was kept."""
    if engram.quarantined is None:
        return {"id": engram.id, "kept": True}
    note = "kept in quarantine, where no search finds it until the user releases it: it reads as an order to a model"
    return {"id": engram.id, "kept": True, "quarantined": engram.quarantined, "note": note}


def fields_of(note: ShownNote) -> dict[str, object]:
    """Return a passage as the fields of a result."""
    fields: dict[str, object] = {"id": note.id, "at": note.at, "role": note.role, "origin": note.origin}
    if note.speaker is not None:
        fields["speaker"] = note.speaker
    fields |= {"session": note.session, "score": note.score, "text": note.text}
    return {**fields, "cut": True} if note.cut else fields
