"""What a request costs among a hundred thousand and a million queries, part by part; and the raw encoder and raw FAISS beside it.

    python benchmarks/retrieval_cost.py [--rows 100000 1000000] [--seed 0] [--calls 3000] [--out FILE]

Rows are SLURP's sentences with fillers of one type exchanged for each other; requests are its misheard recordings. The encoder
and the index's samples come from one half of the takes, the requests from the other. 100,000 users have ten habits and two
private rows each. One thread. Start-up is that of fresh processes with the files in the page cache.
"""

import argparse
import json
import os
import platform
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from retrieval import learned_encoder
from shelving import columns
from spoken import sentences, slurp

from rewriter.model.encoder import open_encoder
from rewriter.model.habits import Said, write_habits
from rewriter.model.index import build_index
from rewriter.model.querybook import QueryBook, write_book
from rewriter.model.retrieve import Retriever
from rewriter.text import normalise

USERS, HABITS, PRIVATE = 100_000, 10, 2

OPEN = """
import sys, time
begin = time.perf_counter()
from pathlib import Path
from rewriter.model.retrieve import Retriever
imported = time.perf_counter()
retriever = Retriever.open(Path(sys.argv[1]))
opened = time.perf_counter()
retriever.retrieve(["turn of the lamp"], "en", "0" * 32)
asked = time.perf_counter()

def memory():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return [int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")]

for line in open(sys.argv[2]):
    retriever.retrieve([line.rstrip()], "en")
import json
print(json.dumps([imported - begin, opened - imported, asked - opened, *memory()]))
"""


def exchanged(n: int, draw: random.Random) -> list[str]:
    """Draw n different sentences with other fillers."""
    fillers: dict[str, list[str]] = {}
    templates = []
    for sentence in sentences():
        parts = re.split(r"\[\s*(\w+)\s*:\s*([^\]]*)\]", sentence["sentence_annotation"])
        for kind, filler in zip(parts[1::3], parts[2::3], strict=True):
            fillers.setdefault(kind, []).append(normalise(filler))
        templates.append(([normalise(part) for part in parts[0::3]], parts[1::3]))
    found: dict[str, None] = {}
    while len(found) < n:
        words, kinds = draw.choice(templates)
        drawn = [draw.choice(fillers[kind]) for kind in kinds] + [""]
        found[" ".join(part for pair in zip(words, drawn, strict=True) for part in pair if part)] = None
    return list(found)


def write(folder: Path, texts: list[str], seed: int) -> dict[str, Any]:
    """Write an artefact of these queries and of drawn habits; return what that took."""
    split = slurp(seed)
    encoder, rng = learned_encoder(split.rephrases, list(split.queries), seed), np.random.default_rng(seed)
    encoder.save(folder / "encoder")
    begin = time.perf_counter()
    write_book(folder / "book", columns(texts, range(len(texts))), encoder)
    encoded = time.perf_counter()
    book = QueryBook.open(folder / "book")
    build_index(folder / "index", book, encoder.encode(sorted({heard for heard, _ in split.rephrases})[:500]))
    indexed = time.perf_counter()
    users = [f"{u:032x}" for u in range(USERS)]
    n = USERS * HABITS
    said = Said(users * HABITS, rng.integers(len(texts), size=n), np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64))
    private = [f"{texts[i % len(texts)]} for user {i}" for i in range(USERS * PRIVATE)]
    write_habits(folder / "habits", said, users * PRIVATE, columns(private, range(len(private))), len(texts), encoder)
    return {
        "encode_s": encoded - begin,
        "index_s": indexed - encoded,
        "habits_s": time.perf_counter() - indexed,
        "write_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "index": json.loads((folder / "index" / "index.json").read_text())["en"],
        "mb": {part.name: sum(p.stat().st_size for p in part.rglob("*") if p.is_file()) / 1e6 for part in folder.iterdir()},
    }


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
    cuts = statistics.quantiles(spent, n=100)
    return {"p10_us": cuts[9] / 1e3, "p50_us": cuts[49] / 1e3, "p99_us": cuts[98] / 1e3}


def asked(folder: Path, requests: Sequence[str], calls: int) -> dict[str, Any]:
    """Time a request and its parts."""
    retriever, encoder = Retriever.open(folder), open_encoder(folder / "encoder")
    texts, n = [[text] for text in requests], len(requests)
    vectors = [encoder.encode(text) for text in texts]
    users = [f"{u:032x}" for u in random.Random(0).sample(range(USERS), n)]
    index = faiss.read_index(str(folder / "index" / "0.faiss"), faiss.IO_FLAG_MMAP_IFC)
    parts: dict[str, Callable[[int], object]] = {
        "encode": lambda i: encoder.encode(texts[i % n]),
        "search, 32 rows": lambda i: retriever.index.search(vectors[i % n], "en", 32),
        "own rows and their vectors": lambda i: retriever.shelf.vectors(retriever.shelf.own(users[i % n], "en").rows),
        "whole request, no user": lambda i: retriever.retrieve(texts[i % n], "en"),
        "whole request, a user": lambda i: retriever.retrieve(texts[i % n], "en", users[i % n]),
        "raw encoder and raw FAISS, 10 rows": lambda i: index.search(encoder.encode(texts[i % n]), 10),
        "raw encoder and raw FAISS, 32 rows": lambda i: index.search(encoder.encode(texts[i % n]), 32),
    }
    faiss.omp_set_num_threads(1)
    return {name: timed(call, calls) for name, call in parts.items()}


def fresh(folder: Path, requests: Path, runs: int = 5) -> dict[str, float]:
    """Import, open and ask once in processes of their own."""
    command = [sys.executable, "-c", OPEN, str(folder), str(requests)]
    found = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(runs)]
    names = ("import_s", "open_s", "first_request_s", "private_mb", "mapped_mb")
    return {name: round(statistics.median(values), 4) for name, values in zip(names, zip(*found, strict=True), strict=True)}


def main() -> None:
    """Write, ask and open artefacts of each size, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "retrieval_cost.json")
    options = parser.parse_args()
    packages = ("rewriter", "numpy", "faiss-cpu", "rapidfuzz")
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": [options.seed],
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "load": os.getloadavg()[0],
    }
    texts = exchanged(max(options.rows), random.Random(options.seed))
    requests = sorted({probe.hearings[0] for probe in slurp(options.seed).probes})
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            figures = write(folder, texts[:rows], options.seed)
            (folder / "requests.txt").write_text("\n".join(requests), encoding="utf-8")
            figures |= asked(folder, requests, options.calls) | {"fresh process": fresh(folder, folder / "requests.txt")}
        result[f"{rows} rows"] = figures
        print(rows, json.dumps(figures, indent=1))
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
