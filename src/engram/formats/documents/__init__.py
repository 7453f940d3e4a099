"""Documents: Markdown, text, HTML and PDF, cut into passages that a memory can keep and find.

A reader of each format yields blocks (`blocks`), `cutting` makes passages of them, and `reading` makes engrams of
these.
"""

from typing import Literal, get_args

DocumentFormat = Literal["markdown", "text", "html", "pdf"]
FORMATS: tuple[str, ...] = get_args(DocumentFormat)

KIND = "document"
"""The kind of an engram that is a passage of a document."""
