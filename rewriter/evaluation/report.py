"""The HTML report: one page that opens without a network, with figures, tables and charts.

`html` renders any `Report`. `report` writes the page of an artefact that learns daily: defects by day and arm, wins and losses,
the stages of the rules and what changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from rewriter.codes import SERVED, Stage
from rewriter.evaluation import charts
from rewriter.evaluation.days import Days, days
from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.summary import Row, cells, ratio_text
from rewriter.messages import stage_reason


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report; cells are text."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a report: an <svg> element made by this package."""

    title: str
    note: str
    svg: str


@dataclass(frozen=True, slots=True)
class Report:
    """The content of the page, in order.

    Attributes:
        title: of the page.
        lead: a few sentences above everything.
        figures: headline figures: (figure, its meaning).
        parts: tables and pictures.
    """

    title: str
    lead: str
    figures: Sequence[tuple[str, str]]
    parts: Sequence[Table | Picture]


def html(page: Report) -> str:
    """Return the page as HTML. All text is escaped; the pictures, which this package makes, are not.

    Example:
        >>> page = html(Report("A <b>", "", [], []))
        >>> "A &lt;b&gt;" in page
        True
    """
    text = resources.files("rewriter.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(text)
    return template.render(report=page, is_table=lambda part: isinstance(part, Table))


def figures_of(title: str, note: str, rows: Sequence[Row]) -> Table:
    """Return rows of figures as a table of the report."""
    columns, lines = cells(rows)
    return Table(title, note, columns, lines)


def report(root: str | Path, out: str | Path) -> Days:
    """Write the page of an artefact that learns daily. It shows no text of fewer than k users.

    Args:
        root: the artefact folder, with its private state.
        out: file to write.

    Returns:
        The figures on the page.

    Raises:
        ArtefactError: the artefact is missing or damaged, or its private state is not here.
    """
    found = days(root)
    Path(out).write_text(html(Report("rewriter: the loop", _LEAD, figures(found), parts(found))), encoding="utf-8")
    return found


def figures(found: Days) -> list[tuple[str, str]]:
    """Return the headline figures: (figure, its meaning)."""
    rates = [(_percent(rate), f"of the turns fail, {arm}") for arm, rate in found.overall.items()]
    ratio = [(ratio_text(found.ratio), "wins for each loss of rewriting")] if found.ratios else []
    newest = found.stage_counts[found.stage_counts["day"] == found.stage_counts["day"].max()]
    served = int(newest.loc[newest["stage"].isin(SERVED) & (newest["scope"] == "global"), "rules"].sum())
    return [*rates, *ratio, (f"{served:,}", "rules that serve everybody")]


def parts(found: Days) -> list[Table | Picture]:
    """Return the pictures and the table of the page, in order."""
    starts = [date.fromordinal(_EPOCH + day).isoformat()[5:] for day in found.starts]
    shown: list[Table | Picture] = [
        Picture("Defect rate by day and arm", _DEFECTS, charts.rates(starts, found.defects, "turns that fail"))
    ]
    if found.ratios:
        shown.append(Picture("Win/loss of rewriting by day", _RATIOS, charts.ratios(starts, found.ratios)))
    for scope, title in _SCOPES.items():
        rules = _by_stage(found, scope)
        if rules:
            shown.append(Picture(title, _STAGES, charts.stages(starts, rules, "rules")))
    if len(found.changes):
        shown.append(Table("What changed", _CHANGED, _CHANGES, _change_rows(found)))
    return shown


def _by_stage(found: Days, scope: str) -> dict[str, dict[int, int]]:
    """Return stage -> period -> rules of one scope at the end of the period; a day without learning repeats the day before."""
    rows = found.stage_counts[found.stage_counts["scope"] == scope]
    if scope == "personal":  # rules in shadow are many, one for each user and text, and tell nothing as a sum
        rows = rows[rows["stage"] != Stage.SHADOW]
    learned = sorted(set(found.stage_counts["day"]))
    stacks: dict[str, dict[int, int]] = {}
    for place, start in enumerate(found.starts):
        last = max((day for day in learned if day < start + found.span), default=None)
        for stage, rules in rows.loc[rows["day"] == last, ["stage", "rules"]].itertuples(index=False):
            stacks.setdefault(stage, {})[place] = int(rules)
    return stacks


def _change_rows(found: Days) -> list[Sequence[str]]:
    return [
        (
            date.fromordinal(_EPOCH + c.day + 1).isoformat(), c.source, c.context_value or "everywhere", c.target or "–",
            c.stage_before or "new", c.stage, _part(c.tried_ok, c.tried), _part(c.left_ok, c.left_alone), stage_reason(c.reason),
        )
        for c in found.changes.itertuples()
    ]  # fmt: skip


def _part(ok: float, n: float) -> str:
    return f"{ok / n:.0%} of {n:.0f}" if n >= 1 else "–"


def _percent(rate: Interval) -> str:
    return f"{100 * rate.value:.1f} %"


_EPOCH = date(1970, 1, 1).toordinal()
_CHANGES = ("since", "utterance", "context", "rewrite", "was", "is", "success if rewritten", "success as spoken", "reason")
_SCOPES = {
    "global": "Rules for everybody",
    "context": "Rules for a context",
    "personal": "Personal rules",
    "online": "Parts of the online layer",
}
_LEAD = """This page shows what became of the requests, as far as the log itself tells. A turn counts as failed when the assistant
refused it, or when the user restated it, interrupted the answer or gave negative feedback."""
_DEFECTS = """A random part of the requests that a rule knows is left alone, as a hold-out. Each drawn request, rewritten or left
alone, is weighted by one over the probability of its draw, so that both lines describe the same requests. "No rewrite" is all
requests that no rule knows. Bars are 95 % intervals (bootstrap by user)."""
_RATIOS = """A win is a request that fails as spoken and works rewritten. A loss is the reverse, or an honest refusal that became
a wrong action. How a request ends as spoken is estimated from requests of the same text that were sent as spoken; newer ones
count more. Bars are 95 % intervals (bootstrap by user)."""
_STAGES = """Stages of a rule. Shadow: evidence is collected, nothing is sent. Canary: on trial with part of the requests. Live:
better than leaving alone, beyond doubt. Probation: under suspicion after bad results. Retired: worse than leaving alone."""
_CHANGED = "The newest changes of stage of the rules for everybody, with the evidence of that day."
