"""Votes and evidence against hand-worked figures and a plain-Python oracle."""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from rewriter.offline.rules import votes
from rewriter.offline.rules.votes import Pairs, Votes

OFF, ON, GARBLE, SOURCE = range(4)
ANN, BEN, CEM = range(3)
TABLES = {
    "nodes": pd.DataFrame({"node": range(4), "kind": ["h", "h", "u", "u"]}),
    "left_out": pd.DataFrame({"user_no": [99]}),
    "edges": pd.DataFrame({"source": [SOURCE, SOURCE, OFF], "target": [OFF, ON, OFF]}),
    # ann restates twice (once well), ben once, cem gives up; nobody ever restated GARBLE.
    "user_nodes": pd.DataFrame(
        [
            (ANN, SOURCE, 2000, 0, 300, 10, 11),
            (BEN, SOURCE, 1000, 400, 0, 12, 12),
            (CEM, SOURCE, 1000, 0, 1000, 13, 13),
            (CEM, GARBLE, 1000, 0, 1000, 13, 13),
            (ANN, OFF, 1000, 1000, 0, 10, 10),
        ],
        columns=["user_no", "node", "spoken", "success", "failure", "first_day", "last_day"],
    ),
    "user_edges": pd.DataFrame(
        [(ANN, SOURCE, OFF, 900), (ANN, SOURCE, GARBLE, 800), (BEN, SOURCE, ON, 600), (ANN, OFF, OFF, 5)],
        columns=["user_no", "source", "target", "mass"],
    ),
}
# Downstream of the restatement: OFF ends well there 9 times in 10; GARBLE half the time at OFF.
SCORES = sparse.csr_array(np.array([[0.9, 0, 0, 0], [0, 0.8, 0, 0], [0.5, 0, 0, 0], [0.6, 0.3, 0, 0.1]]))


@pytest.fixture
def read(tmp_path):
    paths = {}
    for name, frame in TABLES.items():
        paths[name] = tmp_path / f"{name}.parquet"
        with duckdb.cursor() as con:
            con.register("frame", frame)
            con.sql("SELECT * FROM frame").write_parquet(str(paths[name]))
    return votes.read(SimpleNamespace(named=lambda *_: paths), SCORES, SCORES.sum(axis=1))


def test_votes_follow_the_chain(read):
    assert list(zip(read.source.tolist(), read.user.tolist(), strict=True)) == [(SOURCE, ANN), (SOURCE, BEN), (SOURCE, CEM)]
    assert read.turns.tolist() == [2.0, 1.0, 1.0]
    assert read.success.tolist() == [0.0, 0.4, 0.0]
    assert read.goals[ANN, OFF] == pytest.approx(0.9 * 0.9 + 0.8 * 0.5)
    assert read.goals[BEN, ON] == pytest.approx(0.6 * 0.8)
    assert read.resolved == pytest.approx([0.9 * 0.9 + 0.8 * 0.5, 0.6 * 0.8, 0.0])
    assert (read.first_day[ANN], read.last_day[ANN]) == (10, 11)


def test_one_user_is_one_vote_and_the_proposing_one_is_left_out(read):
    pairs = votes.gather(read)
    assert list(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)) == [(SOURCE, OFF), (SOURCE, ON)]
    assert pairs.votes == pytest.approx([1.0, 0.48])  # ann's 1.21 turns are one vote
    assert pairs.agreed == pytest.approx([0.0, 0.0])
    assert pairs.others == pytest.approx([0.48, 1.0])
    assert pairs.chance == pytest.approx([1 / 1.48, 0.48 / 1.48])
    assert pairs.user_weights == pytest.approx([1.0, 0.48])
    assert pairs.said_by.tolist() == [3, 3]
    assert pairs.turns.tolist() == [4.0, 4.0]
    assert pairs.ok == pytest.approx([0.4, 0.4])
    assert (pairs.first_day.tolist(), pairs.last_day.tolist()) == ([10, 10], [13, 13])


