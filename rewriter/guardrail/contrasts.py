"""`WordContrasts`: which words and endings change what is meant, counted in the texts that the assistant understands.

Two texts that differ in one word show whether the two words *contrast* (they mean different things: on and off) or are *synonyms*
(they mean the same: lamp and light). If only one text has a word, it is compared with no word. Pairs of words with the same stem
are also counted by their endings, so that the ending says something about a word that no text has (açma and aç, bedrooms and
bedroom). `rewriter.model.contrasts.mine_words` counts the pairs. It needs no word list and works for any language.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from json.encoder import encode_basestring as _json
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from rapidfuzz.distance import Postfix, Prefix

from rewriter.errors import reading_artefact, reading_state
from rewriter.similarity import changes

FILE: Final = "contrasts.json"
NOTHING: Final = ""
"""Stands for no word in a pair."""
SMOOTHING: Final = 1.0
"""Prior count of frames of each kind."""
_LEAST_STEM = 2  # least number of letters that two words must share for their endings to count; "aç" has two
_LONGEST_ENDING = 5  # most letters of an ending; words that differ in more are two words, not one word with two endings
_LEAST_STEMS = 2  # an ending must occur in so many pairs of words before it is used for other words


class Kind(StrEnum):
    """How two words are related."""

    CONTRAST = "contrast"
    SYNONYM = "synonym"


class Counts(NamedTuple):
    """Frames (or, for endings, pairs of words) in which an exchange changes the meaning, and those in which it does not."""

    changes: int
    keeps: int

    @property
    def kind(self) -> Kind | None:
        """The kind that was observed more often; None if neither was."""
        return None if self.changes == self.keeps else Kind.CONTRAST if self.changes > self.keeps else Kind.SYNONYM


class Shown(NamedTuple):
    """What the texts show about two words. `ending` is True if no text has the pair, so that only its endings are evidence."""

    source: str
    target: str
    kind: Kind
    counts: Counts
    ending: bool


Key = TypeVar("Key")
Value_co = TypeVar("Value_co", covariant=True)
Pair = tuple[str, str]
"""Two words, or two endings with ``-`` for the stem, in order."""


@dataclass(frozen=True, slots=True)
class WordContrasts:
    """Counts of pairs of words and of endings, for one locale.

    Attributes:
        words: pair of words, or of stretches of several words -> frames.
        partners: word -> the words that it is paired with.
        endings: pair of endings -> pairs of words of one stem.

    Example:
        >>> alike = {("lamp", "lamps"): Counts(0, 2), ("bed", "beds"): Counts(0, 1)}
        >>> found = WordContrasts.of({("off", "on"): Counts(3, 0)} | alike)
        >>> found.crossed("turn on the lamp".split(), "turn off the lamp".split()).kind.value
        'contrast'
        >>> found.as_said("turn on the rooms".split(), "turn on the room".split())
        'turn on the room'
    """

    words: Mapping[Pair, Counts] = field(default_factory=dict)
    partners: Mapping[str, Sequence[str]] = field(default_factory=dict)
    endings: Mapping[Pair, Counts] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Mapping[Pair, Counts]) -> "WordContrasts":
        """Count the endings of pairs of words."""
        endings: dict[Pair, Counts] = {}
        partners: dict[str, list[str]] = {}
        for pair, counts in words.items():
            partners.setdefault(pair[0], []).append(pair[1])
            partners.setdefault(pair[1], []).append(pair[0])
            ending = endings_of(*pair)
            if ending is not None and counts.kind is not None:
                before = endings.get(ending, Counts(0, 0))
                more = counts.kind is Kind.CONTRAST
                endings[ending] = Counts(before.changes + more, before.keeps + (not more))
        return cls(words, partners, {ending: counts for ending, counts in endings.items() if sum(counts) >= _LEAST_STEMS})

    def shown(self, source: str, target: str) -> Shown | None:
        """Return what the texts show about two words, one of which may be `NOTHING`; None if they show nothing."""
        counts, ending = self.words.get(_pair(source, target)), False
        if counts is None and (key := endings_of(source, target)) is not None:
            counts, ending = self.endings.get(key), True
        if counts is not None and counts.kind is not None:
            return Shown(source, target, counts.kind, counts, ending)
        return None if counts is not None or source in self.partners else self._of_another_form(source, target)

    def _of_another_form(self, source: str, target: str) -> Shown | None:
        """Return what the texts show about a word by another form of it: "bedrooms" and "bathroom", by "bedroom"."""
        for word in self.partners.get(target, ()) if source else ():
            if word and (word[0] == source[0] or word[-1] == source[-1]):  # else they have no stem in common
                ending = endings_of(source, word)
                same = None if ending is None else self.endings.get(ending)
                counts = self.words[_pair(word, target)]
                if same is not None and same.kind is Kind.SYNONYM and counts.kind is not None:
                    return Shown(source, target, counts.kind, counts, ending=True)
        return None

    def p_change(self, one: str, other: str) -> float:
        """Return P(the meaning changes | these two words are exchanged), smoothed; 0 for words that share no frame."""
        counts = self.words.get(_pair(one, other))
        return 0.0 if counts is None else (counts.changes + SMOOTHING) / (sum(counts) + 2 * SMOOTHING)

    def changing(self) -> Callable[[str], float]:
        """Return a function: word -> the share of its frames in which it changes what is meant.

        The share is smoothed towards that of all words, which is also that of a word without frames.
        """
        frames: dict[str, list[int]] = {}
        for pair, counts in self.words.items():
            for word in pair if not any(" " in word for word in pair) else ():
                of = frames.setdefault(word, [0, 0])
                of[0], of[1] = of[0] + counts.changes, of[1] + counts.keeps
        frames.pop(NOTHING, None)
        changes, keeps = (sum(of[side] for of in frames.values()) + SMOOTHING for side in (0, 1))
        typical = 2 * SMOOTHING * changes / (changes + keeps)
        shares = {word: (of[0] + typical) / (sum(of) + 2 * SMOOTHING) for word, of in frames.items()}
        return lambda word: shares.get(word, typical / (2 * SMOOTHING))

    def crossed(self, source: Sequence[str], target: Sequence[str]) -> Shown | None:
        """Return a contrast that a rewrite crosses, or None. It crosses one if it replaces a word by one with another meaning.

        A different order of words is no difference here. The guardrail forbids two words that swap their places by itself
        ("from berlin to paris", "from paris to berlin").

        Args:
            source: words of the source.
            target: words of the target.
        """
        pairs = (*_replaced(source, target), *_spans_replaced(source, target))
        found = (self.shown(*pair) for pair in pairs)
        return next((pair for pair in found if pair is not None and pair.kind is Kind.CONTRAST), None)

    def as_said(self, source: Sequence[str], target: Sequence[str]) -> str:
        """Return the source with its synonyms replaced by the words of the target, so that only real differences are left.

        Args:
            source: words of the source.
            target: words of the target.
        """
        said = list(source)
        for edit in reversed(changes(tuple(source), tuple(target))):
            lost, gained = source[edit.start : edit.end], target[edit.new_start : edit.new_end]
            pairs = zip_longest(lost, gained, fillvalue=NOTHING) if min(len(lost), len(gained)) <= 1 else ()
            known = [self.shown(*pair) for pair in pairs]
            if known and all(pair is not None and pair.kind is Kind.SYNONYM for pair in known):
                said[edit.start : edit.end] = gained
        return " ".join(said)

    def pairs(self, words: Collection[str] | None = None) -> list[tuple[str, str, Counts]]:
        """Return the pairs with one of some words, or all, the commonest first."""
        rows = [(*pair, counts) for pair, counts in self.words.items() if words is None or pair[0] in words or pair[1] in words]
        return sorted(rows, key=lambda row: (-sum(row[2]), row[:2]))


def endings_of(one: str, other: str) -> Pair | None:
    """Return the endings in which two words with a common stem differ, with ``-`` for the stem; None without a common stem.

    Example:
        >>> endings_of("açmasın", "açsın"), endings_of("unlock", "lock"), endings_of("bedroom", "kitchen"), endings_of("12", "13")
        (('-', '-ma'), ('-', 'un-'), None, None)
    """
    if not one.isalpha() or not other.isalpha():
        return None
    head = int(Prefix.similarity(one, other))
    tail = min(int(Postfix.similarity(one, other)), len(one) - head, len(other) - head)
    parts = one[head : len(one) - tail], other[head : len(other) - tail]
    if head + tail < _LEAST_STEM or max(map(len, parts)) > _LONGEST_ENDING:
        return None
    return _pair(*(f"-{part}" if head or not part else f"{part}-" for part in parts))


def save_contrasts(folder: Path, contrasts: Mapping[str, WordContrasts]) -> None:
    """Write the pairs of words of each locale, one line each, so that people can read the file."""
    lines = ",\n".join(
        f"[{_json(locale)}, {_json(one)}, {_json(other)}, {counts.changes}, {counts.keeps}]"  # a fifth of what json.dumps takes
        for locale, of in sorted(contrasts.items())
        for (one, other), counts in sorted(of.words.items())
    )
    (folder / FILE).write_text(f"[{lines}]", encoding="utf-8", errors="surrogatepass")


def open_contrasts(folder: Path) -> dict[str, WordContrasts]:
    """Open what `save_contrasts` wrote, by locale; nothing where a version was made without it.

    Raises:
        ArtefactError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    with reading_artefact(path):
        return _parsed(path)


