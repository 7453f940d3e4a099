"""Text to words, words to token ids, token ids to what is near them: pure, knows nothing of storage."""

from engram.encode.encoder import CENTROID_DIMENSIONS, Analysis, Encoder
from engram.encode.table import Table, default_table
from engram.encode.words import words

__all__ = ["CENTROID_DIMENSIONS", "Analysis", "Encoder", "Table", "default_table", "words"]