def test_who_votes_on_much_has_one_voice():
    """ann votes on three sources, ben on one of them, for the same goal."""
    goals = np.array([[0, 0, 0, 1.0], [0, 0, 0, 0.8], [0, 0, 0, 0.5], [0, 0, 0, 0.7]])
    days = np.zeros(4, dtype=np.int64)
    cast = Votes(
        source=np.array([0, 0, 1, 2]),
        user=np.array([ANN, BEN, ANN, ANN]),
        turns=np.ones(4),
        success=np.zeros(4),
        steps=sparse.csr_array(goals),
        goals=sparse.csr_array(goals),
        resolved=goals.sum(axis=1),
        first_day=days,
        last_day=days,
        counted=days == 0,
    )
    assert votes.gather(cast).user_weights == pytest.approx([1 / 2.2 + 0.8, 0.5 / 2.2, 0.7 / 2.2])


def test_evidence_for_one_user_is_hers_and_the_crowds():
    """ann went to goal 2 twice, ben once, cem to goal 3: for ann that is 2.0 own votes and ben's; for cem nobody agrees."""
    goals = np.array([[0, 0, 2.0, 0], [0, 0, 0.9, 0], [0, 0, 0, 0.9]])
    days = np.zeros(3, dtype=np.int64)
    cast = Votes(
        source=np.array([1, 1, 1]),
        user=np.arange(3),
        turns=np.array([3.0, 1.0, 2.0]),
        success=np.array([0.0, 0.0, 1.0]),
        steps=sparse.csr_array(goals),
        goals=sparse.csr_array(goals),
        resolved=goals.sum(axis=1),
        first_day=days,
        last_day=days,
        counted=days == 0,
    )
    row, pairs = votes.of_users(cast, votes.gather(cast), least=0.7)
    found = {(r, t): (v, p) for r, t, v, p in zip(row.tolist(), pairs.target.tolist(), pairs.votes, pairs.proposed, strict=True)}
    assert found == {
        (ANN, 2): (pytest.approx(2.9), 1.0),
        (ANN, 3): (pytest.approx(0.9), pytest.approx(0.9)),
        (BEN, 2): (pytest.approx(1.9), pytest.approx(0.9)),
        (BEN, 3): (pytest.approx(0.9), pytest.approx(0.9)),
    }
    assert pairs.spoken_by.tolist() == [5, 5, 3, 3]  # her own turns, and two others
    assert pairs.said_by.tolist() == [3] * 4
    assert pairs.ok == pytest.approx([0.5] * 4)


def home(fakes):
    """Ten users fail with a text of their own and with one of all; each also says a text that works. Fakes restate what works."""
    rows = (
        [(u, u, 0.0, 30) for u in range(10)] + [(10, u, 0.0, 30) for u in range(10)] + [(11 + u, u, 1.0, None) for u in range(10)]
    )
    rows += [(11 + i, 10 + fake, 0.0, 31 + i % 5) for fake in range(fakes) for i in range(10)]
    return cast_of(sorted(row for row in rows if fakes or row[0] < 11))  # a text that nobody restated is no source


def cast_of(rows):
    """Votes of rows (source, user, success as spoken, goal or None), a turn each."""
    steps = np.zeros((len(rows), 40))
    for i, (_, _, _, goal) in enumerate(rows):
        if goal is not None:
            steps[i, goal] = 1.0
    days, n = np.zeros(len(rows), dtype=np.int64), len(rows)
    return Votes(
        source=np.array([row[0] for row in rows]),
        user=np.array([row[1] for row in rows]),
        turns=np.ones(n),
        success=np.array([row[2] for row in rows]),
        steps=sparse.csr_array(steps),
        goals=sparse.csr_array(steps),
        resolved=steps.sum(axis=1),
        first_day=days,
        last_day=days,
        counted=days == 0,
    )


