import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hand_made import make
from hypothesis import given
from hypothesis import strategies as st

from rewriter.evaluation.outcomes import (
    Outcomes,
    at,
    broken,
    broken_per_1000,
    defects,
    fixed,
    losses,
    only,
    pooled,
    ties,
    trigger_rate,
    unknowns,
    where,
    win_loss,
    wins,
)

OK, FAILED, WRONG, UNKNOWN = "ok", "failed_honestly", "wrong", "unknown"

# Every combination, written out by hand: (as spoken, rewritten) of an applied rewrite -> what it is.
VERDICTS = {
    (OK, OK): "tie",
    (OK, FAILED): "loss",
    (OK, WRONG): "loss",
    (OK, UNKNOWN): "unknown",
    (FAILED, OK): "win",
    (FAILED, FAILED): "tie",
    (FAILED, WRONG): "loss",
    (FAILED, UNKNOWN): "unknown",
    (WRONG, OK): "win",
    (WRONG, FAILED): "tie",
    (WRONG, WRONG): "tie",
    (WRONG, UNKNOWN): "unknown",
    (UNKNOWN, OK): "unknown",
    (UNKNOWN, FAILED): "unknown",
    (UNKNOWN, WRONG): "unknown",
    (UNKNOWN, UNKNOWN): "unknown",
}
BROKEN = {(OK, FAILED), (OK, WRONG)}


@pytest.mark.parametrize(("spoken", "rewritten"), VERDICTS)
def test_every_combination_of_an_applied_rewrite(spoken, rewritten):
    outcomes = make([("ann", spoken, rewritten, True)])
    flags = {"win": wins(outcomes), "loss": losses(outcomes), "tie": ties(outcomes), "unknown": unknowns(outcomes)}
    assert [name for name, flag in flags.items() if flag[0]] == [VERDICTS[spoken, rewritten]]
    assert broken(outcomes)[0] == ((spoken, rewritten) in BROKEN)
    assert defects(outcomes)[0] == (spoken in {FAILED, WRONG})


@pytest.mark.parametrize("spoken", [OK, FAILED, WRONG, UNKNOWN])
def test_a_turn_left_alone_is_nothing_of_all_this(spoken):
    outcomes = make([("ann", spoken, spoken, False)])
    assert not any(f(outcomes)[0] for f in (wins, losses, ties, unknowns, broken))


@pytest.mark.parametrize(("spoken", "rewritten"), [pair for pair in VERDICTS if pair[0] != pair[1]])
def test_a_turn_left_alone_cannot_end_otherwise(spoken, rewritten):
    with pytest.raises(ValueError, match="left alone"):
        make([("ann", spoken, rewritten, False)])


def test_vectors_must_agree_in_length_and_words():
    with pytest.raises(ValueError, match="one length"):
        make([("ann", OK, OK, False)], short=[])
    with pytest.raises(ValueError, match="no such outcome: fine"):
        make([("ann", "fine", "fine", False)])


# Ten turns of three users, worked by hand:
# 7 defects (5 honest, 2 wrong); 3 wins; losses: 1 healthy broken + 1 honest failure made wrong; 1 tie; 2 left alone; 1 unknown.
TEN = [
    ("ann", FAILED, OK, True, 0.9),
    ("ann", FAILED, OK, True, 0.8, "online"),
    ("ann", WRONG, OK, True, 0.7, "online", "personal"),
    ("bob", FAILED, WRONG, True, 0.3),
    ("bob", WRONG, WRONG, True, 0.6),
    ("bob", OK, WRONG, True, 0.2, "precomputed", "personal", True),
    ("bob", OK, OK, False, 0.0, "", "", True),
    ("eve", OK, OK, False),
    ("eve", FAILED, FAILED, False),
    ("eve", FAILED, UNKNOWN, True, 0.4),
]


def test_figures_of_a_hand_worked_table():
    outcomes = make(TEN)
    assert win_loss(outcomes).value == 1.5
    assert win_loss(outcomes, unknown_is_loss=True).value == 1.0
    assert trigger_rate(outcomes).value == 0.7
    assert fixed(outcomes).value == pytest.approx((3 - 1) / 7)
    assert broken_per_1000(outcomes, seen=True).value == 500.0
    assert broken_per_1000(outcomes, seen=False).value == 0.0


