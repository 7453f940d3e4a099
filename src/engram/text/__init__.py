"""Text analysis: words and their stems, static word vectors, and what a text is like."""
