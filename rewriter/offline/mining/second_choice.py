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
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from rapidfuzz.distance import Postfix, Prefix

from rewriter.engines import connect, save
from rewriter.model.hypothesis import intent_of, slots_of
from rewriter.model.prior import Prior
from rewriter.text import normalise

_SYMBOLS: Final = 35
"""About as many phones as a language has, and letters as an alphabet."""
_KINDS: Final = ("spoken", "typed")

_PAIRS = """
SELECT DISTINCT a.said AS source, b.said AS target, t.locale, t.text AS source_text, u.text AS target_text,
       COALESCE(h.text, '') AS source_meant, i.text AS target_meant, a.hypothesis AS source_state, b.hypothesis AS target_state
FROM scored AS s
JOIN candidates AS c ON c.user_no = s.user_no AND c.turn_no = s.turn_no AND c.ahead = s.ahead
JOIN sessions AS a ON a.user_no = c.user_no AND a.turn_no = c.turn_no
JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.next_turn_no
JOIN texts AS t ON t.id = a.said
JOIN texts AS u ON u.id = b.said
LEFT JOIN texts AS h ON h.id = a.hypothesis
JOIN texts AS i ON i.id = b.hypothesis
WHERE a.failed = 1 AND a.said <> b.said AND a.hypothesis IS DISTINCT FROM b.hypothesis
ORDER BY ALL
"""
_REST = """
SELECT s.user_no, s.turn_no, s.ahead, s.p
FROM scored AS s
JOIN candidates AS c ON c.user_no = s.user_no AND c.turn_no = s.turn_no AND c.ahead = s.ahead
JOIN sessions AS a ON a.user_no = c.user_no AND a.turn_no = c.turn_no
JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.next_turn_no
LEFT JOIN second_choices AS x ON x.source = a.said AND x.target = b.said AND x.source_state = COALESCE(a.hypothesis, -1)
                     AND x.target_state = b.hypothesis AND a.failed = 1
WHERE x.source IS NULL
ORDER BY ALL
"""


def leave_out(scored: Path, candidates: Path, sessions: Path, texts: Path, out: Path) -> Path:
    """Write the scores of all candidates but second choices.

    Args:
        scored: Parquet of `tables.SCORES`.
        candidates: Parquet of `tables.CANDIDATES`.
        sessions: Parquet of `tables.SESSIONS`.
        texts: Parquet of `tables.TEXTS`.
        out: Parquet of `tables.SCORES`.
    """
    with connect(scored=scored, candidates=candidates, sessions=sessions, texts=texts) as con:
        found = con.execute(_PAIRS)
        second = [
            (source, target, -1 if state is None else state, target_state)
            for source, target, locale, heard, said, meant, target_meant, state, target_state in iter(found.fetchone, None)
            if is_second_choice(heard, meant, said, target_meant, locale)
        ]
        columns = np.array(second, dtype=np.int64).reshape(-1, 4).T
        con.register("second_choices", dict(zip(("source", "target", "source_state", "target_state"), columns, strict=True)))
        save(con, _REST, out)
    return out


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
