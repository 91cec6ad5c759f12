"""The stages of a rule, and the tests that move it from one to the next. The tests may be looked at every day.

- *shadow*: assessed every day and never sent: its gain is unsure, or another rule of its source serves.
- *canary*: launched on what people did. A tenth of its requests is left alone until both arms show that it is better.
- *live*: shown to be better. The share that is left alone is P(it is not better), down to a floor.
- *probation*: its success fell clearly below what it was, or below what the words as spoken reached before it. Half of its
  requests are left alone until the two arms show that it is better still, or worse.
- *retired*: worse than the words as spoken. Older evidence on its source is not read any more, so it only comes back on what
  people do from then on.

No test is decided by fewer than k users (`RobustAggregation`).

Nothing of a personal rule is left alone: a user who undoes it teaches at once. Where nothing is left alone, a drop retires the
rule. A drop also retires a slice of the online layer (`layer_slices`): most of its requests fail as spoken, so two arms would
take long to show harm.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Floats
from rewriter.codes import SERVED, Stage, StageReason
from rewriter.config import Loop
from rewriter.offline.lifecycle.evidence import Evidence, decisive

_HALF = 0.5
"""Share of a rule's requests that is left alone in probation, and at most otherwise: both arms then grow equally fast."""


def judge(
    stage: npt.NDArray[np.object_],
    undrawn: npt.NDArray[np.bool_],
    evidence: Evidence,
    config: Loop,
    *,
    strict: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Return the stage into which each of m rules comes, the reason (empty if nothing changes), and whether its tests begin anew.

    The column `anew` is false for a rule that comes into probation while its arms already speak against it: the doubt goes on.

    Args:
        stage: (m,) canary, live or probation.
        undrawn: (m,) whether nothing of it is left alone for comparison. A drop then retires it.
        evidence: what became of its requests.
        config: `alpha` and `mean_days_between_false_alarms`.
        strict: (m,) whether a drop retires it in any case; False for all if None.

    Returns:
        Columns stage, reason and anew.
    """
    sure, alarm = decisive(config)
    worse, better, drop = evidence.worse >= sure, evidence.better >= sure, evidence.drop >= alarm
    moves = [
        (worse & ~undrawn, Stage.RETIRED, StageReason.WORSE),
        (drop & (undrawn if strict is None else undrawn | strict), Stage.RETIRED, StageReason.DROPPED),
        (drop & (stage == Stage.LIVE), Stage.PROBATION, StageReason.SLIPPED),
        (better & np.isin(stage, (Stage.CANARY, Stage.PROBATION)), Stage.LIVE, StageReason.BETTER),
    ]
    into, why = stage.copy(), np.full(len(stage), "", dtype=object)
    for where, new, reason in moves:
        rows = where & (why == "")
        into[rows], why[rows] = new, reason
    anew = (why != "") & ~((into == Stage.PROBATION) & (evidence.worse > 0))
    return pd.DataFrame({"stage": into, "reason": why, "anew": anew})


def share(
    stage: npt.NDArray[np.object_],
    undrawn: npt.NDArray[np.bool_],
    evidence: Evidence,
    config: Loop,
    *,
    promised: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the probability with which each of m rules is applied, (m,); the other requests are left alone for comparison.

    Args:
        stage: (m,) stage of each rule.
        undrawn: (m,) whether nothing of it is left alone.
        evidence: what became of its requests; a few users cannot put a live rule in doubt.
        config: `canary` and `floor`.
        promised: (m,) whether held-out evidence spoke for it before it was tried, so that it is not put in more doubt than a
            canary while it is young; False for all if None.
    """
    most = _HALF if promised is None else np.where(promised, config.canary, _HALF)
    canary = np.clip(1.0 - evidence.p_better, config.canary, most)
    live = np.clip(1.0 - evidence.p_spared, config.floor, np.maximum(config.floor, most))
    probation = np.full(len(stage), _HALF)
    held = np.select([stage == Stage.CANARY, stage == Stage.LIVE, stage == Stage.PROBATION], [canary, live, probation], 1.0)
    return np.asarray(np.where(undrawn & np.isin(stage, SERVED), 1.0, 1.0 - held), dtype=np.float64)
