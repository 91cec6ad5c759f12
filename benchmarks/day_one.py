"""Measures the first day: an artefact made from a catalog alone, after refusals, in worlds that the prior was not fitted on.

    python benchmarks/day_one.py [--seeds 0 1 2] [--requests 300] [--out benchmarks/results/day_one.json]

The catalog holds all texts that the assistant of the world understands, and is declared complete. The requests are refused
requests and the out-of-scope sentences of clinc150 (400 a seed). A win is a rewrite that means what was said, and a loss any
other rewrite. Rewrites of out-of-scope requests are counted separately. Figures are given for rewrites with P(meant) of at least
.5, .65, .8 and .9 that the guardrail allows. No weight was fitted on these worlds. But variants of the model (columns, penalty,
signs) were compared on them, so the figures are optimistic.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prior_tables import draw
from prior_worlds import WORLDS, Corpus, out_of_scope
from script import made_with, options, write_result

from rewriter import Rewrite, Rewriter
from rewriter.arrays import Bools, Floats
from rewriter.codes import Reason
from rewriter.offline.catalog_layer import learn_catalog

ROOT = Path(__file__).parents[1]
LEAST = (0.5, 0.65, 0.8, 0.9)
JUDGED = ("dstc2", "simulated_home", "media", "typed")


def main() -> None:
    """Ask all worlds and write the figures."""
    parser = options(__doc__, seeds=[0, 1, 2], requests=300, out=ROOT / "benchmarks" / "results" / "day_one.json")
    args = parser.parse_args()
    result: dict[str, Any] = {
        **made_with(("rewriter", "rapidfuzz", "numpy", "faiss-cpu")),
        "seeds": args.seeds,
        "worlds": {},
    }
    outside = out_of_scope()
    for name in JUDGED:
        runs = [ask(WORLDS[name](seed), args.requests, outside[seed % 3 :: 3], seed) for seed in args.seeds]
        result["worlds"][name] = figures(runs)
        print(name, result["worlds"][name], flush=True)
    write_result(result, args.out)


class WorldRun(NamedTuple):
    """One world and seed.

    Attributes:
        p: (n,) P(meant) of what the guardrail allows for each refused request; 0 where it forbids.
        right: (n,) whether the likeliest candidate means what was said.
        blocked: (n,) whether the guardrail forbids it.
        outside: (m,) P(meant) for each out-of-scope sentence; 0 where the guardrail forbids.
        defects: how many defects go with the refused requests.
        texts: of the catalog.
    """

    p: Floats
    right: Bools
    blocked: Bools
    outside: Floats
    defects: int
    texts: int


def ask(corpus: Corpus, n: int, outside: list[str], seed: int) -> WorldRun:
    """Make an artefact from the texts of a world, and ask it."""
    wrong = [m for m in corpus.made if corpus.understood.get(m.heard) != m.goal]
    refused = [m for m in wrong if m.heard not in corpus.understood]
    made = draw(refused, n, seed)
    rows = [{"text": text, "hypothesis": goal} for text, goal in corpus.understood.items()]
    with tempfile.TemporaryDirectory() as folder:
        learn_catalog(rows, out=folder, channel="typed" if corpus.name == "typed" else "spoken", complete=True)
        rewriter = Rewriter.open(folder)
        answers = [rewriter.rewrite(request.heard, after_failure=True) for request in made]
        touched = np.array([likeliest(rewriter.rewrite(text, after_failure=True))[0] for text in outside])
    p, meanings = zip(*((p, corpus.understood.get(text)) for p, text in map(likeliest, answers)), strict=True)
    right = np.array([meaning == request.goal for meaning, request in zip(meanings, made, strict=True)])
    blocked = np.array([answer.reason == Reason.BLOCKED for answer in answers])
    return WorldRun(np.array(p), right, blocked, touched, round(len(wrong) * len(made) / len(refused)), len(rows))


def likeliest(answer: Rewrite) -> tuple[float, str]:
    """Return P(meant) of the likeliest candidate, 0 if it is forbidden, and the candidate."""
    if not answer.candidates:
        return 0.0, ""
    best = answer.candidates[0]
    return (0.0 if answer.reason == Reason.BLOCKED else best.p_success), best.text


def figures(runs: list[WorldRun]) -> dict[str, Any]:
    """Add up the seeds."""
    p, right, blocked, outside = (np.concatenate(of) for of in list(zip(*runs, strict=True))[:4])
    defects = sum(run.defects for run in runs)
    found: dict[str, Any] = {
        "texts": [run.texts for run in runs],
        "requests": len(p),
        "right_first": round(float(right.mean()), 3),
        "right_but_blocked": int((right & blocked).sum()),
    }
    for least in LEAST:
        wins, losses = int((right & (p >= least)).sum()), int((~right & (p >= least)).sum())
        ratio = round(wins / max(losses, 0.5), 1)
        touched = round(float((outside >= least).mean()), 4)
        found[f">= {least:g}"] = {
            "wins": wins, "losses": losses, "win_loss": ratio, "fixed": round(wins / defects, 3), "touched": touched,
        }  # fmt: skip
    return found


if __name__ == "__main__":
    main()
