"""`Wording`: counts of words, word pairs and templates in the healthy texts of a log. A fluent text is made of known parts."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import pairwise
from math import log
from pathlib import Path
from types import MappingProxyType

from rewriter.errors import reading_artefact
from rewriter.guardrail.reading import longest_at
from rewriter.model.columns import HashedNumbers, text_key

_HEADER, _COUNTS = "wording.json", "counts"
_BORDERS = ("^", "$")  # begin and end of a text; no normalised text contains them as words
_RARE = 2.0  # a word counts as rare if at most so many texts contain it
_CACHED = 1 << 16  # number of counts and weights that are cached
_SMOOTH_STEP, _SMOOTH_CLASS = 0.1, 10.0  # added to the counts in the likelihood of a step (Lidstone smoothing, 100 outcomes)
NUMBER = "<#>"
"""Placeholder in templates for everything that is written in digits."""

FEATURES = (
    "words", "unknown", "unknown_share", "rare", "new_pairs", "new_pair_share", "new_steps", "new_step_share",
    "likelihood", "least_likelihood", "template", "template_seen", "names",
)  # fmt: skip
"""What `Wording.fluency` returns, in order."""


class Wording:
    """How many healthy texts of one locale contain each part. A part counts once per text.

    In the *template* of a text, known slot values are replaced by the names of their slots, and digits by `NUMBER`: "set the lamp
    to 40 percent" becomes "set the <name> to <#> percent". A *step* is a pair of neighbours in a template.

    Args:
        names: normalised value of a slot -> name of the slot.
        counts: how many texts hold each part, by the hash of its kind and text.
        texts: how many texts were counted.
        less: hash of a part -> how much is subtracted from its count.

    Attributes:
        weight: word -> its inverse document frequency, ``log((n + 1) / (df + 1/2))``.

    Example:
        >>> wording = Wording.of([("set the lamp to 40", {"lamp": "name"}), ("set the fan to 20", {"fan": "name"})])
        >>> wording.template("set the fan to 35")
        ['set', 'the', '<name>', 'to', '<#>']
        >>> wording.knows("lamp"), wording.knows("lamb")
        (True, False)
    """

    __slots__ = ("_counts", "_kept", "_less", "names", "texts", "weight")

    def __init__(
        self,
        names: Mapping[str, str],
        counts: HashedNumbers,
        texts: int,
        less: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.names = names
        self._counts = counts
        self.texts = texts
        self._less = less
        self._kept: dict[tuple[str, str], int] = {}
        self.weight = lru_cache(maxsize=_CACHED)(self._weight)

    @classmethod
    def of(cls, texts: Iterable[tuple[str, Mapping[str, str]]]) -> "Wording":
        """Count texts.

        Args:
            texts: normalised text, and its names: normalised value -> slot. The caller has checked that each text comes from
                enough users.
        """
        listed = list(texts)
        slots: dict[str, Counter[str]] = {}
        for text, of_text in listed:
            for name, slot in of_text.items():
                if f" {name} " in f" {text} ":
                    slots.setdefault(name, Counter())[slot] += 1
        names = {name: counted.most_common(1)[0][0] for name, counted in sorted(slots.items())}
        empty = cls(names, HashedNumbers.of({}), len(listed))
        counted: Counter[int] = Counter()
        for text, _ in listed:
            counted.update({text_key(kind, part) for kind, parts in empty.parts(text).items() for part in parts})
        return cls(names, HashedNumbers.of_keys(counted), len(listed))

    def without(self, texts: Sequence[str], names: Set[str]) -> "Wording":
        """Return this wording as if some of its texts had not been counted, for cross-validation.

        Args:
            texts: the texts to leave out.
            names: names that occur only in these texts.
        """
        less: Counter[int] = Counter()
        for text in texts:
            less.update({text_key(kind, part) for kind, parts in self.parts(text).items() for part in parts})
        left = {name: slot for name, slot in self.names.items() if name not in names}
        return Wording(left, self._counts, self.texts - len(texts), less)

    def template(self, text: str) -> list[str]:
        """Return the words of a text with names replaced by their slots, the longest name at each place."""
        words = text.split()
        template: list[str] = []
        i = 0
        while i < len(words):
            end = longest_at(words, i, self.names)
            if end > i + 1 or not words[i][0].isdigit():
                template.append(f"<{self.names[' '.join(words[i:end])]}>" if end > i else words[i])
            else:
                template.append(NUMBER)
            i = max(end, i + 1)
        return template

    def parts(self, text: str) -> dict[str, list[str]]:
        """Return the parts of a text by kind (word, pair, step, template, class), in their order in the text."""
        words, template = ([_BORDERS[0], *tokens, _BORDERS[1]] for tokens in (text.split(), self.template(text)))
        return {
            "word": words[1:-1],
            "pair": [f"{a} {b}" for a, b in pairwise(words)],
            "step": [f"{a} {b}" for a, b in pairwise(template)],
            "template": [" ".join(template[1:-1])],
            "class": template,
        }

    def count(self, kind: str, part: str) -> int:
        """Return how many texts contain a part of one kind."""
        found = self._kept.get((kind, part))
        return self._looked_up([(kind, part)])[0] if found is None else found

    def knows(self, word: str) -> bool:
        """Return whether any text contains a word."""
        return self.count("word", word) > 0

    def _weight(self, word: str) -> float:
        return log((self.texts + 1) / (self.count("word", word) + 0.5))

    def fluency(self, text: str, *, own: int = 0) -> list[float]:
        """Return the values of `FEATURES` for a text.

        Args:
            text: normalised, not empty.
            own: 1 if this text itself was counted, so that it must be left out; else 0.
        """
        parts = self.parts(text)
        n, template = len(parts["word"]), parts["class"]
        asked = [(kind, part) for kind in ("word", "pair", "step", "template") for part in parts[kind]]
        counts = [count - own for count in self._looked_up(asked + [("class", part) for part in template[:-1]])]
        words, pairs, steps = counts[:n], counts[n : 2 * n + 1], counts[2 * n + 1 : 2 * n + len(template)]
        unknown, rare = sum(c <= 0 for c in words), sum(c <= _RARE for c in words)
        new_pairs, new_steps = sum(c <= 0 for c in pairs), sum(c <= 0 for c in steps)
        seen, before = max(counts[2 * n + len(template)], 0), counts[2 * n + len(template) + 1 :]
        likely = [log((max(c, 0) + _SMOOTH_STEP) / (max(b, 0) + _SMOOTH_CLASS)) for c, b in zip(steps, before, strict=True)]
        names = sum(part[0] == "<" and part != NUMBER for part in parts["class"])
        return [
            n, unknown, unknown / n, rare, new_pairs, new_pairs / (n + 1), new_steps, new_steps / len(steps),
            sum(likely) / len(likely), min(likely), log(1 + seen), float(seen > 0), names,
        ]  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write ``wording.json``, ``counts_keys.npy`` and ``counts.npy``."""
        folder.mkdir(parents=True, exist_ok=True)
        self._counts.save(folder, _COUNTS)
        header = {"texts": self.texts, "names": dict(self.names)}
        (folder / _HEADER).write_text(json.dumps(header, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Wording":
        """Open what `save` wrote.

        Raises:
            ArtefactError: a file is missing or unreadable.
        """
        with reading_artefact(folder):
            header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
            return cls(header["names"], HashedNumbers.open(folder, _COUNTS), int(header["texts"]))

    def _looked_up(self, parts: Sequence[tuple[str, str]]) -> list[int]:
        """Return how many texts contain each of some parts, given as kind and part."""
        kept = self._kept
        new = [part for part in parts if part not in kept]
        if not new:
            return [kept[part] for part in parts]
        if len(kept) + len(new) > _CACHED:
            kept = self._kept = {}
            new = list(parts)
        keys = [text_key(*part) for part in new]
        for part, key, count in zip(new, keys, self._counts.get_keys(keys, 0), strict=True):
            kept[part] = int(count) - self._less.get(key, 0)
        return [kept[part] for part in parts]
