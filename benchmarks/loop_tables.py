"""The result files of the loop as Markdown."""

from cells import Figures, grid, percent

_COUNTS = ("flips", "days until it is gone")


def lives(result: Figures) -> str:
    """Each story, by how the log is read."""
    tables = []
    for story, readings in result["stories"].items():
        figures = list(next(iter(readings.values())))
        rows = [[name, *(_cell(figure, of[figure]) for figure in figures)] for name, of in readings.items()]
        tables.append(f"A {story}:\n\n{grid(['reading', *figures], rows)}")
    return "\n\n".join(tables)


def _cell(name: str, of: Figures) -> str:
    if name in _COUNTS:
        return f"{of['value']:.1f} (at most {of['largest']:.0f})"
    if name.startswith("points"):
        return f"{of['value']:.2f} ({of['low']:.2f} to {of['high']:.2f})"
    return f"{percent(of['value'])} ({percent(of['low'])} to {percent(of['high'])})"


def loop(result: Figures) -> str:
    """Each system, over all seeds."""
    systems = result["systems"]
    figures = [figure for figure in next(iter(systems.values())) if figure != "seeds"]
    rows = [["seeds", *(str(len(of["seeds"])) for of in systems.values())]]
    rows += [[figure, *(_outcome_lines(figure, of[figure]) for of in systems.values())] for figure in figures]
    fewer = result["defects fewer than without"]
    return (
        f"{grid(['', *systems], rows)}\n\nDefects with the self-aware loop, fewer than without rewriting: {percent(fewer)}."
        f" {result['days']} days; the load of the machine was {result['load']:.0f} on two cores."
    )


def daily(result: Figures) -> str:
    """Nights beside rebuilds, then the steps of the largest of each layer."""
    columns = [
        "",
        "turns",
        "rebuild, s",
        "peak GB",
        "turns of a night",
        "night, s",
        "of a rebuild",
        "warm, s",
        "of a rebuild",
        "peak GB",
    ]
    rows, tables = [], []
    for row in result["rows"]:
        rebuild, nights = row["rebuild"], (row["night"], row["warm night"])
        costs = [cell for of in nights for cell in (f"{of['seconds']:.2f}", f"1/{rebuild['seconds'] / of['seconds']:.1f}")]
        memory = [f"{of['peak_gb']:.2f}" for of in (rebuild, nights[1])]
        rows.append(
            [
                row["layer"],
                f"{row['turns']:,}",
                f"{rebuild['seconds']:.2f}",
                memory[0],
                f"{nights[1]['turns']:,}",
                *costs,
                memory[1],
            ]
        )
    largest = {row["layer"]: row for row in result["rows"]}
    for layer, row in largest.items():
        all_of = row["rebuild"], row["night"], row["warm night"]
        steps = [[step, *(f"{of['steps'].get(step, 0.0):.2f}" for of in all_of)] for step in row["rebuild"]["steps"]]
        tables.append(grid([f"{layer}, {row['turns']:,} turns", "rebuild, s", "night, s", "warm night, s"], steps))
    start = min(row["start"] for row in result["rows"])
    ends = f"A process takes {start:.1f} s more to start. The load of the machine was {result['load']:.0f} on two cores."
    return "\n\n".join([grid(columns, rows), *tables, ends])


def _outcome_lines(name: str, of: Figures) -> str:
    if name.startswith(("flips", "days")):
        return f"{of['value']:.1f} (at most {of['largest']:.0f})"
    return f"{of['value']:.2f} ({of['low']:.2f}–{of['high']:.2f})" if name.startswith(("points", "CPU")) else percent(of)
