"""Second choices: what people ask for because the first thing was not to be had. They restate nothing, so nothing is learned.

"play peppa pig songs" is heard well, but there are none, and the next request is "play paw patrol songs". The two requests have
one frame and two values. If one value could be a mishearing of the other, the second request is a rephrase; if not, it is a
second choice. Only a request that the assistant says it failed is looked at: one that it carried out wrongly is corrected, and
not replaced. The channel of `rewriter.model.channel` decides: with n symbols heard, a mishearing must be likelier than n symbols
drawn at random,

    -log P(heard | said) < n log(symbols),

which is the likelihood ratio test of the two explanations without a prior. It needs no list of words. Nor does it need a
hypothesis of the failed request, so it holds whether or not the NLU knows the name.
"""

import math
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import numpy as np
from rapidfuzz.distance import Postfix, Prefix

from rewriter.engines import Engine
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.model.prior import Prior
from rewriter.offline.mining import chunks
from rewriter.offline.mining.chunks import Chunk
from rewriter.text import normalise

_SYMBOLS: Final = 35
"""About as many phones as a language has, and letters as an alphabet."""
_KINDS: Final = ("spoken", "typed")

_PAIRS = "source, target, meant, later, locale, source_text, target_text, source_meant, target_meant"
_KEY = ("source", "target", "meant", "later")


def choose(engine: Engine, pairs: Path, out: Path) -> Path:
    """Write which pairs of requests are second choices: source, target, meant and later.

    Args:
        engine: runs the chunks.
        pairs: Parquet of ``sql/second_pairs.sql``, each pair once.
        out: folder to write; replaced if it is there.
    """
    return chunks.each(engine, "second_choices", partial(_choose, out), pairs, out)


def _choose(out: Path, chunk: Chunk) -> None:
    rows = chunks.read(chunk, _PAIRS)
    named = (rows[name] for name in ("source_text", "source_meant", "target_text", "target_meant", "locale"))
    second = np.fromiter((is_second_choice(*one) for one in zip(*named, strict=True)), dtype=np.bool_)
    chunks.write({name: rows[name][second] for name in _KEY}, chunk, out)


def is_second_choice(source: str, source_meant: str, target: str, target_meant: str, locale: str) -> bool:
    """Return whether a request asks for something else than the failed one before it.

    Args:
        source: the earlier request, normalised.
        source_meant: its hypothesis (`rewriter.model.hypothesis`); empty if there is none.
        target: the later request, normalised.
        target_meant: its hypothesis.
        locale: BCP 47.

    Example:
        >>> later = "play paw patrol songs", "play|what=paw patrol songs", "en"
        >>> is_second_choice("play peppa pig songs", "play|what=peppa pig songs", *later)
        True
        >>> is_second_choice("play peppa pig songs", "", *later)
        True
        >>> is_second_choice("play papa troll songs", "play|what=papa troll songs", *later)
        False
        >>> is_second_choice("put the radio on", "radio", *later)
        False
    """
    exchanged = list(_exchanged(source, source_meant, target, target_meant))
    return bool(exchanged) and all(_is_unlike(*_differing(heard, said), locale) for heard, said in exchanged)


def _exchanged(source: str, source_meant: str, target: str, target_meant: str) -> Iterator[tuple[str, str]]:
    """Yield the values that were said in the source and in the target for the same slot; none if anything else differs."""
    wanted = {name: normalise(value) for name, value in slots_of(target_meant).items()}
    if source_meant and intent_of(source_meant) == intent_of(target_meant):
        asked = {name: normalise(value) for name, value in slots_of(source_meant).items()}
        pairs = [(asked.get(name, ""), wanted.get(name, "")) for name in sorted({*asked, *wanted})]
        differing = [pair for pair in pairs if pair[0] != pair[1]]
        if all(_holds(source, heard) and _holds(target, said) for heard, said in differing):
            yield from differing
    elif not source_meant:
        fillers = ((_filler(source, target, value), value) for value in wanted.values() if value)
        yield from [(heard, value) for heard, value in fillers if heard and heard != value][:1]


def _holds(text: str, value: str) -> bool:
    return bool(value) and f" {value} " in f" {text} "


def _filler(source: str, target: str, value: str) -> str:
    """Return what the source has in the place of a value of the target, if the rest is the same; else nothing."""
    before, found, after = f" {target} ".partition(f" {value} ")
    text, head, tail = f" {source} ", f"{before} ", f" {after}"
    inside = (
        found
        and not _holds(source, value)
        and len(text) >= len(head) + len(tail)
        and text.startswith(head)
        and text.endswith(tail)
    )
    framed = (before + after).strip()
    return text[len(head) : len(text) - len(tail)].strip() if inside and framed else ""


def _differing(heard: str, said: str) -> tuple[str, str]:
    """Return two values without the words with which both begin or end."""
    one, other = heard.split(), said.split()
    head = int(Prefix.similarity(one, other))
    tail = min(int(Postfix.similarity(one, other)), len(one) - head, len(other) - head)
    return " ".join(one[head : len(one) - tail]), " ".join(other[head : len(other) - tail])


@lru_cache(maxsize=1 << 16)
def _is_unlike(heard: str, said: str, locale: str) -> bool:
    """Return whether random symbols explain what was heard better than a mishearing of what was said, in speech and typed.

    Digits are not compared: they do not show how they sound.
    """
    if not heard or not said or any(letter.isdigit() for letter in heard + said):
        return False
    for kind in _KINDS:
        channel = Prior.load().channel(kind, locale)
        views = channel.views([heard])
        if channel.cost(views, channel.views([said]))[0] < views.lengths[0] * math.log(_SYMBOLS):
            return False
    return True
