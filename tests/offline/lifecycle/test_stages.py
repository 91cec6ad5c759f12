"""The stages of a rule on evidence made by hand, and against worlds whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from rewriter.config import Loop
from rewriter.offline.lifecycle import evidence, transitions
from rewriter.offline.trials import Trials, effective

SOURCE, TARGET, OTHER = 1, 2, 3
LOOP = Loop()


def trials(arm, outcome, *, share=0.5, day=0, sent=TARGET, weight=1.0):
    """Trials of one source; `arm` says which were rewritten."""
    arm = np.asarray(arm, dtype=np.int64)
    n = len(arm)
    return Trials(
        said=np.full(n, SOURCE),
        sent=np.where(arm == 1, sent, SOURCE),
        arm=arm,
        rule=np.full(n, "r", dtype=object),
        share=np.broadcast_to(np.asarray(share, dtype=float), n).copy(),
        user=np.arange(n),
        day=np.broadcast_to(np.asarray(day), n).astype(np.int64),
        outcome=np.asarray(outcome, dtype=float),
        weight=np.broadcast_to(np.asarray(weight, dtype=float), n).copy(),
        user_weight=np.ones(n),
    )


def weigh(seen, *, since=0, expected=0.9):
    one = np.zeros(len(seen), dtype=np.int64)
    expected, n_adversarial = np.array([expected]), np.array([2])
    return evidence.weigh(seen, one, np.array([TARGET]), np.array([since]), expected, n_adversarial=n_adversarial, config=LOOP)


def judged(state, found, *, undrawn=False):
    row = transitions.judge(np.array([state], dtype=object), np.array([undrawn]), found, LOOP).iloc[0]
    return row["stage"], row["reason"]


def drawn(rng, n, spoken, sent, share):
    arm = (rng.random(n) < share).astype(np.int64)
    return arm, (rng.random(n) < np.where(arm, sent, spoken)).astype(float)


def test_within_one_level_weights_change_nothing_and_across_levels_they_are_kishs():
    """Ten days at one half, ten at nine tenths: 5 + 9 rewritten trials a day's traffic of ten each."""
    seen = trials([1] * 5 + [0] * 5, [1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    found = weigh(seen)
    assert (found.tried[0], found.tried_ok[0]) == pytest.approx((5, 3))
    assert (found.left[0], found.left_ok[0]) == pytest.approx((5, 1))
    mixed = trials([1] * 14, [1.0] * 5 + [0.0] * 9, share=[0.5] * 5 + [0.9] * 9)
    w = np.array([2.0] * 5 + [1 / 0.9] * 9)
    n, ok = weigh(mixed).tried[0], weigh(mixed).tried_ok[0]
    assert n == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert ok / n == pytest.approx(10 / 20)  # both levels stand for ten requests
    assert n < 14


def test_age_counts_in_the_effective_number():
    n, ok = effective(np.zeros(3, dtype=np.int64), np.array([1.0, 0.5, 0.5]), np.array([1.0, 0.0, 0.0]), 1)
    assert n[0] == pytest.approx(4 / 1.5)
    assert ok[0] == pytest.approx(4 / 1.5 / 2)


def test_what_was_sent_by_another_rule_is_no_evidence():
    seen = trials([1] * 8, [0.0] * 8, sent=OTHER)
    assert weigh(seen).tried[0] == 0


def test_a_canary_that_works_goes_live_and_one_that_harms_is_retired():
    arm = np.tile([0, 1], 30)
    works, harms = trials(arm, arm * 1.0), trials(arm, 1.0 - arm)
    assert judged("canary", weigh(works)) == ("live", "better")
    assert judged("canary", weigh(harms)) == ("retired", "worse")
    assert judged("probation", weigh(works))[0] == "live"
    alike = trials(arm, np.full(60, 0.5))
    assert judged("canary", weigh(alike)) == ("canary", "")


def test_only_what_was_drawn_since_it_came_into_this_life_moves_it_on():
    arm = np.tile([0, 1], 30)
    assert judged("canary", weigh(trials(arm, arm * 1.0, day=3), since=4)) == ("canary", "")
    assert judged("canary", weigh(trials(arm, arm * 1.0, share=np.nan))) == ("canary", "")


def test_a_live_rule_that_drops_is_watched_closely():
    """Good for ten days, then its success falls to a third."""
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(14), 20)
    outcome = (rng.random(280) < np.where(day < 10, 0.9, 0.3)).astype(float)
    seen = trials(np.ones(280, dtype=np.int64), outcome, share=0.995, day=day)
    assert judged("live", weigh(seen.take(np.flatnonzero(day < 10)))) == ("live", "")
    assert judged("live", weigh(seen)) == ("probation", "slipped")
    assert judged("live", weigh(seen), undrawn=True) == ("retired", "dropped")


def test_a_live_rule_is_doubted_where_the_words_did_better_before_it():
    """Four in ten go well: it is a drop where nine in ten went well as spoken, and none where five did."""
    day, arm = np.repeat([0, 1], 60), np.repeat([0, 1], 60)
    rewritten = np.tile([1.0, 1.0, 0.0, 0.0, 0.0], 12)
    for spoken, into in ((np.tile([1.0] * 9 + [0.0], 6), "probation"), (np.tile([1.0, 0.0], 30), "live")):
        seen = trials(arm, np.concatenate([spoken, rewritten]), share=np.where(arm == 0, np.nan, 0.995), day=day)
        assert judged("live", weigh(seen, since=1, expected=0.4))[0] == into


def test_what_is_left_alone_falls_with_certainty_to_a_floor():
    states = np.array(["canary", "live", "live", "live", "probation", "live"], dtype=object)
    personal = np.array([False] * 5 + [True])
    better = np.array([0.999, 0.8, 0.98, 1.0, 0.99, 0.5])
    nothing = np.zeros(6)
    found = evidence.Evidence(nothing, nothing, nothing, nothing, better, better, nothing, nothing, nothing)
    assert transitions.share(states, personal, found, LOOP) == pytest.approx([0.9, 0.8, 0.98, 0.995, 0.5, 1.0])
    promised = np.array([False, True, False, False, False, False])
    doubted = replace(found, p_better=better - 0.4, p_spared=better - 0.4)
    assert transitions.share(states, personal, doubted, LOOP, promised=promised)[:2] == pytest.approx([0.599, 0.9])


def test_few_users_cannot_make_a_live_rule_doubtful():
    """Four are served well for ten days; two others say every day that it failed, and are not heard; of three one is."""
    users, day = np.tile(np.arange(7), 10), np.repeat(np.arange(1, 11), 7)
    spoken = trials([0] * 40, [0.0] * 10 + [1.0] * 30, share=np.nan, day=0)
    served = replace(trials([1] * 70, (users >= 3).astype(float), share=0.995, day=day), user=users)
    for told, heard in ((users != 0, users >= 3), (users >= 0, (users == 0) | (users >= 3))):
        found = weigh(spoken.and_also(served.take(np.flatnonzero(told))), since=1)
        honest = weigh(spoken.and_also(served.take(np.flatnonzero(heard))), since=1)
        assert found.p_spared == pytest.approx(honest.p_better)
        assert found.p_better[0] < 0.5 * found.p_spared[0]


def test_a_doubt_that_goes_on_begins_nothing_anew():
    """A live rule fails from its first day on: both arms speak against it before the drop is sure, and go on to do so."""
    arm, day = np.tile([0, 1, 1, 1], 6), np.repeat([1, 2, 3], 8)
    before, harms = trials([0] * 40, [1.0] * 40, share=np.nan, day=0), trials(arm, 1.0 - arm, share=0.75, day=day)
    seen = Trials(*(np.concatenate([getattr(p, name) for p in (before, harms)]) for name in Trials.__slots__))
    found = replace(weigh(seen, since=1), drop=np.array([99.0]))
    assert found.worse[0] > 0
    for worse, anew in ((found.worse[0], False), (-1.0, True)):
        into = transitions.judge(
            np.array(["live"], dtype=object), np.array([False]), replace(found, worse=np.array([min(worse, 1.0)])), LOOP
        )
        assert (into["stage"][0], into["anew"][0]) == ("probation", anew)


def lived(spoken, sent, days, *, state="canary", seed=0, requests=60, expected=0.9):
    """Live through days with rates as spoken and rewritten by day; return (day, state, share) of each day."""
    rng = np.random.default_rng(seed)
    parts, since, share, told = [], 0, 0.9 if state == "canary" else 0.995, []
    for day in range(days):
        if state != "retired":
            arm, outcome = drawn(rng, requests, spoken(day), sent(day), share)
            parts.append(trials(arm, outcome, share=share, day=day))
            seen = Trials(*(np.concatenate([getattr(p, name) for p in parts]) for name in Trials.__slots__))
            weight = 2.0 ** (-(day - seen.day) / 30)
            seen = Trials(*(weight if name == "weight" else getattr(seen, name) for name in Trials.__slots__))
            found = weigh(seen, since=since, expected=expected)
            moved = transitions.judge(np.array([state], dtype=object), np.array([False]), found, LOOP).iloc[0]
            if moved["reason"]:
                state, since = moved["stage"], day + 1 if moved["anew"] else since
            share = transitions.share(np.array([state], dtype=object), np.array([False]), found, LOOP)[0]
        told.append((day, state, share))
    return told


@pytest.mark.parametrize("seed", range(5))
def test_a_good_rule_never_leaves_and_costs_little(seed):
    told = lived(lambda _: 0.25, lambda _: 0.9, 60, seed=seed)
    assert "retired" not in {state for _, state, _ in told}
    assert [state for _, state, _ in told][2:] == ["live"] * 58
    assert np.mean([1 - share for _, _, share in told]) * 65 < 1.0  # points of success


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_rule_that_is_live_is_retired_in_three_days(seed):
    told = lived(lambda _: 0.8, lambda _: 0.3, 6, state="live", seed=seed)
    assert next(day for day, state, _ in told if state == "retired") <= 3


@pytest.mark.parametrize("seed", range(5))
def test_a_meaning_that_turns_is_unlearned_within_a_week(seed):
    told = lived(lambda d: 0.25 if d < 20 else 0.85, lambda d: 0.9 if d < 20 else 0.35, 32, seed=seed)
    gone = next(day for day, state, _ in told if state == "retired")
    assert 20 <= gone <= 27
