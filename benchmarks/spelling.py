"""Measures what mending of spellings does where the assistant minds spelling, and where it does not.

    python benchmarks/spelling.py --seeds 1 2 3 [--users 60] [--days 8] [--requests 1500] [--out benchmarks/results/spelling.json]

The world is the simulated home with an assistant that knows its phrases. People spell in their own ways (capitals, a full stop, a
hyphen). For a share of all texts the assistant refuses one way of spelling: none of them, or three in ten. For each seed: learn
from the log, and judge fresh requests of the days after it, with the layer ``spelling`` and without it.
"""

import argparse
import shlex
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from script import options, write_result

from rewriter.artefact.versions import current
from rewriter.codes import Layer
from rewriter.evaluation.judge import healthy_texts, judge, logged, proposer
from rewriter.evaluation.outcomes import Outcomes, losses, only, pooled, wins
from rewriter.evaluation.summary import plain, row
from rewriter.model.spellings import FOLDER, Spellings
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.spelling import minding_spelling
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world

START = date(2026, 1, 5)
SHARES = (0.0, 0.3)
MODES = {"before": False, "after": True}
WITHOUT = tuple(layer for layer in Layer if layer is not Layer.SPELLING)


def main() -> None:
    """Judge both worlds and write the results."""
    args = options(
        __doc__, seeds=[1, 2, 3], users=60, days=8, requests=1500, out=Path("benchmarks/results/spelling.json")
    ).parse_args()
    worlds = {f"{share:.0%}": world(share, args) for share in SHARES}
    write_result({"command": shlex.join(["python", *sys.argv]), "seeds": args.seeds, "minded": worlds}, args.out)


def world(share: float, args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of an assistant that minds the spelling of a share of the texts, pooled over the seeds."""
    found: dict[tuple[str, str], list[Outcomes]] = {(mode, with_): [] for mode in MODES for with_ in ("with", "without")}
    mends = []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            mends.append(one(share, seed, args, Path(folder), found))
    figures: dict[str, Any] = {"texts mended before the NLU": mends}
    for (mode, with_), of in found.items():
        outcomes = pooled(of)
        mended = only(outcomes, outcomes.layer == Layer.SPELLING)
        figures[f"{mode}, {with_}"] = plain(row("all", outcomes)) | {
            "mended": {"wins": int(wins(mended).sum()), "losses": int(losses(mended).sum()), "sent": int(mended.applied.sum())}
        }
        all_of = figures[f"{mode}, {with_}"]
        print(f"{share:.0%} minded, {mode}, {with_}: {all_of}", flush=True)
    return figures


def one(share: float, seed: int, args: argparse.Namespace, folder: Path, found: dict[tuple[str, str], list[Outcomes]]) -> int:
    """Learn from one log, and judge fresh requests with and without the layer; return how many texts are mended."""
    home = minding_spelling(phrase_world(seed, n_users=args.users), share)
    turns = [turn for day in simulate_days(home, days=args.days, start=START, seed=seed) for turn in day]
    write_log(turns, folder / "log.parquet")
    learn([folder / "log.parquet"], out=folder / "artefact")
    asked = requests(home, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    for mode, after_failure in MODES.items():
        for with_, layers in (("with", tuple(Layer)), ("without", WITHOUT)):
            propose = proposer(Rewriter.open(folder / "artefact", layers=layers).rewrite)
            healthy = healthy_texts(logged(turns))
            outcomes = judge(asked, propose, home.assistant, after_failure=after_failure, healthy_in_log=healthy)
            found[mode, with_].append(outcomes)
    spellings = Spellings.open(current(folder / "artefact").folder / "online" / FOLDER)
    return sum(mend.before for mend in spellings.mends)


if __name__ == "__main__":
    main()
