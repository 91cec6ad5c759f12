"""Measures how fast the tests of the lifecycle launch a good rule and retire a bad one: one rewrite, 60 users, 120 days.

    python benchmarks/lives.py [--seeds 100 101 102] [--days 120]

Nothing is mined here. A request succeeds with a known probability, as spoken and as rewritten. Every night a rewriter decides
what share of the next day's requests is rewritten. Users whose request fails restate it with probability .6, and then succeed as
often as the rewrite does. Three rewriters read the same log. *By what was spoken*: a success counts for the spoken words,
whatever was sent. *By what was sent*: a success counts for the target, which has 300 healthy requests a day of its own.
*Self-aware*: the lifecycle of this package (`rewriter.offline.lifecycle.transitions`). The first two use the last 14 days and
rewrite if P(the target is better than the words) > .95. Writes results/lives.json.
"""

import os
import platform
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
from script import RESULTS, options, write_result

from rewriter.arrays import Floats
from rewriter.config import Loop
from rewriter.offline.lifecycle import evidence as evidence_of
from rewriter.offline.lifecycle import transitions
from rewriter.offline.trials import Trials, p_better

PEOPLE, WINDOW, RESTATE, HEALTHY, HEALTH = 60, 14, 0.6, 300, 0.95
LOOP = Loop()
Decide = Callable[[list["DayResult"], float], float]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is true, and what is served on the first day: rates of success as spoken and rewritten, by day."""

    spoken: Callable[[int], float]
    sent: Callable[[int], float]
    live: bool


@dataclass(frozen=True, slots=True)
class DayResult:
    """What a day showed: arms and outcomes of its requests, with the share that was rewritten, and how restatements fared."""

    share: float
    arm: npt.NDArray[np.int64]
    outcome: Floats
    restated: Floats


def scenarios(days: int) -> dict[str, Scenario]:
    """Return the three stories, the meaning turning half way."""
    half = days // 2
    return {
        "good rewrite (.25 -> .90)": Scenario(lambda _: 0.25, lambda _: 0.9, live=False),
        "wrong rewrite already live (.80 -> .30)": Scenario(lambda _: 0.8, lambda _: 0.3, live=True),
        "meaning turns half way": Scenario(lambda d: 0.25 if d < half else 0.85, lambda d: 0.9 if d < half else 0.35, live=False),
    }


def by_spoken(results: list[DayResult], _: float) -> float:
    """Rewrite where restatements do better than everything that is logged under the words."""
    words = np.concatenate([result.outcome for result in results[-WINDOW:]])
    again = np.concatenate([result.restated for result in results[-WINDOW:]])
    return float(surely(words, again))


def by_sent(results: list[DayResult], share: float) -> float:
    """Rewrite where the target does better than the words; requests that were rewritten are the target's."""
    window = results[-WINDOW:]
    words = np.concatenate([result.outcome[result.arm == 0] for result in window])
    target = np.concatenate([result.outcome[result.arm == 1] for result in window])
    n = HEALTHY * len(window)
    ok = HEALTH * n + target.sum()
    if not len(words):
        return share
    return float(better(float(len(words)), float(words.sum()), n + len(target), float(ok)) > 0.95)


def surely(one: Floats, other: Floats) -> bool:
    """Whether the second is better with a probability of more than .95."""
    return better(float(len(one)), float(one.sum()), float(len(other)), float(other.sum())) > 0.95


def better(n: float, ok: float, m: float, good: float) -> float:
    """Return P(better) of one pair."""
    return float(p_better(*(np.array([value]) for value in (n, ok, m, good)))[0])


class StagedRule:
    """The life of one rule; it is proposed where restatements since the last doubt do better than the words."""

    def __init__(self, live: bool) -> None:
        self.state, self.since, self.evidence_start = ("live" if live else "retired"), 0, 0

    def __call__(self, results: list[DayResult], _: float) -> float:
        """Return the share of the next day's requests that is rewritten."""
        today = len(results) - 1
        if self.state == "retired":
            since = results[self.evidence_start :]
            words = np.concatenate([result.outcome[result.arm == 0] for result in since]) if since else np.zeros(0)
            again = np.concatenate([result.restated for result in since]) if since else np.zeros(0)
            if since and surely(words, again):
                self.state, self.since = "canary", today + 1
            return 1 - LOOP.canary if self.state == "canary" else 0.0
        seen = trials(results, today)
        one = np.zeros(len(seen), dtype=np.int64)
        evidence = evidence_of.weigh(
            seen, one, np.array([1]), np.array([self.since]), np.array([0.9]), n_adversarial=np.array([2]), config=LOOP
        )
        states, everybody = np.array([self.state], dtype=object), np.array([False])
        moved = transitions.judge(states, everybody, evidence, LOOP).iloc[0]
        if moved["reason"]:
            if moved["stage"] == "retired":
                self.evidence_start = self.since if self.state != "live" else today + 1
            self.state, self.since = str(moved["stage"]), today + 1 if moved["anew"] else self.since
            states = np.array([self.state], dtype=object)
        if self.state == "retired":
            return 0.0
        return float(transitions.share(states, everybody, evidence, LOOP)[0])


