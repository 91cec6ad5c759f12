"""`NoisyChannel`: P(heard | said), the probability of a heard text given the text that was said. One for speech, one for typing.

It is a memoryless transducer (Ristad and Yianilos 1998, "Learning string-edit distance", IEEE PAMI 20): each symbol that is said
is kept, replaced or left out, and further symbols are inserted. All operations of one kind share one parameter, so a few hundred
pairs are enough to learn them (`rewriter.offline.fit.prior_update`). The cost of a pair is

    -log P(heard | said)  ~=  sum over kinds k of  n_k * costs[k],

where n_k counts the operations of kind k on the cheapest way from said to heard. The counts come from distances that rapidfuzz
computes at about a tenth of a microsecond a pair: with L the Levenshtein distance, I the Indel distance (insertions and deletions
only) and B the Levenshtein distance between the strings of symbol groups,

    substitutions = I - L,  within a group = L - B,  insertions + deletions = 2 L - I,
    insertions - deletions = len(heard) - len(said).

These equations are exact if the three distances share a cheapest way, which is nearly always so for such short texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from rapidfuzz.distance import OSA, Indel, Levenshtein
from rapidfuzz.process import cdist

from rewriter.arrays import Floats
from rewriter.locales import Pack, language_of, pack_of
from rewriter.model.pronouncer import BROAD, Pronouncer, pronouncer_of
from rewriter.similarity import base_letters, romanised

SPOKEN = ("same", "within", "across", "deleted", "inserted")
"""Kinds of operation on phones: kept, replaced by one of the same broad group, by another one, left out, put in."""
TYPED = ("same", "near", "far", "deleted", "inserted", "swapped", "space")
"""Kinds of operation on letters: kept, replaced by a neighbouring key, by another letter, left out, put in, two neighbours
swapped, a blank between words left out or put in."""
_ROMANISED = "romanised"


class Views(NamedTuple):
    """Texts as a channel reads them, with everything that can be computed before a request comes.

    Attributes:
        forms: for each distance that is needed, the n strings it compares.
        lengths: (n,) float64, symbols of each text, at least 1.
    """

    forms: tuple[list[str], ...]
    lengths: Floats

    def take(self, rows: Sequence[int]) -> "Views":
        """Return these rows."""
        return Views(tuple([form[i] for i in rows] for form in self.forms), self.lengths[np.asarray(rows, dtype=np.int64)])


class Operations(Protocol):
    """A kind of channel without its costs: how texts are read, and how operations are counted."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds of operation."""

    @property
    def choices(self) -> tuple[float, ...]:
        """About how many symbols an operation of each kind can produce. Its probability is shared among them."""

    def views(self, texts: Sequence[str]) -> Views:
        """Return normalised texts as the channel reads them."""

    def count(self, heard: Views, said: Views) -> Floats:
        """Return how many operations of each kind turn each text said into the one text heard, (n, kinds)."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Counts operations on phones.

    Attributes:
        pronouncer: of the locale.

    Example:
        >>> spoken = Spoken(pronouncer_of("en"))
        >>> counts = spoken.count(spoken.views(["bedroom"]), spoken.views(["bedroom", "bedrooms", "bathroom"]))
        >>> dict(zip(SPOKEN, counts[1].tolist()))
        {'same': 6.0, 'within': 0.0, 'across': 0.0, 'deleted': 1.0, 'inserted': 0.0}
    """

    pronouncer: Pronouncer
    kinds: tuple[str, ...] = SPOKEN
    choices: tuple[float, ...] = (1, 5, 30, 1, 35)

    def views(self, texts: Sequence[str]) -> Views:
        """Return the phones of each text, and their broad groups."""
        phones = [self.pronouncer.phones(text) for text in texts]
        return Views((phones, [p.translate(BROAD) for p in phones]), _lengths(phones))

    def count(self, heard: Views, said: Views) -> Floats:
        """Count the operations, see `Operations.count`."""
        (phones, broad), (said_phones, said_broad) = heard.forms, said.forms
        plain = _distances(phones, said_phones, Levenshtein.distance)
        swaps, deleted, inserted = _split(plain, _distances(phones, said_phones, Indel.distance), heard.lengths[0], said.lengths)
        within = np.clip(plain - _distances(broad, said_broad, Levenshtein.distance), 0, swaps)
        return np.column_stack([said.lengths - swaps - deleted, within, swaps - within, deleted, inserted])


