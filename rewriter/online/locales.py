"""`lookup_order`: in which locales of the log a request is looked up."""

import re
from collections.abc import Mapping


def lookup_order(locale: str | None, turns: Mapping[str, int]) -> tuple[str, ...]:
    """Return the locales in which a request is looked up, best first.

    First the locale itself, then without its last subtag and so on (RFC 4647, section 3.4), then all others of the same
    language, the commonest first. Case, ``de_DE`` for ``de-DE`` and a POSIX ending such as ``.UTF-8`` make no difference.

    Args:
        locale: locale of the request; None or empty for the commonest of the log.
        turns: turns of the log by locale, spelled as in the rules.

    Example:
        >>> lookup_order("en_US.UTF-8", {"de": 9, "en-GB": 5, "en": 1, "en-US": 2})
        ('en-US', 'en', 'en-GB')
        >>> lookup_order(None, {"de-AT": 1, "en-GB": 5})
        ('en-GB',)
    """

    def commonest_first(known: str) -> tuple[int, str]:
        return -turns[known], known

    def distance(known: str) -> int:
        tags = _subtags(known)
        return len(wanted) - len(tags) if tags == wanted[: len(tags)] else len(wanted)

    wanted = _subtags(locale or min(turns, key=commonest_first, default=""))
    alike = [known for known in turns if _subtags(known)[0] == wanted[0]]
    return tuple(sorted(alike, key=lambda known: (distance(known), commonest_first(known))))


def _subtags(locale: str) -> list[str]:
    return re.split("[-_]", re.split("[.@]", locale, maxsplit=1)[0].lower())
