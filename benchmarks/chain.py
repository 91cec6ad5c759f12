"""Measures the chain: time for a million states with all rankings, error against the dense inverse, and PyDTMC for comparison.

    python benchmarks/chain.py [--states 1000000] [--seeds 0 1 2] [--out benchmarks/results/chain.json]

The world is random, in the shape that rephrase graphs have: 70 % of the states in many small components (Pareto sizes up to
400), the rest in a giant one. In each component most steps lead to a few popular states. Turns per state are Pareto too; half of
the states mostly work, half mostly fail. Time and peak memory are those of a process that only loads the Parquet and solves. It
uses one thread, so that on a busy machine (load_average above the number of cores) its CPU seconds are the figure to compare.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from script import options, write_result

from rewriter.config import Chain
from rewriter.offline.rules.chain import Absorption, load, solve

Counts = tuple[sparse.csr_array, NDArray[np.int64], NDArray[np.int64]]
SETTINGS = {
    "default": Chain(),
    "prune 1e-3, 5 hops": Chain(prune=1e-3, hops=5),
    "prune 1e-3": Chain(prune=1e-3),
    "prune 1e-5": Chain(prune=1e-5),
    "prune 1e-6, 30 hops": Chain(prune=1e-6, hops=30),
}
PEER = "pydtmc==8.7.0"


def world(n: int, seed: int, giant: float = 0.3) -> Counts:
    """Draw a chain of n states, about 3 n edges, a share `giant` of the states in one component."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(2 + (2 * rng.pareto(1.3, size=n)).astype(np.int64), 400)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), n * (1 - giant))]
    sizes = np.append(sizes, n - sizes.sum())
    start, size = np.repeat(np.cumsum(sizes) - sizes, sizes), np.repeat(sizes, sizes)
    source = np.repeat(np.arange(n), np.clip(rng.poisson(4.0, size=n), 1, 2 * size))
    popular = size[source] * rng.random(source.size) ** 2  # low numbers are drawn most
    target = start[source] + popular.astype(np.int64)
    turns = 1 + 3 * rng.pareto(1.0, size=n).clip(max=1e6)
    works = rng.random(n) < 0.5
    r = np.where(works, rng.beta(8, 2, n), rng.beta(1, 6, n))
    again = (1 - r) * np.where(works, rng.beta(2, 4, n), rng.beta(4, 2, n))
    weight = 0.2 + rng.pareto(1.0, size=source.size)
    share = weight / np.bincount(source, weight, minlength=n)[source]
    mass = 1 + (1000 * share * (again * turns)[source]).astype(np.int64)
    success, failure = (1000 * r * turns).astype(np.int64), (1000 * (1 - r - again) * turns).astype(np.int64)
    return sparse.csr_array(sparse.coo_array((mass, (source, target)), shape=(n, n))), success, failure


def write(counts: Counts, folder: Path) -> None:
    """Write the counts as the tables that `load` reads."""
    transitions, success, failure = counts
    edges = transitions.tocoo()
    frames = {
        "nodes": pd.DataFrame({"node": np.arange(success.size), "success": success, "failure": failure}),
        "edges": pd.DataFrame({"source": edges.row.astype(np.int64), "target": edges.col.astype(np.int64), "mass": edges.data}),
    }
    with duckdb.connect() as con:
        for name, frame in frames.items():
            con.register("frame", frame)
            con.execute(f"COPY frame TO '{folder / name}.parquet'")


def certified(a: Absorption, rows: NDArray[np.int64]) -> float:
    """Return the share of rows whose best target leads by more than the bound: no exact solution can choose another."""
    padded = np.zeros((rows.size, 2))
    for i, row in enumerate(rows):
        best = a.ranking(int(row))[:2]
        padded[i, : len(best)] = [score for _, score in best]
    return float(np.mean(padded[:, 0] - padded[:, 1] > a.bound[rows]))


def peak_gb() -> float:
    """Return the peak resident memory of this process (getrusage would count what the parent held when it forked)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) * 1024 / 1e9, 3)


def solve_once(folder: Path) -> dict[str, Any]:
    """Load and solve in this process; report seconds, peak memory, and how good the giant's rankings are."""
    base, start = peak_gb(), time.perf_counter()
    counts = load(folder / "nodes.parquet", folder / "edges.parquet")
    loaded, cpu = time.perf_counter(), time.process_time()
    a = solve(*counts, Chain())
    done, cpu, peak = time.perf_counter(), time.process_time() - cpu, peak_gb()
    _, label = csgraph.connected_components(counts[0], connection="weak")
    size = np.bincount(label)
    giant = np.flatnonzero(size[label] == size.max())
    bound = a.bound[giant]
    return {
        "states": a.success.size,
        "edges": counts[0].nnz,
        "components": size.size,
        "giant": giant.size,
        "load_s": round(loaded - start, 2),
        "solve_s": round(done - loaded, 2),
        "solve_cpu_s": round(cpu, 2),
        "load_average": round(os.getloadavg()[0], 1),
        "peak_gb": peak,
        "imports_gb": base,
        "scores_kept": a.scores.nnz,
        "giant_bound": {"mean": bound.mean(), "p99": np.quantile(bound, 0.99), "max": bound.max()},
        "giant_best_target_certain": certified(a, giant),
    }


