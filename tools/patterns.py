"""Finds every regular expression of a package: in its source and among the globals of its modules.

Owns the search. A pattern that the source computes where this module cannot follow is an error and not a gap, so that a
new pattern cannot escape what is done with all of them. Does not know what the patterns are for.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

AnyPattern = re.Pattern[str] | re.Pattern[bytes]

USES = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
"""The methods by which a pattern reads a text."""

NOT_IMPORTED = ("__main__", "accel.kernel")
"""Ends of the names of modules that are a program, or are compiled."""


@dataclass(slots=True)
class Found:
    """A pattern, where it was found, and the methods by which it is used, or that cover all others."""

    where: str
    """A module, and the line if the pattern stands in its source."""
    pattern: AnyPattern
    uses: set[str] = field(default_factory=set)


class Unresolved(Exception):
    """A call whose pattern this module cannot compute."""


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Import and return a package and all of its modules, except those that are programs."""
    names = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    wanted = [name for name in names if not name.endswith(NOT_IMPORTED)]
    return [package, *map(importlib.import_module, wanted)]


def patterns_of(package: ModuleType) -> list[Found]:
    """Return every pattern of a package, each once, in the order of its modules.

    Raises `Unresolved` for a call of `re` whose pattern cannot be computed from the globals of its module.
    """
    modules = modules_of(package)
    makers: dict[str, str] = {}
    for module in modules:
        makers |= Source(module, {}).makers()
    known: dict[tuple[str | bytes, int], Found] = {}
    for module in modules:
        source = Source(module, makers)
        for where, pattern, use in (*source.compiled(), *source.used(), *from_globals(module)):
            found = known.setdefault((pattern.pattern, pattern.flags), Found(where, pattern))
            if use is not None:
                found.uses.add(use)
    for found in known.values():
        found.uses = found.uses or {"match", "search", "finditer"}
    return list(known.values())


def from_globals(module: ModuleType) -> Iterator[tuple[str, AnyPattern, None]]:
    """Yield the patterns among the values of a module, also inside lists, tuples, sets and mappings."""
    for value in list(vars(module).values()):
        for pattern in inside(value, re.Pattern):
            yield module.__name__, pattern, None


