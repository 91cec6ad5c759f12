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
    """Time and memory of `learn` by size and by step, the lines through the sizes, and what the detector costs."""
    sizes = {name: found for name, found in result.items() if name.endswith(" turns")}
    columns = ["turns", "texts", "texts of users", "rules", "s by the clock", "s of the processor", "peak GB", "load"]
    names = ("turns", "texts", "said", "rules", "seconds", "cpu_seconds", "peak_gb", "load")
    whole = grid(columns, [[number(found[name]) for name in names] for found in sizes.values()])
    steps = [
        [
            step,
            *(
                f"{number(found['steps'][step]['cpu_seconds'])} / {number(found['steps'][step]['peak_gb'])}"
                for found in sizes.values()
            ),
            " + ".join(number(figure) for figure in result["costs"][step]),
        ]
        for step in next(iter(sizes.values()))["steps"]
    ]
    detector = [
        [name, *(number(found["detector_cpu_seconds"].get(name, 0)) for found in sizes.values())]
        for name in ("compare", "choose", "score", "score_parts")
    ]
    detector += [[name, *(number(found[name]) for found in sizes.values())] for name in ("pairs", "candidates")]
    memory = ", ".join(
        f"{name} {number(of['gb'])} GB and {number(of['kb_of_each_said'])} kB for each text of a user"
        for name, of in result["memory"].items()
    )
    limit = next(iter(sizes.values()))["memory_gb"]
    about = "" if limit is None else f" memory_gb = {number(limit)}."
    return "\n\n".join((
        f"{whole}\n\nTexts of users: what each user says, each text once.{about} Memory, as a line through the sizes: {memory}.",
        "By step, seconds of the processor / peak GB within it, and a line through the sizes, seconds + seconds a million turns:",
        grid(["step", *sizes, "line"], steps),
        "Of mining, seconds of the processor: comparing each pair of texts once; choosing, that is learning, the detector;"
        " scoring candidates, all at once or by parts:",
        grid(["", *sizes], detector),
    ))  # fmt: skip


def label_cost(result: Figures) -> str:
    """Time and memory of `label` and `diagnose` by size and by step."""
    columns = ["job", "turns", "parts", "s by the clock", "s of the processor", "µs a turn", "peak GB", "load"]
    rows = [
        [
            row["job"],
            *(number(row[name]) for name in ("turns", "parts", "seconds", "cpu_seconds")),
            number(1e6 * row["cpu_seconds"] / row["turns"]),
            *(number(row[name]) for name in ("peak_gb", "load")),
        ]
        for row in result["rows"]
    ]
    steps = [
        [row["job"], number(row["turns"]), step, number(of["cpu_seconds"]), number(of["peak_gb"])]
        for row in result["rows"]
        for step, of in row["steps"].items()
    ]
    return f"{grid(columns, rows)}\n\n{grid(['job', 'turns', 'step', 's of the processor', 'peak GB'], steps)}"


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
    told = [row for row in result["rows"] if "to_counts_cpu_seconds" in row]
    rates = [
        [
            number(row["turns"]),
            number(row["turns"] / row["to_counts_cpu_seconds"]),
            number(row["pairs"] / row["compare_cpu_seconds"]),
            number(row["candidates"] / row["score_cpu_seconds"]),
            number(row["candidates"] / (row["compare_cpu_seconds"] + row["score_cpu_seconds"])),
        ]
        for row in told
    ]
    names = ["turns", "turns up to the counts", "pairs of texts compared", "candidates scored", "candidates compared and scored"]
    return (
        f"{grid(columns, rows)}\n\n{about}{limit}\n\nDuckDB and the rule, in a second of the processor:\n\n{grid(names, rates)}"
    )
