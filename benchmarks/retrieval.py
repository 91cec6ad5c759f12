"""Measures what each channel of retrieval (vectors, spelling, sound) adds to finding what was meant.

    python benchmarks/retrieval.py [--seeds 0 1 2 3] [--out benchmarks/results/retrieval.json]

`home_spoken` with one voice held out per seed, and `slurp` with half of the takes (see `spoken`). The encoder learns from the
rephrases of the part to learn from. Every recording counts as a user.
"""

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from query_artefacts import as_user_view, ranks, recall
from script import options, write_result
from spoken import SPLITS, ProbeSplit, SpokenRecording

from rewriter.arrays import Floats
from rewriter.model.encoder import Encoder, StaticEncoder, random_table
from rewriter.model.retrieve import MIX, Mix
from rewriter.offline.fit.encoder import MinedRephrases, fit_static, training_pairs

PACKAGES = ("rewriter", "numpy", "faiss-cpu", "rapidfuzz", "sentence-transformers", "torch")
VERSIONS = {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def learned_encoder(pairs: list[tuple[str, str]], queries: list[str], seed: int) -> StaticEncoder:
    """The default encoder, learned from these pairs."""
    heard, meant = ([pair[i] for pair in pairs] for i in (0, 1))
    return fit_static(
        training_pairs(MinedRephrases(heard, meant, np.full(len(pairs), 3)), queries, min_users=3, seed=seed), seed=seed
    )


def ladder(split: ProbeSplit, seed: int) -> dict[str, Floats]:
    """The rank of what each probe meant, channel by channel."""
    drawn, learned = StaticEncoder(random_table(128, seed)), learned_encoder(split.rephrases, list(split.queries), seed)
    steps: dict[str, tuple[Encoder, Mix, int]] = {
        "vectors as drawn": (drawn, Mix(1, 0, 0), 1),
        "vectors learned from the log": (learned, Mix(1, 0, 0), 1),
        "letters": (drawn, Mix(0, 1, 0), 1),
        "sounds": (drawn, Mix(0, 0, 1), 1),
        "letters and sounds": (drawn, Mix(0, MIX.letters, MIX.sounds), 1),
        "all, vectors as drawn": (drawn, MIX, 1),
        "all, vectors learned from the log": (learned, MIX, 1),
        "all, and five hearings": (learned, MIX, 5),
    }
    found = {}
    for name, (encoder, mix, hearings) in steps.items():
        if any(len(probe.hearings) >= hearings for probe in split.probes):
            with as_user_view(encoder, split.queries, mix) as (retriever, goals):
                found[name] = ranks(retriever, goals, split.probes, hearings=hearings)
    return found


def figures(found: list[dict[str, Floats]], splits: list[ProbeSplit]) -> dict[str, Any]:
    """Recall over all seeds' probes, and apart by whether the goal's rephrases were among those learned from."""
    probes: list[SpokenRecording] = [probe for split in splits for probe in split.probes]
    taught = np.array([probe.goal in split.taught for split in splits for probe in split.probes])
    said = np.array([probe.said for probe in probes])
    rows: dict[str, Any] = {}
    for name in found[0]:
        ranked = np.concatenate([ladder[name] for ladder in found])
        rows[name] = {
            "all": recall(ranked, said.tolist()),
            "goals taught": recall(ranked[taught], said[taught].tolist()),
            "goals not taught": recall(ranked[~taught], said[~taught].tolist()),
        }
    return rows


def main() -> None:
    """Run the ladder on both sets of recordings, for each seed, and write the figures."""
    parser = options(__doc__, seeds=[0, 1, 2, 3], out=Path(__file__).parent / "results" / "retrieval.json")
    args = parser.parse_args()
    result: dict[str, Any] = {"command": " ".join(["python", *sys.argv]), "seeds": args.seeds, "versions": VERSIONS}
    for name, read in SPLITS.items():
        splits = [read(seed) for seed in args.seeds]
        found = [ladder(split, seed) for split, seed in zip(splits, args.seeds, strict=True)]
        result[name] = figures(found, splits)
        for row, parts in result[name].items():
            print(
                f"{name:12} {row:34}",
                *(f"{p}: {f['recall_1']['value']:.3f} {f['recall_10']['value']:.3f}" for p, f in parts.items()),
            )
    write_result(result, args.out)


if __name__ == "__main__":
    main()
