"""The HTML report: one page with figures, tables and charts, which opens without a network.

`html` renders any `Report`. `report` writes the page of an artefact that learns daily: defects by day and arm, wins and losses,
the stages of the rules, and the newest changes.

`days` reads the figures of the page by day from the private state.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from rewriter.artefact.disk import explained, replace
from rewriter.artefact.versions import NO_LOG, current
from rewriter.codes import SERVED, Stage
from rewriter.engines import connect
from rewriter.errors import ArtefactError
from rewriter.evaluation import charts
from rewriter.evaluation.intervals import Interval, bounds, odds
from rewriter.evaluation.summary import Row, cells, ratio_text
from rewriter.messages import TERMS, stage_reason
from rewriter.text import unspaced

ARMS = ("rewritten", "left alone", "rewritten, not drawn", "no rewrite")
"""How a request was handled: drawn and rewritten, drawn and left alone, rewritten without a draw, or not rewritten."""

_SPANS = (1, 7, 30)
"""Lengths of a period in days; the shortest that gives no more than `_POINTS` periods is used."""
_POINTS = 62
_HALF_LIFE_DAYS = 30.0
"""Half-life of a turn in the estimate of how often its text succeeds as spoken."""
_Z = 1.959964
"""Quantile of the normal distribution for a 95 % interval."""

# Mining counts a turn without any cue as a little less than a success. Here it counts as a whole success.
_COUNTS = """
CREATE TEMP VIEW counts AS
SELECT day, user_no, said, rewritten, share, turns, failed, LEAST(turns, success / (1000.0 - $unknown)) AS ok FROM mined
"""

_DEFECT_SHARES = """
SELECT (day - $first) // $span AS period, user_no,
       CASE WHEN share > 0 AND share < 1000000 THEN IF(rewritten = 1, 'rewritten', 'left alone')
            WHEN rewritten = 1 THEN 'rewritten, not drawn' ELSE 'no rewrite' END AS arm,
       SUM((turns - ok) * weight) AS defects, SUM(turns * weight) AS turns
FROM (
  SELECT *, CASE WHEN share <= 0 OR share >= 1000000 THEN 1.0 WHEN rewritten = 1 THEN 1e6 / share
                 ELSE 1e6 / (1000000 - share) END AS weight
  FROM counts
)
GROUP BY ALL ORDER BY ALL
"""

# The outcome as spoken of a rewritten request is estimated from turns of its text sent as spoken; newer ones count more.
_WON = """
WITH rewrites AS (
  SELECT said, (day - $first) // $span AS period, user_no, SUM(turns) AS turns, SUM(ok) AS ok,
         SUM(turns - failed - ok) AS wrong
  FROM counts WHERE rewritten = 1 GROUP BY ALL
),
spoken AS (SELECT said, day, SUM(turns) AS turns, SUM(ok) AS ok, SUM(failed) AS refused
           FROM counts WHERE rewritten = 0 GROUP BY ALL),
wanted AS (SELECT DISTINCT said, period, $first + (period + 1) * $span - 1 AS last FROM rewrites),
known AS (
  SELECT w.said, w.period, SUM(s.ok * a) / SUM(s.turns * a) AS ok,
         IF((SELECT SUM(failed) FROM counts) > 0, SUM(s.refused * a), SUM((s.turns - s.ok) * a)) / SUM(s.turns * a) AS refused
  FROM wanted AS w JOIN (SELECT * FROM spoken) AS s ON s.said = w.said AND s.day <= w.last,
       LATERAL (SELECT pow(2.0, (s.day - w.last) / $half_life) AS a)
  GROUP BY ALL
)
SELECT r.period, r.user_no, SUM((1 - k.ok) * r.ok) AS won,
       SUM(k.ok * (r.turns - r.ok) + k.refused * GREATEST(r.wrong, 0)) AS lost
FROM rewrites AS r JOIN known AS k USING (said, period)
GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True, slots=True)
class Days:
    """The loop over time. A *period* is 1, 7 or 30 days, so that all periods fit one chart.

    Attributes:
        starts: first day of each period, days since 1970.
        span: days of a period.
        defects: arm of `ARMS` -> period -> defect rate with its interval by user; arms and periods without turns are left out.
        overall: arm -> the same over all periods.
        ratios: period -> win/loss ratio of rewriting with its interval by user; periods without a rewrite are left out.
        ratio: the same over all periods.
        stage_counts: columns of `tables.STAGE_COUNTS`.
        changes: the newest changes of stage of rules for everybody, the newest first; columns of `tables.STAGE_CHANGES`.
    """

    starts: list[int]
    span: int
    defects: dict[str, dict[int, Interval]]
    overall: dict[str, Interval]
    ratios: dict[int, Interval]
    ratio: Interval
    stage_counts: pd.DataFrame
    changes: pd.DataFrame


