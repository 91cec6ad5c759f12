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
    """Each system, seed by seed."""
    figures = list(next(iter(result["systems"].values()))[0])
    rows = [[name, *(_told(run[figure]) for figure in figures)] for name, runs in result["systems"].items() for run in runs]
    return f"{grid(['system', *figures], rows)}\n\nOne row a seed; the load of the machine was {result['load']:.0f} on two cores."


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
