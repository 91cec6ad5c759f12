"""`write`: the page that shows a loop: defects by day and arm, wins and losses, where rules stand and what changed."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rewriter.evaluation import timeline
from rewriter.evaluation.days import Days, days
from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.report import Picture, Report, Table, html
from rewriter.evaluation.summary import ratio_text
from rewriter.offline.lifecycle.stages import SERVED

_EPOCH = date(1970, 1, 1).toordinal()
_CHANGES = ("since", "heard", "where", "sent instead", "was", "is", "went well rewritten", "as spoken", "because")


def write(root: str | Path, out: str | Path) -> Days:
    """Write the page of an artefact that learns daily; it opens without a network, and shows no text of fewer than k users.

    Args:
        root: the artefact folder, with its private state.
        out: file to write.

    Returns:
        What is on it.

    Raises:
        ArtefactError: the artefact is missing or damaged, or its private state is not here.
    """
    found = days(root)
    Path(out).write_text(html(Report("rewriter: the loop", _LEAD, figures(found), parts(found))), encoding="utf-8")
    return found


def figures(found: Days) -> list[tuple[str, str]]:
    """Return the headline figures: (figure, what it is)."""
    rates = [(_percent(rate), f"of the turns fail, {arm}") for arm, rate in found.overall.items()]
    ratio = [(ratio_text(found.ratio), "wins for each loss of rewriting")] if found.ratios else []
    newest = found.standing[found.standing["day"] == found.standing["day"].max()]
    served = int(newest.loc[newest["life"].isin(SERVED) & (newest["scope"] == "global"), "rules"].sum())
    return [*rates, *ratio, (f"{served:,}", "rules that serve everybody")]


def parts(found: Days) -> list[Table | Picture]:
    """Return the pictures and the table of the page, in order."""
    starts = [date.fromordinal(_EPOCH + day).isoformat()[5:] for day in found.starts]
    shown: list[Table | Picture] = [
        Picture("Defect rate by day and arm", _DEFECTS, timeline.rates(starts, found.defects, "turns that fail"))
    ]
    if found.ratios:
        shown.append(Picture("Win/loss of rewriting by day", _RATIOS, timeline.ratios(starts, found.ratios)))
    for scope, title in _SCOPES.items():
        rules = _standing(found, scope)
        if rules:
            shown.append(Picture(title, _STANDING, timeline.standing(starts, rules, "rules")))
    if len(found.changes):
        shown.append(Table("What changed", _CHANGED, _CHANGES, _told(found)))
    return shown


def _standing(found: Days, scope: str) -> dict[str, dict[int, int]]:
    """Return life -> period -> rules of one scope at the end of the period; a day without learning changes nothing."""
    rows = found.standing[found.standing["scope"] == scope]
    if scope == "personal":  # what is weighed for each of many users is not worth a look
        rows = rows[rows["life"] != "shadow"]
    learned = sorted(set(found.standing["day"]))
    piles: dict[str, dict[int, int]] = {}
    for place, start in enumerate(found.starts):
        last = max((day for day in learned if day < start + found.span), default=None)
        for life, rules in rows.loc[rows["day"] == last, ["life", "rules"]].itertuples(index=False):
            piles.setdefault(life, {})[place] = int(rules)
    return piles


def _told(found: Days) -> list[Sequence[str]]:
    return [
        (
            date.fromordinal(_EPOCH + c.day + 1).isoformat(), c.source, c.context_value or "everywhere", c.target or "–",
            c.was or "new", c.life, _part(c.tried_ok, c.tried), _part(c.left_ok, c.left_alone), c.why,
        )
        for c in found.changes.itertuples()
    ]  # fmt: skip


def _part(ok: float, n: float) -> str:
    return f"{ok / n:.0%} of {n:.0f}" if n >= 1 else "–"


def _percent(rate: Interval) -> str:
    return f"{100 * rate.value:.1f} %"


_SCOPES = {
    "global": "Rules for everybody",
    "context": "Rules for a context",
    "personal": "Personal rules",
    "online": "Parts of the online layer",
}
_LEAD = """What became of the requests, by what the log itself tells: a turn fails as far as it was refused, restated,
interrupted or disliked."""
_DEFECTS = """Part of the requests that a rule knows is left alone, as a draw decides: the drawn ones, rewritten or left alone,
count by one over the probability of that, so that both lines speak of the same requests. No rewrite: all that no rule knows. Bars
are 95 % intervals, drawn by user."""
_RATIOS = """Win: fails as spoken, works rewritten. Loss: the other way round, or an honest refusal turned into a wrong action.
What a request would have come to as spoken is told by those of the same text that were sent as spoken, the newer the more. Bars
are 95 % intervals, drawn by user."""
_STANDING = """Shadow: weighed and not sent. Canary: on trial. Live: better beyond doubt. Probation: under suspicion. Retired:
does worse than the words as spoken."""
_CHANGED = "The newest changes in the lives of rules for everybody, with the evidence of that day."
