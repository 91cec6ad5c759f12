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
    """Seconds of the processor by step, of everything and of the exact layer alone."""
    parts = []
    for name in ("everything", "exact layer"):
        day, rebuild = result[name]["day"], result[name]["rebuild"]
        rows = [[step, f"{day['steps'].get(step, 0.0):.2f}", f"{of:.2f}"] for step, of in rebuild["steps"].items()]
        rows += [["together", f"{day['seconds']:.2f}", f"{rebuild['seconds']:.2f}"]]
        columns = [f"{name}: seconds of the processor"]
        columns += [f"{of}, {found['turns']:,} turns" for of, found in (("a day", day), ("a rebuild", rebuild))]
        parts.append(f"{grid(columns, rows)}\n\nA day costs 1/{result[name]['rebuild / day']:.1f} of a rebuild.")
    return "\n\n".join([*parts, f"The load of the machine was {result['load']:.0f} on two cores."])


def _outcome_lines(name: str, of: Figures) -> str:
    if name.startswith(("flips", "days")):
        return f"{of['value']:.1f} (at most {of['largest']:.0f})"
    return f"{of['value']:.2f} ({of['low']:.2f}–{of['high']:.2f})" if name.startswith(("points", "CPU")) else percent(of)
