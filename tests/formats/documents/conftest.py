"""Documents, written for these tests, and what is read of them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engram.formats.documents import markdown, plain, webpage
from engram.formats.documents.blocks import Block, Part
from engram.formats.items import SourceLocation
from tests.formats.conftest import ReadItems

WHERE = SourceLocation("a file")


def blocks(parts: Any) -> list[tuple[str, str]]:
    """The kinds and texts of the blocks among parts; "heading 2" for a heading of level 2."""
    return [
        (f"heading {part.level}" if part.kind == "heading" else part.kind, part.text)
        for part in parts
        if isinstance(part, Block)
    ]


def markdown_parts(text: str) -> list[Part]:
    return list(markdown.parts(text, WHERE, lambda _: None))


def page_parts(text: str) -> list[Part]:
    return list(webpage.page_parts(text, WHERE, lambda _: None))


def plain_parts(text: str) -> list[Part]:
    return list(plain.blocks(io.StringIO(text)))


@pytest.fixture
def document(tmp_path: Path, read: Callable[..., ReadItems]) -> Callable[..., ReadItems]:
    """Write a document and read it."""

    def _document(name: str, content: str | bytes, **settings: Any) -> ReadItems:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path, **settings)

    return _document


def pdf(pages: list[list[str]], title: str = "") -> bytes:
    """A PDF whose pages show these lines of ASCII."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        content = f"BT /F1 11 Tf 72 740 Td 14 TL {shown} ET"
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        resources = f"/Contents {len(objects)} 0 R /Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>"
    info = ""
    if title:
        objects.append(f"<< /Title ({title}) >>")
        info = f"/Info {len(objects)} 0 R"
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(f"{len(body):010} 00000 n \n")
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{''.join(places)}"
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R {info} >>\nstartxref\n{len(body)}\n%%EOF"
    return body + (table + trailer).encode()
