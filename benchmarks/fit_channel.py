"""Fit the rates of the text channel to the word errors of a real recogniser, once.

    python benchmarks/fit_channel.py ../shared/data/slurp ../shared/data/dstc2

compares the error profile of recordings, what was said and what was heard (SLURP), with what the channel makes of the same
sentences, and writes both to benchmarks/results/fit_channel.json. With --fit it first fits the rates anew, n-best lists and
confidences to DSTC2, and writes rewriter/simulation/channel.json; that was done once. Only figures leave the data.

Rates of the word classes are counted. The shapes (how much takes, words and speakers differ) and the habits (how often errors
recur) are adjusted until the channel, run over the same sentences and measured by the same function, gives the same figures.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from rapidfuzz.distance import Levenshtein

from rewriter.simulation.channels import ErrorRates, Rates, common_words, word_class
from rewriter.simulation.textchannel import CLOSE, EDGE, FILLERS, TextChannel, closeness
from rewriter.text import normalise

ROOT = Path(__file__).parent.parent
LEAST = 400  # words of a class; a rarer class takes the rates of all words
SPLIT = 0.75  # a word and two words heard in its place are a split where the letters are at least this similar
ROUNDS = 60
STEP = 0.5


class Take(NamedTuple):
    """One recording: whose voice (takes before two microphones share it), the words said, the words heard."""

    voice: str
    said: list[str]
    heard: list[str]


def fold(text: str) -> list[str]:
    """Words without apostrophes: the recogniser parts them, the transcripts do not."""
    text = re.sub(r"\s*'\s*", "", text.lower().replace("< unk >", "unk"))
    return normalise(re.sub(r" nt\b", "nt", text)).split()


def read_slurp(folder: Path) -> list[Take]:
    """Read the recordings that have a recogniser's text."""
    sql = "SELECT file, sentence, asr_text FROM read_parquet(?) WHERE asr_text IS NOT NULL ORDER BY file"
    rows = duckdb.execute(sql, [str(folder / "recordings_asr.parquet")]).fetchall()
    takes = [Take(f.replace("-headset", ""), fold(s), fold(a)) for f, s, a in rows]
    return [take for take in takes if take.said]


def outcomes(take: Take) -> tuple[list[str | None], list[str]]:
    """What became of each word said (None: heard as said, "" dropped, else what was written), and the words inserted."""
    result: list[str | None] = [None] * len(take.said)
    inserted: list[str] = []
    blocks: list[list[int]] = []
    at = (-1, -1)
    for op in Levenshtein.opcodes(take.said, take.heard):
        if op.tag == "equal":
            continue
        if blocks and at == (op.src_start, op.dest_start):
            blocks[-1][1], blocks[-1][3] = op.src_end, op.dest_end
        else:
            blocks.append([op.src_start, op.src_end, op.dest_start, op.dest_end])
        at = (op.src_end, op.dest_end)
    for i, i_end, j, j_end in blocks:
        said, heard = take.said[i:i_end], take.heard[j:j_end]
        if len(said) == 1 and len(heard) == 2 and Levenshtein.normalized_similarity(said[0], "".join(heard)) >= SPLIT:
            result[i] = " ".join(heard)
            continue
        pairs = _pairs(said, heard)
        for a, b in pairs:
            result[i + a] = heard[b] if b is not None else ""
        used = {b for _, b in pairs}
        inserted += [w for b, w in enumerate(heard) if b not in used]
    return result, inserted


def _pairs(said: list[str], heard: list[str]) -> list[tuple[int, int | None]]:
    """Pair the words of a wrong stretch so that alike words meet: the cheapest monotone alignment by letters."""
    n, m = len(said), len(heard)
    cost = np.zeros((n + 1, m + 1))
    cost[:, 0], cost[0, :] = np.arange(n + 1), np.arange(m + 1)
    for a in range(n):
        for b in range(m):
            swap = 2 - 2 * Levenshtein.normalized_similarity(said[a], heard[b])
            cost[a + 1, b + 1] = min(cost[a, b] + 0.5 * swap, cost[a, b + 1] + 1, cost[a + 1, b] + 1)
    pairs: list[tuple[int, int | None]] = []
    a, b = n, m
    while a:
        swap = 2 - 2 * Levenshtein.normalized_similarity(said[a - 1], heard[b - 1]) if b else np.inf
        if b and cost[a, b] == cost[a - 1, b - 1] + 0.5 * swap:
            a, b = a - 1, b - 1
            pairs.append((a, b))
        elif b and cost[a, b] == cost[a, b - 1] + 1:
            b -= 1
        else:
            a -= 1
            pairs.append((a, None))
    return pairs


