"""What requests and learning cost, as Markdown."""

from cells import Figures, grid, number, outline

ABOUT = frozenset({"command", "seeds", "versions"})
_SIZES = ("rewrite_batch", "index", "mb", "encode_s", "index_s", "write_peak_mb", "fresh process", "load")


def request_cost(result: Figures) -> str:
    """Each way through the layers: its latency, and that of the encoder and FAISS alone; how requests end; sizes and start-up."""
    tables = []
    for name, found in result.items():
        if name in ABOUT:
            continue
        rows = [
            [
                way,
                *(number(of[f"{p}_us"]) for p in ("p10", "p50", "p99")),
                number(of["ratio"]) if "ratio" in of else "",
                ", ".join(f"{end} {n}" for end, n in ends.items()),
            ]
            for way, of in found["ways"].items()
            for ends in [of.get("ends", {})]
        ]
        table = grid([name, "p10 µs", "p50 µs", "p99 µs", "ratio", "how they end"], rows)
        tables.append(f"{table}\n\n{outline({size: found[size] for size in _SIZES})}")
    return "\n\n".join(tables)


def serve_load(result: Figures) -> str:
    """The service by number of connections, beside the call in process; medians of the seeds, least and most in brackets."""
    names = ("per_second", "throughput_ratio", "p50_us", "p99_us", "p99_ratio", "processor_us", "processor_ratio")
    columns = ["", "requests/s", "ratio", "p50 µs", "p99 µs", "ratio", "processor µs", "ratio"]
    rows = [[way, *(_spread(of.get(name)) for name in names)] for way, of in result["ways"].items()]
    return f"{grid(columns, rows)}\n\n{outline({name: result[name] for name in ('processors', 'load')})}"


def _spread(of: Figures | None) -> str:
    return "" if of is None else f"{number(of['median'])} ({number(of['least'])}–{number(of['most'])})"


def learn_cost(result: Figures) -> str:
    """Time and memory of `learn` by size, and of its steps."""
    sizes = {name: found for name, found in result.items() if name not in ABOUT}
    columns = ["turns", "rules", "s by the clock", "s of the processor", "peak GB", "load"]
    names = ("turns", "rules", "seconds", "cpu_seconds", "peak_gb", "load")
    whole = grid(columns, [[number(found[name]) for name in names] for found in sizes.values()])
    steps = [
        [
            step,
            *(
                f"{number(found['steps'][step]['cpu_seconds'])} / {number(found['steps'][step]['peak_gb'])}"
                for found in sizes.values()
            ),
        ]
        for step in next(iter(sizes.values()))["steps"]
    ]
    return f"{whole}\n\nBy step, seconds of the processor / peak GB so far:\n\n{grid(['step', *sizes], steps)}"


def scale(result: Figures) -> str:
    """Mining on each engine by size."""
    columns = [
        "turns",
        "engine",
        "s by the clock",
        "s of the processor",
        "passes",
        "µs a turn",
        "peak GB",
        "disk, bytes a turn",
        "load",
    ]
    rows = [
        [
            number(row["turns"]),
            row["engine"],
            *(number(row[name]) for name in ("seconds", "cpu_seconds")),
            number(row["cpu_seconds"] / row["plain_pass_cpu_seconds"]),
            number(1e6 * row["cpu_seconds"] / row["turns"]),
            number(row["peak_gb"]),
            number(1e6 * row["disk_mb"] / row["turns"]),
            number(row["load"]),
        ]
        for row in result["rows"]
    ]
    about = "Passes: how many plain passes of DuckDB over the same file take as long; µs a turn are those of the processor."
    limit = "" if result["memory_gb"] is None else f" memory_gb = {number(result['memory_gb'])}."
    return f"{grid(columns, rows)}\n\n{about}{limit}"
