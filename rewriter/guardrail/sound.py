"""Whether what is new in the target was heard in the source."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import jellyfish
from rapidfuzz.distance import Indel, Opcodes

from rewriter.guardrail.lexicon import Lexicon, Phrase

MAX_DISTANCE = 1 / 3
"""Two stretches of text sound alike if at most this share of their sounds differs (normalised Indel distance of the keys)."""


Align = Callable[[Sequence[str], Sequence[str]], Opcodes]


class Change(NamedTuple):
    """A stretch of the source and what stands for it in the target; one of them may be empty."""

    start: int
    end: int
    new_start: int
    new_end: int


@lru_cache(maxsize=1 << 10)  # each rule of the guardrail asks for the same again
def changes(source: Phrase, target: Phrase, align: Align = Indel.opcodes) -> tuple[Change, ...]:
    """Return the stretches in which two texts differ, neighbours merged.

    Args:
        source: words of the source.
        target: words of the target.
        align: how words are laid side by side; by default as many equal ones as can be (longest common subsequence).

    Example:
        >>> changes(("turn", "of", "lamp"), ("turn", "off", "the", "lamp"))
        (Change(start=1, end=2, new_start=1, new_end=3),)
    """
    found: list[Change] = []
    for op in align(source, target):
        if op.tag == "equal":
            continue
        if found and (found[-1].end, found[-1].new_end) == (op.src_start, op.dest_start):
            found[-1] = found[-1]._replace(end=op.src_end, new_end=op.dest_end)
        else:
            found.append(Change(op.src_start, op.src_end, op.dest_start, op.dest_end))
    return tuple(found)


def alike(source: Sequence[str], target: Sequence[str], lexicon: Lexicon, within: float = MAX_DISTANCE) -> bool:
    """Return whether two stretches sound alike: their keys differ at most by the distance `within`. Nothing is like silence.

    Example:
        >>> from rewriter.guardrail.wordlist import for_locale
        >>> alike(["turnoff"], ["turn", "off"], for_locale("en")), alike(["switch"], ["off"], for_locale("en"))
        (True, False)
    """
    return unlike(source, target, lexicon) <= within


def unlike(source: Sequence[str], target: Sequence[str], lexicon: Lexicon) -> float:
    """Return how much two stretches differ in sound, 0..1: the normalised Indel distance of their keys."""
    return Indel.normalized_distance(_key(tuple(source), lexicon), _key(tuple(target), lexicon))


@lru_cache(maxsize=1 << 13)
def _key(words: Phrase, lexicon: Lexicon) -> str:
    """Return the sounds of a stretch: English by Metaphone, other languages by letters without accents, doubled ones once."""
    spoken = (lexicon.spoken.get(word, word) for word in words)
    run = "".join(lexicon.sounds.get(word, word) for word in spoken)
    if lexicon.language == "en" and (key := jellyfish.metaphone(run)):
        return "A" + key[1:] if key[0] in "EIOU" else key  # initial vowels are the least sure of what was heard
    plain = (c for c in unicodedata.normalize("NFD", run) if unicodedata.category(c) != "Mn")
    return "".join(c for c, _ in groupby(plain))
