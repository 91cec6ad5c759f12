"""What people see in a terminal: tables, a progress bar, and text that cannot play tricks."""

import json
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rewriter.messages import explained
from rewriter.text import unspaced

console = Console(highlight=False, emoji=False)

_LEAST = 10
"""Characters that a wrapped column needs to be readable."""
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that a terminal obeys instead of showing: controls such as ESC, formats such as a change of direction, lone
surrogates, and line and paragraph separators."""
_SHAPING = "\u200c\u200d"
"""The two formats that change the shape of letters, in Hindi, Persian and emoji, and nothing else; they stay."""


def visible(value: object) -> str:
    """Return text without control characters: what users said is shown, never obeyed.

    Example:
        >>> visible("play\\n[bold]x\\x1b[2J")
        'play�[bold]x�[2J'
    """
    return "".join("�" if _is_obeyed(c) else c for c in str(value))


def as_json(value: object) -> str:
    """Return one line of JSON in which letters stay letters and control characters are escaped, those above ASCII too.

    Example:
        >>> as_json("ışık\\x9b2J")
        '"ışık\\\\u009b2J"'
    """
    text = json.dumps(value, ensure_ascii=False)
    return "".join(json.dumps(c)[1:-1] if _is_obeyed(c) else c for c in text)


def _is_obeyed(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN and char not in _SHAPING


def safe(value: object) -> str:
    """Return `visible` text with markup escaped, for what rich prints.

    Example:
        >>> safe("play [bold]x[/bold]")
        'play \\\\[bold]x\\\\[/bold]'
    """
    return escape(visible(value))


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = (), whole: Sequence[str] = ()
) -> None:
    """Print a table as wide as the terminal; long cells are wrapped.

    A table with more columns than fit is printed row by row, each cell on a line of its own after the name of its column.

    Args:
        title: above the table.
        columns: names of the columns.
        rows: cells, shown without control characters and without the blanks of `normalise` between letters; None is empty.
        right: columns with figures: aligned to the right, never wrapped.
        whole: other columns that are never wrapped, such as dates.
    """
    grid = Table(
        title=safe(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for column in columns:
        figure = column in right
        grid.add_column(column, justify="right" if figure else "left", no_wrap=figure or column in whole, overflow="fold")
    cells = [[safe("" if value is None else unspaced(str(value))) for value in row] for row in rows]
    for row in cells:
        grid.add_row(*row)
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    least = [
        w if name in right or name in whole else max(cell_len(name), min(w, _LEAST))
        for name, w in zip(columns, widths, strict=True)
    ]
    if sum(least) + 2 * len(least) <= console.width:
        console.print(grid)
        return
    console.print(f"[bold]{safe(title)}[/bold]")
    for row in cells:
        record = Table.grid(padding=(0, 2))
        record.add_column(no_wrap=True)
        record.add_column(overflow="fold")
        for column, cell in zip(columns, row, strict=True):
            record.add_row(column, cell)
        console.print(record, "")


def line(text: object) -> None:
    """Print one line of plain text."""
    console.print(safe(text), soft_wrap=True)


def prose(text: object) -> None:
    """Print a sentence as wide as the terminal, broken between words."""
    console.print(safe(text))


def meanings(columns: Iterable[str]) -> None:
    """Print what the columns of a table mean, as wide as the terminal."""
    for text in explained(columns):
        prose(text)


def heading(text: object) -> None:
    """Print an empty line and the heading of the lines that follow."""
    console.print(f"\n[bold]{safe(text)}[/bold]", soft_wrap=True)


@contextmanager
def steps(
    names: Sequence[str], shares: Mapping[str, float] | None = None, *, plain: bool = False
) -> Iterator[Callable[[str], None]]:
    """Show a progress bar over named steps, on a terminal only. Call the yielded function with each name as the step starts.

    Args:
        names: the steps, in order. A step that is called again goes on from where the bar is.
        shares: step -> its share of the whole time; then the bar also shows about how long the rest takes.
        plain: whether to write a line for each step to stderr where that is no terminal.
    """
    shown = Console(stderr=True)
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=shown,
        transient=True,
        disable=not shown.is_terminal,
    )
    begun: set[str] = set()
    since = time.monotonic()
    with bar:
        task = bar.add_task("", total=sum(shares.values()) if shares else len(names), count="", left="")

        def start(name: str) -> None:
            if shares is None:
                done = float(names.index(name) if name in names else 0)
            else:
                done = sum(shares.get(each, 0.0) for each in begun - {name})
            begun.add(name)
            count = f"{names.index(name) + 1 if name in names else 0}/{len(names)}"
            left = _left(time.monotonic() - since, done / sum(shares.values())) if shares else ""
            if plain and not shown.is_terminal:
                shown.print(safe(f"{count} {name}"), soft_wrap=True)
            bar.update(task, description=safe(name), completed=done, count=count, left=left)

        yield start


def _left(elapsed: float, done: float) -> str:
    """Return in words how long the rest takes, by the share that is done.

    Example:
        >>> _left(10.0, 0.5), _left(60.0, 0.25), _left(1.0, 0.0)
        ('about 10 s left', 'about 3 min left', '')
    """
    if done < 0.01:
        return ""
    rest = elapsed * (1 - done) / done
    return f"about {rest:.0f} s left" if rest < 100 else f"about {rest / 60:.0f} min left"
