"""Text to words, words to token ids, token ids to what is near them: pure, knows nothing of storage."""

from engram.encode.encoder import Analysis, Encoder
from engram.encode.table import Table, default_table
from engram.encode.words import words

__all__ = ["Analysis", "Encoder", "Table", "default_table", "words"]