def days(root: str | Path, *, changes: int = 20) -> Days:
    """Read defects, wins and losses by period from the private state of an artefact.

    A drawn request is weighted by one over the probability of its arm, so that both arms describe the same requests. Let x and h
    be the shares of the turns of a text that succeed and that are refused as spoken, y and w the shares that succeed and that are
    acted on wrongly as rewritten. A rewrite of that text then wins ``(1 - x) y`` and loses ``x (1 - y) + h w``: the two outcomes
    of one request are taken as independent given its text. x and h are taken as known. Intervals are the bootstrap by user.

    Args:
        root: the artefact folder.
        changes: number of the newest changes to return.

    Raises:
        ArtefactError: the artefact is missing or damaged, or its private state is not here.
    """
    version = current(root)
    state, unknown = version.state, int(version.manifest.config["friction"]["unknown"])
    tables = {
        name: state / f"{file}.parquet"
        for name, file in (("mined", "counts"), ("stage_changes", "stage_changes"), ("stage_counts", "stage_counts"))
    }
    if not version.learned:
        raise ArtefactError(NO_LOG.format(root=root))
    if lacking := [path.name for path in tables.values() if not path.exists()]:
        raise ArtefactError(f"{state} lacks {', '.join(lacking)}: the report needs the private state; learn again")
    with connect(**tables) as con:
        con.execute(_COUNTS.replace("$unknown", str(unknown)))
        ((first, last),) = con.execute("SELECT MIN(day), MAX(day) FROM counts").fetchall()
        if first is None:
            raise ArtefactError(f"{root} has learned from no turn yet; give `rewriter learn` a log first")
        span = next((s for s in _SPANS if last - first < s * _POINTS), _SPANS[-1])
        known = {"first": first, "span": span}
        counted = con.execute(_DEFECT_SHARES, known).df()
        won = con.execute(_WON, known | {"half_life": _HALF_LIFE_DAYS}).df()
        stage_changes, stage_counts = (con.execute(f"SELECT * FROM {name}").df() for name in ("stage_changes", "stage_counts"))
    by_arm = {arm: counted[counted["arm"] == arm] for arm in ARMS}
    newest = stage_changes[stage_changes["user_id"] == ""].iloc[::-1].head(changes)
    return Days(
        starts=list(range(first, last + 1, span)),
        span=span,
        defects={arm: _by_period(rows, _rate) for arm, rows in by_arm.items() if len(rows)},
        overall={arm: _rate(rows) for arm, rows in by_arm.items() if len(rows)},
        ratios=_by_period(won, _ratio),
        ratio=_ratio(won),
        stage_counts=stage_counts,
        changes=newest.reset_index(drop=True),
    )


def _by_period(rows: pd.DataFrame, figure: Callable[[pd.DataFrame], Interval]) -> dict[int, Interval]:
    return {int(period): figure(of) for period, of in rows.groupby("period")}


def _rate(rows: pd.DataFrame) -> Interval:
    """Return the share of defects, by user."""
    return _share(rows, "defects", rows["turns"])


def _ratio(rows: pd.DataFrame) -> Interval:
    """Return won / lost, by user."""
    return odds(_share(rows, "won", rows["won"] + rows["lost"]))


def _share(rows: pd.DataFrame, hits: str, trials: pd.Series) -> Interval:
    summed = pd.DataFrame({"user": rows["user_no"], "hits": rows[hits], "trials": trials}).groupby("user").sum()
    known, of = (summed[name].to_numpy(dtype=np.float64) for name in ("hits", "trials"))
    if of.sum() <= 0:
        return Interval(float("nan"), 0.0, 1.0)
    value = float(known.sum() / of.sum())
    low, high = bounds([known, of], lambda known, of: known / np.maximum(of, 1e-12))
    if not low < high:  # if all users are alike, so are all resamples
        low, high = _wilson(value, float(of.sum() ** 2 / (of**2).sum()))
    return Interval(*(round(float(np.clip(x, 0.0, 1.0)), 9) for x in (value, low, high)))


def _wilson(value: float, n: float) -> tuple[float, float]:
    """Return the bounds of Wilson's interval (1927) of a share of n, an effective number of users."""
    middle, half = value + _Z**2 / (2 * n), _Z * math.sqrt(value * (1 - value) / n + _Z**2 / (4 * n**2))
    return (middle - half) / (1 + _Z**2 / n), (middle + half) / (1 + _Z**2 / n)


@dataclass(frozen=True, slots=True)
class ReportTable:
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
    parts: Sequence[ReportTable | Picture]


def html(page: Report) -> str:
    """Return the page as HTML. All text is escaped; the pictures, which this package makes, are not.

    Example:
        >>> page = html(Report("A <b>", "", [], []))
        >>> "A &lt;b&gt;" in page
        True
    """
    text = resources.files("rewriter.evaluation").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["unspaced"] = lambda cell: unspaced(str(cell))
    template = environment.from_string(text)
    return template.render(report=page, is_table=lambda part: isinstance(part, ReportTable), terms=_terms(page))


