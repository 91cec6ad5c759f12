"""The parts of the online layer (`rewriter.model.layer_slices`) as rules that live: what each promises, its share of requests.

A part that was withdrawn waits for a fit of the layer that keeps the budget on texts first heard since the doubt began: requests
that were left alone then, and say by what people did whether the layer would have done well.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.model.layer_slices import DRAWN, PARTS
from rewriter.offline.lifecycle import stages
from rewriter.offline.mining.small_tables import EvidenceStarts
from rewriter.offline.rules.launch import LAUNCHED

SCOPE = "online"
NO_THRESHOLD = "no threshold keeps the budget"
"""Verdict on a part of which held-out evidence promises nothing."""
DOUBTED = "no threshold keeps the budget on what was first heard since the doubt"


def doubted(rules: pd.DataFrame, evidence_starts: EvidenceStarts) -> dict[str, int]:
    """Return the parts that are withdrawn, each with the day on which the doubt began.

    Args:
        rules: of the day before, columns of `tables.RULES`.
        evidence_starts: the first days whose evidence counts.
    """
    gone = set(rules.loc[(rules["scope"] == SCOPE) & (rules["life"] == "retired"), "rule"])
    return {part: evidence_starts[key(part)] for part in PARTS if part in gone and key(part) in evidence_starts}


def decided(promised: Mapping[str, float], waiting: Mapping[str, int], today: int, *, fitted: bool) -> pd.DataFrame:
    """Return the parts with their verdicts, columns of `tables.RULES` but for those of life; none where no layer was fitted.

    Args:
        promised: what the fit of the layer promises, by name: ``… threshold`` of each part's mode, and of each that is `doubted`.
        waiting: what `doubted` says.
        today: last day of the log, days since 1970.
        fitted: whether the layer was fitted today.
    """
    thresholds = {part: promised[key] for part in PARTS if (key := _evidence(part)) in promised}
    verdicts = [_verdict(part, promised, waiting, fitted=fitted) for part in thresholds]
    threshold = np.array([threshold if math.isfinite(threshold) else 0.0 for threshold in thresholds.values()])
    names, nothing = np.array(list(thresholds), dtype=object), np.zeros(len(thresholds))
    fixed = {"scope": SCOPE, "user_id": "", "context_value": "", "locale": "", "target": "", "state": "", "users": 0}
    days = {"first_day": today, "last_day": today}
    score = {
        "score": threshold,
        "p_goal": threshold,
        "p_gain": np.nan,
        "win": threshold,
        "loss": 1.0 - threshold,
        "stay": nothing,
        "similarity": nothing,
    }
    told = {"rule": names, "source": names, "turns": nothing, "verdict": np.array(verdicts, dtype=object)}
    return pd.DataFrame(told).assign(**fixed, **days, **score)


def is_part(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say of each of m rules whether it is a part of the online layer, (m,)."""
    return np.asarray(rules["scope"] == SCOPE, dtype=bool)


def undrawn(rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say of each of m rules whether it is a part of which nothing is ever drawn, (m,)."""
    return is_part(rules) & ~np.isin(rules["rule"].to_numpy(dtype=object), DRAWN)


def shares(rules: pd.DataFrame) -> dict[str, float]:
    """Return the probability with which each part is applied; 0 for one that is withdrawn."""
    rows = rules[(rules["scope"] == SCOPE) & rules["life"].isin([*stages.SERVED, "retired"])]
    return dict(zip(rows["rule"], rows["share"].astype(float), strict=True))


def _verdict(part: str, promised: Mapping[str, float], waiting: Mapping[str, int], *, fitted: bool) -> str:
    everything = promised[_evidence(part)]
    if not math.isfinite(everything):
        return NO_THRESHOLD
    since = promised.get(f"{part}: threshold", everything)
    return LAUNCHED if part not in waiting or (fitted and math.isfinite(since)) else DOUBTED


def _evidence(part: str) -> str:
    """Return the name under which the fit says what it promises of a part: by the whole log."""
    basis, mode, _ = part.split("-")
    return f"online {mode}: threshold" if basis == SCOPE else "online ambiguity: threshold"


def key(part: str) -> tuple[str, str, str]:
    """Return under what the cut of a part is kept."""
    return "", part, ""
