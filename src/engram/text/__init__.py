"""Text analysis: words, stems, token ids, and the table of static word vectors."""
