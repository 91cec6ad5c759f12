"""`Calls`: what the functions that an agent called say of a turn, for frameworks whose NLU is a language model."""

import json
from collections.abc import Mapping
from typing import Any

from rewriter.model.hypothesis import hypothesis


class Calls:
    """The functions that were called for one turn.

    Example:
        >>> calls = Calls()
        >>> calls.add("lamp", {"on": True, "room": "bath"}, failed=False)
        >>> calls.columns()
        {'status': 'ok', 'hypothesis': 'lamp|on=true|room=bath'}
    """

    __slots__ = ("_failed", "_lines")

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._failed = False

    def add(self, name: str, arguments: object, *, failed: bool) -> None:
        """Note a call.

        Args:
            name: of the function.
            arguments: name -> value, or the JSON of that. What is neither text, number nor bool is written as JSON.
            failed: whether it ended in an error.
        """
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                arguments = {"arguments": arguments}
        slots = {str(key): _scalar(value) for key, value in arguments.items()} if isinstance(arguments, Mapping) else {}
        self._lines.append(hypothesis(name, slots))
        self._failed |= failed

    def columns(self) -> dict[str, str | None]:
        """Return status and hypothesis, as columns of the log; both None if nothing was called."""
        if not self._lines:
            return {"status": None, "hypothesis": None}
        return {"status": "failed" if self._failed else "ok", "hypothesis": " & ".join(self._lines)}


def _scalar(value: Any) -> str | int | float | bool | None:  # noqa: ANN401 - whatever a model passes to a function
    return value if value is None or isinstance(value, str | int | float | bool) else json.dumps(value, sort_keys=True)
