"""`circumstances`: what a context says, as values that can be counted and compared."""

from collections.abc import Mapping

from rewriter.text import normalise

KEYS = ("hour", "room", "place", "device_type", "previous_utterance")
"""The keys that are read, beside all that begin with `STATE`; any other is the assistant's own business."""
STATE = "state."
_HOURS = 3  # that count as one moment of the day


def circumstances(context: object) -> list[str]:
    """Return ``key=value`` of each reserved key of a context; of what is no mapping of scalars, what can be read.

    Hours are taken three at a time, texts in their normal form; what is empty says nothing.

    Example:
        >>> circumstances({"hour": 7, "room": "Kitchen", "state.oven": True, "battery": 80})
        ['hour=6-8', 'room=kitchen', 'state.oven=true']
    """
    if not isinstance(context, Mapping):
        return []
    pairs = ((key, _value(key, value)) for key, value in context.items() if isinstance(key, str) and _read(key))
    return [f"{key}={value}" for key, value in pairs if value]


def _read(key: str) -> bool:
    return key in KEYS or key.startswith(STATE)


def _value(key: str, value: object) -> str:
    if key == "hour":
        return _hours(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return normalise(str(value)) if isinstance(value, (str, int, float)) else ""


def _hours(value: object) -> str:
    """Return the part of the day of an hour, 0..23; empty for anything else."""
    try:
        hour = int(float(value))  # type: ignore[arg-type] # whatever a log or a caller holds
    except (TypeError, ValueError, OverflowError):
        return ""
    start = hour // _HOURS * _HOURS
    return f"{start}-{start + _HOURS - 1}" if 0 <= hour < 24 else ""