def inside(value: object, kind: type, depth: int = 4) -> Iterator[Any]:
    """Yield the values of a type in `value`: itself, or inside the collections in it."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Mapping | list | tuple | set | frozenset) and depth:
        items: Iterable[object] = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
        for item in items:
            yield from inside(item, kind, depth - 1)


class Source:
    """The source of one module, and the values of its globals."""

    def __init__(self, module: ModuleType, makers: Mapping[str, str]) -> None:
        """`makers`: functions of the package that compile an argument, with the name of that argument."""
        self._module = module
        self._makers = makers
        self._tree = ast.parse(inspect.getsource(module) or "")
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}

    def makers(self) -> dict[str, str]:
        """Return the functions that pass one of their arguments to `re`, with the name of the argument."""
        found = {}
        for call in self._calls_of_re():
            pattern, function = call.args[0], self._function_around(call)
            if isinstance(pattern, ast.Name) and function and pattern.id in parameters(function):
                found[function.name] = pattern.id
        return found

    def compiled(self) -> Iterator[tuple[str, AnyPattern, str | None]]:
        """Yield the pattern of each call of `re`, and of each call of a maker; with its use if the call is one."""
        for call in self._calls_of_re():
            function, name = self._function_around(call), call.args[0]
            if function and isinstance(name, ast.Name) and name.id in parameters(function):
                continue
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if self._is_in_a_global(call):
                continue
            flags = self._flags(call, 1 if method == "compile" else 3 if method.startswith("sub") else 2)
            for text in self._values(call.args[0], (str, bytes)):
                yield self._where(call), re.compile(text, flags), None if method == "compile" else method
        for call in self._calls():
            if isinstance(call.func, ast.Name) and call.func.id in self._makers and call.args:
                for text in self._values(call.args[0], (str, bytes)):
                    yield self._where(call), re.compile(text), None

    def used(self) -> Iterator[tuple[str, AnyPattern, str]]:
        """Yield each pattern that the source uses by a name, with the method."""
        for node in ast.walk(self._tree):
            if not isinstance(node, ast.Attribute) or node.attr not in USES or is_re(node.value):
                continue
            if not isinstance(node.value, ast.Name | ast.Attribute | ast.Call):
                continue
            try:
                for pattern in self._values(node.value, (re.Pattern,)):
                    yield self._where(node), pattern, node.attr
            except Unresolved:
                # Something else has a method of this name.
                continue

    def _calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self._tree) if isinstance(node, ast.Call))

    def _calls_of_re(self) -> Iterator[ast.Call]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ImportFrom) and node.module == "re":
                raise Unresolved(f"{self._where(node)}: import re itself, so that its calls are found")
            method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if isinstance(node, ast.Call) and is_re(node.func, inner=True) and method in ("compile", *USES):
                if not node.args:
                    raise Unresolved(f"{self._where(node)}: pass the pattern as the first argument")
                yield node

    def _where(self, node: ast.AST) -> str:
        return f"{self._module.__name__}:{getattr(node, 'lineno', 0)}"

    def _function_around(self, node: ast.AST) -> ast.FunctionDef | None:
        at: ast.AST | None = node
        while at is not None and not isinstance(at, ast.FunctionDef):
            at = self._parents.get(at)
        return at

    def _is_in_a_global(self, call: ast.AST) -> bool:
        """Return whether a call makes the patterns of a global, in which `from_globals` finds them."""
        at, inner = call, False
        while self._parents[at] is not self._tree:
            at = self._parents[at]
            inner = inner or isinstance(at, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        names = [target.id for target in getattr(at, "targets", []) if isinstance(target, ast.Name)]
        return inner and any(any(inside(vars(self._module).get(name), re.Pattern)) for name in names)

    def _flags(self, call: ast.Call, position: int) -> int:
        named = [word.value for word in call.keywords if word.arg == "flags"]
        given = named or call.args[position : position + 1]
        return int(self._evaluated(given[0])) if given else 0

    def _values(self, node: ast.expr, kinds: tuple[type, ...]) -> list[Any]:
        """Return the values of some types that an expression can have."""
        try:
            value = self._evaluated(node)
        except (NameError, AttributeError) as error:
            looped = self._looped(node)
            if looped is None:
                raise Unresolved(
                    f"{self._where(node)}: the pattern {ast.unparse(node)[:60]!r} cannot be computed from the globals"
                    f" ({error}); make it a global"
                ) from None
            value = looped
        return [item for kind in kinds for item in inside(value, kind)]

    def _evaluated(self, node: ast.expr) -> Any:
        # The source is this repository's.
        return eval(compile(ast.Expression(node), self._module.__name__, "eval"), vars(self._module))

    def _looped(self, node: ast.expr) -> Any:
        """Return what a loop around a name iterates over; None if no loop sets the name."""
        at: ast.AST | None = node
        while at is not None:
            loops = [at] if isinstance(at, ast.For) else getattr(at, "generators", [])
            for loop in loops:
                names = {part.id for part in ast.walk(loop.target) if isinstance(part, ast.Name)}
                if isinstance(node, ast.Name) and node.id in names:
                    try:
                        return list(self._evaluated(loop.iter))
                    except (NameError, AttributeError):
                        return None
            at = self._parents.get(at)
        return None


def is_re(node: ast.expr, *, inner: bool = False) -> bool:
    """Return whether an expression is the module `re`; with `inner`, whether it is an attribute of it."""
    if inner:
        return isinstance(node, ast.Attribute) and is_re(node.value)
    return isinstance(node, ast.Name) and node.id == "re"


def parameters(function: ast.FunctionDef) -> set[str]:
    """Return the names of a function's parameters."""
    arguments = function.args
    return {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