def _parsed(path: Path) -> dict[str, WordContrasts]:
    words: dict[str, dict[Pair, Counts]] = {}
    for locale, one, other, changed, kept in json.loads(path.read_bytes().decode("utf-8", "surrogatepass")):
        words.setdefault(locale, {})[_pair(str(one), str(other))] = Counts(int(changed), int(kept))
    return {locale: WordContrasts.of(pairs) for locale, pairs in words.items()}


@dataclass(frozen=True, slots=True)
class KeptContrasts(Mapping[str, WordContrasts]):
    """What `save_contrasts` wrote into a folder, by locale; it is opened once in this process, when two words are looked up.

    Attributes:
        folder: with the file.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_contrasts(folder, {"en": WordContrasts.of({("off", "on"): Counts(3, 0)})})
        >>> dict(KeptContrasts(folder)["en"].words)
        {('off', 'on'): Counts(changes=3, keeps=0)}
    """

    folder: Path

    def __getitem__(self, locale: str) -> WordContrasts:
        """Return those of a locale, none of another."""

        def opened() -> WordContrasts:
            return self._opened().get(locale, WordContrasts())

        return WordContrasts(
            _Opened(lambda: opened().words), _Opened(lambda: opened().partners), _Opened(lambda: opened().endings)
        )

    def __iter__(self) -> Iterator[str]:
        """Yield the locales."""
        return iter(self._opened())

    def __len__(self) -> int:
        """Return how many locales there are."""
        return len(self._opened())

    def _opened(self) -> Mapping[str, WordContrasts]:
        path = self.folder / FILE
        with reading_state(path):
            of = path.stat()
            identity = (of.st_dev, of.st_ino, of.st_mtime_ns, of.st_size)
            if identity not in _last_opened:
                found = _parsed(path)
                _last_opened.clear()
                _last_opened[identity] = found
            return _last_opened[identity]


