"""The life of a rule: shadow -> canary -> live -> probation -> retired, by tests that may be looked at every day.

- *shadow*: weighed every day and never sent: its gain is unsure, or another rule of its source is at work.
- *canary*: launched on what people did; a tenth of its requests is left alone until both arms show that it is better.
- *live*: better beyond doubt. The share that is left alone is P(it is not better), down to a floor.
- *probation*: its success is clearly below what it was, or below what the words as spoken reached before it. Half of its requests
  are left alone, until the two arms show that it is better still, or worse.
- *retired*: worse than the words as spoken. What its source meant before is not read any more, so it can only come back on
  what people do from then on.

No test is decided by fewer than k users, nor by the loudest of those who speak of a rule (`offline.witnesses`).

Of a personal rule nothing is left alone: a person who undoes it teaches at once. Where nothing is left alone, a drop retires. So
it does a part of the online layer (`offline.parts`), whose requests mostly fail as spoken, so that two arms would tell it late.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Floats, Ints
from rewriter.config import Loop
from rewriter.offline.lifecycle.sequential_tests import RobustAggregation, log_e_drop, log_e_two_arms
from rewriter.offline.trials import trials
from rewriter.offline.trials.p_better import p_better
from rewriter.offline.trials.trials import Trials

SERVED = ("canary", "live", "probation")
"""The lives in which a rule answers requests."""

_HALF = 0.5
PROMISE = 5.0
"""Trials that what was expected of a rule at launch is worth."""

_DEPTH = 0.1  # a drop of less is none


@dataclass(frozen=True, slots=True)
class Evidence:
    """What became of the requests of m rules.

    Attributes:
        tried, tried_ok: (m,) effective trials of the rewrite, and those that went well.
        left, left_ok: (m,) the same of the source as spoken.
        p_better: (m,) P(the rewrite succeeds more often).
        p_spared: (m,) the same without the users who have most against it, who may lie.
        better, worse: (m,) log e-value against "no better" and "no worse", by what was drawn since the rule came into its life.
        drop: (m,) log of the e-detector of a drop since then, below what the rule reached before or the words as spoken did.
    """

    tried: Floats
    tried_ok: Floats
    left: Floats
    left_ok: Floats
    p_better: Floats
    p_spared: Floats
    better: Floats
    worse: Floats
    drop: Floats


def weigh(seen: Trials, rule: Ints, sent: Ints, since: Ints, expected: Floats, *, n_adversarial: Ints, config: Loop) -> Evidence:
    """Weigh what became of the requests of m rules.

    Args:
        seen: trials, each of the source of one rule.
        rule: (t,) 0..m-1, which.
        sent: (m,) text that the rule sends.
        since: (m,) day since when the rule is in its life.
        expected: (m,) success of the rewrite that was expected at launch, 0..1.
        n_adversarial: (m,) so many users of each rule may lie without moving it.
        config: `alpha` and `mean_days_between_false_alarms`.
    """
    m = len(sent)
    fits = np.flatnonzero((seen.arm == 0) | (seen.sent == sent[rule]))
    seen, rule = seen.take(fits), rule[fits]
    worth, tried = seen.worth(), seen.arm == 1

    def counted(rows: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        return trials.effective(rule[rows], worth[rows], seen.outcome[rows], m)

    now = seen.day >= since[rule]
    alone_then, tried_then = counted(~now & ~tried), counted(~now & tried)
    reached, unchanged = _at_least(*tried_then, expected), _at_least(*alone_then, np.full(m, _HALF))
    known = np.stack([alone_then[0], tried_then[0]], axis=1), np.stack([alone_then[1], tried_then[1]], axis=1)
    level = np.clip(np.maximum(reached, unchanged), 0.05, 0.95)
    drawn = now & ~np.isnan(seen.share)
    arms = (rule[drawn], seen.arm[drawn], seen.share[drawn], seen.outcome[drawn], m)
    alone = now & tried
    sure, noisy = verdicts(config)
    by = RobustAggregation(seen.user, seen.user_weight, n_adversarial, sure)
    (n, ok), (left, left_ok) = counted(tried), counted(~tried)
    spared = tried.copy()
    spared[tried] = by.take(tried).heard(rule[tried], (worth * (1.0 - seen.outcome))[tried])
    return Evidence(
        tried=n,
        tried_ok=ok,
        left=left,
        left_ok=left_ok,
        p_better=p_better(left, left_ok, n, ok),
        p_spared=p_better(left, left_ok, *counted(spared)),
        better=log_e_two_arms(*arms, better=True, by=by.take(drawn), known=known),
        worse=log_e_two_arms(*arms, better=False, by=by.take(drawn), known=known),
        drop=log_e_drop(rule[alone], seen.day[alone], seen.outcome[alone], level, by=replace(by, verdict=noisy).take(alone)),
    )


def _at_least(n: Floats, ok: Floats, expected: Floats) -> Floats:
    """Return the rate that n trials, of which some went well, stand for, less what is no drop yet, (m,)."""
    rate = (ok + PROMISE * expected) / (n + PROMISE)
    unsure = np.sqrt(rate * (1 - rate) / (n + PROMISE))
    return np.asarray(rate - np.maximum(_DEPTH, 2 * unsure), dtype=np.float64)


def verdicts(config: Loop) -> tuple[float, float]:
    """Return the log e-values that decide between two arms, and on a drop."""
    return float(-np.log(max(config.alpha, 1e-12))), float(np.log(config.mean_days_between_false_alarms))


def judge(
    life: npt.NDArray[np.object_],
    undrawn: npt.NDArray[np.bool_],
    evidence: Evidence,
    config: Loop,
    *,
    strict: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Say into which life each of m rules comes, and why; `why` is empty where nothing changes.

    `anew` says whether its tests begin anew then. In probation they do where both arms have spoken for the rule so far; where
    they speak against it already, the doubt only goes on.

    Args:
        life: (m,) canary, live or probation.
        undrawn: (m,) whether nothing of it is left alone, so that there is nothing to compare with: a drop then retires it.
        evidence: what became of its requests.
        config: `alpha` and `mean_days_between_false_alarms`.
        strict: (m,) whether a drop retires it in any case; if None, none is such.
    """
    sure, noisy = verdicts(config)
    worse, better, drop = evidence.worse >= sure, evidence.better >= sure, evidence.drop >= noisy
    tested = np.isin(life, ("canary", "probation"))
    steps = [
        (worse & ~undrawn, "retired", "it does worse than the words as spoken"),
        (drop & (undrawn if strict is None else undrawn | strict), "retired", "it does not work any more"),
        (drop & (life == "live"), "probation", "it works less often than it did"),
        (better & tested, "live", "it does better than the words as spoken"),
    ]
    into, why = life.copy(), np.full(len(life), "", dtype=object)
    for where, new, reason in steps:
        rows = where & (why == "")
        into[rows], why[rows] = new, reason
    return pd.DataFrame({"life": into, "why": why, "anew": (why != "") & ~((into == "probation") & (evidence.worse > 0))})


def share(
    life: npt.NDArray[np.object_],
    undrawn: npt.NDArray[np.bool_],
    evidence: Evidence,
    config: Loop,
    *,
    promised: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """Return the probability with which each of m rules is applied, where part of its requests is left alone.

    Args:
        life: (m,) where each rule stands.
        undrawn: (m,) whether nothing of it is left alone.
        evidence: what became of its requests; few users cannot make a live rule doubtful.
        config: `canary` and `floor`.
        promised: (m,) whether held-out evidence spoke for it before anything of it was tried, so that it is doubted no more than
            others while it is young; if None, none is such.
    """
    most = _HALF if promised is None else np.where(promised, config.canary, _HALF)
    canary = np.clip(1.0 - evidence.p_better, config.canary, most)
    live = np.clip(1.0 - evidence.p_spared, config.floor, np.maximum(config.floor, most))
    held = np.select([life == "canary", life == "live", life == "probation"], [canary, live, np.full(len(life), _HALF)], 1.0)
    return np.asarray(np.where(undrawn & np.isin(life, SERVED), 1.0, 1.0 - held), dtype=np.float64)