def trials(results: list[DayResult], today: int) -> Trials:
    """Return everything seen so far as trials."""
    day = np.repeat(np.arange(len(results)), [len(result.arm) for result in results])
    arm = np.concatenate([result.arm for result in results])
    share = np.repeat([result.share for result in results], [len(result.arm) for result in results])
    return Trials(
        said=np.zeros(len(arm), dtype=np.int64),
        sent=arm,
        arm=arm,
        rule=np.full(len(arm), "r", dtype=object),
        share=np.where((share > 0) & (share < 1), share, np.nan),
        user=np.concatenate([np.arange(len(result.arm)) for result in results]),
        day=day,
        outcome=np.concatenate([result.outcome for result in results]),
        weight=2.0 ** (-(today - day) / LOOP.half_life_days),
        user_weight=np.ones(len(arm)),
    )


def simulate_rule(scenario: Scenario, decide: Decide, days: int, seed: int) -> dict[str, float]:
    """Live through the days and return what they came to."""
    rng = np.random.default_rng(seed)
    results: list[DayResult] = []
    share, shares, cost = (1.0 if scenario.live else 0.0), [], 0.0
    for day in range(days):
        arm = (rng.random(PEOPLE) < share).astype(np.int64)
        outcome = (rng.random(PEOPLE) < np.where(arm == 1, scenario.sent(day), scenario.spoken(day))).astype(float)
        failed = int(((outcome == 0) & (arm == 0)).sum())
        restated = (rng.random(rng.binomial(failed, RESTATE)) < scenario.sent(day)).astype(float)
        results.append(DayResult(share, arm, outcome, restated))
        shares.append(share)
        cost += (1 - share) * (scenario.sent(day) - scenario.spoken(day)) if 0 < share < 1 else 0.0
        share = decide(results, share)
    served = np.array(shares) > 0
    late = range(days - 30, days)
    reachable = np.mean([max(scenario.sent(day), scenario.spoken(day)) for day in late])
    gone = np.flatnonzero(~served)
    return {
        "success": float(np.mean([result.outcome.mean() for result in results])),
        "success, last 30 days, of the reachable": float(np.mean([results[day].outcome.mean() for day in late]) / reachable),
        "flips": float((served[1:] != served[:-1]).sum() - (not served[0] and served.any())),
        "days until it is gone": float(gone[0] if scenario.live and len(gone) else days if scenario.live else 0),
        "points lost by leaving alone": 100 * cost / days,
    }


def interval(values: list[float]) -> dict[str, float]:
    """Return the mean with its 95 % interval over seeds, by bootstrap, and the worst seed."""
    found = np.array(values)
    means = np.random.default_rng(0).choice(found, (2_000, len(found))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return {"value": float(found.mean()), "low": float(low), "high": float(high), "largest": float(found.max())}


def main() -> None:
    """Run all stories and readings."""
    parser = options(__doc__, seeds=list(range(100, 110)), days=120)
    args = parser.parse_args()
    result: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "seeds": args.seeds,
        "versions": {name: metadata.version(name) for name in ("numpy", "scipy")} | {"python": platform.python_version()},
        "load": os.getloadavg()[0],
        "stories": {},
    }
    for name, scenario in scenarios(args.days).items():
        readings: dict[str, Callable[[], Decide]] = {
            "keyed by spoken": lambda: by_spoken,
            "keyed by sent": lambda: by_sent,
            "self-aware": lambda scenario=scenario: StagedRule(scenario.live),  # type: ignore[misc]
        }
        result["stories"][name] = {}
        for reading, begin in readings.items():
            runs = [simulate_rule(scenario, begin(), args.days, seed) for seed in args.seeds]
            figures = {figure: interval([run[figure] for run in runs]) for figure in runs[0]}
            result["stories"][name][reading] = figures
            print(name, "|", reading, {k: round(v["value"], 3) for k, v in figures.items()}, flush=True)
    RESULTS.mkdir(exist_ok=True)
    write_result(result, RESULTS / "lives.json")


if __name__ == "__main__":
    main()
