"""The tree of messages in one conversation of a ChatGPT export, also with broken links.

Owns the traversal. Exports name parents, children or both, and some links are missing; a loop must not hang the import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class MessageTree:
    """The nodes of a `mapping`, by id."""

    def __init__(self, mapping: Mapping[str, object], current: object) -> None:
        self._nodes: dict[str, Mapping[str, object]] = {}
        self.unreadable: set[str] = set()
        """Ids of nodes that are not objects, or whose message is not an object."""
        for name, node in mapping.items():
            readable = isinstance(node, dict) and isinstance(node.get("message"), dict | None)
            self._nodes[name] = node if isinstance(node, dict) and readable else {}
            if not readable:
                self.unreadable.add(name)
        self.parent: dict[str, str] = {}
        self._children: dict[str, list[str]] = {name: [] for name in self._nodes}
        for name, node in self._nodes.items():
            children = node.get("children")
            for child in children if isinstance(children, list) else []:
                self._link(name, child)
        for name, node in self._nodes.items():
            self._link(node.get("parent"), name)
        self.path = self._path(current if isinstance(current, str) and current in self._nodes else self._last())
        """The nodes of the conversation as ChatGPT shows it, from the first to `current_node`."""

    def _link(self, parent: object, child: object) -> None:
        known = isinstance(parent, str) and isinstance(child, str) and parent in self._nodes and child in self._nodes
        if known and parent != child and child not in self.parent:
            self.parent[str(child)] = str(parent)
            self._children[str(parent)].append(str(child))

    def _last(self) -> str:
        """Return the last leaf, for an export that names no current node."""
        leaves = [name for name in self._nodes if not self._children[name]]
        return leaves[-1] if leaves else next(reversed(self._nodes))

    def _path(self, leaf: str) -> list[str]:
        path: dict[str, None] = {}
        node: str | None = leaf
        while node is not None and node not in path:
            path[node] = None
            node = self.parent.get(node)
        return list(path)[::-1]

    @property
    def root(self) -> str:
        """The first node of the shown path."""
        return self.path[0]

    def message(self, node: str) -> Mapping[str, object] | None:
        """Return the message of a node, if it has one."""
        message = self._nodes[node].get("message")
        return message if isinstance(message, dict) else None

    def parents_first(self) -> Iterator[str]:
        """Yield every node once, parents before their children, one branch after the other."""
        seen: set[str] = set()
        starts = [name for name in self._nodes if name not in self.parent]
        # The nodes of a loop have no start: the first one in the export is used.
        for start in (*starts, *self._nodes):
            stack = [start]
            while stack:
                node = stack.pop()
                if node not in seen:
                    seen.add(node)
                    yield node
                    stack.extend(reversed(self._children[node]))

    def order(self) -> Iterator[str]:
        """Yield the nodes of the shown path, then all others."""
        yield from self.path
        shown = set(self.path)
        yield from (node for node in self.parents_first() if node not in shown)

    def alternative(self, node: str) -> int | None:
        """Return the number of a message among the replies to the same parent (from 1); None if it is the only one."""
        parent = self.parent.get(node)
        siblings = self._children[parent] if parent is not None else []
        return siblings.index(node) + 1 if len(siblings) > 1 else None