def against_dense(n: int, seeds: list[int]) -> dict[str, Any]:
    """Solve one giant component of n states by the series and compare it with numpy's inverse of I - Q, self-loops and all."""
    found: dict[str, Any] = {name: [] for name in SETTINGS} | {"exact": []}
    for seed in seeds:
        counts = world(n, seed, giant=1.0)
        total = counts[0].sum(axis=1) + counts[1] + counts[2]
        truth = np.linalg.inv(np.eye(n) - counts[0].toarray() / total[:, None]) * (counts[1] / total)
        for name, setting in (SETTINGS | {"exact": Chain(exact=n)}).items():
            config = setting if name == "exact" else Chain(exact=1, prune=setting.prune, hops=setting.hops)
            a = solve(*counts, config)
            kept = a.scores.tocoo()
            error = np.abs(truth[kept.row, kept.col] - kept.data)
            chosen = np.array([a.ranking(i)[0][0] for i in range(n)])
            found[name].append(
                {
                    "seed": seed,
                    "error_s_max": error.max(),
                    "error_b_max": np.abs(truth.sum(axis=1) - a.absorbed).max(),
                    "bound_max": a.bound.max(),
                    "over_bound": int((error > a.bound[kept.row] + 1e-12).sum()),
                    "best_target_agrees": float(np.mean(truth[np.arange(n), chosen] >= truth.max(axis=1) - 1e-12)),
                }
            )
    return found


def peer(n: int, seed: int, repeats: int, folder: Path) -> dict[str, Any]:
    """Solve one chain of n states with PyDTMC, in a fresh environment, and with `solve`."""
    transitions, success, failure = world(n, seed, giant=1.0)
    total = transitions.sum(axis=1) + success + failure
    p = np.eye(n + 2)
    p[:n] = np.column_stack([transitions.toarray(), success, failure]) / total[:, None]
    np.savez(folder / "peer.npz", p=p, r=success / total)
    seconds: dict[str, list[float]] = {"exact": [], "series": []}
    for name, config in {"series": Chain(exact=1), "exact": Chain(exact=n)}.items():
        for _ in range(repeats):
            start = time.perf_counter()
            a = solve(transitions, success, failure, config)
            seconds[name].append(round(time.perf_counter() - start, 4))
    python = folder / "peer" / "bin" / "python"
    try:
        venv.create(folder / "peer", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PEER], check=True, capture_output=True, text=True)
        command = [str(python), str(Path(__file__).with_name("chain_peer.py")), str(folder / "peer.npz"), str(repeats)]
        theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    except subprocess.CalledProcessError as error:
        return {"states": n, "solve_s": seconds, "pydtmc": f"{PEER} did not run: {error.stderr.strip().splitlines()[-1]}"}
    theirs["absorbed_differs_by"] = float(np.abs(np.array(theirs.pop("absorbed")) - a.absorbed).max())
    theirs["stay_sum_differs_by"] = abs(theirs.pop("stay_sum") - float(a.stay().sum()))
    return {"states": n, "edges": transitions.nnz, "solve_s": seconds, "pydtmc": theirs}


def main() -> None:
    """Run everything and write the JSON."""
    parser = options(__doc__, seeds=[0, 1, 2], out=Path("benchmarks/results/chain.json"))
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--solve", type=Path, help="only load and solve this folder, and print what that took")
    args = parser.parse_args()
    if args.solve:
        print(json.dumps(solve_once(args.solve)))
        return
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for seed in args.seeds:
            write(world(args.states, seed), folder)
            command = [sys.executable, __file__, "--solve", str(folder)]
            runs.append({"seed": seed} | json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(runs[-1], flush=True)
        beside = peer(1000, args.seeds[0], 5, folder)
    dense = against_dense(2000, args.seeds)
    result = {
        "command": f"python benchmarks/chain.py --states {args.states} --seeds {' '.join(map(str, args.seeds))}",
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "config": {key: getattr(Chain(), key) for key in ("exact", "hops", "prune", "top")},
        "solve_s": [r["solve_s"] for r in runs],
        "solve_cpu_s": [r["solve_cpu_s"] for r in runs],
        "peak_gb_max": max(r["peak_gb"] for r in runs),
        "large": runs,
        "against_dense_2000_states": dense,
        "beside_pydtmc": beside,
    }
    write_result(result, args.out)
    print(json.dumps({key: result[key] for key in ("solve_s", "solve_cpu_s", "peak_gb_max", "beside_pydtmc")}, indent=1))


if __name__ == "__main__":
    main()
