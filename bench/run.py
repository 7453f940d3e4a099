"""A whole benchmark run: its parts, their order, and the inputs of each.

Owns the names of the parts and the notes on parts that cannot run. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import lasting, messages, quality, reflecting, retrieval, serving, speed, story
from bench.datasets import (
    BEAM_VARIABLE,
    LOCOMO_VARIABLE,
    MEMDAILY_VARIABLE,
    Conversation,
    chats_path,
    data_folder,
    given_path,
    read_chats,
    read_locomo,
    read_transcripts,
)
from bench.figures import Part, Progress
from bench.lives import read_facts, read_lives, read_messages, read_wrappings
from bench.stories.forms import read_stories
from bench.stories.telling import tell
from bench.systems import Bench, References

LOCOMO_MISSING = f"LoCoMo: no path was given; pass --locomo PATH or set {LOCOMO_VARIABLE} (see docs/bench.md)"
BEAM_MISSING = f"BEAM: no path was given; pass --beam PATH or set {BEAM_VARIABLE} (see docs/bench.md)"
MEMDAILY_MISSING = f"MemDaily: no path was given; pass --memdaily PATH or set {MEMDAILY_VARIABLE} (see docs/bench.md)"
CHATS_MISSING = "own chats: this copy of Engram does not contain them"
OWN_MISSING = "lives, facts, messages and stories: this copy of Engram does not contain them"


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of the sets that Engram does not ship; None: the environment variable of the set, if it is set."""

    locomo: Path | None = None
    beam: Path | None = None
    memdaily: Path | None = None

    def resolved(self) -> Paths:
        """The paths, with those of the environment variables."""
        return Paths(
            given_path(self.locomo, LOCOMO_VARIABLE),
            given_path(self.beam, BEAM_VARIABLE),
            given_path(self.memdaily, MEMDAILY_VARIABLE),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """The inputs of one run."""

    plan: speed.Plan
    serving: serving.Plan
    folder: Path
    """Folder of the databases; each database is deleted after its measurement."""
    paths: Paths
    chats: Path | None
    own: Path | None
    """Folder of the lives, facts, messages and stories."""
    references: References
    seed: int
    progress: Progress

    def bench(self, name: str) -> Bench:
        """What a quality part called `name` needs, with a new subfolder for its databases."""
        return Bench(self.folder, self.references, self.progress).inside(name)


def locomo(run: Run) -> Part:
    """Quality on LoCoMo."""
    if run.paths.locomo is None:
        return Part("locomo", notes=[LOCOMO_MISSING])
    return measure_quality(run, "locomo", "LoCoMo", read_locomo(run.paths.locomo))


def chats(run: Run) -> Part:
    """Quality on the chats in `bench/data`."""
    if run.chats is None:
        return Part("chats", notes=[CHATS_MISSING])
    return measure_quality(run, "chats", "Own chats", read_chats(run.chats))


def measure_quality(run: Run, name: str, title: str, conversations: Sequence[Conversation]) -> Part:
    """Quality on some conversations, with a database in a subfolder called `name`."""
    return quality.measure(name, title, conversations, run.bench(name))


def lives(run: Run) -> Part:
    """Quality on the lives in `bench/data`."""
    if run.own is None:
        return Part("lives", notes=[OWN_MISSING])
    return retrieval.lives(read_lives(run.own / "lives"), run.bench("lives"))


def facts(run: Run) -> Part:
    """Quality on the facts in `bench/data`."""
    if run.own is None:
        return Part("facts")
    return retrieval.facts(read_facts(run.own / "facts.json"), run.bench("facts"))


def turns_that_last(run: Run) -> Part:
    """Which of LoCoMo's turns say something lasting."""
    if run.paths.locomo is None:
        return Part("lasting", notes=[LOCOMO_MISSING])
    return lasting.measure(lasting.read_noted(run.paths.locomo), run.progress)


def beam(run: Run) -> Part:
    """Quality on BEAM."""
    if run.paths.beam is None:
        return Part("beam", notes=[BEAM_MISSING])
    return retrieval.beam(read_transcripts(run.paths.beam), run.bench("beam"))


def memdaily(run: Run) -> Part:
    """Quality on MemDaily."""
    if run.paths.memdaily is None:
        return Part("memdaily", notes=[MEMDAILY_MISSING])
    sheets = read_facts(run.own / "facts.json") if run.own else []
    unlike = next((sheet.memory for sheet in sheets if sheet.language == "zh"), None)
    return retrieval.memdaily(read_transcripts(run.paths.memdaily), unlike, run.bench("memdaily"))


def notes(run: Run) -> Part:
    """Notes in messages, with the lives that are not held out and the facts."""
    if run.own is None:
        return Part("messages")
    sets = messages.Sets(
        [life for life in read_lives(run.own / "lives") if not life.held_out],
        read_facts(run.own / "facts.json"),
        read_wrappings(run.own / "around.json"),
        read_messages(run.own / "nothing.json"),
    )
    return messages.measure(sets, run.bench("messages"))


def stories(run: Run) -> Part:
    """What a memory puts into a prompt while a long story goes on; the stories are generated from the run's seed."""
    if run.own is None:
        return Part("story")
    return story.measure([tell(forms, run.seed) for forms in read_stories(run.own / "stories")], run.bench("story"))


def reflect(run: Run) -> Part:
    """How fast the turns of the lives are read, and what recall costs with that."""
    if run.own is None:
        return Part("reflect")
    return reflecting.measure(read_lives(run.own / "lives"), run.folder / "reflect", run.seed, run.progress)


PARTS: dict[str, Callable[[Run], Part]] = {
    "locomo": locomo,
    "chats": chats,
    "lives": lives,
    "facts": facts,
    "beam": beam,
    "memdaily": memdaily,
    "messages": notes,
    "story": stories,
    "lasting": turns_that_last,
    "reflect": reflect,
    "import": lambda run: speed.measure_import(run.plan, run.progress),
    "remember": lambda run: speed.measure_remember(run.plan, run.folder, run.seed, run.progress),
    "recall": lambda run: speed.measure_recall(run.plan, run.folder, run.seed, run.progress),
    "spread": lambda run: speed.measure_spread(run.plan, run.folder, run.seed, run.progress),
    "serve": lambda run: serving.measure(run.serving, run.folder, run.seed, run.progress),
}


GROUPS = {"quality": ("locomo", "chats", "lives", "facts", "beam", "memdaily", "messages", "story", "lasting")}
"""Names for several parts."""


def measure(
    plan: speed.Plan,
    serving_plan: serving.Plan,
    folder: Path,
    progress: Progress,
    *,
    paths: Paths | None = None,
    only: Sequence[str] = (),
    references: References | None = None,
    seed: int = 0,
) -> list[Part]:
    """Measure the parts in `only`, or all parts, in the order of `PARTS`. A name in `only` may be one of `GROUPS`.

    references: with which quality is compared; None: those that are installed. Raises `KeyError` if a name in `only` is
    that of no part or group.
    """
    names = [part for name in only for part in GROUPS.get(name, (name,))]
    selected = {name: PARTS[name] for name in names} if names else PARTS
    references = references or References()
    own = data_folder() if (data_folder() / "lives").is_dir() else None
    run = Run(plan, serving_plan, folder, (paths or Paths()).resolved(), chats_path(), own, references, seed, progress)
    parts = [part(run) for name, part in PARTS.items() if name in selected]
    return [*parts, Part("references", notes=references.notes)] if references.notes else parts
