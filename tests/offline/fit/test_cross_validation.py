"""Cross-validation: each example as if its text, and as if its goal, had never been heard; whose texts teach."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rewriter.detect.word_risk import WordRisk
from rewriter.model.features import RISK
from rewriter.model.retrieve import Pool
from rewriter.offline.fit.cross_validation import FOLDS, CrossValidation, Outcome
from rewriter.offline.fit.examples import LabelledText, Wordings
from rewriter.offline.fit.ranker import held_out

PHRASES = {
    "turn on the lamp": 1,
    "turn on the big lamp": 1,
    "turn off the lamp": 2,
    "play some jazz": 3,
    "play jazz music": 3,
    "set a timer for ten minutes": 4,
}
GOOD = pd.DataFrame(
    [("en", text, goal, "u", text) for text, goal in PHRASES.items()], columns=["locale", "query", "node", "kind", "state"]
)


NOTHING = WordRisk(*(np.zeros(0, dtype=of) for of in (object, np.int64, np.float64, np.float64)), 1)


class UserView:
    """Finds every phrase, in the order of the table."""

    def knows(self, text, locale, user=""):
        return text in PHRASES

    def find(self, hearings, locale, user="", k=10):
        n = len(PHRASES)
        ones, none = np.ones(n), np.zeros(n)
        goals = np.array(list(PHRASES.values()), dtype=np.int64)
        return Pool(list(PHRASES), goals, 5 * ones, 0.9 * ones, 0.5 * ones, 0.25 * ones, none, none, none, none > 0)


def example(text, goals, healthy=False, users=3, user="ann", honest=1.0):
    return LabelledText(
        "en", (text,), goals, max(goals, default=-1), healthy, honest, users, user, 1.0, 1.0, served=False, first_day=0
    )


def word_risk(*said, k=1):
    """Of (text, user, share of defects, turns)."""
    text, user, bad, turns = zip(*said, strict=True) if said else ((), (), (), ())
    turns = np.array(turns, dtype=np.float64)
    return WordRisk(np.array(text, dtype=object), np.array(user, dtype=np.int64), turns * np.array(bad, dtype=float), turns, k)


def cross_validation(*found, min_users=3, p_unseen_goal=0.2, seen=NOTHING):
    return CrossValidation(found, UserView(), Wordings(GOOD), min_users, p_unseen_goal, seen)


def test_a_failing_text_is_two_cases_whose_weights_make_one():
    heard, new = cross_validation(example("turn on the lamb", {1: 0.75, 2: 0.25})).cases
    assert (heard.weight, new.weight) == (0.8, 0.2)
    assert dict(zip(heard.seen.pool.texts, heard.win, strict=True))["turn on the lamp"] == 0.75
    assert dict(zip(heard.seen.pool.texts, heard.loss, strict=True))["turn on the lamp"] == 0.25
    assert dict(zip(heard.seen.pool.texts, heard.loss, strict=True))["play some jazz"] == 1.0
    assert sorted(set(new.seen.pool.interpretations.tolist())) == [3, 4]  # as if nobody had asked for either goal
    assert new.win.tolist() == [0.0] * 3
    assert new.loss.tolist() == [1.0] * 3


def test_a_healthy_text_is_left_out_of_its_own_reference():
    cases = cross_validation(example("turn on the big lamp", {1: 1.0}, healthy=True)).cases
    heard, new = cases
    assert "turn on the big lamp" not in heard.seen.pool.texts
    assert heard.own == 1
    assert not new.wording.knows("big")
    assert new.wording.knows("lamp")  # goal 2 says so
    assert new.own == 0
    assert heard.weight + new.weight == pytest.approx(1.0)
    assert heard.fold == new.fold < FOLDS


def test_without_a_goal_there_is_nothing_to_take_away():
    (only,) = cross_validation(example("blah blah", {})).cases
    assert only.weight == 1.0
    assert only.win.sum() == only.loss.sum() == 0.0


def test_how_new_the_goals_of_new_texts_are():
    rare = [example(f"rare {i}", {goal: 1.0}, healthy=True, users=1) for i, goal in enumerate([1, 2, 3, 99, 98])]
    frequent = [example("turn on the lamp", {97: 1.0}, healthy=True, users=3)]
    cases = cross_validation(*rare, *frequent).cases
    assert {case.weight for case in cases if case.wording.texts < len(PHRASES)} == {(2 + 5) / (5 + 20)}


def test_what_is_expected_of_a_rewrite():
    of = cross_validation(
        example("turn on the lamb", {1: 1.0}, honest=0.5), example("turn on the big lamp", {1: 1.0}, healthy=True)
    )
    fitted = of.fit()
    for case in of.cases:
        before, after = of.before(case, fitted), of.after(case, fitted)
        if case.text.healthy:
            assert after is None
            assert before is None or before.win == 0.0
        elif after is not None:
            assert after.win + after.loss == pytest.approx(0.5 * case.weight)


def test_fewer_than_k_users_teach_nothing(monkeypatch):
    # how many votes are stray is counted over all texts, as the thresholds are
    monkeypatch.setattr("rewriter.offline.fit.drafts.p_real", lambda alike, weight, unlike: np.ones(len(alike)))
    base = [
        *(example(text, {PHRASES[text]: 1.0}, healthy=True) for text in PHRASES),
        example("turn on the lamb", {1: 1.0}),
        example("play sum jazz", {3: 1.0}),
    ]
    lone = [example(f"xx {i} lamp", {2: 1.0}, users=1, user=user) for i, user in enumerate(["bob", "bob", "eve"])]
    plain, flooded = cross_validation(*base).fit(), cross_validation(*base, *lone).fit()
    assert flooded.ranker.weights.tolist() == plain.ranker.weights.tolist()
    assert flooded.risk.weights.tolist() == pytest.approx(plain.risk.weights.tolist())
    third = cross_validation(*base, *lone, example("yy lamp", {2: 1.0}, users=1, user="joe")).fit()
    assert third.risk.weights.tolist() != pytest.approx(plain.risk.weights.tolist(), abs=0.01)


def test_an_example_does_not_see_how_it_went_itself():
    # "lamb" is in no other text; "lamp" is in others, some of which ask for the goal of the example, too
    said = [("turn on the lamb", 0, 1.0, 3), ("turn on the lamp", 1, 0.0, 5), ("turn on lamp", 0, 1.0, 4), ("lamp", 2, 0.5, 4)]
    found = [example("turn on the lamb", {1: 1.0}), example("turn on lamp", {1: 1.0})]
    mean = sum(p * n for *_, p, n in said) / sum(n for *_, n in said)

    def odds(bad, n):
        p = (bad + 2 * mean) / (n + 2)
        return np.log(p / (1 - p))

    heard, new, *_ = cross_validation(*found, seen=word_risk(*said)).cases
    assert heard.risk.words == pytest.approx({"turn": odds(4, 9), "on": odds(4, 9), "the": odds(0, 5)}, abs=0.001)
    assert new.risk.words == pytest.approx({"lamp": odds(2, 4)}, abs=0.001)  # of the words of goal 1 all that is left
    assert heard.risk.mean == new.risk.mean == pytest.approx(np.log(mean / (1 - mean)))
    column = dict(
        zip(
            RISK,
            cross_validation(*found, seen=word_risk(*said))._decide(heard, cross_validation(*found).fit().ranker).columns,
            strict=True,
        )
    )
    assert (column["worst_word"], column["unknown_words"]) == (pytest.approx(odds(0, 0), abs=0.001), 0.25)


def test_what_the_risk_learns_of_a_text():
    of = cross_validation(seen=word_risk(("lamp", 0, 0.5, 4), ("lamp", 1, 1.0, 4)))
    assert of._p_fails(example("lamp", {1: 1.0})) == 0.75 + 0.25 * 0.75
    assert of._p_fails(example("lamp", {1: 1.0}, healthy=True)) == 0.25 * 0.75
    assert of._p_fails(example("glow", {1: 1.0})) == 1.0


def test_new_goals_are_counted_by_time_in_both_modes():
    texts = [example("turn on the lamb", {1: 1.0}), example("turn on the big lamp", {1: 1.0}, healthy=True)]
    of = CrossValidation(texts, UserView(), Wordings(GOOD), 3, 0.2, NOTHING, p_new_goal=0.4)
    assert {round(case.weight, 6) for case in of.cases} == {0.4, 0.6}


def test_a_silent_failure_that_stays_one_is_no_loss_and_no_success():
    of = cross_validation(example("turn on the lamb", {1: 1.0}, honest=0.25), example("turn on the big lamp", {1: 1.0}, True))
    fitted = of.fit()
    for case in of.cases:
        outcome = of.before(case, fitted)
        if outcome is not None and not case.text.healthy:
            assert outcome.win + outcome.loss + outcome.tie == pytest.approx(case.weight)
            assert outcome.tie == pytest.approx(3 * outcome.loss)


def test_before_the_nlu_failing_texts_weigh_as_if_their_restatements_were_sure():
    """One text was surely restated, one with P = .25: together they count as two, with five fourths of the evidence."""
    texts = [SimpleNamespace(goals={1: 1.0}, served=False, healthy=of) for of in (True, False, False)]
    healthy, sure, unsure = (SimpleNamespace(text=text, fold=0) for text in texts)
    for case, p in ((healthy, 1.0), (sure, 1.0), (unsure, 0.25)):
        case.weight, case.p_restated = 1.0, p
    outcomes = {id(healthy): Outcome(0.9, 0.0, 1.0), id(sure): Outcome(0.9, 1.0, 0.0), id(unsure): Outcome(0.9, 0.0, 0.2, 0.05)}
    judge = lambda case, _: outcomes[id(case)]  # noqa: E731
    stub = SimpleNamespace(cases=[healthy, sure, unsure], fit=lambda without: None, before=judge, after=judge)
    found = held_out(stub)
    assert [of for _, of in found["after"]] == [*outcomes.values()]
    before = {id(case): of for case, of in found["before"]}
    assert before[id(healthy)] == outcomes[id(healthy)]
    assert before[id(sure)].win == pytest.approx(2 / 1.25)
    assert before[id(unsure)][1:4] == pytest.approx((0.0, 0.2 * 1.6, 0.05 * 1.6))
