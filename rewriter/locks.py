"""`Lock`: a lock that is free in a forked child, whoever held it in the parent."""

import os
import threading
from types import TracebackType
from weakref import WeakSet


class Lock:
    """A mutual exclusion lock. Every lock of the package is one of these.

    A fork copies a lock as it is. If another thread of the parent holds it at that moment, nobody in the child will ever release
    it, and the first request there waits for ever. So each lock is made anew in the child.

    Example:
        >>> with Lock():
        ...     print("one at a time")
        one at a time
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Wait until it is free, and hold it."""
        self._lock.acquire()

    def release(self) -> None:
        """Let the next one have it."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()


_locks: WeakSet[Lock] = WeakSet()


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_all)
