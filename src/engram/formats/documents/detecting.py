"""Recognises a document by its content and its name.

Owns which names and which beginnings belong to which format. What reads as JSON is no document, whatever its name: it
is an export of conversations.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from engram.formats.documents import DocumentFormat
from engram.formats.documents.decoding import CONTROLS
from engram.formats.documents.pdf import MAGIC, WITHIN

SUFFIXES: dict[str, DocumentFormat] = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd"), "markdown"),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".adoc", ".org"), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
}
"""The formats of documents by the ends of their names."""

_JSON = re.compile(r"\s*+(?:\[\s*+)?+\{\s*+[\"}]|\s*+\[\s*+\]\s*+$")
_PAGE = re.compile(
    r"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--[^>]*+>\s*+)?+<(?:!doctype\s++html|html|head|body)\b", re.IGNORECASE
)


def document_format(name: str, head: bytes, text: str, shape: str) -> DocumentFormat | None:
    """Return the format of a file that is a document; None for one that is not.

    name: of the file, without the end of a compression; "-" for none. head: its first bytes; text: the same, decoded.
    shape: what JSON the text can be, as `sources.shape_of` returns it.
    """
    if MAGIC in head[:WITHIN]:
        return "pdf"
    suffix = PurePath(name).suffix.lower()
    if suffix in SUFFIXES:
        return None if _JSON.match(text) else SUFFIXES[suffix]
    if _PAGE.match(text.lstrip("\ufeff")):
        return "html"
    # README, LICENSE and the like.
    is_text = shape == "unknown" and not suffix and name != "-" and not head.translate(None, _NO_CONTROLS)
    return "text" if is_text else None


_NO_CONTROLS = bytes(set(range(256)) - set(CONTROLS))
