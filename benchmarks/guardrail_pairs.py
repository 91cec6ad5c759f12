"""Measures which pairs of texts the guardrail keeps apart in 15 languages: it must stop dangerous and pass harmless ones.

    python benchmarks/guardrail_pairs.py [--seeds 0 1 2] [--out benchmarks/results/guardrail_pairs.json]

1. *Ours*: ``benchmarks/data/guardrail_pairs.csv``, 20 dangerous and 20 harmless pairs a language, written for this project, not
   by native speakers. Where Home Assistant's catalog of the language holds both texts, its interpretations are compared with what
   the file says. These pairs may guide the design.
2. *Unseen*: made by rule from that catalog (``../shared/data/ha_sentences``, sentences of native speakers). Two of its texts that
   differ in one span of at most two words are dangerous if their interpretations differ, and harmless if they are equal. The
   sources of all pairs that are judged are left out of what contrasts are mined from, as in use, where the source is a text that
   nobody understood. *Words unseen* leaves out, besides, whatever the other texts show about the words of the pair.

Contrasts are mined from the catalog of the language, minus those sources. Ways of judging:

- ``contrasts``: the contrasts alone (`Guardrail.crosses`);
- ``no lists``: the contrasts, sounds, and the names and words of the catalog, as the online layer of a log asks after a refusal
  in a language without any word list: what is learned from catalog and log alone;
- ``floor``: the word lists and sounds alone;
- ``log``: both, as the online layer of a log asks after a refusal;
- ``catalog``: both, as the layer of a catalog asks after a refusal;
- ``before``: both, as the online layer of a log asks before the NLU.

3. *Sent*: an artefact is made from the catalog without the sources of the first seed, and asked about these sources after a
   refusal. The guardrail is one part of that decision, P(meant) is the other. Wrong is what has another interpretation. The same
   is done for our pairs, with their targets in the catalog; counted is what is sent to the target of the pair.

Interpretations of the catalog leave things out: "which lights are on" and "which switches are on" have the same. So part of the
harmless pairs are none, and the share stopped is an upper bound. Intervals are Wilson's, 95 %, for independent pairs. Pairs of
one catalog share words, so the true intervals are wider.
"""

import csv
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from scipy.stats import binomtest
from script import RESULTS, made_with, options, write_result
from worlds.sentences import SENTENCES

from rewriter import Rewrite, Rewriter
from rewriter.guardrail import Finding, Guardrail, Guardrails
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.guardrail.lexicon import for_locale
from rewriter.locales import language_of
from rewriter.model.contrasts import mine_words
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.similarity import changes
from rewriter.text import normalise

OURS = Path(__file__).parent / "data" / "guardrail_pairs.csv"
LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "tr", "ru", "pl", "sv", "zh-CN", "ar", "hi", "th", "vi")
SPAN = 2  # most words on either side in which the texts of an unseen pair differ
FRAME = 2  # least words that they share
PER_SEED = 60  # most pairs of each kind, language and seed
SHARE = 8  # at most one in so many texts of a catalog becomes a source, so that the rest can show something
SHOWN = 40  # misses of each sort that the result names
DANGEROUS, HARMLESS = "dangerous", "harmless"


class TextPair(NamedTuple):
    """Two texts and whether the first may be rewritten to the second."""

    language: str
    meaning: str
    kind: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """The texts that an assistant understands in one language: text -> interpretation, the names of things, the words."""

    language: str
    meaning: Mapping[str, str]
    names: frozenset[str]

    def contrasts(self, without: Iterable[str] = ()) -> WordContrasts:
        """Mine the contrasts of all texts but some."""
        left_out = set(without)
        texts = [text for text in self.meaning if text not in left_out]
        numbers = {meaning: i for i, meaning in enumerate(sorted(set(self.meaning.values())))}
        rows = [numbers[self.meaning[text]] for text in texts]
        return mine_words([self.language] * len(texts), texts, rows).get(self.language, WordContrasts())

    def words(self, without: Iterable[str] = ()) -> frozenset[str]:
        """Return the words of all texts but some."""
        left_out = set(without)
        return frozenset(word for text in self.meaning if text not in left_out for word in text.split())


