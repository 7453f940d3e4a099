"""Writes docs/api.md, below its mark, from the docstrings of the public modules; --check compares only.

Run it after changing a public name or its docstring: python tools/api_docs.py

Owns the form of the page. The text comes from docstrings, and from the strings below the fields of classes.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
MARK = "<!-- tools/api_docs.py generates everything below this line from the docstrings. -->"
MODULES = ("engram", "engram.tools", "engram.errors", "engram.store.base", "engram.search.base")
"""The public modules, in the order of the page. A module that does not exist is left out."""
WIDTH = 100
"""Longest signature on one line, in characters."""


def public(module: ModuleType) -> dict[str, object]:
    """Return the public classes and functions of a module by name: those in `__all__`, else those that it defines."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    values = {name: getattr(module, name) for name in names if not name.startswith("_")}
    return {name: value for name, value in values.items() if inspect.isclass(value) or inspect.isfunction(value)}


def signature(name: str, function: object) -> str:
    """Return `name(parameters) -> result` as it would be written in a .pyi file, on several lines if it is long."""
    parsed_signature = inspect.signature(function)  # type: ignore[arg-type]
    parts: list[str] = []
    starred = False
    for parameter in parsed_signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            parts.append("*")
        starred = starred or parameter.kind is parameter.VAR_POSITIONAL
        parts.append(one_parameter(parameter))
    returned = parsed_signature.return_annotation
    result = "" if returned is inspect.Signature.empty else f" -> {annotation(returned)}"
    short = f"{name}({', '.join(parts)}){result}"
    if len(short) <= WIDTH:
        return short
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){result}"])


def one_parameter(parameter: inspect.Parameter) -> str:
    """Return a parameter with its annotation and its default."""
    text = parameter.name
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        text = ("*" if parameter.kind is parameter.VAR_POSITIONAL else "**") + text
    if parameter.annotation is not parameter.empty:
        text += f": {annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        default = parameter.default
        text += f" = {default.__name__ if callable(default) else repr(default)}"
    return text


def annotation(value: object) -> str:
    """Return an annotation as it is written in the source."""
    return value if isinstance(value, str) else str(inspect.formatannotation(value))


def parsed(kind: type) -> ast.ClassDef:
    """Return the syntax tree of a class."""
    (node,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)
    return node


def fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield a list item for each public annotated field of a class: its name, its type, the string below it."""
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if statement.target.id.startswith("_"):
            continue
        default = "" if statement.value is None else f" = {ast.unparse(statement.value)}"
        # A default factory has no meaning for a reader of the page.
        default = "" if "field(" in default else default
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = ": " + " ".join(str(after.value.value).split())
        yield f"- `{statement.target.id}: {ast.unparse(statement.annotation)}{default}`{text}"


def members(kind: type) -> Iterator[str]:
    """Yield a section for each public method and property that a class defines itself and documents."""
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            assert value.fget is not None
            result = annotation(inspect.signature(value.fget).return_annotation)
            yield section(4, f"{kind.__name__}.{name}", f"{name}: {result}", value.fget)
        elif isinstance(value, (classmethod, staticmethod)) or inspect.isfunction(value):
            function = value if inspect.isfunction(value) else value.__func__
            yield section(4, f"{kind.__name__}.{name}", signature(name, function), function)


def section(level: int, title: str, code: str, documented: object) -> str:
    """Return a heading, a code block and the docstring."""
    return f"{'#' * level} {title}\n\n```python\n{code}\n```\n\n{inspect.getdoc(documented) or ''}".rstrip()


def class_sections(kind: type) -> Iterator[str]:
    """Yield the sections of a class: its docstring and fields, its constructor, its members."""
    node = parsed(kind)
    bases = ", ".join(map(ast.unparse, node.bases))
    yield section(3, kind.__name__, f"class {kind.__name__}" + (f"({bases})" if bases else ""), kind)
    listed = list(fields(node))
    if listed:
        yield "\n".join(listed)
    constructor = vars(kind).get("__init__")
    if inspect.isfunction(constructor) and not dataclasses.is_dataclass(kind) and constructor.__doc__:
        code = signature(kind.__name__, constructor).removesuffix(" -> None")
        yield f"```python\n{code}\n```\n\n{inspect.getdoc(constructor)}"
    yield from members(kind)


def error_table(errors: dict[str, object]) -> str:
    """Return one table for a module of exceptions that have an exit code and an HTTP status."""
    rows = ["| error | bases | meaning | exit code | HTTP status |", "|---|---|---|---|---|"]
    for name, kind in errors.items():
        assert isinstance(kind, type)
        bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        meaning = " ".join((inspect.getdoc(kind) or "").split())
        codes = f"{getattr(kind, 'exit_code', '')} | {getattr(kind, 'http_status', '')}"
        rows.append(f"| `{name}` | {bases} | {meaning} | {codes} |")
    return "\n".join(rows)


def module_sections(name: str) -> Iterator[str]:
    """Yield the sections of one module."""
    module = importlib.import_module(name)
    yield f"## {name}\n\n{inspect.getdoc(module) or ''}".rstrip() if name != "engram" else "## engram"
    values = public(module)
    if all(isinstance(value, type) and issubclass(value, BaseException) for value in values.values()):
        yield error_table(values)
        return
    for title, value in values.items():
        if isinstance(value, type):
            yield from class_sections(value)
        else:
            yield section(3, title, signature(title, value), value)


def page() -> str:
    """Return the page in its current form: its hand-written part, then the generated one."""
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    present = [name for name in MODULES if importlib.util.find_spec(name)]
    return f"{written}{MARK}\n\n" + "\n\n".join(part for name in present for part in module_sections(name)) + "\n"


def main() -> int:
    """Write the page, or check it."""
    current = PAGE.read_text(encoding="utf-8") == page()
    if "--check" in sys.argv:
        print("docs/api.md is current" if current else "docs/api.md is out of date; run: python tools/api_docs.py")
        return 0 if current else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
