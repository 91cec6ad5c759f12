"""Compares the expected losses of the launched rules with the true ones, in a world with a strict phrase assistant.

    python benchmarks/calibration.py [--seeds 0 1 2] [--users 300] [--days 14] [--requests 30000]

For each seed: simulate a log, learn once for each budget q of losses, and send new requests of the following days through the
exact layer. Writes results/calibration.json (expected and true loss share, with an interval by user) and calibration.svg.
"""

import argparse
import math
import shlex
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from script import RESULTS, options, write_result

from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.evaluation.judge import healthy_texts, judge, logged, proposer
from rewriter.evaluation.outcomes import Outcomes, losses, only, pooled, win_loss, wins
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.simulation.dialogue import requests, simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world

BUDGETS = (0.01, 0.02, 0.05, 0.1, 0.2)
START = date(2026, 1, 5)


def main() -> None:
    """Run all seeds and budgets."""
    parser = options(__doc__, seeds=[0, 1, 2], users=300, days=14, requests=30_000)
    args = parser.parse_args()
    judged: dict[float, list[tuple[float, Outcomes]]] = {q: [] for q in BUDGETS}
    for seed in args.seeds:
        for q, expected, outcomes in one(seed, args):
            judged[q].append((expected, outcomes))
    rows = [row(q, found) for q, found in judged.items()]
    RESULTS.mkdir(exist_ok=True)
    result = {"command": shlex.join(["python", *sys.argv]), "seeds": args.seeds, "budgets": rows}
    write_result(result, RESULTS / "calibration.json")
    picture(rows).savefig(RESULTS / "calibration.svg", metadata={"Date": None})


def one(seed: int, args: argparse.Namespace) -> list[tuple[float, float, Outcomes]]:
    """Return (budget, expected loss share, outcomes of fresh requests) for every budget."""
    world = phrase_world(seed, n_users=args.users)
    turns = [turn for day in simulate_days(world, days=args.days, start=START, seed=seed) for turn in day]
    asked = requests(world, n=args.requests, seed=seed, start=START + timedelta(days=args.days))
    healthy = healthy_texts(logged(turns))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        log, artefact = Path(folder) / "log.parquet", Path(folder) / "artefact"
        write_log(turns, log)
        for q in BUDGETS:
            learn([log], out=artefact, afresh=True, config=Config.from_dict({"launch": {"max_loss_share": q}}))
            expected = current(artefact).manifest.metrics["expected loss share"]
            propose = proposer(Rewriter.open(artefact).rewrite)
            judged = judge(asked, propose, world.assistant, after_failure=False, healthy_in_log=healthy)
            outcomes = only(judged, judged.layer == "precomputed")
            print(f"seed {seed}, q {q}: {wins(outcomes).sum()} wins, {losses(outcomes).sum()} losses", flush=True)
            found.append((q, float("nan") if expected is None else expected, outcomes))
    return found


def row(q: float, found: list[tuple[float, Outcomes]]) -> dict[str, Any]:
    """Return expected and true figures of one budget, over all seeds."""
    together = pooled([outcomes for _, outcomes in found])
    promised = [expected for expected, _ in found if not math.isnan(expected)]
    ratio = win_loss(together)
    return {
        "q": q,
        "expected loss share": sum(promised) / len(promised) if promised else None,
        "loss share": 1 / (1 + ratio.value),
        "low": 1 / (1 + ratio.high),
        "high": 1 / (1 + ratio.low),
        "wins": int(wins(together).sum()),
        "losses": int(losses(together).sum()),
        "by seed": [float(losses(o).sum() / max((wins(o) | losses(o)).sum(), 1)) for _, o in found],
    }


def picture(rows: list[dict[str, Any]]) -> Figure:
    """Draw the true loss share against the budget."""
    figure = Figure(figsize=(5.6, 4.6), layout="constrained")
    axes = figure.add_subplot()
    q = [r["q"] for r in rows]
    axes.plot([0, max(q)], [0, max(q)], color="#767676", linestyle="--", label="budget q")
    axes.plot(
        q,
        [math.nan if r["expected loss share"] is None else r["expected loss share"] for r in rows],
        color="#009E73",
        marker="s",
        label="expected at launch",
    )
    low, high = ([abs(r["loss share"] - r[side]) for r in rows] for side in ("low", "high"))
    axes.errorbar(
        q, [r["loss share"] for r in rows], yerr=[low, high], color="#0072B2", marker="o", capsize=3, label="true, 95 %"
    )
    axes.set_xlabel("budget of losses")
    axes.set_ylabel("share of losses among decided requests")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