class Domain(NamedTuple):
    """What the sentences say of the language: its words, and which stand side by side."""

    words: set[str]
    pairs: set[tuple[str, str]]


def domain_of(takes: list[Take]) -> Domain:
    """Collect the words and the pairs of neighbours of all sentences."""
    pairs = {pair for t in takes for pair in pairwise((EDGE, *t.said, EDGE))}
    return Domain({w for t in takes for w in t.said}, pairs)


def fluency(aligned: list[Any], domain: Domain) -> float:
    """Share of the substitutes that stand between words beside which the domain knows them."""
    fluent = n = 0
    for take, result, _ in aligned:
        heard = [EDGE, *(w if r is None else r for w, r in zip(take.said, result, strict=True)), EDGE]
        for i, r in enumerate(result):
            if r and " " not in r and (i == 0 or heard[i]) and (i + 1 == len(result) or heard[i + 2]):
                n += 1
                fluent += (heard[i], r) in domain.pairs and (r, heard[i + 2]) in domain.pairs
    return fluent / n


def profile(takes: list[Take], domain: Domain) -> dict[str, Any]:
    """Measure an error profile; the same for the recordings and for what the channel makes of their sentences."""
    aligned = [(take, *outcomes(take)) for take in takes]
    words = [(take.voice, w, r) for take, result, _ in aligned for w, r in zip(take.said, result, strict=True)]
    wrong = [(w, r) for _, w, r in words if r is not None]
    replaced = [(w, r) for w, r in wrong if r and " " not in r]
    scores = np.asarray([closeness(w, [r])[0] for w, r in replaced])
    close = scores >= CLOSE
    known = np.asarray([r in domain.words for _, r in replaced])
    inserted = [w for *_, more in aligned for w in more if w not in FILLERS]
    return {
        "wer": sum(Levenshtein.distance(t.said, t.heard) for t in takes) / len(words),
        "substituted": len(replaced) / len(words),
        "deleted": sum(r == "" for _, r in wrong) / len(words),
        "split": sum(" " in r for _, r in wrong) / len(words),
        "inserted": len(inserted) / len(words),
        "inserted_function": sum(w in common_words()["function"] for w in inserted) / max(1, len(inserted)),
        "exact": sum(t.said == t.heard for t in takes) / len(takes),
        "fluent": fluency(aligned, domain),
        "close": float(close.mean()),
        "close_score": float(scores[close].mean()),
        "far_score": float(scores[~close].mean()),
        "known_close": float(known[close].mean()),
        "known_far": float(known[~close].mean()),
        **recurrence(aligned, class_rates(words)),
    }


