"""Measures wrong rewrites: of requests that are out of scope, and to the opposite or another number of what was said.

    python benchmarks/out_of_scope.py [--seeds 0 1 2] [--users 120] [--days 14] [--out benchmarks/results/out_of_scope.json]

1. `clinc150`: an assistant knows the first sentences of each of its 150 intents. Users say these sentences through a channel that
   mishears, and `learn` reads the log. Then each of the 1,200 out-of-scope sentences is asked, before the NLU and after a
   refusal, with users of the log and without a user. In-scope sentences that are not in the log are asked too; their rewrite
   should have their own intent.
2. `pairs`: the same with the English pairs of opposite polarities and different numbers of `tests/data/guardrail_pairs.csv`, all
   of which work. The requests are new ones of the following week, after a refusal only those that the assistant refuses. A
   rewrite *crosses* if the text that is sent contradicts what was said, although the text that was heard did not.

Nothing was tuned on either part.
"""

import argparse
import csv
import gzip
import json
import platform
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scipy.stats import binomtest
from script import options, write_result

from rewriter.guardrail import Guardrail
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.assistants import Phrase, PhraseAssistant
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import World
from rewriter.simulation.worlds import text_world
from rewriter.text import normalise

ROOT = Path(__file__).parent.parent
CLINC = ROOT.parent / "shared" / "data" / "clinc150" / "utterances.jsonl.gz"
PAIRS = ROOT / "tests" / "data" / "guardrail_pairs.csv"
START = date(2026, 1, 5)
SENTENCES = 8  # of each intent that the assistant knows
MODES = {"before": False, "after": True}
CROSSING = ("flips", "changes")
PACKAGES = ("rewriter", "numpy", "faiss-cpu", "rapidfuzz", "scipy")


def share(hits: int, n: int) -> dict[str, Any]:
    """Return a share with its 95 % Wilson interval."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson") if n else (0.0, 1.0)
    return {"hits": hits, "n": n, "share": round(hits / max(n, 1), 5), "low": round(float(low), 5), "high": round(float(high), 5)}


@contextmanager
def lived(table: dict[str, str], name: str, seed: int, args: argparse.Namespace) -> Iterator[tuple[World, Rewriter]]:
    """A world around an assistant that knows these texts, and a rewriter learned from its log, while the block runs."""
    world = text_world(
        PhraseAssistant(table),
        [Phrase(text, meaning, {}) for text, meaning in table.items()],
        seed=seed,
        name=name,
        n_users=args.users,
        guessed=0.2,
        misrouted=0.05,
    )
    days = simulate_days(world, days=args.days, start=START, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        write_log([turn for day in days for turn in day], Path(folder) / "log.parquet")
        learn([Path(folder) / "log.parquet"], out=Path(folder) / "artefact")
        yield world, Rewriter.open(Path(folder) / "artefact")


def clinc() -> dict[str, list[str]]:
    """Intent -> its sentences, normalised, each once."""
    found: dict[str, dict[str, None]] = {}
    with gzip.open(CLINC, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            found.setdefault(row["intent"], {})[normalise(row["text"])] = None
    return {intent: list(texts) for intent, texts in found.items()}


def out_of_scope(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Ask what is out of scope, and what is in scope in words that nobody used."""
    intents = clinc()
    outside = intents.pop("oos")
    table = {text: intent for intent, texts in intents.items() for text in texts[:SENTENCES]}
    fresh = [(text, intent) for intent, texts in intents.items() for text in texts[SENTENCES : SENTENCES + 4]]
    figures: dict[str, Any] = {}
    with lived(table, "clinc150", seed, args) as (world, rewriter):
        users = [user.user_id for user in world.users]
        for mode, late in MODES.items():
            answers = [
                rewriter.rewrite(text, user_id=user, after_failure=late)
                for i, text in enumerate(outside)
                for user in (users[i % len(users)], None)
            ]
            figures[f"{mode}: out of scope, rewritten"] = share(sum(a.applied for a in answers), len(answers))
            figures[f"{mode}: out of scope, suggested"] = share(sum(a.suggestion is not None for a in answers), len(answers))
            figures[f"{mode}: out of scope, reasons"] = dict(Counter(a.reason for a in answers).most_common())
            sent = [(rewriter.rewrite(text, after_failure=late), intent) for text, intent in fresh]
            figures[f"{mode}: in scope, rewritten"] = share(sum(a.applied for a, _ in sent), len(sent))
            wrong = sum(a.applied and table.get(a.text) != intent for a, intent in sent)
            figures[f"{mode}: in scope, rewritten to another intent"] = share(wrong, len(sent))
    return figures


def crossings(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Ask for the fresh requests of a world of opposites, and count what crosses."""
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["language"] == "en" and r["verdict"] in CROSSING and not r["args"]]
    texts = dict.fromkeys(normalise(row[side]) for row in rows for side in ("source", "target"))
    guardrail = Guardrail.open("en")
    figures: dict[str, Any] = {}
    with lived({text: text for text in texts}, "pairs", seed, args) as (world, rewriter):
        asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
        for mode, late in MODES.items():
            met = [r for r in asked if not late or world.assistant.understand(r.heard) is None]
            answers = [(r, rewriter.rewrite(r.heard, user_id=r.user_id, nbest=r.nbest, after_failure=late)) for r in met]
            applied = [(r, a) for r, a in answers if a.applied]
            faithful = [(r, a) for r, a in applied if not guardrail.verdict(r.said, normalise(r.heard))]
            crossed = [(r.said, r.heard, a.text) for r, a in faithful if _contradicts(guardrail, r.said, a.text)]
            asked_plainly = [rewriter.rewrite(text, after_failure=late) for text in texts]
            plain = sum(a.applied and _contradicts(guardrail, a.source, a.text) for a in asked_plainly)
            figures[f"{mode}: rewritten"] = share(len(applied), len(met))
            figures[f"{mode}: crossed, of what was rewritten"] = share(len(crossed), len(faithful))
            figures[f"{mode}: crossed, of the pairs word by word"] = share(plain, len(texts))
            figures[f"{mode}: crossed, examples"] = crossed[:5]
    return figures


def _contradicts(guardrail: Guardrail, said: str, sent: str) -> bool:
    finding = guardrail.verdict(said, sent)
    return finding is not None and finding.kind.startswith(CROSSING)


def together(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add up the shares of the seeds."""
    names = [name for name, value in runs[0].items() if isinstance(value, dict) and "n" in value]
    return {name: share(*(sum(run[name][part] for run in runs) for part in ("hits", "n"))) for name in names}


def main() -> None:
    """Run all seeds and write the figures."""
    parser = options(
        __doc__, seeds=[0, 1, 2], users=120, days=14, requests=2000, out=ROOT / "benchmarks" / "results" / "out_of_scope.json"
    )
    args = parser.parse_args()
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "seeds": args.seeds,
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    }
    for name, run in (("clinc150", out_of_scope), ("pairs", crossings)):
        runs = [run(seed, args) for seed in args.seeds]
        result[name] = {"all seeds": together(runs), "by seed": dict(zip(map(str, args.seeds), runs, strict=True))}
        print(name, json.dumps(result[name]["all seeds"], indent=1), flush=True)
    write_result(result, args.out)


if __name__ == "__main__":
    main()
