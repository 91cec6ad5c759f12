"""Pieces: the character n-grams of a text, each known only by the number of the bucket it is hashed to."""

from collections.abc import Iterator
from itertools import pairwise
from zlib import crc32

_SIZES = (2, 3, 4)
_REACH = 3  # letters on either side of a border between words


def parts(text: str) -> Iterator[str]:
    """Return what a text is made of, each part once: its words, and the letters around each border between two words.

    A border is written with a blank, ``"eam now"`` in "ice cream nowadays"; a word holds none. A text is the bag of its
    parts, so that whatever is computed of a part can be remembered.

    Args:
        text: normalised.

    Example:
        >>> list(parts("turn it up"))
        ['turn', 'it', 'up', 'urn it', 'it up']
    """
    words = text.split(" ") if text else []
    yield from dict.fromkeys(words)
    yield from dict.fromkeys([f"{left[-_REACH:]} {right[:_REACH]}" for left, right in pairwise(words)])


def buckets(part: str, n: int) -> list[int]:
    """Return the buckets, 0..n-1, of the pieces of a part.

    A word has its n-grams of two to four characters with its ends marked, and itself; a border those that cross it, without
    the blank, for a recogniser hears none: "i scream" is "ice cream".
    """
    left, _, right = part.partition(" ")
    if right:
        joined, cut = left + right, len(left)
        grams = [joined[i : i + size] for size in _SIZES for i in range(len(joined) - size + 1) if i < cut < i + size]
    else:
        marked = f"<{part}>"
        grams = [marked[i : i + size] for size in _SIZES for i in range(len(marked) - size + 1)] + [f"={part}"]
    return [crc32(gram.encode("utf-8", "surrogatepass")) % n for gram in grams]