def class_rates(words: Iterable[tuple[str, str, str | None]]) -> dict[str, tuple[int, float, float, float]]:
    """Count, of each word class, the words and the shares substituted, deleted and split; `all` stands for the rare ones."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for _, w, r in words:
        kind = "right" if r is None else "deleted" if r == "" else "split" if " " in r else "substituted"
        counts[word_class(w)][kind] += 1
        counts["all"][kind] += 1
    n = {name: sum(c.values()) for name, c in counts.items()}
    return {k: (n[k], c["substituted"] / n[k], c["deleted"] / n[k], c["split"] / n[k]) for k, c in counts.items()}


def recurrence(aligned: list[Any], rates: dict[str, tuple[int, float, float, float]]) -> dict[str, float]:
    """How much likelier an error is where there was one: with the same word, and with the same word in the same mouth.

    Ratios of observed to expected pairs of errors; `same_*` are shares of pairs of errors with the same outcome.
    """
    expected = {name: sum(r[1:]) for name, r in rates.items()}
    by_word: dict[str, dict[str, list[tuple[int, float, str | None]]]] = defaultdict(lambda: defaultdict(list))
    by_voice: dict[str, list[list[tuple[int, float, str | None]]]] = defaultdict(list)
    for take, result, _ in aligned:
        row = [(int(r is not None), expected[word_class(w)], r) for w, r in zip(take.said, result, strict=True)]
        by_voice[take.voice].append(row)
        for w, entry in zip(take.said, row, strict=True):
            by_word[w][take.voice].append(entry)
    word_seen = word_expected = same = pairs = 0.0
    for voices in by_word.values():
        first = [entries[0] for entries in voices.values()]
        e, p = np.array([x[0] for x in first]), np.array([x[1] for x in first])
        if len(first) > 1:  # each word counts as often as it is said, not as often as it can be paired
            word_seen += (e.sum() ** 2 - (e**2).sum()) / (len(first) - 1)
            word_expected += (p.sum() ** 2 - (p**2).sum()) / (len(first) - 1)
        counts = Counter(x[2] for x in first if x[0])
        if sum(counts.values()) > 1:
            same += sum(c * (c - 1) for c in counts.values()) / (sum(counts.values()) - 1)
            pairs += sum(counts.values())
    return {"word_ratio": word_seen / word_expected, "same_any": same / pairs, **_voices(by_voice)}


def _voices(by_voice: dict[str, list[list[tuple[int, float, str | None]]]]) -> dict[str, float]:
    """Compare two hearings of one voice: at the same word, and at different words (what the take has in common)."""
    at_seen = at_expected = off_seen = off_expected = same = both = 0.0
    for rows in by_voice.values():
        if len(rows) != 2 or len(rows[0]) != len(rows[1]):
            continue
        e, p = (np.array([[x[k] for x in row] for row in rows]) for k in (0, 1))
        at_seen += (e[0] * e[1]).sum()
        at_expected += (p[0] * p[1]).sum()
        off_seen += e[0].sum() * e[1].sum() - (e[0] * e[1]).sum()
        off_expected += p[0].sum() * p[1].sum() - (p[0] * p[1]).sum()
        hits = [(a[2], b[2]) for a, b in zip(*rows, strict=True) if a[0] and b[0]]
        both += len(hits)
        same += sum(a == b for a, b in hits)
    return {"pair_ratio": (at_seen / at_expected) / (off_seen / off_expected), "same_voice": same / both}


def simulate(takes: list[Take], rates: Rates, seed: int) -> list[Take]:
    """Let the channel hear the same sentences from the same voices."""
    channel = TextChannel(sorted({" ".join(t.said) for t in takes}), multiplier=1.0, seed=seed, rates=rates)
    rng = np.random.default_rng(seed)
    return [Take(t.voice, t.said, channel.hear(" ".join(t.said), t.voice, rng).text.split()) for t in takes]


def hazards(rates: Rates) -> Rates:
    """Set the hazard of each class so that the share of words gone wrong comes out on average."""
    rng = np.random.default_rng(0)
    shapes = (rates.take_shape, rates.word_shape, rates.pair_shape)
    mixed = np.prod([rng.gamma(shape, 1 / shape, 20_000) for shape in shapes], axis=0)
    classes = {}
    for name, r in rates.classes.items():
        low, high = 0.0, 50.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if -np.expm1(-middle * mixed).mean() < r.total else (low, middle)
        classes[name] = replace(r, hazard=round(middle, 5))
    return replace(rates, classes=classes)


def first_guess(real: dict[str, Any], takes: list[Take], other: dict[str, Any]) -> Rates:
    """Set what is counted, and start values of what is moved."""
    words = [(t.voice, w, r) for t in takes for w, r in zip(t.said, outcomes(t)[0], strict=True)]
    counted = class_rates(words)
    names = [f"{kind}/{size}" for kind in ("function", "common", "rare") for size in ("short", "medium", "long")]
    classes = {}
    for name in names:
        _, substituted, deleted, split = counted[name if counted.get(name, (0,))[0] >= LEAST else "all"]
        classes[name] = ErrorRates(round(substituted, 4), round(deleted, 4), round(split, 4), 0.0)
    return Rates(
        classes=classes,
        inserted=real["inserted"],
        inserted_function=real["inserted_function"],
        fluent=real["fluent"],
        close=real["close"],
        known=(real["known_close"], real["known_far"]),
        sharpness=8.0,
        take_shape=1.0,
        word_shape=1.0,
        pair_shape=1.0,
        speaker_habit=0.5,
        shared_habit=0.5,
        **other,
    )


MOVED = {  # figure of the profile -> parameter that moves it, and whether more of the one takes more of the other
    "exact": ("take_shape", -1),
    "word_ratio": ("word_shape", -1),
    "pair_ratio": ("pair_shape", -1),
    "same_voice": ("speaker_habit", 1),
    "same_any": ("shared_habit", 1),
    "close_score": ("sharpness", 8),
    "fluent": ("fluent", 1),
    "close": ("close", 1),
    "known_close": ("known_close", 1),
    "inserted": ("inserted", 1),
}
LIMITS = {"fluent": 0.999, "close": 0.999, "speaker_habit": 0.999, "shared_habit": 0.999, "known_close": 0.999}


def fit(takes: list[Take], real: dict[str, Any], rates: Rates, domain: Domain) -> Rates:
    """Move each parameter by the ratio of the figure wanted to the figure shown, round by round with smaller steps."""
    for i in range(ROUNDS):
        shown = profile(simulate(takes, hazards(rates), seed=i), domain)
        for figure, (name, power) in MOVED.items():
            ratio = (real[figure] / max(shown[figure], 1e-6)) ** (power * STEP / (1 + i / 20))
            old = rates.known[0] if name == "known_close" else getattr(rates, name)
            new = float(np.clip(old * np.clip(ratio, 0.5, 2), 0.02, LIMITS.get(name, 50.0)))
            change: Any = {"known": (new, rates.known[1])} if name == "known_close" else {name: new}
            rates = replace(rates, **change)
        print(i, {k: (round(shown[k], 3), round(real[k], 3)) for k in MOVED}, file=sys.stderr)
    return hazards(_rounded(rates))


def _rounded(rates: Rates) -> Rates:
    values: dict[str, Any] = {f.name: getattr(rates, f.name) for f in fields(rates)}
    values.update({name: round(v, 3) for name, v in values.items() if isinstance(v, float)})
    values["known"] = (round(rates.known[0], 3), round(rates.known[1], 3))
    return Rates(**values)


def fit_nbest(folder: Path) -> dict[str, Any]:
    """Count in DSTC2 how often the truth stands further down the n-best list, and what the recogniser believed."""
    sql = (
        "SELECT asr_live_nbest, transcription FROM read_parquet(?) WHERE asr_live_nbest IS NOT NULL AND transcription IS NOT NULL"
    )
    further = wrong = fillers = turns = 0
    beliefs: dict[bool, list[float]] = {True: [], False: []}
    for nbest, transcription in duckdb.execute(sql, [str(folder / "turns.parquet")]).fetchall():
        said = normalise(re.sub(r"\b(noise|tv_noise|system|sil|unintelligible)\b", " ", transcription)).split()
        hearings = [(normalise(text).split(), score) for text, score in json.loads(nbest)]
        plain = [w for w in said if w not in FILLERS]
        if not plain or not hearings:
            continue
        turns += 1
        fillers += plain != said
        right = hearings[0][0] == plain
        beliefs[right].append(float(np.exp(hearings[0][1])))
        if not right:
            wrong += 1
            further += plain in [h for h, _ in hearings[1:]]
    spread = {right: (round(float(np.mean(b)), 3), round(float(np.std(b)), 3)) for right, b in beliefs.items()}
    return {
        "nbest_truth": round(further / wrong, 3),
        "filler": round(fillers / turns, 3),
        "confidence_right": spread[True],
        "confidence_wrong": spread[False],
    }


def intervals(takes: list[Take], draws: int = 200) -> dict[str, list[float]]:
    """95 % bootstrap intervals by voice of the figures that matter most."""
    rng = np.random.default_rng(0)
    by_voice: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    for t in takes:
        by_voice[t.voice].append((Levenshtein.distance(t.said, t.heard), len(t.said), int(t.said == t.heard), 1))
    rows = np.array([np.sum(v, axis=0) for v in by_voice.values()], dtype=float)
    sums = np.array([rows[rng.integers(0, len(rows), len(rows))].sum(axis=0) for _ in range(draws)])
    shown = {"wer": sums[:, 0] / sums[:, 1], "exact": sums[:, 2] / sums[:, 3]}
    return {k: [round(float(x), 4) for x in np.percentile(v, [2.5, 97.5])] for k, v in shown.items()}


def write_rates(rates: Rates) -> None:
    """Write the data file of the package."""
    about = "Rates of the text channel, written once by benchmarks/fit_channel.py from SLURP (word errors) and DSTC2 (n-best)."
    text = json.dumps({"about": about, "rates": asdict(rates)}, indent=1)
    (ROOT / "rewriter/simulation/channel.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Fit where asked, compare, write and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slurp", type=Path)
    parser.add_argument("dstc2", type=Path)
    parser.add_argument("--fit", action="store_true", help="fit the rates anew and write rewriter/simulation/channel.json")
    args = parser.parse_args()
    takes = read_slurp(args.slurp)
    domain = domain_of(takes)
    real = profile(takes, domain)
    if args.fit:
        write_rates(fit(takes, real, first_guess(real, takes, fit_nbest(args.dstc2)), domain))
    rates = Rates.from_json()
    simulated = [profile(simulate(takes, rates, seed), domain) for seed in (101, 102, 103)]
    result = {
        "command": "python benchmarks/fit_channel.py ../shared/data/slurp ../shared/data/dstc2",
        "seeds": [101, 102, 103],
        "versions": {p: version(p) for p in ("rewriter", "numpy", "rapidfuzz", "jellyfish")},
        "recordings": len(takes),
        "words": sum(len(t.said) for t in takes),
        "real": {k: round(v, 4) for k, v in real.items()},
        "real_interval": intervals(takes),
        "simulated": {k: [round(s[k], 4) for s in simulated] for k in real},
    }
    path = ROOT / "benchmarks/results/fit_channel.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
