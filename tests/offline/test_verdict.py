"""The verdict on a log: what is on, why the rest is not, and what to do."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from rewriter.codes import Advice, Lack, Part, RuleVerdict, Stage
from rewriter.config import Config
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.offline.logs.report import LogReport, Signals
from rewriter.offline.verdict import Advised, forecast, of_learned

LOG = LogReport((), (), 1000, 50, 0, 1, {}, (), 0.01)
GOOD = Promise(0.7, 300.0, 10.0, 30.0, 20.0, least_budget=0.01, more_evidence=1.0)
CLOSE = Promise(math.inf, 0.0, 0.0, least_budget=0.071, more_evidence=3.21)
NOTHING = Promise(math.inf, 0.0, 0.0)


def rules(*verdicts, win=0.9, loss=0.01, scope="global"):
    columns = {"scope": scope, "verdict": list(verdicts), "turns": 10.0, "win": win, "loss": loss, "stage": "", "rule": "r"}
    return pd.DataFrame(columns)


def promised(before=GOOD, after=GOOD):
    return {name: before if of.mode == "before" else after for name, of in SLICES.items() if of.method == "online"}


def verdict(table, promises, log=LOG, texts=9):
    return of_learned(log, 1000, table, promises, texts, Config())


def lacks(of):
    return {part.part: part.lack for part in of.parts}


def test_where_all_is_on_there_is_nothing_to_do():
    of = verdict(rules(RuleVerdict.LAUNCHED, RuleVerdict.LAUNCHED), promised())
    assert lacks(of) == dict.fromkeys(Part)
    assert of.advised == []
    assert [(part.rules, part.win, part.loss) for part in of.parts] == [
        (2, 18.0, pytest.approx(0.2)), (0, 300.0, 10.0), (0, 300.0, 10.0),
    ]  # fmt: skip
    assert of.lines()[0] == "rules: 2 launched, expected win/loss 90:1"


def test_how_many_rules_a_larger_budget_would_launch():
    over = rules(*[RuleVerdict.OVER_BUDGET] * 82, win=0.92, loss=0.08)
    of = verdict(pd.concat([rules(RuleVerdict.LAUNCHED), over]), promised())
    assert of.advised == [Advised(Advice.LARGER_BUDGET, Part.RULES, 0.1, 82)]
    assert of.parts[0].suggested == 82
    assert of.lines()[-1] == "next: at launch.max_loss_share = 0.1, 82 more rules would launch"


def test_a_budget_and_a_log_that_would_turn_the_layer_on():
    of = verdict(rules(RuleVerdict.LAUNCHED), promised(after=CLOSE))
    assert lacks(of)[Part.AFTER] is Lack.NO_THRESHOLD
    assert list(of.advised)[:2] == [
        Advised(Advice.LARGER_BUDGET, Part.AFTER, 0.08), Advised(Advice.MORE_TURNS, Part.AFTER, 3300.0),
    ]  # fmt: skip
    assert Advised(Advice.CATALOG, Part.AFTER) in of.advised


@pytest.mark.parametrize(
    ("table", "promises", "lack"),
    [
        (rules(), promised(), {Part.RULES: Lack.FEW_USERS}),
        (rules(), promised(NOTHING, NOTHING), dict.fromkeys(Part, Lack.NOTHING_RESTATED)),
        (rules(RuleVerdict.FEW_MEAN_TARGET), promised(), {Part.RULES: Lack.FEW_USERS}),
        (rules(RuleVerdict.GAIN_UNSURE, RuleVerdict.FEW_MEAN_TARGET), promised(), {Part.RULES: Lack.OVER_BUDGET}),
        (rules(RuleVerdict.LAUNCHED), promised(NOTHING), {Part.BEFORE: Lack.NO_THRESHOLD}),
        (rules(RuleVerdict.LAUNCHED), {}, {Part.BEFORE: Lack.NOT_FITTED, Part.AFTER: Lack.NOT_FITTED}),
    ],
)
def test_why_a_part_is_off(table, promises, lack):
    of = verdict(table, promises)
    assert {part: why for part, why in lacks(of).items() if why} == lack
    assert of.advised
    assert len(of.lines()) == 3 + len(of.advised)


def test_a_mode_is_withdrawn_if_all_its_slices_are():
    table = rules(RuleVerdict.LAUNCHED)
    gone = [table.assign(rule=name, scope="online", stage=Stage.RETIRED) for name in promised() if "before" in name]
    assert lacks(verdict(pd.concat([table, *gone]), promised()))[Part.BEFORE] is Lack.WITHDRAWN
    assert lacks(verdict(pd.concat([table, gone[0], gone[1].assign(stage=Stage.LIVE)]), promised()))[Part.BEFORE] is None


def test_columns_that_the_log_lacks_are_named_where_something_is_off():
    log = replace(LOG, missing=("status", "hypothesis", "engaged"))
    advised = [of.advice for of in verdict(rules(RuleVerdict.FEW_SAY_SOURCE), promised(), log).advised]
    assert advised == [Advice.MORE_USERS, Advice.STATUS, Advice.HYPOTHESIS]
    assert verdict(rules(RuleVerdict.LAUNCHED), promised(), log).advised == []


@pytest.mark.parametrize(
    ("signals", "rules_lack", "online_lack"),
    [
        (Signals(0, 0, 0), Lack.FEW_USERS, Lack.NO_TEXTS),
        (Signals(50, 0, 0), Lack.NOTHING_RESTATED, None),
        (Signals(50, 20, 0), Lack.FEW_USERS, None),
        (Signals(50, 400, 9), None, None),
    ],
)
def test_a_forecast(signals, rules_lack, online_lack):
    of = forecast(replace(LOG, signals=signals), Config())
    assert lacks(of) == {Part.RULES: rules_lack, Part.BEFORE: online_lack, Part.AFTER: online_lack}
    assert bool(of.advised) == (rules_lack is not None)
    if signals.restated_texts == 20:
        assert Advised(Advice.MORE_TURNS, None, 9500.0) in of.advised
    assert of.lines()[1].startswith("online layer before the NLU: likely o")


def test_a_small_log_is_on_where_the_shipped_prior_agrees():
    stands_in = Promise(0.9, 59.0, 3.0, 20.0, 8.0, least_budget=0.05, more_evidence=1.0, least_prior=0.9)
    of = verdict(rules(RuleVerdict.LAUNCHED), promised(after=stands_in))
    assert lacks(of)[Part.AFTER] is None
    assert of.lines()[2] == (
        "online layer after a refusal: on only where the shipped prior agrees, as this log is too small to promise anything"
        " alone: 40 wins and 2 losses among its held-out texts"
    )


def test_without_a_text_of_enough_users_the_layer_is_off_whatever_the_prior_promises():
    stands_in = Promise(0.9, 19.0, 1.0, 19.0, 4.0, least_budget=0.05, more_evidence=1.0, least_prior=0.9)
    of = verdict(rules(RuleVerdict.FEW_SAY_SOURCE), promised(stands_in, stands_in), texts=0)
    assert lacks(of) == {Part.RULES: Lack.FEW_USERS, Part.BEFORE: Lack.NO_TEXTS, Part.AFTER: Lack.NO_TEXTS}
    assert [(part.win, part.loss) for part in of.parts[1:]] == [(0.0, 0.0), (0.0, 0.0)]


def test_a_forecast_without_a_status_says_that_failures_are_guessed():
    log = replace(LOG, signals=Signals(50, 400, 9), missing=("status", "hypothesis"))
    of = forecast(log, Config())
    assert lacks(of) == dict.fromkeys(Part)
    assert all(line.endswith("the log does not say it") for line in of.part_lines())
    assert of.advised[0] == Advised(Advice.STATUS)


@pytest.mark.parametrize(("restated", "after"), [(60, "likely on only where"), (150, "likely on only where"), (400, "likely on")])
def test_before_learning_the_restated_texts_tell_whether_the_prior_will_stand_in(restated, after):
    of = forecast(replace(LOG, signals=Signals(shared_texts=30, restated_texts=restated, shared_restated=2)), Config())
    assert of.lines()[2].startswith(f"online layer after a refusal: {after}")
    assert of.lines()[2].endswith("as this log is small") == (restated < 400)
