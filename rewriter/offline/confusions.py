"""`Confusions`: which words a log hears for which, and healthy queries misheard in the same way."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby

from rapidfuzz.distance import Levenshtein

_WORDS = 3  # of a phrase that is taken for another, on either side

Phrase = tuple[str, ...]


class Confusions:
    """Phrases of up to three words that were heard for others, with how often.

    Args:
        pairs: (what was heard, what was meant), normalised, each text said by at least `Config.launch.min_users` users.

    Example:
        >>> confusions = Confusions([("turn of the lamp", "turn off the lamp")])
        >>> confusions.misheard("switch off the radio", random.Random(0), chance=1.0)
        'switch of the radio'
    """

    __slots__ = ("_heard",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        counts: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
        for heard, meant in pairs:
            for phrase, heard_for_it in _differences(meant.split(), heard.split()):
                counts[phrase][heard_for_it] += 1
        self._heard = {phrase: (list(c), list(c.values())) for phrase, c in counts.items()}

    def misheard(self, text: str, rng: random.Random, chance: float) -> str:
        """Return a text in which phrases, each with a chance, are what the log heard for them, drawn by how often it did.

        Args:
            text: normalised.
            rng: what draws.
            chance: that a phrase which has ever been misheard is so again, 0..1.
        """
        words, said = text.split(), []
        while words:
            for n in range(min(_WORDS, len(words)), 0, -1):
                heard = self._heard.get(tuple(words[:n]))
                if heard is not None and rng.random() < chance:
                    said.append(rng.choices(*heard)[0])
                    break
            else:
                n = 1
                said.append(words[0])
            words = words[n:]
        return " ".join(part for part in said if part)


def _differences(meant: list[str], heard: list[str]) -> Iterator[tuple[Phrase, str]]:
    """The phrases in which the two differ, between the words they share."""
    steps = Levenshtein.opcodes(meant, heard)
    for same, group in groupby(steps, key=lambda step: step.tag == "equal"):
        if not same:
            run = list(group)
            left, right = meant[run[0].src_start : run[-1].src_end], heard[run[0].dest_start : run[-1].dest_end]
            if 0 < len(left) <= _WORDS and len(right) <= _WORDS:
                yield tuple(left), " ".join(right)
