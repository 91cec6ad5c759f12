"""`Wordings`: how the healthy texts of a log are made, and how they would be had nobody asked for one of the goals."""

from collections import defaultdict
from collections.abc import Mapping

import pandas as pd

from rewriter.model.hypothesis import slots_of
from rewriter.model.wording import Wording
from rewriter.text import normalise


class Wordings:
    """The wording of each locale.

    Args:
        good: healthy texts of enough users, from `rewriter.offline.stock.worthy`.

    Attributes:
        all: locale -> wording.
        texts: (locale, goal) -> the texts that ask for it.
    """

    def __init__(self, good: pd.DataFrame) -> None:
        self.texts: dict[tuple[str, int], list[str]] = defaultdict(list)
        named: dict[tuple[str, str], set[int]] = defaultdict(set)
        said: dict[str, list[tuple[str, Mapping[str, str]]]] = defaultdict(list)
        for locale, text, goal, kind, state in zip(*(good[c] for c in ("locale", "query", "node", "kind", "state")), strict=True):
            names = _names(kind, state)
            said[locale].append((text, names))
            self.texts[locale, goal].append(text)
            for name in names:
                named[locale, name].add(goal)
        self._names: dict[tuple[str, int], set[str]] = defaultdict(set)
        for (locale, name), goals in named.items():
            if len(goals) == 1:
                self._names[locale, min(goals)].add(name)
        self.all = {locale: Wording.of(texts) for locale, texts in sorted(said.items())}
        self._without: dict[tuple[str, int], Wording] = {}

    def heard(self, locale: str, goal: int) -> bool:
        """Whether any text asks for a goal."""
        return (locale, goal) in self.texts

    def without(self, locale: str, goal: int) -> Wording:
        """Return the wording as it would be had nobody asked for a goal: without its texts, and the names in no other goal.

        Args:
            locale: one of `all`.
            goal: an interpretation.
        """
        key = (locale, goal)
        if key not in self._without:
            self._without[key] = self.all[locale].without(self.texts.get(key, []), self._names.get(key, set()))
        return self._without[key]


def _names(kind: str, state: str) -> dict[str, str]:
    return {normalise(value): slot for slot, value in slots_of(state).items() if value} if kind == "h" else {}
