"""`mine_translations`: which word of one language stands for which word of another, learned from what is understood alike.

If two texts of one language differ in one word, and two texts of another language have the same two interpretations and differ in
one word too, then these words correspond: "off" and "kapat", if "light on" and "light off" mean what "ışığı aç" and "ışığı kapat"
mean. No dictionary is needed. Where several languages are spoken at home, people mix them in one request.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Final

from rewriter.errors import reading_artefact
from rewriter.locales import language_of

FILE: Final = "translations.json"
_LARGEST: Final = 50
"""Texts of one frame that are compared with each other."""
_LEAST_VOTES: Final = 2
"""Pairs of interpretations that must show a translation; by a single one "uit" would be "mute", from "sound off"."""
_LEAST_SHARE: Final = 0.75
"""Share of the evidence on a word that one translation must have; with less it has several meanings, and is not translated."""

_Meanings = tuple[str, str]
"""Two interpretations."""


def mine_translations(locales: Sequence[str], texts: Sequence[str], hypotheses: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return locale -> a word that none of its texts has -> the word of this locale that stands for it.

    Args:
        locales: of each text.
        texts: normalised.
        hypotheses: what the assistant makes of each, by which texts of two locales are compared.

    Example:
        >>> en, tr = ("light on", "light off", "fan on", "fan off"), ("ışığı aç", "ışığı kapat", "fanı aç", "fanı kapat")
        >>> found = mine_translations(["en"] * 4 + ["tr"] * 4, en + tr, ["light|1", "light|0", "fan|1", "fan|0"] * 2)
        >>> found["tr"]
        {'fan': 'fanı', 'light': 'ışığı', 'off': 'kapat', 'on': 'aç'}
    """
    spoken = dict.fromkeys(locales)
    if len({language_of(locale) for locale in spoken}) < 2:
        return {}
    rows = [(locale, text, meant) for locale, text, meant in zip(locales, texts, hypotheses, strict=True)]
    exchanged = {locale: _exchanged([(text, meant) for at, text, meant in rows if at == locale]) for locale in spoken}
    words = {locale: {word for at, text, _ in rows if at == locale for word in text.split()} for locale in spoken}
    votes: dict[str, dict[str, Counter[str]]] = {locale: defaultdict(Counter) for locale in spoken}
    for source, target in permutations(spoken, 2):
        if language_of(source) != language_of(target):
            for meanings in exchanged[source].keys() & exchanged[target].keys():
                for word, translation in zip(exchanged[source][meanings], exchanged[target][meanings], strict=True):
                    if word not in words[target]:
                        votes[target][word][translation] += 1
    return {locale: known for locale, of in votes.items() if (known := _agreed(of))}


def _agreed(votes: Mapping[str, Counter[str]]) -> dict[str, str]:
    best = {word: (*counted.most_common(1)[0], counted.total()) for word, counted in sorted(votes.items())}
    sure = ((word, translation) for word, (translation, n, total) in best.items() if n >= max(_LEAST_VOTES, _LEAST_SHARE * total))
    return dict(sure)


def _exchanged(texts: Sequence[tuple[str, str]]) -> dict[_Meanings, tuple[str, str]]:
    """Return, for two interpretations in order, the only two words by whose exchange texts change from one to the other.

    Args:
        texts: normalised text, and its interpretation.
    """
    frames: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for text, meant in texts:
        words = text.split()
        for i, word in enumerate(words):
            frames[(*words[:i], "", *words[i + 1 :])].append((word, meant))
    found: dict[_Meanings, set[tuple[str, str]]] = defaultdict(set)
    for members in frames.values():
        for (one, meant), (other, others) in combinations(members[:_LARGEST], 2):
            if meant != others:
                first, last = sorted(((meant, one), (others, other)))
                found[first[0], last[0]].add((first[1], last[1]))
    return {meanings: next(iter(pairs)) for meanings, pairs in found.items() if len(pairs) == 1}


def save_translations(folder: Path, translations: Mapping[str, Mapping[str, str]]) -> None:
    """Write them as JSON."""
    (folder / FILE).write_text(json.dumps(translations, ensure_ascii=False, indent=0), encoding="utf-8", errors="surrogatepass")


def open_translations(folder: Path) -> dict[str, dict[str, str]]:
    """Read what `save_translations` wrote; nothing where a version was made without it.

    Raises:
        ArtefactError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    with reading_artefact(path):
        found = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
        return {str(at): {str(word): str(meant) for word, meant in of.items()} for at, of in found.items()}
