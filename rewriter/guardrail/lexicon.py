"""`Lexicon`: the word list of one language, read from ``words/<language>.json`` and checked.

A word list says what phrases mean in *slots*: "turn off" says "off" in the polarity slot "run", "monday" says "monday" in the
slot "day". ``docs/guardrail.md`` describes the sections of the file. A new file adds a language; no code changes.
"""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from rapidfuzz.distance import Indel

from rewriter.errors import ConfigError
from rewriter.locales import language_of
from rewriter.similarity import run_key
from rewriter.text import normalise

Kind = Literal["polarity", "negation", "values", "units"]
Phrase = tuple[str, ...]
Meaning = tuple[str, str]
"""Slot and what is said in it, e.g. ``("power", "off")``."""
Index = Mapping[str, tuple[tuple[Phrase, Any], ...]]
"""First word -> (phrase, its meaning), the longest phrase first."""

NUMBER = "number"
"""The slot of the numbers."""

DANGERS = ("always", "order", "reset")
"""Groups of destructive requests. The first counts everywhere. Words of the second only name the subject in a shop, and words of
the third only name it at a help desk."""

NEUTRAL = "und"
"""Language code of the list for languages without one of their own (BCP 47 "undetermined"). It knows digits and signs."""

MAX_SOUND_DISTANCE = 1 / 3
"""Two stretches of text sound alike if at most this share of their sounds differs. Above a third, "lamp" would be like "off"."""