@dataclass(frozen=True, slots=True)
class Typed:
    """Counts operations on letters; neighbouring keys are those of the language's keyboard.

    Being neighbours does not divide the keys into groups. So three groupings of the keys are compared (pairs in a row, pairs
    shifted by one, columns). Two neighbours are together in one of the three. A fourth grouping joins letters that differ in
    diacritics only: leaving them out counts as a neighbouring key. Where people type Latin letters that are converted
    into another script, the Latin letters are compared.

    Attributes:
        pack: of the language.

    Example:
        >>> typed = Typed(pack_of("en"))
        >>> counts = typed.count(typed.views(["whereis my ordr"]), typed.views(["where is my order"]))
        >>> dict(zip(TYPED, counts[0].tolist()))
        {'same': 13.0, 'near': 0.0, 'far': 0.0, 'deleted': 1.0, 'inserted': 0.0, 'swapped': 0.0, 'space': 1.0}
    """

    pack: Pack
    kinds: tuple[str, ...] = TYPED
    choices: tuple[float, ...] = (1, 5, 20, 1, 26, 1, 1)

    def views(self, texts: Sequence[str]) -> Views:
        """Return the letters of each text without blanks, these by three groupings of the keys, and the text itself."""
        if self.pack.typed == _ROMANISED:
            texts = [romanised(text) for text in texts]
        letters = [text.replace(" ", "") for text in texts]
        groups = [[form.translate(grouping) for form in letters] for grouping in _groupings(self.pack.keyboard)]
        groups.append([base_letters(form) for form in letters])
        return Views((letters, *groups, list(texts)), _lengths(letters))

    def count(self, heard: Views, said: Views) -> Floats:
        """Count the operations, see `Operations.count`."""
        letters, *groups, whole = zip(heard.forms, said.forms, strict=True)
        plain = _distances(*letters, Levenshtein.distance)
        swapped = plain - _distances(*letters, OSA.distance)
        both = _split(plain, _distances(*letters, Indel.distance), heard.lengths[0], said.lengths)
        replaced, deleted, inserted = both[0], both[1], both[2]
        # Levenshtein pays two operations for a swap: one deletion and one insertion, or two replacements.
        paired = np.minimum(swapped, np.minimum(deleted, inserted))
        deleted, inserted, replaced = deleted - paired, inserted - paired, np.maximum(replaced - 2 * (swapped - paired), 0)
        near = np.clip(sum(plain - _distances(*group, Levenshtein.distance) for group in groups), 0, replaced)
        space = np.maximum(_distances(*whole, Levenshtein.distance) - plain, 0)
        same = np.maximum(said.lengths - replaced - deleted - 2 * swapped, 0)
        return np.column_stack([same, near, replaced - near, deleted, inserted, swapped, space])


@dataclass(frozen=True, slots=True)
class NoisyChannel:
    """A channel with its costs.

    Attributes:
        operations: how operations are counted.
        costs: (kinds,) float64, nats of one operation of each kind.

    Example:
        >>> channel = NoisyChannel(Spoken(pronouncer_of("en")), np.array([0.1, 3.0, 5.0, 4.0, 4.0]))
        >>> said = channel.views(["turn the heat up in the bedroom", "turn the heat up in the bathroom"])
        >>> near, far = channel.cost(channel.views(["turn the heat up in the bedrooms"]), said).tolist()
        >>> near < far
        True
    """

    operations: Operations
    costs: Floats

    def views(self, texts: Sequence[str]) -> Views:
        """Return normalised texts as the channel reads them."""
        return self.operations.views(texts)

    def cost(self, heard: Views, said: Views) -> Floats:
        """Return -log P(heard | said) for the one text heard and each text said, (n,) float64, in nats."""
        return np.asarray(self.operations.count(heard, said) @ self.costs, dtype=np.float64)


def channel_of(kind: str, locale: str, costs: Sequence[float]) -> NoisyChannel:
    """Return the channel of a kind, ``spoken`` or ``typed``, for a locale (BCP 47).

    Raises:
        ValueError: there is no such kind, or it has another number of costs.
    """
    if kind not in ("spoken", "typed"):
        raise ValueError(f"a channel is spoken or typed, not {kind!r}")
    operations: Operations = Typed(pack_of(language_of(locale))) if kind == "typed" else Spoken(pronouncer_of(locale))
    if len(costs) != len(operations.kinds):
        raise ValueError(f"{len(costs)} costs for the {len(operations.kinds)} kinds of operation of a {kind} channel")
    return NoisyChannel(operations, np.asarray(costs, dtype=np.float64))


def _distances(heard: Sequence[str], said: Sequence[str], scorer: Callable[..., Any]) -> Floats:
    return np.asarray(cdist(heard, said, scorer=scorer, dtype=np.int32)[0], dtype=np.float64)


def _split(plain: Floats, indel: Floats, heard: float, said: Floats) -> tuple[Floats, Floats, Floats]:
    """Return replacements, deletions and insertions from the two distances and the lengths."""
    replaced, rest = indel - plain, 2 * plain - indel
    inserted = np.clip((rest + heard - said) / 2, 0, None)
    return replaced, rest - inserted, inserted


def _lengths(forms: Sequence[str]) -> Floats:
    return np.maximum([len(form) for form in forms], 1).astype(np.float64)


@cache
def _groupings(rows: tuple[str, ...]) -> tuple[dict[int, str], ...]:
    """Return the three groupings of the keys of a keyboard, for ``str.translate``."""
    columns = {key: str(i % 10) for row in rows for i, key in enumerate(row)}
    pairs = [{key: row[max(i - (i + shift) % 2, 0)] for row in rows for i, key in enumerate(row)} for shift in (0, 1)]
    return tuple(str.maketrans(grouping) for grouping in (*pairs, columns))
