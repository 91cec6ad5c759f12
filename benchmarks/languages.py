"""The closed loop in many languages: sentences that native speakers wrote for an assistant, typed or spoken with errors.

    python benchmarks/languages.py --seeds 0 [--locales de ja th ...] [--channel typed] [--users 40] [--days 8] [--requests 1000]
        [--out benchmarks/results/languages_typed.json]
    python benchmarks/languages.py --detect --seeds 0 --requests 200 [--out benchmarks/results/languages_detected.json]

For each locale of Home Assistant's test sentences (`worlds.sentences`) and seed: simulate a log, learn from it with and without
the assistant's sentences as a catalog, and judge fresh requests of the days after it before the NLU and after a refusal. A tenth
of the goals and a fifth of the phrases never occur in the log; the catalog holds all, and is declared complete. Typing errors are
those of the locale's keyboard, mishearings go by the sounds of the locale. Nothing is fitted on these worlds. Peers see the same
log: the nearest text that worked, the rule of OVOS, and `rapidfuzz`.

With ``--detect``, one artefact holds the sentences of all locales, and the language of typed requests that name none is found
(`rewriter.online.serving.Serving.detect`).
"""

import sys
import tempfile
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from peer_rules import Nearest, peers
from promise import MODES, START
from script import made_with, options, write_result
from worlds.sentences import SENTENCES, sentence_world

from rewriter.artefact.versions import current
from rewriter.config import Logs
from rewriter.evaluation.judge import healthy_texts, judge, logged, proposer
from rewriter.evaluation.outcomes import Outcomes, at, pooled
from rewriter.evaluation.replay import load
from rewriter.evaluation.summary import plain, row
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import Serving
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.text import normalise

LOCALES = (
    "ar", "cs", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "it", "ja", "ko", "nl", "pl",
    "pt-BR", "ru", "sv", "th", "tr", "vi", "zh-CN",
)  # fmt: skip


def main() -> None:
    """Judge every locale, and write the figures after each."""
    parser = options(__doc__, seeds=[0], days=8, users=40, requests=1000, out=None)
    parser.add_argument("--locales", nargs="+", default=LOCALES)
    parser.add_argument("--channel", choices=["typed", "spoken"], default="typed")
    parser.add_argument("--detect", action="store_true", help="find the language of requests that name none")
    args = parser.parse_args()
    if args.detect:
        found = {**made_with(["rewriter"]), "seeds": args.seeds, "locales": detected(args)}
        write_result(found, args.out or Path(__file__).parent / "results" / "languages_detected.json")
        return
    out = args.out or Path(__file__).parent / "results" / f"languages_{args.channel}.json"
    result: dict[str, Any] = {**made_with(["rewriter", "rapidfuzz"]), "seeds": args.seeds, "channel": args.channel, "locales": {}}
    for locale in args.locales:
        runs = [dict(judged(locale, seed, args)) for seed in args.seeds]
        result["locales"][locale] = {name: figures(name, [run[name] for run in runs]) for name in runs[0]}
        write_result(result, out)
        for name, of in result["locales"][locale].items():
            print(f"{locale}, {name}: {of['wins']}:{of['losses']}, {of['fixed']['value']}", file=sys.stderr, flush=True)


def figures(name: str, runs: list[tuple[Outcomes, int]]) -> dict[str, Any]:
    """Return the figures of one way and mode over all seeds."""
    return plain(row(name, pooled([outcomes for outcomes, _ in runs]))) | {"log_turns": [turns for _, turns in runs]}


def judged(locale: str, seed: int, args: Namespace) -> Iterator[tuple[str, tuple[Outcomes, int]]]:
    """Yield the name of each way and mode, its outcomes, and the turns of the log."""
    world = sentence_world(locale, seed=seed, n_users=args.users, spoken=args.channel == "spoken")
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    healthy = healthy_texts(logged(turns))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(turns, folder / "log.parquet")
        for way, given in (("log", None), ("log and catalog", catalog(locale))):
            learn([folder / "log.parquet"], out=folder / way, catalog=given, channel=args.channel, complete=given is not None)
            propose = proposer(Rewriter.open(folder / way).rewrite)
            for mode, after in MODES.items():
                found = judge(asked, propose, world.assistant, after_failure=after, healthy_in_log=healthy)
                yield f"{way}, {mode}", (found, len(turns))
        reader.read([folder / "log.parquet"], out=folder / "read", key=bytes(32), config=Logs())
        log = load(folder / "read" / "turns.parquet")
    for peer in peers():
        if isinstance(peer, Nearest):
            peer.fit(log)
            for mode, after in MODES.items():
                found = judge(asked, peer.propose, world.assistant, after_failure=after, healthy_in_log=healthy)
                yield f"{peer.name}, {mode}", (at(found, peer.threshold), len(turns))


def detected(args: Namespace) -> dict[str, Any]:
    """Return for each locale how many requests were found to be in its language: of the sentences, and of mistyped ones."""
    with tempfile.TemporaryDirectory() as folder:
        learn_catalog([row for locale in args.locales for row in catalog(locale)], out=folder, channel="typed", complete=True)
        serving = Serving.load(current(folder))
        return {locale: _detected(serving, locale, args) for locale in args.locales}


def _detected(serving: Serving, locale: str, args: Namespace) -> dict[str, Any]:
    sentences = {normalise(row["text"], locale) for row in catalog(locale)}
    hits: dict[bool, Counter[str | None]] = {True: Counter(), False: Counter()}
    for seed in args.seeds:
        world = sentence_world(locale, seed=seed, n_users=args.users)
        for asked in requests(world, n=args.requests, seed=seed, start=START):
            text = normalise(asked.heard, locale)
            hits[text in sentences][serving.detect(text, "")] += 1
    counted = (("as written", hits[True]), ("mistyped", hits[False]))
    rows = {name: {"hits": found[locale], "n": found.total()} for name, found in counted}
    others = (hits[True] + hits[False]).most_common()
    return rows | {"mistaken for": [[of, n] for of, n in others if of != locale][:3]}


def catalog(locale: str) -> list[dict[str, str]]:
    """Return the sentences of a locale as rows of a catalog."""
    sql = "SELECT text, intent, slots FROM read_parquet(?) WHERE locale = ? ORDER BY ALL"
    with duckdb.connect() as con:
        rows = con.execute(sql, [str(SENTENCES), locale]).fetchall()
    return [{"text": text, "hypothesis": f"{intent}|{slots}", "locale": locale} for text, intent, slots in rows]


if __name__ == "__main__":
    main()
