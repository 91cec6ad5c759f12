"""The slices of the online layer (`rewriter.model.layer_slices`) as rows of the table of rules, so that they have stages too.

A slice that was withdrawn comes back when a fit of the layer keeps the budget of losses on texts first heard since the slice came
into doubt. Those requests were left alone, so what people did then says whether the layer would have done well.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.codes import SERVED, RuleVerdict, Stage
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.offline.mining.small_tables import EvidenceStarts

SCOPE = "online"


def withdrawn(rules: pd.DataFrame, evidence_starts: EvidenceStarts) -> dict[str, int]:
    """Return the slices that are withdrawn, each with the day on which the doubt began, days since 1970.

    Args:
        rules: of the day before, columns of `tables.RULES`.
        evidence_starts: the first days whose evidence counts.
    """
    gone = set(rules.loc[(rules["scope"] == SCOPE) & (rules["stage"] == Stage.RETIRED), "rule"])
    return {name: evidence_starts[key(name)] for name in SLICES if name in gone and key(name) in evidence_starts}


def assess(promises: Mapping[str, Promise], doubted: Mapping[str, int], today: int, *, fitted: bool) -> pd.DataFrame:
    """Return the slices with their verdicts, columns of `tables.RULES` without those of stages; no rows without promises.

    Args:
        promises: what the fit of the layer promises of each slice.
        doubted: what `withdrawn` says.
        today: last day of the log, days since 1970.
        fitted: whether the layer was fitted today.
    """
    names = [name for name in SLICES if name in promises]
    verdicts = [_verdict(promises[name], doubted=name in doubted, fitted=fitted) for name in names]
    threshold = np.array([promises[name].threshold if promises[name].keeps_budget() else 0.0 for name in names])
    rule, nothing = np.array(names, dtype=object), np.zeros(len(names))
    empty = {"user_id": "", "context_value": "", "locale": "", "target": "", "state": "", "users": 0, "detail": ""}
    score = {"score": threshold, "p_goal": threshold, "win": threshold, "loss": 1.0 - threshold, "p_gain": np.nan}
    rows = {"rule": rule, "source": rule, "turns": nothing, "verdict": np.array(verdicts, dtype=object)}
    fixed = {"scope": SCOPE, "first_day": today, "last_day": today, "stay": nothing, "similarity": nothing}
    return pd.DataFrame(rows).assign(**empty, **fixed, **score)


def is_slice(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say of each of m rules whether it is a slice of the online layer, (m,)."""
    return np.asarray(rules["scope"] == SCOPE, dtype=bool)


def is_undrawn(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say of each of m rules whether it is a slice of which nothing is left alone for comparison, (m,)."""
    drawn = [name for name, of in SLICES.items() if of.is_drawn]
    return is_slice(rules) & ~np.isin(rules["rule"].to_numpy(dtype=object), drawn)


def shares(rules: pd.DataFrame) -> dict[str, float]:
    """Return the probability with which each slice is applied; 0 for one that is withdrawn."""
    rows = rules[(rules["scope"] == SCOPE) & rules["stage"].isin([*SERVED, Stage.RETIRED])]
    return dict(zip(rows["rule"], rows["share"].astype(float), strict=True))


def figures(promises: Mapping[str, Promise]) -> dict[str, float]:
    """Return the promises as figures for the manifest, by a label for people; slices that share a promise are named once."""
    found: dict[str, float] = {}
    for name, promise in promises.items():
        of = SLICES[name]
        label = f"online {of.mode if of.method == SCOPE else of.method}"
        found |= {f"{label}: threshold": promise.threshold, f"{label}: held-out wins": promise.win}
        found |= {f"{label}: held-out losses": promise.loss, f"{label}: win/loss": promise.ratio}
        found |= {f"{label}: win/loss, low": promise.low}
        if promise.threshold_since is not None:
            found[f"{name}: threshold"] = promise.threshold_since
    return found


def key(name: str) -> tuple[str, str, str]:
    """Return the key under which the start of a slice's evidence is kept, as `EvidenceStarts` has it."""
    return "", name, ""


def _verdict(promise: Promise, *, doubted: bool, fitted: bool) -> RuleVerdict:
    if not promise.keeps_budget():
        return RuleVerdict.NO_THRESHOLD
    if doubted and not (fitted and promise.keeps_budget_since()):
        return RuleVerdict.NO_THRESHOLD_SINCE
    return RuleVerdict.LAUNCHED
