"""Paths into records: where the values of nested JSON stand, found in the first records of a file, as SQL."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from rewriter.engines import quoted


class Step(StrEnum):
    """One step of a path."""

    KEY = "key"
    """To the value of a key of an object."""
    FIRST = "first"
    """To the first element of a list."""
    PARSE = "parse"
    """From a text to the JSON that it holds."""


Steps = tuple[tuple[Step, str], ...]
"""A path; the text beside each step is the key, or empty."""


@dataclass(slots=True)
class Tree:
    """What stands where in records: the keys of objects, the elements of lists, and JSON inside of texts."""

    keys: dict[str, "Tree"] = field(default_factory=dict)
    element: "Tree | None" = None
    parsed: "Tree | None" = None
    is_leaf: bool = False

    def add(self, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Learn the structure of one more value."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self.keys.setdefault(key, Tree()).add(inner)
        elif isinstance(value, list):
            self.element = self.element or Tree()
            for inner in value:
                self.element.add(inner)
        elif (inside := json_in(value)) is not None:
            self.parsed = self.parsed or Tree()
            self.parsed.add(inside)
        else:
            self.is_leaf |= value is not None

    def leaves(self, prefix: str = "") -> Iterator[str]:
        """Yield the path of each value that is no object."""
        if prefix and (self.is_leaf or not (self.keys or self.element or self.parsed)):
            yield prefix
        for inner in filter(None, (self.element, self.parsed)):
            yield from inner.leaves(prefix)
        for key, tree in self.keys.items():
            yield from tree.leaves(f"{prefix}.{key}" if prefix else key)


def json_in(value: object) -> dict[str, Any] | list[Any] | None:
    """Return the object or list that a text holds as JSON; None if it holds none.

    Example:
        >>> json_in('{"a": 1}'), json_in("{a"), json_in("12")
        ({'a': 1}, None, None)
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        inside = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return inside if isinstance(inside, (dict, list)) else None


def tree_of(records: Iterable[Mapping[str, Any]]) -> Tree:
    """Return the structure of records. Of one that is nested too deeply to follow, only its beginning counts."""
    tree = Tree()
    for record in records:
        with suppress(RecursionError):
            tree.add(record)
    return tree


def steps(path: str, tree: Tree) -> Steps | None:
    """Return the steps of a dotted path, or None if it leads nowhere. The longest key goes first, for names may hold dots.

    Example:
        >>> tree = tree_of([{"user": {"id": 1}, "a.b": [{"c": "x"}]}])
        >>> [step.value for step, _ in steps("user.id", tree)], [step.value for step, _ in steps("a.b.c", tree)]
        (['key', 'key'], ['key', 'first', 'key'])
        >>> steps("user.name", tree) is None
        True
    """
    if not path:
        return ()
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        key, rest = ".".join(parts[:n]), ".".join(parts[n:])
        if key in tree.keys and (found := steps(rest, tree.keys[key])) is not None:
            return ((Step.KEY, key), *found)
    for step, inner in ((Step.FIRST, tree.element), (Step.PARSE, tree.parsed)):
        if inner is not None and (found := steps(path, inner)) is not None:
            return ((step, ""), *found)
    return None


def to_value(found: Steps, tree: Tree) -> Steps:
    """Return a path that ends at a list, or at a text that is a list, lengthened to its first element."""
    for step, key in found:
        inner = {Step.FIRST: tree.element, Step.PARSE: tree.parsed}.get(step, tree.keys.get(key))
        tree = inner or Tree()
    while tree.element is not None and not tree.is_leaf:
        found, tree = (*found, (Step.FIRST, "")), tree.element
    return found


class Place(NamedTuple):
    """Where a value stands: SQL of a JSON value, and a JSON pointer from there. The pointer may be empty."""

    base: str
    pointer: str

    def text(self) -> str:
        """Return SQL for the value as text."""
        return f"json_extract_string({self.base}, {quoted(self.pointer)})"


def place(base: str, path: Steps) -> Place:
    """Return where a path leads from the JSON value `base`, which is SQL."""
    pointer = ""
    for step, key in path:
        if step is Step.PARSE:
            base, pointer = f"TRY_CAST(json_extract_string({base}, {quoted(pointer)}) AS JSON)", ""
        else:
            pointer += "/0" if step is Step.FIRST else "/" + key.replace("~", "~0").replace("/", "~1")
    return Place(base, pointer)


def levels(path: Steps | None) -> list[Steps]:
    """Return the steps from each list on the path to the next one, the last one to the list at its end.

    Example:
        >>> nested = tree_of([{"talks": [{"messages": [{"text": "x"}]}]}])
        >>> [len(level) for level in levels(steps("talks.messages", nested))]
        [1, 1]
    """
    cut: list[list[tuple[Step, str]]] = [[]]
    for step in path or ():
        if step[0] is Step.FIRST:
            cut.append([])
        else:
            cut[-1].append(step)
    return [tuple(level) for level in cut]


def level_of(path: Steps, lists: Sequence[Steps]) -> tuple[int, Steps]:
    """Return how many of the nested lists a path goes into, and its steps from there."""
    depth = 0
    for inner in lists:
        head = (*inner, (Step.FIRST, ""))
        if path[: len(head)] != head:
            break
        depth, path = depth + 1, path[len(head) :]
    return depth, path
