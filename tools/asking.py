"""Fit the classifier of messages that call for memory: `python -m tools.asking`, with the options of `tools.fit`.

Reads `tools/data/asking.tsv` (label, language and text of a line; written for this), the questions and the user's turns
of the lives that are not held out, the half of the messages that is not held out, and the questions for which the
encoder is tuned (`tools.answering`); with the paths of LoCoMo, BEAM and MemDaily, their questions, too. Of these four,
each counts like `OF_A_SET` messages. Writes the plane to the package.
Prints how well it separates messages that were left out of the fit, each fifth once.
"""

from __future__ import annotations

import argparse
import csv
import zlib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.datasets import read_locomo, read_transcripts
from bench.lives import read_lives, read_messages
from bench.metrics import area_under_curve
from engram.opening import open_encoder
from tools.answering import read_items

Floats = npt.NDArray[np.float64]

TEXTS = Path(__file__).parent / "data" / "asking.tsv"
RIDGE = 0.002
"""Weight of the squared length of the normal."""
FOLDS = 5
STEPS = 20


OF_A_SET = 200
"""Messages that the questions of a set count like, whatever their number."""


def fitted(vectors: Floats, labels: Floats, counts: Floats) -> Floats:
    """Return normal and offset of the plane of a logistic regression; both labels weigh the same."""
    x = np.c_[vectors, np.ones(len(vectors))]
    weight = counts * np.where(labels > 0, 1 / (counts @ labels), 1 / (counts @ (1 - labels)))
    plane = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ plane))
        gradient = x.T @ (weight * (p - labels)) + RIDGE * plane
        curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(x.shape[1])
        plane -= np.linalg.solve(curvature, gradient)
    return plane


def read() -> list[tuple[bool, str, str]]:
    """Return label, source and text of each message, each text once."""
    found: dict[str, tuple[bool, str]] = {}
    if TEXTS.exists():
        with open(TEXTS, encoding="utf-8", newline="") as lines:
            for label, language, text in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                found[text] = label == "1", language
    found |= {message.text: (False, "nothing") for message in read_messages() if not message.held_out}
    for life in read_lives():
        if not life.held_out:
            found |= {question.text: (True, "lives") for question in life.questions}
    return [(label, source, text) for text, (label, source) in found.items()]


def questions(options: argparse.Namespace) -> list[tuple[bool, str, str]]:
    """Return the questions for memory of `tools.answering` and of the given sets, as `read` returns messages."""
    readers = {"locomo": read_locomo, "beam": read_transcripts, "memdaily": read_transcripts}
    told = [(True, "told", question) for item in read_items() for question in (*item["asked"], item["near"])]
    return told + [
        (True, name, question.text)
        for name, reader in readers.items()
        if getattr(options, name) is not None
        for conversation in reader(getattr(options, name))
        for question in conversation.questions
        if question.evidence
    ]


def main() -> None:
    """Fit the plane, print how well it holds, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("locomo", "beam", "memdaily"):
        parser.add_argument(f"--{name}", type=Path)
    messages, encoder = read(), open_encoder()
    messages += questions(parser.parse_args())
    sizes = Counter(source for _, source, _ in messages)
    of_a_set = {"locomo", "beam", "memdaily", "told"}
    counts = np.array([OF_A_SET / sizes[source] if source in of_a_set else 1.0 for _, source, _ in messages])
    vectors = encoder.encode([text for _, _, text in messages]).astype(np.float64)
    labels = np.array([float(label) for label, _, _ in messages])
    fold = np.array([zlib.crc32(text.encode()) % FOLDS for _, _, text in messages])
    held = np.zeros(len(messages))
    for left_out in range(FOLDS):
        used = fold != left_out
        plane = fitted(vectors[used], labels[used], counts[used])
        held[fold == left_out] = vectors[fold == left_out] @ plane[:-1] + plane[-1]
    area = area_under_curve(held[labels > 0].tolist(), held[labels == 0].tolist())
    wrong = (held[labels > 0] < 0).mean(), (held[labels == 0] > 0).mean()
    print(f"{len(messages):,} messages; left out of the fit: area {area:.3f}, wrong {wrong[0]:.3f} and {wrong[1]:.3f}")
    plane = fitted(vectors, labels, counts)
    path = Path(str(files("engram.meaning") / "data" / "asking.npz"))
    np.savez(
        path, encoder=np.array(encoder.fingerprint), normal=plane[:-1].astype(np.float32), offset=np.array(plane[-1])
    )


if __name__ == "__main__":
    main()
