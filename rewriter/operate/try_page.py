"""What `try_out` shows: the rows of its tables, and its page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rewriter.evaluation import charts
from rewriter.evaluation.outcomes import Outcomes
from rewriter.evaluation.pairs import Pair
from rewriter.evaluation.report import Picture, Report, ReportTable, html
from rewriter.evaluation.summary import curve, losses_first
from rewriter.messages import advice
from rewriter.text import normalise

if TYPE_CHECKING:
    from rewriter.operate.try_out import TryOut

LOSSES = ("heard", "sent", "losses", "wins", "users", "what was lost")
BEST = ("heard", "sent", "wins", "losses", "users", "when")

Rows = Sequence[tuple[str, ...]]


def loss_rows(found: Iterable[Pair]) -> Rows:
    """Return rewrites with a loss as rows of a table with the columns `LOSSES`."""
    return [(p.source, p.sent, f"{p.losses:,}", f"{p.wins:,}", f"{p.users:,}", _lost(p)) for p in found]


def best_rows(found: Iterable[Pair]) -> Rows:
    """Return rewrites as rows of a table with the columns `BEST`."""
    return [(p.source, p.sent, f"{p.wins:,}", f"{p.losses:,}", f"{p.users:,}", _when(p)) for p in found]


def _when(pair: Pair) -> str:
    return "both" if len(pair.modes) > 1 else pair.modes[0].split()[0]


def _lost(pair: Pair) -> str:
    if not pair.broken:
        return "was refused, now a wrong action"
    return "worked as spoken" if pair.broken == pair.losses else f"{pair.broken} worked as spoken, the others were refused"


def page(found: "TryOut", outcomes: Mapping[str, Outcomes], shared: frozenset[str], min_users: int) -> str:
    """Return the page of a log that was tried. It shows no text of fewer than k users.

    Args:
        found: what was found.
        outcomes: mode -> judged turns.
        shared: the normalised texts that k users or more said.
        min_users: k.
    """

    def shown(rows: Callable[[Iterable[Pair]], Rows], of: Sequence[Pair], figure: Callable[[Pair], int]) -> Rows:
        """Return the rows of the texts that may be shown, and one that sums up the others."""
        open_ = [pair for pair in of if pair.source in shared and normalise(pair.sent) in shared]
        hidden = [pair for pair in of if pair not in open_]
        texts = f"({len(hidden):,} with texts of fewer than {min_users} users, which the command rewriter try prints)"
        rest = [(texts, "", f"{sum(map(figure, hidden)):,}", "", "", "")] if hidden else []
        return [*rows(open_), *rest] or [("none, as far as the log tells", "", "0", "", "", "")]

    columns, lines = losses_first(list(found.rows.values()))
    curves = {mode: points for mode, of in outcomes.items() if (points := curve(of))}
    parts: list[ReportTable | Picture] = [
        ReportTable("Losses", _LOSSES, LOSSES, shown(loss_rows, found.losses, lambda p: p.losses)),
        ReportTable("Losses and wins", _FIGURES, columns, lines),
        ReportTable("The ten best rewrites", _BEST, BEST, shown(best_rows, found.best, lambda p: p.wins)),
        ReportTable("Enough data?", _ENOUGH, ("part", "verdict"), [of.partition(": ")[::2] for of in found.verdict.part_lines()]),
        ReportTable(
            "What next", "", ("step",), [(text,) for text in (found.next, *(advice(*of) for of in found.verdict.advised))]
        ),
    ]
    if curves:
        parts.append(Picture("Win/loss against defects fixed", _CURVE, charts.curves(curves)))
    modes = {mode: found.rows[mode] for mode in outcomes}
    figures = [(f"{of.losses:,} : {of.wins:,}", f"losses to wins, {mode}") for mode, of in modes.items()]
    figures += [(f"{100 * of.fixed.value:.1f} %", f"of the requests that fail are fixed, {mode}") for mode, of in modes.items()]
    split = str(found.split)
    return html(Report("rewriter: your log, tried", f"{_LEAD} It {split}.", figures, parts))


_LEAD = """rewriter has learned from the earlier days of this log, without part of the users, and is judged on all other
turns: what it would have sent, and how the log says that this text is answered."""
_LOSSES = """Every rewrite that made a request worse, as far as the log tells. A loss is a request that works as spoken and
fails rewritten, or a refusal that became a wrong action. What a user wanted is inferred from what the same user said next,
and that was itself misunderstood now and then: so some losses here are right rewrites. Read them one by one."""
_FIGURES = """A win is a request that fails as spoken and works rewritten. Unknown: rewrites whose effect the log does not
tell. Win/loss leaves them out, with its 95 % interval (bootstrap by user); at worst counts each of them as a loss. The
truth lies between. Fixed: wins minus healthy requests broken, divided by all requests that fail. After a refusal only
requests that the assistant refused are asked about."""
_BEST = """The rewrites that won for most users. "When" says in which mode rewriter sends them: before the NLU (the part of
the assistant that understands text), after it has refused, or both."""
_ENOUGH = """What the learned part of the log is enough for. The online layer answers requests that no rule knows. It is on
only if held-out texts show that its losses stay within the budget. These ratios are higher than those of the table above, for
two reasons. They are what the evidence lets expect, each for one part; the table counts what happened later, for all parts
together. And the table counts a right rewrite as a loss where the user's own next request was misunderstood, which is taken
out of the ratios here."""
_CURVE = """Each point is a threshold on P(success) of a rewrite: at the left only the surest rewrites are made, at the
right all of them, as in the table. Up is better: more wins for each loss (logarithmic). Right is better: more of the
failing requests fixed. Bands are 95 % intervals (bootstrap by user); a band that reaches the top has no upper limit, because
hardly anything was lost. Dashed lines are published ratios of a voice assistant in production, which people counted on
other requests."""
