"""Measures the exact layer with a million rules: one call, start-up, size, memory; compared with a plain dict and plain LMDB.

    python benchmarks/serving.py [--rules 1000000] [--seeds 0 1 2] [--out benchmarks/results/serving.json]

Every seed makes a different world: sentences of three to seven words, 70 % of the rules for everybody, 30 % of 50,000 users.
Requests are drawn evenly over all rules. This is harder on the caches than real users, who repeat themselves. Every call is timed
separately, and each figure includes about 0.05 us of the clock itself. Start-up is that of new processes, with the files in the
page cache and without.
"""

import argparse
import gc
import json
import multiprocessing
import os
import platform
import random
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

import lmdb

from rewriter.artefact.versions import current, verify
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.model.rules import Rule, write_rules
from rewriter.online.rewriter import Rewriter
from rewriter.text import hash_user

USERS = 50_000
PERSONAL = 0.3
Request = tuple[str, str | None]

OPEN = """
import sys, time
begin = time.perf_counter()
import rewriter
imported = time.perf_counter()
opened = rewriter.Rewriter.open(sys.argv[1])
ready = time.perf_counter()

def memory():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return [int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")]

import json
before = memory()
with open(sys.argv[2]) as file:
    for line in file:
        text, user = json.loads(line)
        opened.rewrite(text, user_id=user)
print(json.dumps([imported - begin, ready - imported, before, memory()]))
"""

LOAD_DICT = """
import json, sys, time
begin = time.perf_counter()
with open(sys.argv[1]) as file:
    table = {(user, text): (target, score, rule) for user, text, target, score, rule in map(json.loads, file)}
lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([time.perf_counter() - begin, int(lines["RssAnon"].split()[0]) / 1024]))
"""


def sentences(n: int, draw: random.Random) -> list[str]:
    """Draw n different sentences."""
    syllables = [c + v for c in "bdfgklmnprstvw" for v in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(5_000)]
    found: dict[str, None] = {}
    while len(found) < n:
        found[" ".join(draw.choices(words, k=draw.randint(3, 7)))] = None
    return list(found)


def world(n: int, seed: int, key: bytes) -> tuple[list[Rule], dict[str, list[Request]]]:
    """Draw the rules and the requests by kind."""
    draw = random.Random(seed)
    texts = sentences(n + 10_000, draw)
    owners = [f"user-{draw.randrange(USERS)}" if draw.random() < PERSONAL else "" for _ in range(n)]
    hashed = {owner: hash_user(owner, key) if owner else "" for owner in set(owners)}
    rules = [
        Rule(f"r{i}", hashed[owner], "en", texts[i], texts[i].replace("a", "o", 1) + " now", round(draw.random(), 3))
        for i, owner in enumerate(owners)
    ]
    some = draw.sample(range(n), min(n, 60_000))
    other_users = [f"user-{draw.randrange(USERS)}" for _ in texts[n:]]
    own = [(texts[i], owners[i]) for i in some if owners[i]]
    everybodys: list[Request] = [(texts[i], None) for i in some if not owners[i]]
    requests: dict[str, list[Request]] = {
        "hit, global, no user": everybodys,
        "hit, global, a user": [(text, f"user-{draw.randrange(USERS)}") for text, _ in everybodys],
        "hit, personal": [(text, user) for text, user in own],
        "miss, no user": [(text, None) for text in texts[n:]],
        "miss, a user": list(zip(texts[n:], other_users, strict=True)),
        "hit, global, a user, written 'Like this.'": [(f"{t.capitalize()}.", "user-1") for t, _ in everybodys],
    }
    return rules, requests


