"""`Recent`: what was found for the last few thousand keys, in this process and for this version only."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values of recent keys. Safe to use from many threads and across `fork`; it needs no lock.

    The entries are kept in two halves. A full younger half becomes the older one, whose entries are dropped. An entry of the
    older half that is asked for goes into the younger one, so what is asked for often stays.

    Args:
        most: entries of each half.

    Example:
        >>> recent = Recent(1)
        >>> recent.put("a", 1)
        >>> recent.put("b", 2)
        >>> recent.put("c", 3)
        >>> recent.get("a"), recent.get("b"), recent.get("c")
        (None, 2, 3)
    """

    __slots__ = ("_most", "_older", "_younger")

    def __init__(self, most: int) -> None:
        self._most = most
        self._younger: dict[Key, Value] = {}
        self._older: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return the value of a key; None if it is not kept."""
        found = self._younger.get(key)
        if found is None and (found := self._older.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Keep a value."""
        younger = self._younger
        if len(younger) >= self._most:
            self._older, self._younger = younger, {}
            younger = self._younger
        younger[key] = value