def test_accounts_that_restate_whatever_works_are_not_in_the_priors():
    """Two accounts say all that works, again and again: the evidence of the failing texts and the weights in the fits stay."""
    honest, attacked = votes.gather(home(0), 2), votes.gather(home(2), 2)
    failing = attacked.source < 11
    for name in ("votes", "users", "said_by", "ok", "spoken_by"):
        assert getattr(attacked, name)[failing] == pytest.approx(getattr(honest, name)), name
    assert attacked.fit_weight[~failing] == pytest.approx(0.0)
    assert attacked.user_weights[~failing] == pytest.approx(0.0)
    assert attacked.fit_weight[failing] == pytest.approx(1.0)


def test_priors_of_a_log_in_which_only_few_users_restated_rest_on_nobody():
    pairs = votes.gather(home(0), 10)
    assert not pairs.user_weights.any()
    assert len(votes.strays(pairs, seed=0)[0]) == 5_000


def test_nobody_weighs_less_because_few_accounts_restate_what_that_user_says(monkeypatch):
    monkeypatch.setattr(votes, "_FULL_WEIGHT_SOURCES", 2.0)
    assert votes.gather(home(2), 2).votes[10] == pytest.approx(10.0)  # each honest user said three sources and restated two


ROWS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 5)),
    st.dictionaries(st.integers(4, 7), st.integers(1, 2000).map(lambda x: x / 1000), max_size=3),
    min_size=1,
    max_size=12,
)


def oracle(table):
    """Count in plain Python: {(source, goal): (users, votes, agreed, others)}."""
    cast, everything = defaultdict(list), defaultdict(float)
    for (source, _), goals in table.items():
        if goals:
            best = max(goals.values())
            goal = min(g for g, v in goals.items() if v == best)
            cast[source, goal].append(min(best, 1.0))
            everything[source] += min(best, 1.0)
    return {
        (source, goal): (len(votes), sum(votes), sum(votes) - max(votes), everything[source] - max(votes))
        for (source, goal), votes in cast.items()
    }


@settings(max_examples=200)
@given(ROWS)
def test_evidence_equals_the_oracle(table):
    rows = sorted(table)
    dense = np.zeros((len(rows), 8))
    for i, key in enumerate(rows):
        for goal, vote in table[key].items():
            dense[i, goal] = vote
    days = np.zeros(len(rows), dtype=np.int64)
    cast = Votes(
        source=np.array([source for source, _ in rows]),
        user=np.array([user for _, user in rows]),
        turns=np.full(len(rows), 5.0),
        success=np.zeros(len(rows)),
        steps=sparse.csr_array(dense),
        goals=sparse.csr_array(dense),
        resolved=dense.sum(axis=1),
        first_day=days,
        last_day=days,
        counted=days == 0,
    )
    pairs = votes.gather(cast)
    found = zip(
        pairs.source.tolist(), pairs.target.tolist(), pairs.users.tolist(), pairs.votes, pairs.agreed, pairs.others, strict=True
    )
    assert {(s, t): (users, *map(pytest.approx, rest)) for s, t, users, *rest in found} == oracle(table)


def test_who_is_left_out_votes_for_nobody_else_and_keeps_what_is_her_own():
    """Two accounts say what ann says, again and again; with them left out, ann and ben are all that counts."""
    honest = [(0, ANN, 0.0, 3), (0, BEN, 0.0, 3)]
    flood = [(source, user, 1.0, 3) for user in (7, 8) for source in range(3)]
    cast = cast_of([*honest, *flood])
    alone = cast_of(honest)
    out = replace(cast, counted=cast.user < 7)
    for name in Pairs.__slots__:
        assert np.array_equal(getattr(votes.gather(out, 2), name), getattr(votes.gather(alone, 2), name)), name
    rows, pairs = votes.of_users(out, votes.gather(out, 2), least=0.7, n_adversarial=2)
    mine, same = votes.of_users(alone, votes.gather(alone, 2), least=0.7, n_adversarial=2)
    kept = np.isin(out.user[rows], [ANN, BEN])
    assert len(mine) == kept.sum() > 0
    assert pairs.votes[kept].tolist() == same.votes.tolist()
    assert pairs.spoken_by[kept].tolist() == same.spoken_by.tolist()
    assert 7 in out.user[rows]  # the account's own rule, by its turns and those of ann and ben
