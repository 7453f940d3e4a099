"""Writes imported turns into a memory: in batches, nothing twice, and an outcome for every item.

Owns the counting and the handling of conflicts. Does not know the formats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from engram.engram import Engram
from engram.errors import InvalidEngram, NotFound
from engram.formats.items import ImportedTurn, Item, Problem, Remark, Skipped
from engram.records import FIELDS
from engram.store.policy import Policy, expired_before
from engram.text.redaction import Redactor, redacted

BATCH = 1_000
"""Maximum turns in one commit."""

BATCH_CHARACTERS = 8 << 20
"""Characters of text after which a batch is committed, for any number of turns."""

MOST_PROBLEMS = 1_000
"""Problems of an import that are kept; the others are counted."""

MOST_REASONS = 100
"""Different reasons for skipped parts that are kept; parts with another reason are counted together."""

OTHER_REASONS = "for other reasons"
EXPIRED = "older than the policy of the namespace allows (engram policy show)"

NOT_COMPARED = {"origin", "quarantined"}
"""Fields in which equal engrams may differ."""


class ImportTarget(Protocol):
    """The part of `Memory` that an import needs."""

    def add(self, engrams: list[Engram], /) -> list[bool]:
        """Store engrams in one commit; return False for each that existed already."""
        ...

    def get(self, id: str, /) -> Engram:
        """Return the engram with this id; raises `NotFound`."""
        ...

    def policy(self, namespace: str, /) -> Policy:
        """Return the policy that applies to a namespace."""
        ...

    def quarantined(self, *, id: str) -> Iterator[Engram]:
        """Iterate over the engrams in quarantine with this id: one or none."""
        ...


@dataclass(slots=True)
class ImportResult:
    """The outcome of an import: each of the `read` turns is `remembered`, `already_there`, a problem, or left out.

    A turn that was changed, so that it could be stored, is counted in both.
    """

    read: int = 0
    remembered: int = 0
    already_there: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Number of skipped parts, by reason."""
    redacted: int = 0
    """Turns from which something was taken out before they were stored."""
    problems: list[Problem] = field(default_factory=list)
    """The first `MOST_PROBLEMS`."""
    more_problems: int = 0
    """Number of further problems."""
    remarks: list[Remark] = field(default_factory=list)
    """The first `MOST_PROBLEMS`."""

    def add_problem(self, problem: Problem) -> None:
        """Add one problem."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more_problems += 1

    def add_remark(self, remark: Remark) -> None:
        """Add one remark."""
        if len(self.remarks) < MOST_PROBLEMS:
            self.remarks.append(remark)

    def leave_out(self, why: str, count: int = 1) -> None:
        """Count skipped parts."""
        known = why in self.left_out or len(self.left_out) < MOST_REASONS
        self.left_out[why if known else OTHER_REASONS] += count

    def add(self, other: ImportResult) -> None:
        """Add the counts and problems of another import."""
        self.read += other.read
        self.remembered += other.remembered
        self.already_there += other.already_there
        self.redacted += other.redacted
        for why, count in other.left_out.items():
            self.leave_out(why, count)
        for problem in other.problems:
            self.add_problem(problem)
        self.more_problems += other.more_problems
        for remark in other.remarks:
            self.add_remark(remark)


def load(items: Iterable[Item], memory: ImportTarget | None, redactor: Redactor | None = None) -> ImportResult:
    """Store the turns among `items` in `memory`; None only counts them (a dry run).

    A turn that is expired by a policy of the memory is left out. redactor: takes secrets or personal data out first;
    None: nothing is taken out. Each batch is durable before the next one is read. Raises what `Memory.add` raises,
    except for an id that exists with other content: that becomes a problem of its turn.
    """
    result = ImportResult()
    batch: list[ImportedTurn] = []
    size = 0
    for item in items:
        match item:
            case Problem():
                result.add_problem(item)
            case Skipped():
                result.leave_out(item.why)
            case Remark():
                result.add_remark(item)
            case ImportedTurn():
                result.read += 1
                stored = replace(item, engram=redacted(item.engram, redactor))
                result.redacted += stored.engram is not item.engram
                if memory is not None:
                    batch.append(stored)
                    size += len(item.engram.text)
                    if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
                        _store(batch, memory, result)
                        batch, size = [], 0
    if memory is not None and batch:
        _store(batch, memory, result)
    return result


def _store(batch: list[ImportedTurn], memory: ImportTarget, result: ImportResult) -> None:
    turns = _unexpired(batch, memory)
    if len(turns) < len(batch):
        result.leave_out(EXPIRED, len(batch) - len(turns))
    try:
        _add(turns, memory, result)
    except InvalidEngram:
        # At least one id exists with other content: find it, and store the rest.
        new = [turn for turn in turns if not _exists(turn, memory, result)]
        try:
            _add(new, memory, result)
        except InvalidEngram:
            for turn in new:
                _store_alone(turn, memory, result)


def _unexpired(turns: list[ImportedTurn], memory: ImportTarget) -> list[ImportedTurn]:
    """Return the turns that no policy lets expire."""
    bounds = {name: expired_before(memory.policy(name)) for name in {turn.engram.namespace for turn in turns}}
    return [turn for turn in turns if (bound := bounds[turn.engram.namespace]) is None or turn.engram.at >= bound]


def _add(turns: list[ImportedTurn], memory: ImportTarget, result: ImportResult) -> None:
    written = memory.add([turn.engram for turn in turns])
    result.remembered += sum(written)
    result.already_there += len(written) - sum(written)


def _store_alone(turn: ImportedTurn, memory: ImportTarget, result: ImportResult) -> None:
    if _exists(turn, memory, result):
        return
    try:
        _add([turn], memory, result)
    except InvalidEngram as error:
        result.add_problem(Problem(turn.location, str(error)))


def _exists(turn: ImportedTurn, memory: ImportTarget, result: ImportResult) -> bool:
    """Return whether the memory has this id; if so, add the outcome to `result`."""
    try:
        existing = memory.get(turn.engram.id)
    except NotFound:
        held = next(memory.quarantined(id=turn.engram.id), None)
        if held is None:
            return False
        existing = held
    if turn.same_as(existing):
        result.already_there += 1
        return True
    differing = [
        name
        for name in FIELDS
        if name not in turn.open_fields | NOT_COMPARED and getattr(existing, name) != getattr(turn.engram, name)
    ]
    problem = f"id {existing.id} is in the memory with other content ({', '.join(differing)})"
    result.add_problem(Problem(turn.location, f"{problem}; the existing engram is kept"))
    return True
