"""Measures the cost of the HTTP service: requests a second and latency of `rewriter serve`, compared with calls in process.

    python benchmarks/serve_load.py [--requests 5000] [--connections 1 8 64] [--seeds 0 1 2] [--out FILE]

The artefact is learned from data/sample.parquet; the requests are its utterances with their users, drawn with the seed. The
service is one process with one event loop, the client is another. Each connection is kept alive and has one open request at a
time. So latency at many connections is mostly waiting for the others. The ratio is HTTP to in process, for each seed. Processor
time is that of the process that answers. It depends least on other processes of the machine.
"""

import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from script import RESULTS, made_with, options, write_result

from rewriter import Rewriter, learn

SAMPLE = Path(__file__).parent.parent / "data" / "sample.parquet"
Asked = list[tuple[str, str]]
"""Utterance and user of each request."""
Figures = dict[str, float]


def requests(n: int, seed: int) -> Asked:
    """Draw requests of the sample."""
    with duckdb.connect() as con:
        rows = con.execute("SELECT utterance, user_id FROM read_parquet(?) ORDER BY turn_id", [str(SAMPLE)]).fetchall()
    return random.Random(seed).choices(rows, k=n)


def summed(seconds: float, processor: float, each: list[float]) -> Figures:
    """Return throughput, latency, and the time of the processor for one request."""
    at, n = statistics.quantiles(each, n=100), len(each)
    return {
        "per_second": n / seconds,
        "p50_us": at[49] * 1e6,
        "p99_us": at[98] * 1e6,
        "processor_us": processor * 1e6 / n,
    }


def processor_of(pid: int) -> float:
    """Return the seconds that another process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_process(root: Path, asked: Asked) -> Figures:
    """Ask one after the other, in this process and thread."""
    rewriter, clock, each = Rewriter.open(root), time.perf_counter, []
    for text, user in asked[:200]:
        rewriter.rewrite(text, user_id=user)
    begin, computed = clock(), time.process_time()
    for text, user in asked:
        since = clock()
        rewriter.rewrite(text, user_id=user)
        each.append(clock() - since)
    return summed(clock() - begin, time.process_time() - computed, each)


def _raw(text: str, user: str) -> bytes:
    body = json.dumps({"utterance": text, "user_id": user}).encode()
    head = (
        f"POST /v1/rewrite HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _ask(port: int, todo: list[bytes], each: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while todo:
        raw, since = todo.pop(), time.perf_counter()
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert found is not None
        await reader.readexactly(int(found[1]))
        each.append(time.perf_counter() - since)
    writer.close()


async def over_http(port: int, pid: int, asked: Asked, connections: int) -> Figures:
    """Ask a service over so many connections at once."""
    each: list[float] = []
    await _ask(port, [_raw(*one) for one in asked[:200]], [])
    todo = [_raw(*one) for one in reversed(asked)]
    begin, computed = time.perf_counter(), processor_of(pid)
    await asyncio.gather(*(_ask(port, todo, each) for _ in range(connections)))
    return summed(time.perf_counter() - begin, processor_of(pid) - computed, each)


def one_seed(root: Path, asked: Asked, connections: list[int]) -> dict[str, Figures]:
    """Measure in process, then over HTTP by a service that is started for it."""
    found = {"in process": in_process(root, asked)}
    environment = {name: value for name, value in os.environ.items() if name != "REWRITER_TOKEN"}
    command = [sys.executable, "-m", "rewriter.cli", "serve", str(root), "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        at = re.search(r":(\d+);", service.stdout.readline())
        assert at is not None
        for n in connections:
            found[f"HTTP, {n} connections"] = asyncio.run(over_http(int(at[1]), service.pid, asked, n))
        service.terminate()
    base = found["in process"]
    for of in found.values():
        if of is not base:
            of["throughput_ratio"] = of["per_second"] / base["per_second"]
            of["p99_ratio"] = of["p99_us"] / base["p99_us"]
            of["processor_ratio"] = of["processor_us"] / base["processor_us"]
    return found


def main() -> None:
    """Learn, ask, and write the figures: the median of the seeds, with the least and the most."""
    parser = options(__doc__, requests=5000, seeds=[0, 1, 2], out=RESULTS / "serve_load.json")
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 8, 64])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        learn([SAMPLE], out=root)
        found = [one_seed(root, requests(given.requests, seed), given.connections) for seed in given.seeds]
    result: dict[str, Any] = made_with(("rewriter", "fastapi", "starlette", "uvicorn", "httptools", "uvloop")) | {
        "seeds": given.seeds,
        "processors": os.cpu_count(),
        "ways": {
            way: {
                figure: dict(zip(("median", "least", "most"), _spread([of[way][figure] for of in found]), strict=True))
                for figure in figures
            }
            for way, figures in found[0].items()
        },
    }
    write_result(result, given.out)
    print(json.dumps(result["ways"], indent=1))


def _spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


if __name__ == "__main__":
    main()
