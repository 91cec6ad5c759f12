"""`LogVerdict`: how much of a log is enough for what, which parts are on, why others are not, and what to do next.

`of_learned` gives the verdict after learning, by rules and promises; `forecast` gives it before, by counts of the log.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import NamedTuple

import pandas as pd

from rewriter.codes import Advice, Lack, Part, RuleVerdict, Scope, Stage
from rewriter.config import Config
from rewriter.messages import advice, part_verdict
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.offline.logs.report import LogReport
from rewriter.offline.rules.priors import within_budget

_LARGER = (2, 4)  # times the budget at which more rules are counted
_MOST_BUDGET = 0.2  # share of losses above which no larger budget is advised
_MOST_GROWTH = 20.0  # times the log above which more turns are no advice
_SPARE = 10.0  # restated texts for each win that the budget needs: most of them reach no threshold
_NEEDS_USERS = (RuleVerdict.FEW_SAY_SOURCE, RuleVerdict.FEW_MEAN_TARGET, RuleVerdict.NO_SURFACE)
_UNSURE = (RuleVerdict.OVER_BUDGET, RuleVerdict.GAIN_UNSURE, RuleVerdict.GOAL_UNSURE)


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """What the log gives for one part.

    Attributes:
        part: which.
        lack: why it is off; None if it is on.
        rules: launched rules; 0 for the online layer.
        win: expected wins of the rules in the log; for the online layer wins among held-out texts of the log.
        loss: losses of the same.
        suggested: rules that are only suggested, because they are over the budget.
        by_prior: whether it is on only because the shipped prior stands in, as the log is too small.
        guessed: in a forecast: whether the log does not say which requests failed, so that it may find less than it counts.
    """

    part: Part
    lack: Lack | None
    rules: int = 0
    win: float = 0.0
    loss: float = 0.0
    suggested: int = 0
    by_prior: bool = False
    guessed: bool = False


class Advised(NamedTuple):
    """One thing to do.

    Attributes:
        advice: what.
        part: for which part; None for all.
        number: the number of the advice (`codes.Advice`); 0 if it has none.
        rules: how many more rules it would launch; 0 if that is not known.
    """

    advice: Advice
    part: Part | None = None
    number: float = 0.0
    rules: int = 0


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """The verdict on a log.

    Attributes:
        learned: whether it was learned from, so that the verdict is what happened; else it is a forecast.
        budget: share of losses that is allowed of the online layer.
        parts: of each part.
        advised: what to do next, the most useful first.
    """

    learned: bool
    budget: float
    parts: Sequence[PartVerdict]
    advised: Sequence[Advised]

    def lines(self) -> list[str]:
        """Return the verdict as lines of text: one for each part, then one for each thing to do."""
        return [*self.part_lines(), *(f"next: {advice(*of)}" for of in self.advised)]

    def part_lines(self) -> list[str]:
        """Return one line of text for each part: its name, a colon, and whether it is on."""
        return [part_verdict(*astuple(of), learned=self.learned, budget=self.budget) for of in self.parts]


def of_learned(
    log: LogReport, turns: int, rules: pd.DataFrame, promises: Mapping[str, Promise], texts: int, config: Config
) -> LogVerdict:
    """Return the verdict on a log that was learned from.

    Args:
        log: what was read.
        turns: all turns that the artefact rests on.
        rules: with their verdicts and stages, columns of `tables.RULES`.
        promises: what held-out evidence promises of each slice of the online layer.
        texts: number of texts of enough users that the online layer may rewrite to.
        config: the budgets and `launch.min_users`.
    """
    parts = _consistent([_rules(rules, config), *(_online(part, rules, promises, texts) for part in (Part.BEFORE, Part.AFTER))])
    off = {of.part: of.lack for of in parts if of.lack is not None}
    advised = [
        *_budgets(rules, promises, config),
        *_turns(off, promises, turns),
        *(Advised(Advice.REFIT, part) for part, lack in off.items() if lack is Lack.NOT_FITTED),
        *_log(log, off, config, little=any(of.part is Part.AFTER and of.by_prior and of.win < 1 for of in parts)),
    ]
    return LogVerdict(True, config.trigger.max_loss_share, parts, advised)


def forecast(log: LogReport, config: Config) -> LogVerdict:
    """Return the verdict on a log before anything is learned from it; it counts, and does not promise.

    The online layer needs ``(1 - q) / q`` wins without a loss among held-out texts to show that it keeps the budget q, and about
    ten restated texts for each of them. With fewer texts the shipped prior stands in, unless held-out texts speak against it.

    Args:
        log: with `signals`.
        config: the budgets and `launch.min_users`.

    Raises:
        ValueError: the log was not only checked, so it has no signals.
    """
    if log.signals is None:
        raise ValueError("a log that was only checked has signals")
    budget, restated = config.trigger.max_loss_share, log.signals.restated_texts
    needed = _SPARE * (1 - budget) / max(budget, 1e-9)
    rules = None if log.signals.shared_restated else Lack.FEW_USERS if restated else Lack.NOTHING_RESTATED
    online = None
    if not log.signals.shared_texts:
        rules, online = Lack.FEW_USERS, Lack.NO_TEXTS
    by_prior, guessed = restated < needed, "status" in log.missing
    layer = PartVerdict(Part.BEFORE, online, by_prior=by_prior, guessed=guessed and not by_prior)
    parts = [PartVerdict(Part.RULES, rules, guessed=guessed), layer, replace(layer, part=Part.AFTER)]
    off = {of.part: of.lack for of in parts if of.lack is not None}
    small = by_prior and online is None
    more = [Advised(Advice.MORE_TURNS, None, _rounded(log.turns * needed / restated) if restated else 0.0)] if small else []
    advised = [*_log(log, off, config, guessed=guessed), *more]
    return LogVerdict(False, budget, parts, advised)


def _rules(rules: pd.DataFrame, config: Config) -> PartVerdict:
    """Return the verdict on the rules."""
    of = rules[rules["scope"].isin([*Scope])]
    launched = of[of["verdict"] == RuleVerdict.LAUNCHED]
    win, loss = (float((launched["turns"] * launched[name]).sum()) for name in ("win", "loss"))
    over = of[(of["verdict"] == RuleVerdict.OVER_BUDGET) & (of["scope"] == Scope.GLOBAL)]
    within = over["loss"] <= config.trigger.suggest_loss_share * (over["win"] + over["loss"])
    lack = None
    if launched.empty:
        seen = set(of["verdict"])
        lack = Lack.OVER_BUDGET if seen & {*_UNSURE} else Lack.FEW_USERS if seen & {*_NEEDS_USERS} else Lack.NOTHING_RESTATED
    return PartVerdict(Part.RULES, lack, len(launched), win, loss, int(within.sum()))


def _consistent(parts: Sequence[PartVerdict]) -> list[PartVerdict]:
    """Return the verdicts so that none denies what another shows.

    Each part looks at other evidence: rules at what users restated alike, the online layer at held-out texts. If one of them saw
    a restatement, another that saw none did not have enough of them.
    """
    seen = any(of.lack not in (Lack.NOTHING_RESTATED, Lack.NOT_FITTED) for of in parts)
    instead = {Part.RULES: Lack.FEW_USERS, Part.BEFORE: Lack.NO_THRESHOLD, Part.AFTER: Lack.NO_THRESHOLD}
    return [replace(of, lack=instead[of.part]) if seen and of.lack is Lack.NOTHING_RESTATED else of for of in parts]


def _online(part: Part, rules: pd.DataFrame, promises: Mapping[str, Promise], texts: int) -> PartVerdict:
    """Return the verdict on the online layer in one mode."""
    names = [name for name, of in SLICES.items() if of.method == "online" and of.mode == part and name in promises]
    if not names:
        return PartVerdict(part, Lack.NOT_FITTED)
    promise = promises[names[0]]
    stages = rules.loc[rules["rule"].isin(names), "stage"]
    lack = None
    if not promise.keeps_budget():
        lack = Lack.NOTHING_RESTATED if promise.least_budget == 1.0 else Lack.NO_THRESHOLD
    elif len(stages) and (stages == Stage.RETIRED).all():
        lack = Lack.WITHDRAWN
    elif not texts:
        lack = Lack.NO_TEXTS
    return PartVerdict(part, lack, 0, promise.log_win, promise.log_loss, by_prior=promise.by_prior)


def _budgets(rules: pd.DataFrame, promises: Mapping[str, Promise], config: Config) -> Iterator[Advised]:
    """Yield the larger budgets that would launch more rules, or turn the online layer on."""
    q = config.launch.max_loss_share
    open_ = rules[rules["verdict"].isin([RuleVerdict.LAUNCHED, RuleVerdict.OVER_BUDGET]) & rules["scope"].isin([*Scope])]
    launched = int((open_["verdict"] == RuleVerdict.LAUNCHED).sum())
    for share in (times * q for times in _LARGER if times * q <= _MOST_BUDGET):
        more = sum(_within(of, share) for _, of in open_.groupby("scope")) - launched
        if more > 0:
            yield Advised(Advice.LARGER_BUDGET, Part.RULES, share, more)
            break
    for part in (Part.BEFORE, Part.AFTER):
        promise = promises.get(f"online-{part}-{Scope.GLOBAL}")
        if promise is not None and not promise.keeps_budget() and promise.least_budget <= _MOST_BUDGET:
            yield Advised(Advice.LARGER_BUDGET, part, math.ceil(100 * promise.least_budget) / 100)


def _within(rules: pd.DataFrame, share: float) -> int:
    """Return how many rules a budget would launch."""
    turns, win, loss = (rules[name].to_numpy(dtype="float64") for name in ("turns", "win", "loss"))
    return int(within_budget(turns, win, loss, share).sum())


def _turns(off: Mapping[Part, Lack], promises: Mapping[str, Promise], turns: int) -> Iterator[Advised]:
    """Yield how many turns would turn a part on."""
    for part, lack in off.items():
        promise = promises.get(f"online-{part}-{Scope.GLOBAL}")
        growth = math.inf if promise is None else promise.more_evidence
        if lack in (Lack.NO_THRESHOLD, Lack.OVER_BUDGET, Lack.NOTHING_RESTATED):
            yield Advised(Advice.MORE_TURNS, part, _rounded(growth * turns) if growth <= _MOST_GROWTH else 0.0)


def _log(
    log: LogReport, off: Mapping[Part, Lack], config: Config, *, guessed: bool = False, little: bool = False
) -> Iterator[Advised]:
    """Yield what the log itself lacks; `little` says that after a refusal hardly anything is sent."""
    if {Lack.FEW_USERS, Lack.NO_TEXTS} & {*off.values()}:
        yield Advised(Advice.MORE_USERS, None, config.launch.min_users)
    if off or guessed:
        yield from (Advised(advice) for advice in (Advice.STATUS, Advice.HYPOTHESIS) if advice in log.missing)
    if Part.AFTER in off or little:
        yield Advised(Advice.CATALOG, Part.AFTER)


def _rounded(turns: float) -> float:
    """Return a number of turns rounded up to two digits.

    Example:
        >>> _rounded(12345.0)
        13000.0
    """
    digit = 10.0 ** max(0, math.floor(math.log10(max(turns, 1.0))) - 1)
    return math.ceil(turns / digit) * digit