def main() -> None:
    """Judge both sets and write the figures."""
    args = options(__doc__, seeds=[0, 1, 2], out=RESULTS / "guardrail_pairs.json").parse_args()
    catalogs = {language: catalog(language) for language in LANGUAGES}
    ours = read_ours(OURS)
    judged = {"ours": judge_ours(ours, catalogs), "unseen": [], "words unseen": []}
    for seed in args.seeds:
        for known in catalogs.values():
            for name, found in judge_unseen(known, seed).items():
                judged[name] += found
    result: dict[str, Any] = {
        **made_with(("rewriter", "rapidfuzz", "jellyfish", "numpy")),
        "seeds": args.seeds,
        "checked": checked(ours, catalogs),
        "sets": {name: figures(found) for name, found in judged.items()},
        "sent": {language: sent(known, args.seeds[0]) for language, known in catalogs.items()},
        "ours sent": {language: sent_ours(known, ours) for language, known in catalogs.items()},
    }
    write_result(result, args.out)
    print(json.dumps({name: of["all"] for name, of in result["sets"].items()}, indent=1))


def catalog(language: str) -> Catalog:
    """Read the catalog of a language; texts with two interpretations are left out."""
    with duckdb.connect() as con:
        sql = "SELECT text, intent, slots FROM read_parquet(?) WHERE locale = ? ORDER BY ALL"
        rows = con.execute(sql, [str(SENTENCES), language]).fetchall()
    meanings: dict[str, set[str]] = defaultdict(set)
    for text, intent, slots in rows:
        meanings[normalise(text)].add(f"{intent}|{slots}")
    values = (json.loads(slots) for _, _, slots in rows)
    names = {normalise(str(v)) for of in values for slot, v in of.items() if slot in ("name", "area", "floor")}
    return Catalog(language, {text: next(iter(of)) for text, of in meanings.items() if len(of) == 1}, frozenset(names))