_STRETCHES_CACHED = 1 << 13  # number of stretches of words whose sounds are cached


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a language writes numbers.

    Attributes:
        words: number phrases and their values, ordinals among them.
        scales: (words, size) of hundred, thousand …, the smallest and the longest word first.
        joiners: words between the parts of a number ("two hundred *and* five").
        glued: in languages that write a number as one word ("einhundertzwei"), forms that occur only inside ("ein" is 1).
        articles: words that mean one before a unit ("*an* hour").
        minus: words that make the next number negative.
        clock_before: phrase before an hour -> minutes, negative ones before it ("quarter to" -> -15).
        clock_after: the same behind an hour ("et demie" -> 30).
        decimal: the decimal mark, "." or ",".
        starts: words that a number can begin with.
    """

    words: Index
    scales: tuple[tuple[tuple[str, ...], int], ...]
    joiners: frozenset[str]
    glued: Mapping[str, int]
    articles: frozenset[str]
    minus: frozenset[str]
    clock_before: Index
    clock_after: Index
    decimal: str
    starts: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """What the words of one language mean. Two lexicons are equal only if they are one object, so results can be cached by it.

    Attributes:
        language: BCP 47 language.
        kinds: slot -> the section that it stands in.
        phrases: what phrases mean, as tuples of `Meaning`; idioms have no meaning.
        starts: the words that a phrase of `phrases` or `parted` can begin with.
        parted: first word -> (last word, what they mean), of phrases with a gap ("halt … an").
        units: the single words of the units.
        numbers: how numbers are written.
        particles: words that are a polarity only as the particle of a verb, and a preposition elsewhere ("on").
        weak: phrases that count only if nothing else is said in their slot ("set", "more").
        openers: words that begin a clause ("and"); what follows one is no preposition.
        closers: words that cannot follow a preposition ("please"); a word before one is no preposition.
        elisions: words that are written together with the next one by an apostrophe ("l" in "l'alarme").
        digraphs: a word of the list, as it is typed without special letters -> the word ("oeffne" -> "öffne").
        homophones: word -> the first of the words that sound the same.
        mistaken: number -> words that are heard for it (2 -> "to", "too").
        spoken: number -> its first phrase in the list.
        danger: group -> requests to destroy, buy or unlock, as sets of words that may stand anywhere in a text. Which groups
            count depends on the profile of the deployment.
        complaints: negations that describe something that does not work ("can't", "funktioniert nicht").
        light: function words and fillers (articles, prepositions, pronouns, "please", "um"). A request means the same without
            them.
    """

    language: str
    kinds: Mapping[str, Kind]
    phrases: Index
    starts: frozenset[str]
    parted: Mapping[str, tuple[tuple[str, tuple[Meaning, ...]], ...]]
    units: frozenset[str]
    numbers: Numbers
    particles: frozenset[str]
    weak: frozenset[str]
    openers: frozenset[str]
    closers: frozenset[str]
    elisions: frozenset[str]
    digraphs: Mapping[str, str]
    homophones: Mapping[str, str]
    mistaken: Mapping[str, frozenset[str]]
    spoken: Mapping[str, str]
    danger: Mapping[str, Index]
    complaints: frozenset[Phrase]
    light: frozenset[str]

    def sound_distance(self, source: Sequence[str], target: Sequence[str]) -> float:
        """Return how much two stretches of words differ in sound, 0..1: the normalised Indel distance of their keys.

        Example:
            >>> english = for_locale("en")
            >>> english.sound_distance(["turnoff"], ["turn", "off"]), english.sound_distance(["2"], ["to"])
            (0.0, 0.0)
        """
        return Indel.normalized_distance(_sound_key(tuple(source), self), _sound_key(tuple(target), self))

    def sounds_alike(self, source: Sequence[str], target: Sequence[str], within: float = MAX_SOUND_DISTANCE) -> bool:
        """Return whether two stretches of words differ in sound by at most `within`. Nothing sounds like an empty stretch.

        Example:
            >>> english = for_locale("en")
            >>> english.sounds_alike(["turnoff"], ["turn", "off"]), english.sounds_alike(["switch"], ["off"])
            (True, False)
        """
        return self.sound_distance(source, target) <= within


@lru_cache(maxsize=_STRETCHES_CACHED)
def _sound_key(words: Phrase, lexicon: Lexicon) -> str:
    """Return the sounds of a stretch, with numbers spelt out and homophones replaced by one of them."""
    spoken = (lexicon.spoken.get(word, word) for word in words)
    return run_key("".join(lexicon.homophones.get(word, word) for word in spoken), lexicon.language)


_GAP = "…"
"""Separates a verb from its particle in a phrase: "halt … an"."""

_SECTIONS: dict[str, type] = {
    "language": str, "about": str, "checked": str, "polarity": dict, "negation": dict, "values": dict, "units": dict,
    "numbers": dict, "ordinals": dict, "ordinal_endings": list, "scales": dict, "joiners": list, "glued": dict, "articles": list,
    "minus": list, "clock_before": dict, "clock_after": dict, "decimal": str, "particles": list, "weak": list, "openers": list,
    "closers": list, "elisions": list, "digraphs": dict, "idioms": list, "homophones": list, "danger": dict,
    "complaints": list, "light": list,
}  # fmt: skip


def shipped(folder: str = "words") -> dict[str, Traversable]:
    """Return the word lists of this package, language code -> file.

    Args:
        folder: ``words`` for those that were written for this package; ``generated`` for those with numbers, days and months
            only, which ``benchmarks/word_lists.py`` makes of the Unicode CLDR.
    """
    files = resources.files("rewriter.guardrail").joinpath(folder).iterdir()
    return {file.name.removesuffix(".json"): file for file in files if file.name.endswith(".json")}


def for_locale(locale: str) -> Lexicon:
    """Return the lexicon of a locale's language: written, generated, or the neutral one if none is shipped.

    Args:
        locale: BCP 47.

    Example:
        >>> for_locale("en-GB").language, for_locale("sv").language, for_locale("tlh").language
        ('en', 'sv', 'und')
    """
    language, files = language_of(locale), shipped()
    return read_lexicon(files.get(language) or shipped("generated").get(language, files[NEUTRAL]))


def read_lexicon(path: Path | Traversable) -> Lexicon:
    """Read a word list from a JSON file.

    Raises:
        ConfigError: the file cannot be read or is not a word list; the message names the file and the entry.
    """
    try:
        return _build(_checked(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        raise ConfigError(f"word list {path.name}: {error}") from error


def _checked(data: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON holds
    """Return the sections of a word list; missing ones are empty.

    Raises:
        ValueError: a section is unknown, of another type, or holds something else than it should.
    """
    if not isinstance(data, dict) or "language" not in data:
        raise ValueError('expected an object with at least "language"')
    for name, value in data.items():
        if name not in _SECTIONS:
            raise ValueError(f"unknown section {name}; known are {', '.join(_SECTIONS)}")
        if type(value) is not _SECTIONS[name]:
            raise ValueError(f"section {name} must be a {_SECTIONS[name].__name__}, not a {type(value).__name__}")
    _check_slots(data)
    return {name: data.get(name, kind()) for name, kind in _SECTIONS.items()}


def _check_slots(data: dict[str, Any]) -> None:
    """Refuse polarities without two sides, a second slot of numbers, unknown dangers, homophones that are not in groups."""
    for slot, sides in data.get("polarity", {}).items():
        if not isinstance(sides, dict) or len(sides) != 2:
            raise ValueError(f"polarity {slot} must have two sides")
    for slot in (*data.get("polarity", {}), *data.get("values", {})):
        if slot == NUMBER:
            raise ValueError(f"{NUMBER} is the slot of the numbers; give this one another name")
    for group, texts in data.get("danger", {}).items():
        if group not in DANGERS or not isinstance(texts, list):
            raise ValueError(f"danger {group} must be one of {', '.join(DANGERS)}, and a list of phrases")
    for group in data.get("homophones", []):
        if not isinstance(group, list):
            raise ValueError(f"homophones {group!r} must be a list of words")


def _build(data: dict[str, Any]) -> Lexicon:
    kinds, meanings = _meanings(data)
    requests = [text for texts in data["danger"].values() for text in texts]
    numbers = _number_words(data)
    spoken: dict[str, str] = {}
    for phrase, value in numbers.items():
        spoken.setdefault(str(value), " ".join(phrase))
    groups = [[" ".join(_phrase(word)) for word in group] for group in data["homophones"]]
    return Lexicon(
        language=data["language"],
        kinds=kinds,
        phrases=_index((phrase, said) for phrase, said in meanings.items() if _GAP not in phrase),
        starts=frozenset(phrase[0] for phrase in meanings),
        parted=_parted(meanings),
        units=frozenset(p[0] for p, said in meanings.items() if len(p) == 1 and any(kinds[slot] == "units" for slot, _ in said)),
        numbers=_numbers(data, numbers),
        particles=_words(data["particles"]),
        weak=frozenset(" ".join(form) for text in data["weak"] for form in (_phrase(text), _plain(_phrase(text)))),
        openers=_words(data["openers"]),
        closers=_words(data["closers"]),
        elisions=_words(data["elisions"]),
        digraphs=_digraphs(data["digraphs"], (word for phrase in (*meanings, *map(_phrase, requests)) for word in phrase)),
        homophones={word: group[0] for group in groups for word in group},
        mistaken=_mistaken(groups, {phrase[0]: str(value) for phrase, value in numbers.items() if len(phrase) == 1}),
        spoken=spoken,
        danger={group: dangers(texts) for group, texts in data["danger"].items()},
        complaints=frozenset(form for text in data["complaints"] for form in (_phrase(text), _plain(_phrase(text)))),
        light=_words(data["light"]),
    )


def _meanings(data: dict[str, Any]) -> tuple[dict[str, Kind], dict[Phrase, tuple[Meaning, ...]]]:
    """Return the kind of each slot, and what each phrase means."""
    kinds: dict[str, Kind] = {}
    found: dict[Phrase, dict[str, str]] = defaultdict(dict)
    for kind, slot, value, text in _entries(data):
        if kinds.setdefault(slot, kind) != kind:
            raise ValueError(f"{slot} stands in both {kinds[slot]} and {kind}")
        if found[_phrase(text)].setdefault(slot, value) != value:
            raise ValueError(f'"{text}" is both {found[_phrase(text)][slot]} and {value} in {slot}')
    listed = {phrase: tuple(said.items()) for phrase, said in found.items()}
    listed |= {_phrase(text): () for text in data["idioms"]}
    return kinds, {_plain(phrase): said for phrase, said in listed.items()} | listed


def _parted(meanings: dict[Phrase, tuple[Meaning, ...]]) -> dict[str, tuple[tuple[str, tuple[Meaning, ...]], ...]]:
    found: dict[str, tuple[tuple[str, tuple[Meaning, ...]], ...]] = {}
    for phrase, said in meanings.items():
        if _GAP in phrase:
            first, _, last = phrase
            found[first] = (*found.get(first, ()), (last, said))
    return found


def _entries(data: dict[str, Any]) -> Iterator[tuple[Kind, str, str, str]]:
    """Yield (section, slot, value, phrase). Negations and units are one slot each, named as their section."""
    sections: tuple[Kind, ...] = ("polarity", "negation", "values", "units")
    for kind in sections:
        slots = {kind: data[kind]} if kind in ("negation", "units") else data[kind]
        for slot, values in slots.items():
            if not isinstance(values, dict) or not all(isinstance(texts, list) for texts in values.values()):
                raise ValueError(f"{kind} {slot} must give each value a list of phrases")
            yield from ((kind, slot, value, text) for value, texts in values.items() for text in texts)
    yield from (("negation", "negation", "not", text) for text in data["complaints"])


def _number_words(data: dict[str, Any]) -> dict[Phrase, int | float]:
    endings = data["ordinal_endings"] or [""]
    listed = [*data["numbers"].items(), *((stem + end, n) for stem, n in data["ordinals"].items() for end in endings)]
    numbers: dict[Phrase, int | float] = {}
    for text, value in listed:
        if type(value) not in (int, float):
            raise ValueError(f'number "{text}" must be a number, not {value!r}')
        if numbers.setdefault(_phrase(text), value) != value:
            raise ValueError(f'number "{text}" is both {numbers[_phrase(text)]} and {value}')
    articles = _words(data["articles"])
    return {plain: value for phrase, value in numbers.items() if (plain := _plain(phrase))[0] not in articles} | numbers


def _numbers(data: dict[str, Any], words: dict[Phrase, int | float]) -> Numbers:
    sizes: dict[int, frozenset[str]] = {}
    for word, size in data["scales"].items():
        sizes[_whole(size)] = sizes.get(size, frozenset()) | _words([word])
    clock_before = {_phrase(phrase): _whole(minutes) for phrase, minutes in data["clock_before"].items()}
    articles, minus = _words(data["articles"]), _words(data["minus"])
    return Numbers(
        words=_index(words.items()),
        scales=tuple((tuple(sorted(sizes[size], key=len, reverse=True)), size) for size in sorted(sizes)),
        joiners=_words(data["joiners"]),
        glued={form: _whole(n) for text, n in data["glued"].items() for form in {*_phrase(text), *_plain(_phrase(text))}},
        articles=articles,
        minus=minus,
        clock_before=_index(clock_before.items()),
        clock_after=_index((_phrase(phrase), _whole(minutes)) for phrase, minutes in data["clock_after"].items()),
        decimal=data["decimal"] or ".",
        starts=frozenset(phrase[0] for phrase in (*words, *clock_before)).union(articles, minus, *sizes.values()),
    )


def _digraphs(letters: dict[str, str], words: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        typed = word
        for letter, digraph in letters.items():
            typed = typed.replace(letter, digraph)
        if typed != word:
            found[typed] = word
    return found


def _mistaken(groups: list[list[str]], numbers: dict[str, str]) -> dict[str, frozenset[str]]:
    """Return, for each number in a group of words that sound alike, the words of the group that are no number."""
    found: dict[str, frozenset[str]] = {}
    for group in groups:
        others = frozenset(word for word in group if word not in numbers)
        found |= {numbers[word]: found.get(numbers[word], frozenset()) | others for word in group if word in numbers}
    return found


def dangers(texts: Iterable[str]) -> Index:
    """Return destructive requests, each under the first of its words and as the set of all of them."""
    return _index((_phrase(text), frozenset(_phrase(text))) for text in texts)


def _index(phrases: Iterable[tuple[Phrase, Any]]) -> Index:
    by_first: dict[str, list[tuple[Phrase, Any]]] = defaultdict(list)
    for phrase, meaning in sorted(phrases, key=lambda entry: -len(entry[0])):
        by_first[phrase[0]].append((phrase, meaning))
    return {first: tuple(entries) for first, entries in by_first.items()}


def _words(texts: Iterable[Any]) -> frozenset[str]:
    """Return single words, with and without accents."""
    phrases = [_phrase(text) for text in texts]
    if many := next((phrase for phrase in phrases if len(phrase) > 1), None):
        raise ValueError(f'"{" ".join(many)}" must be one word')
    return frozenset(form[0] for phrase in phrases for form in (phrase, _plain(phrase)))


def _phrase(text: Any) -> Phrase:  # noqa: ANN401 - whatever JSON holds
    """Return the words of a phrase; of one with a gap the word before it, `_GAP` and the word behind it."""
    parts = [normalise(part).split() for part in text.split(_GAP)] if isinstance(text, str) else [[]]
    if not all(parts) or (len(parts) > 1 and [len(part) for part in parts] != [1, 1]):
        raise ValueError(f"{text!r} is no phrase")
    return tuple(parts[0]) if len(parts) == 1 else (parts[0][0], _GAP, parts[1][0])


def _plain(phrase: Phrase) -> Phrase:
    """Return a phrase without its accents, as many people type it."""
    return tuple("".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn") for word in phrase)


def _whole(value: Any) -> int:  # noqa: ANN401 - whatever JSON holds
    if type(value) is not int:
        raise ValueError(f"{value!r} must be a whole number")
    return value
