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
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task
from rich.table import Column, Table
from rich.text import Text

from rewriter.messages import explained
from rewriter.progress import Cost, Pace
from rewriter.text import unspaced

_EVERY = 10.0  # seconds between two lines about one step
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


class _Rest(ProgressColumn):
    """What is done, and how long the rest takes; worked out anew whenever the bar is drawn."""

    def __init__(self, pace: Pace) -> None:
        super().__init__(Column(no_wrap=True, overflow="ellipsis"))
        self._pace = pace

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the method of rich
        return Text(visible(self._pace.line()))


class Steps:
    """Shows how far a job is: one line that changes on a terminal; elsewhere lines on stderr, or nothing.

    Where the time is told, a job that has run for ten seconds writes a line as each step starts, and as it advances if the last
    line is ten seconds old. Where it is not, a line is written as each step starts.
    """

    def __init__(self, pace: Pace, bar: Progress, *, plain: bool, now: Callable[[], float]) -> None:
        self._pace, self._bar, self._now = pace, bar, now
        self._task = bar.add_task("", total=1.0)
        self._plain, self._written = plain and not bar.console.is_terminal, now()
        self._since = self._written if pace.timed else self._written - _EVERY

    def __call__(self, step: str) -> None:
        """Show that a step starts."""
        self._pace.start(step)
        self._show(written=self._now() - self._since >= _EVERY)

    def size(self, turns: int) -> None:
        """Note how many turns there are."""
        self._pace.size(turns)

    def advance(self, done: int, total: int, unit: str) -> None:
        """Show how much of the step is done."""
        self._pace.advance(done, total, unit)
        self._show(written=self._now() - self._written >= _EVERY)

    def _show(self, *, written: bool) -> None:
        self._bar.update(self._task, completed=self._pace.done(self._now()))
        if self._plain and written:
            self._written = self._now()
            self._bar.console.print(safe(self._pace.line()), soft_wrap=True)


@contextmanager
def steps(
    names: Sequence[str] | Mapping[str, Cost], *, plain: bool = False, now: Callable[[], float] = time.monotonic
) -> Iterator[Steps]:
    """Show how far a job is. Call the yielded object with the name of each step as it starts (`rewriter.progress.Follows`).

    Args:
        names: the steps, in order. A step that is called again goes on from where the bar is. With the cost of each, what is left
            is shown, too.
        plain: whether to write lines to stderr where that is no terminal.
        now: tells the time in seconds.
    """
    shown = Console(stderr=True, highlight=False, emoji=False)
    pace = Pace(names, now)
    bar = Progress(SpinnerColumn(), BarColumn(10), _Rest(pace), console=shown, transient=True, disable=not shown.is_terminal)
    with bar:
        yield Steps(pace, bar, plain=plain, now=now)