def timed(call: Callable[[Any], object], requests: Sequence[object], calls: int) -> dict[str, float]:
    """Time each of many calls, in microseconds."""
    clock = time.perf_counter_ns
    for request in requests[: calls // 10]:
        call(request)
    spent = []
    for i in range(calls):
        request = requests[i % len(requests)]
        begin = clock()
        call(request)
        spent.append(clock() - begin)
    quantiles = statistics.quantiles(spent, n=1000)
    return {"p50_us": quantiles[499] / 1e3, "p99_us": quantiles[989] / 1e3, "p999_us": quantiles[998] / 1e3}


def one_world(root: Path, n: int, seed: int, calls: int) -> dict[str, Any]:
    """Write a world, ask it, ask the plain stores; leave what the fresh processes need."""
    with Writer(root) as writer:
        rules, requests = world(n, seed, writer.user_key)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        write_rules(writer.folder / "rules", rules)
        written = time.perf_counter()
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        writer.publish(config=Config(), locales={"en": n}, counts={"rules": n}, metrics={})
        published = time.perf_counter()
    sizes = current(root).manifest.sizes
    figures: dict[str, Any] = {
        "write_s": written - begin,
        "publish_s": published - written,
        "write_peak_mb": more / 1024,
        "bytes_per_rule": sum(sizes.values()) / n,
        "mb": sum(sizes.values()) / 1e6,
    }
    begin = time.perf_counter()
    verify(current(root))
    figures["verify_s"] = time.perf_counter() - begin
    with (root / "requests.jsonl").open("w") as file:
        file.writelines(json.dumps(r) + "\n" for kind in requests.values() for r in kind[:20_000])
    with (root / "rules.jsonl").open("w") as file:
        file.writelines(json.dumps([r.user, r.source, r.target, r.score, r.rule]) + "\n" for r in rules)
    table = {(r.user, r.source): (r.target, r.score, r.rule) for r in rules}
    gc.collect()
    gc.freeze()
    rewriter = Rewriter.open(root)
    for kind, given in requests.items():
        answers = rewriter.rewrite_batch([t for t, _ in given], user_ids=[u for _, u in given])
        assert all(a.applied == kind.startswith("hit") for a in answers), kind
        figures[kind] = timed(lambda r: rewriter.rewrite(r[0], user_id=r[1]), given, calls)
    figures["plain dict, hit"] = timed(table.get, [("", t) for t, _ in requests["hit, global, no user"]], calls)
    figures["plain dict, miss"] = timed(table.get, [("", t) for t, _ in requests["miss, no user"]], calls)
    plain = root / "plain.mdb"
    with lmdb.open(str(plain), subdir=False, lock=False, sync=False, map_size=1 << 36) as env, env.begin(write=True) as write:
        rows = sorted((f"{r.user} {r.source}".encode(), f"{r.target}\t{r.score}\t{r.rule}".encode()) for r in rules)
        write.cursor().putmulti(rows, append=True)
    figures["plain lmdb, mb"] = plain.stat().st_size / 1e6
    with lmdb.open(str(plain), subdir=False, lock=False, readonly=True) as env, env.begin() as view:
        for kind in ("hit, global, no user", "miss, no user"):
            keys = [f" {t}".encode() for t, _ in requests[kind]]
            figures[f"plain lmdb, {kind.split(',')[0]}"] = timed(view.get, keys, calls)
    return figures


def fresh(root: Path, runs: int, *, cold: bool) -> dict[str, Any]:
    """Import and open in processes of their own, then ask 100,000 times."""
    found = []
    for _ in range(runs):
        if cold:
            for path in (root / "versions").rglob("*.mdb"):
                handle = os.open(path, os.O_RDONLY)
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(handle)
        requests = os.devnull if cold else root / "requests.jsonl"
        done = subprocess.run([sys.executable, "-c", OPEN, root, requests], capture_output=True, check=True)
        found.append(json.loads(done.stdout))
    figures: dict[str, Any] = {
        "import_s": statistics.median(f[0] for f in found),
        "open_s": statistics.median(f[1] for f in found),
        "import_and_open_s": statistics.median(f[0] + f[1] for f in found),
        "import_and_open_worst_s": max(f[0] + f[1] for f in found),
    }
    if not cold:
        figures["private_mb"] = {"opened": found[0][2][0], "after the requests": found[0][3][0]}
        figures["mapped_mb"] = {"opened": found[0][2][1], "after the requests": found[0][3][1]}
    return figures


def spread(values: list[Any]) -> Any:
    """Join the figures of the seeds: mean, least, greatest."""
    if isinstance(values[0], dict):
        return {name: spread([value[name] for value in values]) for name in values[0]}
    return f"{statistics.fmean(values):.4g} [{min(values):.4g}, {max(values):.4g}]"


def main() -> None:
    """Run all and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serving.json"))
    args = parser.parse_args()
    asked, warm, cold, tables = [], [], [], []
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                asked.append(pool.apply(one_world, (root, args.rules, seed, args.calls)))
            warm.append(fresh(root, args.runs, cold=False))
            cold.append(fresh(root, args.runs, cold=True))
            done = subprocess.run([sys.executable, "-c", LOAD_DICT, root / "rules.jsonl"], capture_output=True, check=True)
            tables.append(dict(zip(("load_s", "private_mb"), json.loads(done.stdout), strict=True)))
        print(f"seed {seed}:", json.dumps({name: v for name, v in asked[-1].items() if "hit" in name or "miss" in name}))
    result = {
        "command": f"python benchmarks/serving.py --rules {args.rules} --calls {args.calls} --runs {args.runs} "
        f"--seeds {' '.join(map(str, args.seeds))}",
        "seeds": args.seeds,
        "versions": {"python": platform.python_version(), "lmdb": version("lmdb"), "rewriter": version("rewriter")},
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "values": "mean over the seeds [least, greatest]; of start-up the median of the runs",
        "calls": spread(asked),
        "start, files in the page cache": spread(warm),
        "start, files not in the page cache": spread(cold),
        "the same rules in a plain dict": spread(tables),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
