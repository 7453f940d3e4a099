"""Make the table of how common words are in the languages of the sentence encoder: `python -m tools.common_words`.

The encoder's tokenizer was trained on text in 16 languages and holds, for each of its 128,000 pieces, how likely the
piece is. A piece that is a word of its own, or stands in a script without spaces, says how common its words are. The
table takes the words as `engram.text.tokenizer` folds and `engram.text.analyzer` stems them, so that function words of
all these languages are told from content by data.
"""

from __future__ import annotations

import math
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import sentencepiece

from engram.text.analyzer import stem_of
from engram.text.tokenizer import UNSPACED_RUN, words

LANGUAGES = 16
"""Languages that share the pieces' probability: a word is so many times as common in its own."""
LEAST = 1e-6
"""Share of a language's words under which a word is left out; the analyzer takes about this for an unknown one."""
SPACE = "\u2581"


def common_words() -> dict[str, float]:
    """Return the share of each stem among the words of its language."""
    model = sentencepiece.SentencePieceProcessor(str(files("engram.meaning") / "data" / "sentences.model"))
    shares: defaultdict[str, float] = defaultdict(float)
    for number in range(model.get_piece_size()):
        piece = model.id_to_piece(number)
        if model.is_unknown(number) or model.is_control(number):
            continue
        if piece.startswith(SPACE) or UNSPACED_RUN.search(piece):
            for word in dict.fromkeys(words(piece.replace(SPACE, " "))):
                shares[stem_of(word)] += math.exp(model.get_score(number)) * LANGUAGES
    return {stem: share for stem, share in shares.items() if share >= LEAST}


def main() -> None:
    """Write the table to the package."""
    shares = dict(sorted(common_words().items()))
    stems = np.frombuffer("\n".join(shares).encode(), np.uint8)
    path = Path(str(files("engram.text") / "data" / "common.npz"))
    np.savez_compressed(path, stems=stems, shares=np.array(list(shares.values()), np.float32))
    print(f"{path}: {len(shares):,} words, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