def _terms(page: Report) -> dict[str, str]:
    """Return the terms that the page uses, in alphabetical order, with their meaning."""
    headings = {column for part in page.parts if isinstance(part, ReportTable) for column in part.columns}
    names = (name for part in page.parts if isinstance(part, ReportTable) for row in part.rows for name in row[:1])
    notes = (text for part in page.parts for text in (part.title, part.note))
    used = " ".join(" ".join((page.lead, *(what for _, what in page.figures), *headings, *names, *notes)).lower().split())

    def is_used(term: str) -> bool:
        found = re.search(rf"(?<![\w-]){re.escape(term.lower())}(?:s|es)?(?![\w-])", used)
        return term in headings or (len(term) > 1 and found is not None)

    return {term: meaning for term, meaning in sorted(TERMS.items(), key=lambda of: of[0].lower()) if is_used(term)}


def figures_of(title: str, note: str, rows: Sequence[Row]) -> ReportTable:
    """Return rows of figures as a table of the report."""
    columns, lines = cells(rows)
    return ReportTable(title, note, columns, lines)


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
    page = html(Report("rewriter: the loop", _LEAD, figures(found), parts(found)))
    with explained(Path(out)):
        replace(Path(out), page.encode())
    return found


def figures(found: Days) -> list[tuple[str, str]]:
    """Return the headline figures: (figure, its meaning)."""
    rates = [(_percent(rate), f"of the turns fail, {arm}") for arm, rate in found.overall.items()]
    ratio = [(ratio_text(found.ratio), "wins for each loss of rewriting")] if found.ratios else []
    newest = found.stage_counts[found.stage_counts["day"] == found.stage_counts["day"].max()]
    served = int(newest.loc[newest["stage"].isin(SERVED) & (newest["scope"] == "global"), "rules"].sum())
    return [*rates, *ratio, (f"{served:,}", "rules that serve everybody")]


def parts(found: Days, *, beside: str = "") -> list[ReportTable | Picture]:
    """Return the pictures and the table of the page, in order.

    Args:
        found: what is shown.
        beside: a sentence about other win/loss ratios on the same page.
    """
    starts = [date.fromordinal(_EPOCH + day).isoformat()[5:] for day in found.starts]
    shown: list[ReportTable | Picture] = [
        Picture("Defect rate by day and arm", _DEFECTS, charts.rates(starts, found.defects, "turns that fail"))
    ]
    if found.ratios:
        note = " ".join((f"Over all days: {ratio_text(found.ratio)}.", _RATIOS, beside)).strip()
        shown.append(Picture("Win/loss of rewriting by day", note, charts.ratios(starts, found.ratios)))
    for scope, title in _SCOPES.items():
        rules = _by_stage(found, scope)
        if rules:
            explained_above = any(part.note == _STAGES for part in shown)
            note = "The stages are those of the chart above." if explained_above else _STAGES
            shown.append(Picture(title, note, charts.stages(starts, rules, "rules")))
    if len(found.changes):
        shown.append(ReportTable("What changed", _CHANGED, _CHANGES, _change_rows(found)))
    return shown


def _by_stage(found: Days, scope: str) -> dict[str, dict[int, int]]:
    """Return stage -> period -> rules of one scope at the end of the period; a day without learning repeats the day before."""
    rows = found.stage_counts[found.stage_counts["scope"] == scope]
    if scope == "personal":  # there are many rules in shadow, one for each user and text, and their number means nothing
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
_LEAD = """This page shows the outcomes of requests, as they follow from the log alone. A turn counts as failed if the assistant
refused it, or if the user restated it, interrupted the answer or gave negative feedback."""
_DEFECTS = """A random part of the requests with a rule is left alone, as a hold-out. Each drawn request, rewritten or left alone,
is weighted by one over the probability of its draw, so that both lines describe the same requests. "No rewrite" is all requests
without a rule. Vertical lines are 95 % intervals (bootstrap by user)."""
_RATIOS = """A win is a request that fails as spoken and works rewritten. A loss is the reverse, or an honest refusal that became
a wrong action. Points above the dashed line are days with more wins than losses. Lines are 95 % intervals (bootstrap by user); a
hollow triangle is a day without a loss, drawn at the lower end of its interval. How a request ends as spoken is estimated from
requests of the same text that were sent as spoken; newer ones count more. What the user wanted is not known here, only what the
log shows: a right rewrite after which the user says something similar counts as a loss. So this ratio is lower than one judged by
what users wanted, and lower than the ratio that was expected when the rules were launched."""
_STAGES = """Stages of a rule. Shadow: evidence is collected, and nothing is sent. Canary: tested on part of the requests. Live:
shown to be better than leaving the request alone. Probation: tested again after bad results. Retired: worse than leaving the
request alone."""
_CHANGED = """The newest changes of stage of the rules for everybody. The two columns of success are the evidence of that day: the
share of trials that succeeded, and their number. A trial is what one user did with one text on one day."""
