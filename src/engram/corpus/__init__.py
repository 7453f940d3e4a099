"""What can be recalled at any moment: the index, and the tail of the store that the index does not hold yet."""

from engram.corpus.corpus import Corpus

__all__ = ["Corpus"]
