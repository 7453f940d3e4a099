"""Fit the labels of sentences and questions, `reflection.labels`: `python -m tools.labels`.

What a sentence says is learned from `tools/data/kinds.tsv` (kind, language and text of a line); from
`tools/data/chains/*.jsonl`: what someone told an assistant, what changed later, and questions for both; from
`tools/data/topics.tsv` (slot, language, text): sentences that only touch the matter of a slot; and from
`tools/data/plain.tsv` (slot, language, effect, whose, text): plain statements. All were written for this, in the
languages of the encoder.

Prints how well labels are told of sentences whose chain was left out of the fit, each fifth once, and writes the
networks to the package. Then run `python -m tools.lasting`, whose weights are those of these labels.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engram.meaning.base import Encoder
from engram.meaning.network import Network
from engram.opening import open_encoder
from engram.reflection.labels import ASKS, EFFECTS, KINDS, SAYS
from engram.reflection.sentences import statements_of
from engram.reflection.slots import NONE, SLOT_OF
from tools.adam import Adam, Floats

DATA = Path(__file__).parent / "data"
KINDS_FILE, TOPICS, PLAIN = DATA / "kinds.tsv", DATA / "topics.tsv", DATA / "plain.tsv"
ASKING, CHAINS = DATA / "asking.tsv", DATA / "chains"
WRITTEN = Path(str(files("engram.reflection") / "data" / "labels.npz"))
UNKNOWN = -1
"""The label of a sentence of which it is not known."""
HIDDEN, SCALE = 128, 22.0
"""Hidden values, and the factor of the vectors: about the root of their length."""
RATE, DECAY, DROPPED, STEPS, BATCH, SMOOTH = 2e-3, 0.1, 0.3, 4_000, 256, 0.03
FOLDS = 5


class Example(NamedTuple):
    """A sentence or question with its labels; `UNKNOWN` for one that is not known."""

    text: str
    group: str
    """Examples of one group are left out together."""
    labels: tuple[int, ...]
    """One for each head of the network, in the order of `labels.SAYS` or `labels.ASKS`."""


HEADS_OF_SAYS = ("kind", "slot", "effect", "own")
HEADS_OF_ASKS = ("slot", "own", "then")
NO_SLOT = frozenset(["order", "request", "question", "reaction", "mood", "general"])
"""Kinds of sentences that fill no slot."""


class Chain(NamedTuple):
    """What someone told, what changed later, and questions for both."""

    name: str
    lang: str
    slot: int
    own: bool
    old: str
    new: str
    same: str
    other: str
    end: str
    now: tuple[str, ...]
    then: tuple[str, ...]
    values: tuple[str, str]


def lines_of(path: Path) -> list[tuple[str, str]]:
    """Return the first and the last field of the lines of a file: label and text."""
    with open(path, encoding="utf-8", newline="") as lines:
        return [(row[0], row[-1]) for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def read_chains(folder: Path = CHAINS) -> list[Chain]:
    """Return the chains of all files."""
    chains = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            each = json.loads(line)
            chains.append(
                Chain(
                    f"{path.stem}:{number}", each["lang"], SLOT_OF[each["slot"]], each["about"] == "self", each["old"],
                    each["new"], each["same"], each["other"], each["end"], tuple(each["now"]), tuple(each["then"]),
                    (each["old_value"], each["new_value"]),
                )
            )  # fmt: skip
    return chains


def parts(text: str, value: str) -> tuple[str, list[str]]:
    """Return the sentences of a text that hold a value, as one, and its other sentences."""
    spans, place = statements_of(text), text.find(value)
    holding = [text[a:b] for a, b in spans if a < place + len(value) and b > place]
    return " ".join(holding) or text, [text[a:b] for a, b in spans if not (a < place + len(value) and b > place)]


def sentences(chains: Sequence[Chain]) -> list[Example]:
    """Return the sentences of chains, and those of `kinds.tsv`."""
    examples = []
    tells, ends, mentions = range(len(EFFECTS))
    for c in chains:
        for text, value in zip((c.old, c.new), c.values, strict=True):
            holding, others = parts(text, value)
            # With its other sentences, too: what fills the slot may be said in two.
            texts = (holding, text) if others else (holding,)
            examples += [Example(each, c.name, (UNKNOWN, c.slot, tells, int(c.own))) for each in texts]
        examples.append(Example(c.end, c.name, (UNKNOWN, c.slot, ends, int(c.own))))
        examples.append(Example(c.same, c.name, (UNKNOWN, UNKNOWN, mentions, UNKNOWN)))
        examples.append(Example(c.other, c.name, (UNKNOWN, c.slot, tells, 0 if c.own else UNKNOWN)))
    for kind, text in lines_of(KINDS_FILE):
        examples.append(
            Example(text, text, (KINDS.index(kind), NONE if kind in NO_SLOT else UNKNOWN, UNKNOWN, UNKNOWN))
        )
    with open(PLAIN, encoding="utf-8", newline="") as lines:
        for slot, _, effect, whose, text in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            labels = UNKNOWN, SLOT_OF[slot], EFFECTS.index(effect), int(whose == "self")
            examples.append(Example(text, text, labels))
    return examples + [Example(text, text, (UNKNOWN, NONE, mentions, UNKNOWN)) for _, text in lines_of(TOPICS)]


def questions(chains: Sequence[Chain]) -> list[Example]:
    """Return the questions of chains, and messages that ask for no slot."""
    examples = []
    for c in chains:
        examples += [Example(q, c.name, (c.slot, int(c.own), 0)) for q in c.now]
        examples += [Example(q, c.name, (c.slot, int(c.own), 1)) for q in c.then]
    return examples + [
        Example(text, text, (NONE, UNKNOWN, UNKNOWN)) for label, text in lines_of(ASKING) if label == "0"
    ]


def fitted(
    vectors: Floats,
    labels: npt.NDArray[np.int64],
    sizes: Sequence[int],
    seed: int = 0,
    *,
    hidden_values: int = HIDDEN,
    scale: float = SCALE,
) -> Network:
    """Return the network with the least cross-entropy, the heads' outputs end to end, by Adam."""
    rng = np.random.default_rng(seed)
    x, outputs, starts = vectors * scale, sum(sizes), np.cumsum([0, *sizes])
    values = [
        rng.uniform(-1, 1, (x.shape[1], hidden_values)) / np.sqrt(x.shape[1]), np.zeros(hidden_values),
        rng.uniform(-1, 1, (hidden_values, outputs)) / np.sqrt(hidden_values), np.zeros(outputs),
    ]  # fmt: skip
    adam = Adam(values, DECAY)
    # Of each head as many examples as of the others, whatever their numbers.
    weight = sum((labels[:, head] >= 0) / max(1, (labels[:, head] >= 0).sum()) for head in range(len(sizes)))
    for step in range(1, STEPS + 1):
        rows = rng.choice(len(x), BATCH, p=weight / weight.sum())
        kept = (rng.random((BATCH, hidden_values)) >= DROPPED) / (1 - DROPPED)
        entered = x[rows] @ values[0] + values[1]
        hidden = np.maximum(entered, 0) * kept
        out = hidden @ values[2] + values[3]
        wrong = np.zeros_like(out)
        for head, size in enumerate(sizes):
            known = labels[rows, head] >= 0
            part = out[known, starts[head] : starts[head + 1]]
            share = np.exp(part - part.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            share[np.arange(len(share)), labels[rows, head][known]] -= 1 - SMOOTH
            wrong[known, starts[head] : starts[head + 1]] = (share - SMOOTH / size) / BATCH
        back = wrong @ values[2].T * kept * (entered > 0)
        gradients = [x[rows].T @ back, back.sum(axis=0), hidden.T @ wrong, wrong.sum(axis=0)]
        adam.step(gradients, RATE * (1 - step / (STEPS + 1)))
    return Network(*(np.asarray(v, np.float32) for v in (values[0] * scale, values[1], values[2], values[3])))


def report(
    name: str, heads: Sequence[str], sizes: Sequence[int], examples: Sequence[Example], encoder: Encoder
) -> Network:
    """Print how well a network holds for examples whose group was left out, and return that of all."""
    texts = [example.text for example in examples]
    vectors = np.concatenate([encoder.encode(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]).astype(float)
    labels = np.array([example.labels for example in examples])
    fold = np.array([zlib.crc32(example.group.encode()) % FOLDS for example in examples])
    held = np.zeros((len(examples), sum(sizes)), np.float32)
    for left_out in range(FOLDS):
        used = fold != left_out
        held[~used] = fitted(vectors[used], labels[used], sizes).outputs(vectors[~used])
    for head, part in enumerate(np.split(held, np.cumsum(sizes)[:-1], axis=1)):
        known = labels[:, head] >= 0
        wanted, ranks = labels[known, head], (-part[known]).argsort(axis=1)
        right = ranks[:, 0] == wanted
        of_label = np.mean([right[wanted == label].mean() for label in np.unique(wanted)])
        among = (ranks[:, :3] == wanted[:, None]).any(axis=1).mean()
        print(
            f"{name}, {heads[head]}: {len(wanted):,} left out: right {right.mean():.3f}, mean of the labels"
            f" {of_label:.3f}, among the first three {among:.3f}",
            flush=True,
        )
    return fitted(vectors, labels, sizes)


def main() -> None:
    """Fit, report and write."""
    encoder, chains = open_encoder(), read_chains()
    print(f"{len(chains):,} chains", flush=True)
    says = report("sentences", HEADS_OF_SAYS, SAYS, sentences(chains), encoder)
    asks = report("questions", HEADS_OF_ASKS, ASKS, questions(chains), encoder)
    arrays = {
        f"{name}.{part}": array.astype(np.float16)
        for name, network in (("says", says), ("asks", asks))
        for part, array in network._asdict().items()
    }
    WRITTEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(WRITTEN, encoder=np.array(encoder.fingerprint), **arrays)


if __name__ == "__main__":
    main()
