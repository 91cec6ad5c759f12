"""Arms, families and readings of an A/B experiment; the sequential interval under sixty looks at nothing."""

import numpy as np
import pytest

from rewriter.evaluation.experiment import MIN_CLUSTERS, ArmSplit, families, readings


def test_an_arm_is_drawn_once_and_for_each_experiment_anew():
    users = [f"user {n}" for n in range(4000)]
    lamps, bells = ([ArmSplit(name).arm(u) for u in users] for name in ("lamps", "bells"))
    assert lamps == [ArmSplit("lamps").arm(u) for u in users]
    assert 0.47 < lamps.count("B") / 4000 < 0.53
    both = sum(a == b for a, b in zip(lamps, bells, strict=True)) / 4000
    assert 0.47 < both < 0.53
    assert 0.08 < [ArmSplit("lamps", 0.1).arm(u) for u in users].count("B") / 4000 < 0.12
    wide, narrow = ({u for u in users if ArmSplit("lamps", share).arm(u) == "B"} for share in (0.5, 0.1))
    assert narrow < wide, "an arm that grows keeps who it has"


def test_families_are_what_rules_join():
    found = families([("en", "a", "t"), ("en", "b", "t"), ("en", "t", "u"), ("en", "c", "v"), ("de", "a", "w")])
    assert found["en", "a"] == found["en", "b"] == found["en", "u"] == "a"
    assert found["en", "c"] == found["en", "v"] == "c"
    assert found["de", "w"] == "a"
    assert len(found) == 8


def test_a_reading_by_hand():
    """Day 1: A 1 of 2 bad, B 0 of 1; day 2: A 2 of 4, B 1 of 4."""
    cluster = np.array([0, 0, 1, 0, 2, 1, 1, 1])
    in_b = np.array([0, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
    bad = np.array([1, 0, 0, 0, 1, 1, 0, 0], dtype=float)
    day = np.array([1, 1, 1, 2, 2, 2, 2, 2])
    first, second = readings(cluster, in_b, bad, day, detect=0.1)
    assert (first.day, first.requests, first.defects) == (1, (2, 1), (0.5, 0.0))
    assert (second.day, second.requests, second.defects) == (2, (4, 4), (0.5, 0.25))
    assert second.difference.value == -0.25
    assert second.always.high == np.inf, "three users are too few"


def test_before_both_arms_have_requests_nothing_is_known():
    (only,) = readings(np.array([0, 1]), np.array([False, False]), np.array([0.0, 1.0]), np.array([1, 1]), detect=0.1)
    assert np.isnan(only.difference.value)
    assert (only.difference.low, only.difference.high) == (-np.inf, np.inf)


def days(rng, users, n_days, effect):
    """Users with rates of their own, who ask now and then; B makes them fail less by `effect`."""
    rates = rng.beta(1.5, 8.5, size=users)
    in_b = rng.random(users) < 0.5
    asked = rng.poisson(1.0, size=(n_days, users))
    day, who = np.nonzero(asked)
    day, who = np.repeat(day, asked[day, who]), np.repeat(who, asked[day, who])
    rate = np.clip(rates[who] - effect * in_b[who], 0, 1)
    return who, in_b[who], (rng.random(len(who)) < rate).astype(float), day


def test_the_sequential_interval_is_wider_and_narrowest_where_it_was_planned(monkeypatch):
    monkeypatch.setattr("rewriter.evaluation.experiment.bounds", lambda columns, statistic, seed: (0.0, 0.0))
    who, in_b, bad, day = days(np.random.default_rng(1), 4 * MIN_CLUSTERS, 60, 0.0)
    last = {detect: readings(who, in_b, bad, day, detect=detect)[-1].always for detect in (0.001, 0.05, 5.0)}
    width = {detect: found.high - found.low for detect, found in last.items()}
    assert width[0.05] < min(width[0.001], width[5.0])


@pytest.mark.slow
def test_sixty_looks_at_nothing_rarely_raise_an_alarm_and_a_real_effect_does(monkeypatch):
    """The interval that may be read once is false in far more than 5 % of the experiments that are read every day."""
    monkeypatch.setattr("rewriter.evaluation.experiment.bounds", lambda columns, statistic, seed: (0.0, 0.0))
    rng = np.random.default_rng(0)
    always, once, seen, n = 0, 0, 0, 120
    for _ in range(n):
        found = readings(*days(rng, 300, 60, 0.0), detect=0.03)
        always += any(not r.always.low <= 0 <= r.always.high for r in found)
        narrow = [(r.always.value, (r.always.high - r.always.low) / 2) for r in found if np.isfinite(r.always.high)]
        assert narrow
        once += any(abs(value) > _once(value, half, 0.03) for value, half in narrow)
    for _ in range(20):
        found = readings(*days(rng, 600, 60, 0.06), detect=0.03)
        seen += any(r.always.high < 0 for r in found)
    assert always / n <= 0.05
    assert once / n > 0.10
    assert seen > 17


def _once(value, half, detect):
    """Half the width of the usual interval, from that of the sequential one: the variance that explains it."""
    planned = (2.8 / detect) ** 2
    r = planned / (-2 * np.log(0.05) + np.log(1 - 2 * np.log(0.05)))
    candidates = np.geomspace(1e-6, 1e-1, 4000)
    widths = np.sqrt((1 / candidates + r) * np.log((1 / candidates + r) / (r * 0.05**2))) * candidates
    return 1.96 * np.sqrt(candidates[np.argmin(np.abs(widths - half))])