def test_a_layer_alone_leaves_the_rest_as_spoken():
    outcomes = make(TEN)
    online = only(outcomes, outcomes.layer == "online")
    assert wins(online).tolist() == [False, True, True] + [False] * 7
    assert defects(online).sum() == 7
    assert fixed(online).value == pytest.approx(2 / 7)
    assert online.sent[0] == online.source[0]
    assert math.isnan(online.score[0])


def test_a_threshold_keeps_scores_that_reach_it():
    outcomes = at(make(TEN), 0.7)
    assert outcomes.applied.tolist() == [True, True, True] + [False] * 7
    assert win_loss(outcomes).value == math.inf
    assert at(make(TEN), -math.inf).applied.sum() == 7


def test_a_slice_forgets_the_other_turns():
    outcomes = make(TEN, early=[True] * 5 + [False] * 5)
    early = where(outcomes, outcomes.slices["early"])
    assert len(early) == 5
    assert (wins(early).sum(), losses(early).sum()) == (3, 1)
    assert early.slices["early"].all()


def test_pooled_worlds_keep_their_users_apart():
    one = make([("ann", FAILED, OK, True), ("bob", OK, OK, False)], odd=[True, False])
    two = make([("ann", FAILED, WRONG, True)], odd=[True])
    both = pooled([one, two])
    assert both.user.tolist() == ["0/ann", "0/bob", "1/ann"]
    assert (wins(both).tolist(), losses(both).tolist()) == ([True, False, False], [False, False, True])
    assert both.slices["odd"].tolist() == [True, False, True]
    with pytest.raises(ValueError, match="same slices"):
        pooled([one, make([])])
    with pytest.raises(ValueError, match="where there are some"):
        pooled([])


def test_nothing_at_all_has_no_figures():
    empty = make([])
    assert len(empty) == 0
    assert math.isnan(win_loss(empty).value)
    assert math.isnan(fixed(empty).value)
    assert math.isnan(trigger_rate(empty).value)
    assert math.isnan(broken_per_1000(empty, seen=True).value)


turns = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "eve", "joe"]),
        st.sampled_from([OK, FAILED, WRONG, UNKNOWN]),
        st.sampled_from([OK, FAILED, WRONG, UNKNOWN]),
        st.booleans(),
        st.floats(0, 1),
    ).map(lambda r: r if r[3] else (r[0], r[1], r[1], False, r[4])),
    min_size=1,
    max_size=30,
)


@given(turns)
def test_every_rewrite_has_one_verdict(rows):
    outcomes = make(rows)
    verdicts = np.stack([f(outcomes) for f in (wins, losses, ties, unknowns)]).sum(axis=0)
    assert (verdicts == outcomes.applied).all()


@given(turns, st.floats(0, 1))
def test_a_threshold_splits_the_wins_and_losses(rows, threshold):
    outcomes = make(rows)
    above, below = at(outcomes, threshold), only(outcomes, ~(outcomes.score >= threshold))
    for count in (wins, losses, ties, unknowns, broken):
        assert count(above).sum() + count(below).sum() == count(outcomes).sum()


@given(turns, st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_the_order_of_rows(rows, random):
    outcomes = make(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    vectors = {f.name: getattr(outcomes, f.name)[order] for f in fields(Outcomes) if f.name != "slices"}
    shuffled = replace(outcomes, **vectors, slices={})
    for figure in (win_loss, trigger_rate, fixed):
        assert repr(figure(shuffled)) == repr(figure(outcomes))


def test_only_users_are_drawn_again_not_turns():
    """A hundred turns of one user who always wins and a hundred of one who always loses: nothing is known of the next user."""
    outcomes = make([("ann", FAILED, OK, True)] * 100 + [("bob", FAILED, WRONG, True)] * 100)
    found = win_loss(outcomes)
    assert (found.value, found.low, found.high) == (1.0, 0.0, math.inf)
