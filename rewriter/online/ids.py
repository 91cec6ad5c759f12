"""`decision_id`: names every answer, so that a log can join what was decided with what became of it."""

import itertools
import os
import secrets


class _Ids:
    """A random prefix for the process and a running number: unique without asking the system at every call."""

    __slots__ = ("_numbers", "_prefix")

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count()

    def __call__(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


decision_id = _Ids()
"""Return a new id; different in every thread, and in every process, forked ones included."""

if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=decision_id.restart)
