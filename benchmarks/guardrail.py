"""Measures which rewrites the guardrail forbids and allows, on sentences by others and on real recogniser output, and its speed.

    python benchmarks/guardrail.py

1. `native`: Home Assistant's own sentences (home-assistant-intents, written by speakers of each language). Opposites (the same
   slots, opposite intents) should be stopped, paraphrases (the same slots, the same intent) should pass. Opposites hold requests
   without a verb ("kitchen light"), which a rule may complete. The word lists were corrected with one half of the templates; the
   figures are those of the other half.
2. `home_spoken`, `slurp` (skipped if ../shared/data is absent): recogniser output is rewritten to what was said, which should
   pass unless it was heard as its own opposite or with another number, and to the most similar sentence with another meaning,
   which should be stopped.
3. `latency`: microseconds of processor time for one verdict, with 10,000 names.

Intervals are Wilson's, 95 %, for independent pairs. Pairs of one template are not independent, so the true intervals are wider.
"""

import json
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from guardrail_sentences import SentencePair, pairs
from rapidfuzz import fuzz, process
from scipy.stats import binomtest

from rewriter.guardrail import Finding, Guardrail
from rewriter.model.hypothesis import slots_of
from rewriter.text import normalise

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data"
LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "tr")
SEEDS = (0, 1, 2)
SAMPLE = 3000

Verdict = Callable[[str, str, bool], Finding | None]


def share(hits: int, n: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson") if n else (0.0, 1.0)
    return {"hits": hits, "n": n, "share": round(hits / max(n, 1), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def native(language: str) -> dict[str, Any]:
    """Judge the half of the templates that nobody looked at."""
    guardrail = Guardrail.open(language)
    opposites: set[SentencePair] = set()
    paraphrases: set[SentencePair] = set()
    for seed in SEEDS:
        one, other = pairs(language, seed)
        opposites.update(p for p in one if not p.mended)
        paraphrases.update(p for p in other if not p.mended)
    stopped = sum(guardrail.verdict(p.source, p.target) is not None for p in opposites)
    passed = sum(guardrail.verdict(p.source, p.target) is None for p in paraphrases)
    return {"opposites_stopped": share(stopped, len(opposites)), "paraphrases_passed": share(passed, len(paraphrases))}


def kind(finding: Finding | None) -> str:
    """Return the code of a finding, or that there is none."""
    return "passed" if finding is None else str(finding.kind)


def nearest_wrong(heard: str, meant: str, goal: dict[str, str]) -> list[str]:
    """Return the most similar sentence with another goal, as a list; empty where none is among the forty most similar."""
    similar = process.extract(heard, list(goal), scorer=fuzz.ratio, limit=40)
    return [text for text, _, _ in similar if goal[text] != meant and text != heard][:1]


def judge(verdict: Verdict, heard: Iterable[tuple[str, str]], goal: dict[str, str], rng: random.Random) -> dict[str, Any]:
    """Count verdicts on repairs (heard -> said) and on the most similar wrong target, offline and online."""
    distinct = sorted({(h, s) for h, s in heard if h and h != s})
    sample = rng.sample(distinct, k=min(SAMPLE, len(distinct)))
    wrong = [(h, nearest) for h, s in sample for nearest in nearest_wrong(h, goal[s], goal)]
    out: dict[str, Any] = {}
    for name, online in (("offline", False), ("online", True)):
        repairs = Counter(kind(verdict(h, s, online)) for h, s in sample)
        stopped = sum(verdict(h, t, online) is not None for h, t in wrong)
        out[name] = {
            "repairs_passed": share(repairs["passed"], len(sample)),
            "repairs_stopped_because": {k: n for k, n in repairs.most_common() if k != "passed"},
            "nearest_wrong_stopped": share(stopped, len(wrong)),
        }
    return out


def english(names: set[str], words: set[str]) -> Verdict:
    """Return the verdict of an assistant that knows these names and words."""
    guardrail = Guardrail.open("en")

    def verdict(source: str, target: str, online: bool) -> Finding | None:
        return guardrail.verdict(source, target, names=names, knows=words.__contains__, online=online)

    return verdict


def home_spoken() -> dict[str, Any]:
    """Judge our own home commands, heard by PocketSphinx. Garbles and silent errors (heard as another command) apart."""
    recordings = pd.read_parquet(DATA / "home_spoken" / "recordings.parquet")
    phrases = pd.read_csv(DATA / "home_spoken" / "phrases.csv")
    goal = {normalise(said): g for said, g in zip(phrases.said, phrases.goal, strict=True)}
    names = {normalise(value) for g in phrases.goal for value in slots_of(g).values()}
    verdict = english(names, {word for said in goal for word in said.split()})
    heard = [(normalise(h), normalise(s)) for h, s in zip(recordings.heard.fillna(""), recordings.said, strict=True)]
    silent = [(h, s) for h, s in heard if h in goal and goal[h] != goal[s]]
    return {
        "garbled": judge(verdict, [pair for pair in heard if pair[0] not in goal], goal, random.Random(0)),
        "silent": judge(verdict, silent, goal, random.Random(0)),
    }


def slurp() -> dict[str, Any]:
    """Judge read requests, heard by a large recogniser."""
    recordings = pd.read_parquet(DATA / "slurp" / "recordings_asr.parquet")
    fillers = recordings.entities.map(json.loads)
    meaning = [f"{i} {e}" for i, e in zip(recordings.intent, recordings.entities, strict=True)]
    goal = {normalise(said): g for said, g in zip(recordings.sentence, meaning, strict=True)}
    verdict = english({normalise(e["filler"]) for es in fillers for e in es}, {word for said in goal for word in said.split()})
    heard = [(normalise(h), normalise(s)) for h, s in zip(recordings.asr_text.fillna(""), recordings.sentence, strict=True)]
    return judge(verdict, heard, goal, random.Random(0))


def latency(language: str) -> dict[str, Any]:
    """Time single verdicts on native sentences, each pair once after a warm-up."""
    guardrail = Guardrail.open(language)
    texts = [p[:2] for side in pairs(language, 0) for p in side][:SAMPLE]
    names = {f"name {n}" for n in range(10_000)} | {"blorb"}
    out = {}
    for name, online in (("offline", False), ("online", True)):
        for source, target in texts[:200]:
            guardrail.verdict(source, target, names=names, online=online)
        taken: list[float] = []
        for source, target in texts:
            start = time.thread_time_ns()
            guardrail.verdict(source, target, names=names, online=online)
            taken.append((time.thread_time_ns() - start) / 1000)
        p50, p99 = np.percentile(taken, [50, 99])
        out[name] = {"n": len(taken), "p50_us": round(float(p50), 1), "p99_us": round(float(p99), 1)}
    return out


def main() -> None:
    """Run all parts and write benchmarks/results/guardrail.json."""
    packages = ("home-assistant-intents", "hassil", "rapidfuzz", "jellyfish")
    result: dict[str, Any] = {
        "command": "python benchmarks/guardrail.py",
        "seeds": list(SEEDS),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "native": {language: native(language) for language in LANGUAGES},
        "latency": {language: latency(language) for language in LANGUAGES},
    }
    for part in (home_spoken, slurp):
        if (DATA / part.__name__).is_dir():
            result[part.__name__] = part()
        else:
            print(f"{part.__name__}: skipped, {DATA / part.__name__} is absent", file=sys.stderr)
    path = ROOT / "benchmarks" / "results" / "guardrail.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