@dataclass(frozen=True, slots=True)
class _Opened(Mapping[Key, Value_co]):
    """A mapping that is opened when somebody asks for something."""

    opened: Callable[[], Mapping[Key, Value_co]]

    def __getitem__(self, key: Key) -> Value_co:
        return self.opened()[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self.opened())

    def __len__(self) -> int:
        return len(self.opened())


_last_opened: dict[tuple[int, ...], Mapping[str, WordContrasts]] = {}
"""What was opened last, by what the disk says of the file: a file that is linked from state to state is opened once."""


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)


def _replaced(source: Sequence[str], target: Sequence[str]) -> Iterator[Pair]:
    """Yield each word that is dropped, with each word that replaces it or with `NOTHING`."""
    for lost, gained in _stretches(source, target):
        yield from ((one, other) for one in lost or [NOTHING] for other in gained or [NOTHING])


def _spans_replaced(source: Sequence[str], target: Sequence[str]) -> Iterator[Pair]:
    """Yield what one or two words in a stretch of the source may be replaced by, where not both are one word."""
    for edit in changes(tuple(source), tuple(target)):
        lost, gained = _spans(source[edit.start : edit.end]), _spans(target[edit.new_start : edit.new_end])
        yield from ((one, other) for one in lost for other in gained if " " in one or " " in other)


def _spans(words: Sequence[str]) -> list[str]:
    return [" ".join(words[i : i + n]) for n in (1, 2) for i in range(len(words) - n + 1)]


def _stretches(source: Sequence[str], target: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield each stretch in which two texts differ: the words that only the source has, and those that only the target has."""
    for edit in changes(tuple(source), tuple(target)):
        lost = [word for word in source[edit.start : edit.end] if word not in target]
        gained = [word for word in target[edit.new_start : edit.new_end] if word not in source]
        if lost or gained:
            yield lost, gained