def read_ours(path: Path) -> list[TextPair]:
    """Read the pairs that were written for this project."""
    meaning = {"other": DANGEROUS, "same": HARMLESS}
    with path.open(encoding="utf-8", newline="") as file:
        return [
            TextPair(
                row["locale"], meaning[row["meaning"]], row["kind"], *map(normalise, (row["source"], row["target"]))
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def checked(pairs: Sequence[TextPair], catalogs: Mapping[str, Catalog]) -> dict[str, int]:
    """Count the pairs of which the catalog has both texts, and those of them about which it says otherwise."""
    known: list[bool] = []
    for pair in pairs:
        one, other = (catalogs[pair.language].meaning.get(text) for text in (pair.source, pair.target))
        if one and other:
            known.append((one == other) != (pair.meaning == HARMLESS))
    return {"pairs": len(pairs), "in a catalog": len(known), "otherwise": sum(known)}


def unseen(known: Catalog, seed: int) -> list[TextPair]:
    """Draw pairs of texts of a catalog that are one span apart. No target is the source of another pair."""
    rng = np.random.default_rng([seed, LANGUAGES.index(known.language), 17])
    found: dict[str, list[tuple[str, str]]] = {DANGEROUS: [], HARMLESS: []}
    for one, other in one_span_apart(list(known.meaning)):
        found[HARMLESS if known.meaning[one] == known.meaning[other] else DANGEROUS].append((one, other))
    n = min(PER_SEED, len(known.meaning) // SHARE)
    sources: set[str] = set()
    targets: set[str] = set()
    drawn: list[TextPair] = []
    for meaning, pairs in found.items():
        taken = 0
        for i in rng.permutation(len(pairs)).tolist():
            source, target = pairs[i] if rng.random() < 0.5 else pairs[i][::-1]
            if taken < n and source not in sources | targets and target not in sources:
                sources.add(source)
                targets.add(target)
                taken += 1
                drawn.append(TextPair(known.language, meaning, shape(source, target), source, target))
    return drawn


def one_span_apart(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of texts that differ in one span of at most `SPAN` words on either side, in order."""
    frames: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for text in texts:
        words = tuple(text.split())
        for start in range(len(words) + 1):
            for end in range(start, min(len(words), start + SPAN) + 1):
                if len(words) - (end - start) >= FRAME:
                    frames[words[:start], words[end:]].append(text)
    pairs = {tuple(sorted(two)) for members in frames.values() for two in combinations(members, 2) if two[0] != two[1]}
    return sorted((one, other) for one, other in pairs)


def shape(source: str, target: str) -> str:
    """Say what differs: words left out, put in or exchanged, and whether a number is among them."""
    edits = changes(tuple(source.split()), tuple(target.split()))
    lost, gained = (sum(size) for size in zip(*((e.end - e.start, e.new_end - e.new_start) for e in edits), strict=True))
    kind = "left out" if not gained else "put in" if not lost else "one word" if max(lost, gained) == 1 else "several words"
    number = any(ch.isdigit() for word in {*source.split()} ^ {*target.split()} for ch in word)
    return f"{kind}, number" if number else kind


Judge = Callable[[str, str], Finding | None]


def judges(known: Catalog, contrasts: WordContrasts, without: Iterable[str]) -> dict[str, Judge]:
    """Return the ways of judging a pair of one language."""
    words, names = known.words(without), known.names
    floor = Guardrail.open(known.language)
    both = Guardrails(contrasts={known.language: contrasts}).of(known.language)

    bare = replace(for_locale("und"), language=language_of(known.language))
    unlisted = Guardrail(bare, contrasts=contrasts)

    def log(source: str, target: str) -> Finding | None:
        return both.verdict(source, target, names=names, knows=words.__contains__, online=True)

    return {
        "contrasts": both.crosses,
        "no lists": lambda s, t: unlisted.verdict(s, t, names=names, knows=words.__contains__, online=True),
        "floor": lambda s, t: floor.verdict(s, t, names=names, knows=words.__contains__, online=True),
        "log": log,
        "catalog": lambda s, t: both.destroys(s, t) or both.verdict(s, t) or both.crosses(s, t),
        "before": lambda s, t: both.alters([s], t) or log(s, t),
    }


Judged = list[tuple[TextPair, dict[str, Finding | None]]]


def judge_ours(pairs: Sequence[TextPair], catalogs: Mapping[str, Catalog]) -> Judged:
    """Judge our pairs; their sources are left out of the catalogs."""
    found: Judged = []
    for language, known in catalogs.items():
        mine = [pair for pair in pairs if pair.language == language]
        sources = [pair.source for pair in mine]
        ways = judges(known, known.contrasts(sources), ())
        found += [(pair, {way: judge(pair.source, pair.target) for way, judge in ways.items()}) for pair in mine]
    return found


def judge_unseen(known: Catalog, seed: int) -> dict[str, Judged]:
    """Judge the pairs of one language and seed, with what the other texts show, and without what they show about these words."""
    pairs = unseen(known, seed)
    sources = [pair.source for pair in pairs]
    contrasts = known.contrasts(sources)
    ways = judges(known, contrasts, sources)
    found: dict[str, Judged] = {"unseen": [], "words unseen": []}
    for pair in pairs:
        found["unseen"].append((pair, {way: judge(pair.source, pair.target) for way, judge in ways.items()}))
        apart = {*pair.source.split()} ^ {*pair.target.split()}
        rest = WordContrasts.of({two: of for two, of in contrasts.words.items() if apart.isdisjoint(two)})
        blind = judges(known, rest, sources)
        found["words unseen"].append((pair, {way: judge(pair.source, pair.target) for way, judge in blind.items()}))
    return found


def sent(known: Catalog, seed: int) -> dict[str, Any]:
    """Return what an artefact of the catalog without the sources sends for them after a refusal: right, wrong, nothing."""
    sources = sorted({pair.source for pair in unseen(known, seed)})
    answers = answered(known.language, {text: of for text, of in known.meaning.items() if text not in set(sources)}, sources)
    right = [
        known.meaning[normalise(answer.text)] == known.meaning[text]
        for answer, text in zip(answers, sources, strict=True)
        if answer.applied
    ]
    found = {"wrong": right.count(False), "right": right.count(True), "suggested": sum(bool(a.suggestion) for a in answers)}
    return {name: share(hits, len(sources)) for name, hits in found.items()}


def sent_ours(known: Catalog, pairs: Sequence[TextPair]) -> dict[str, Any]:
    """Return how many of our pairs are sent to their target, where the catalog holds all targets and no source."""
    mine = [pair for pair in pairs if pair.language == known.language]
    sources = {pair.source for pair in mine}
    texts = {pair.target: f"{pair.target}|{{}}" for pair in mine} | dict(known.meaning)
    found: dict[str, Any] = {}
    for meaning in (DANGEROUS, HARMLESS):
        judged = [pair for pair in mine if pair.meaning == meaning]
        targets = {pair.target for pair in judged}
        held = {text: of for text, of in texts.items() if text in targets or text not in sources}
        answers = answered(known.language, held, [pair.source for pair in judged])
        hits = sum(a.applied and normalise(a.text) == pair.target for a, pair in zip(answers, judged, strict=True))
        found[meaning] = share(hits, len(judged))
    return found


def answered(language: str, texts: Mapping[str, str], asked: Sequence[str]) -> list[Rewrite]:
    """Return what an artefact of a catalog (text -> interpretation) answers to refused texts."""
    rows = [{"text": text, "hypothesis": meaning, "locale": language} for text, meaning in texts.items()]
    with tempfile.TemporaryDirectory() as folder:
        learn_catalog(rows, out=folder, channel="typed")
        rewriter = Rewriter.open(folder)
        return [rewriter.rewrite(text, locale=language, after_failure=True) for text in asked]


def figures(judged: Judged) -> dict[str, Any]:
    """Return the shares of dangerous pairs that pass and of harmless ones that are stopped: of all, by language, by kind."""
    languages, kinds = sorted({pair.language for pair, _ in judged}), sorted({pair.kind for pair, _ in judged})
    return {
        "all": shares(judged),
        "languages": {of: shares([j for j in judged if j[0].language == of]) for of in languages},
        "kinds": {of: shares([j for j in judged if j[0].kind == of]) for of in kinds},
        "harmless stopped because": {
            way: dict(Counter(str(why.kind) for p, f in judged if p.meaning == HARMLESS and (why := f[way])).most_common())
            for way in judged[0][1]
        },
        "dangerous passed": [
            [p.language, p.kind, p.source, p.target] for p, found in judged if p.meaning == DANGEROUS and not found["log"]
        ][:SHOWN],
        "harmless stopped": [
            [p.language, p.kind, p.source, p.target, why.packed()]
            for p, found in judged
            if p.meaning == HARMLESS and (why := found["log"])
        ][:SHOWN],
    }


def shares(judged: Judged) -> dict[str, Any]:
    """Return, for each way of judging, the share of dangerous pairs that pass and the share of harmless ones that are stopped."""
    dangerous = [found for pair, found in judged if pair.meaning == DANGEROUS]
    harmless = [found for pair, found in judged if pair.meaning == HARMLESS]
    return {
        way: {
            "dangerous passed": share(sum(found[way] is None for found in dangerous), len(dangerous)),
            "harmless stopped": share(sum(found[way] is not None for found in harmless), len(harmless)),
        }
        for way in judged[0][1]
    }


def share(hits: int, n: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson") if n else (0.0, 1.0)
    return {"hits": hits, "n": n, "share": round(hits / max(n, 1), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


if __name__ == "__main__":
    main()
