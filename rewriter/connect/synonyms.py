"""`synonyms`: what people call things in other words than the assistant knows, learned from their restatements.

Two sources are read. A rewrite whose two texts differ in one phrase shows that people who said the one meant the other, in many
cases k users and more: "turn on the telly", "turn on the tv". Texts that the assistant understands alike and that differ in one
word show it too. The weight of a pair is P(the exchange keeps the meaning)::

    (sum of P(goal) of the rewrites + frames with one meaning + 1/2) / (rewrites + frames + 1)

A pair is never applied by itself: rules and the ranker of the online layer weigh it. The list is for people, search engines and
the alias lists of hosts.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rewriter.artefact.disk import explained, replace
from rewriter.artefact.versions import Version, load_current
from rewriter.connect.search_rules import escaped, synonym_set, text_file
from rewriter.errors import RequestError
from rewriter.guardrail.contrasts import NOTHING, Kind, WordContrasts, open_contrasts
from rewriter.model.fluency import Wording
from rewriter.operate.review import Learned, decided
from rewriter.similarity import changes, sound_similarity, text_similarity
from rewriter.text import unspaced

COLUMNS: Final = ("said", "meant", "weight", "shown by", "for example")
FIGURES: Final = ("weight",)
_LONGEST = 4  # words of a phrase; longer ones are sentences
_WEIGHT = 0.5  # prior count of each outcome
_LEAST_REWRITES, _LEAST_FRAMES, _LEAST_WEIGHT = 2, 3, 0.8
"""A pair is listed if so many rewrites or pairs of understood texts show it, and its weight is not less. One rewrite alone
may be a mishearing that sounds like neither phrase."""
_NAMES_ONLY = "home-assistant"
_MISHEARD = 2 / 3  # similarity from which on two phrases are taken for one word, misheard or in two forms


@dataclass(frozen=True, slots=True)
class Synonym:
    """What people say for something.

    Attributes:
        locale: BCP 47.
        said: the words of people.
        meant: the words that the assistant understands.
        weight: P(the exchange keeps the meaning), 0..1.
        rewrites: number of rewrites for everybody that show it.
        users: users of the most common of these rewrites; 0 without one.
        frames: number of pairs of understood texts that show it.
        alike: similarity of the two in spelling or in sound, the greater one, 0..1.
        example: a rewrite or a pair of words that shows it.
    """

    locale: str
    said: str
    meant: str
    weight: float
    rewrites: int
    users: int
    frames: int
    alike: float
    example: str

    @property
    def misheard(self) -> bool:
        """Whether two thirds of the letters or sounds are the same: then it is a mishearing, or a form of the same word."""
        return self.alike >= _MISHEARD

    def row(self) -> tuple[str, ...]:
        """Return it in the order of COLUMNS."""
        kinds = [(self.rewrites, "rewrite"), (self.frames, "frame")]
        shown = ", ".join(f"{n:,} {kind}{'s' * (n > 1)}" for n, kind in kinds if n)
        return unspaced(self.said), unspaced(self.meant), f"{self.weight:.2f}", shown, self.example


def synonyms(
    root: str | Path, *, locale: str | None = None, with_misheard: bool = False, out: str | Path | None = None, host: str = "solr"
) -> list[Synonym]:
    """Return what people call things, the best shown first, and write it for a host.

    Args:
        root: the artefact folder.
        locale: only of this locale; None for all.
        with_misheard: whether mishearings and typing errors are included.
        out: file to write; None for none.
        host: ``solr``, ``elasticsearch`` or ``opensearch`` for lines of equivalent words, which widen a search;
            ``home-assistant`` for YAML with the aliases of each name that the log or catalog has as the value of a slot.

    Raises:
        ArtefactError: there is no artefact, or the disk refuses.
        RequestError: there is no such host.

    Example:
        >>> synonyms("artefact", locale="en-GB", out="synonyms.txt")  # doctest: +SKIP
    """
    if host not in WRITERS:
        raise RequestError(f"synonyms are written for {', '.join(WRITERS)}, not for {host!r}")
    rewrites = [each.rule for each in decided(root) if each.line is None or each.line.choice != "block"]
    words, names = load_current(root, lambda version: (_words(version), _names(version)))
    found = [each for each in _found(rewrites, words) if locale in (None, each.locale)]
    kept = sorted((each for each in found if with_misheard or not each.misheard), key=_best_first)
    if out is not None:
        written = [each for each in kept if host != _NAMES_ONLY or each.meant in names]
        with explained(Path(out)):
            replace(Path(out), WRITERS[host](written).encode("utf-8"))
    return kept


def _words(version: Version) -> Mapping[str, WordContrasts]:
    """Return what the texts of the log, or else of the catalog, show about words."""
    return open_contrasts(version.folder / "online") or open_contrasts(version.folder / "catalog")


def _names(version: Version) -> frozenset[str]:
    """Return the names that the assistant knows: values of slots."""
    folders = (path for kind in ("online", "catalog") for path in (version.folder / kind / "wording").glob("*") if path.is_dir())
    return frozenset(name for folder in folders for name in Wording.open(folder).names)


def _best_first(one: Synonym) -> tuple[float, int, str, str, str]:
    return -one.weight, -one.rewrites - one.frames, one.locale, one.said, one.meant


def _found(rewrites: Iterable[Learned], words: Mapping[str, WordContrasts]) -> Iterator[Synonym]:
    """Yield the pairs that rewrites or frames show, without those that change the meaning in most frames."""
    shown: dict[tuple[str, str, str], list[Learned]] = defaultdict(list)
    for rule in rewrites:
        pair = exchanged(rule.source, rule.target)
        if pair is not None:
            shown[rule.locale, *pair].append(rule)
    for locale, of in words.items():
        for one, other, counts in of.pairs():
            if (
                counts.kind is Kind.SYNONYM
                and NOTHING not in (one, other)
                and not {(locale, one, other), (locale, other, one)} & {*shown}
            ):
                shown[locale, one, other] = []
    for (locale, said, meant), rules in shown.items():
        alters, keeps = words.get(locale, WordContrasts()).words.get((min(said, meant), max(said, meant)), (0, 0))
        if alters > keeps:
            continue
        total = len(rules) + keeps + alters
        weight = (sum(rule.p_goal for rule in rules) + keeps + _WEIGHT) / (total + 2 * _WEIGHT)
        alike = float(max(text_similarity([said], [meant])[0], sound_similarity([said], [meant], locale)[0]))
        few = len(rules) < _LEAST_REWRITES and keeps < _LEAST_FRAMES
        if alike < _MISHEARD and (few or weight < _LEAST_WEIGHT):
            continue
        common = max(rules, key=lambda rule: rule.turns, default=None)
        example = f"{said} = {meant}" if common is None else f"{common.source} -> {common.target}"
        users = common.users if common else 0
        yield Synonym(locale, said, meant, weight, len(rules), users, keeps, alike, unspaced(example))


def exchanged(source: str, target: str) -> tuple[str, str] | None:
    """Return the only phrase in which two normalised texts differ, on both sides; None if they differ in another way.

    Example:
        >>> exchanged("turn on the telly", "turn on the tv"), exchanged("play jazz", "play some jazz")
        (('telly', 'tv'), None)
    """
    one, other = tuple(source.split()), tuple(target.split())
    edits = changes(one, other)
    if len(edits) != 1:
        return None
    said, meant = one[edits[0].start : edits[0].end], other[edits[0].new_start : edits[0].new_end]
    whole = len(said) == len(one) or len(meant) == len(other)
    fits = 0 < len(said) <= _LONGEST and 0 < len(meant) <= _LONGEST
    return (" ".join(said), " ".join(meant)) if fits and not whole else None


def _lines(found: Iterable[Synonym]) -> list[str]:
    return [f"{escaped(unspaced(each.said))}, {escaped(unspaced(each.meant))}" for each in found]


def _solr(found: Iterable[Synonym]) -> str:
    return text_file(_lines(found), ["made by `rewriter synonyms`: words that mean the same; a search for one finds the other"])


def _elasticsearch(found: Iterable[Synonym]) -> str:
    return synonym_set(_lines(found))


def _aliases(found: Iterable[Synonym]) -> str:
    """Return YAML: the name that the assistant knows, and what else people call it. JSON strings are YAML strings."""
    names: dict[str, list[str]] = defaultdict(list)
    for each in found:
        names[unspaced(each.meant)].append(unspaced(each.said))
    lines = [f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(said, ensure_ascii=False)}\n" for name, said in names.items()]
    return "# made by `rewriter synonyms`: name: aliases\n" + "".join(lines)


WRITERS: Final[Mapping[str, Callable[[Iterable[Synonym]], str]]] = {
    "solr": _solr,
    "elasticsearch": _elasticsearch,
    "opensearch": _solr,
    "home-assistant": _aliases,
}
"""Host -> what makes the content of a file."""
