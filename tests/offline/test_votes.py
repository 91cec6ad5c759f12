"""Votes and evidence against hand-worked figures and a plain-Python oracle."""

from collections import defaultdict

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from rewriter.offline import evidence, votes
from rewriter.offline.votes import Votes

NODES = pd.DataFrame(
    [(0, "en", "h", "off|lamp"), (1, "en", "h", "on|lamp"), (2, "en", "u", "turn of lamp"), (3, "en", "u", "turn of the lamp")],
    columns=["node", "locale", "kind", "state"],
)
# ann restates twice (once well), ben once, cem gives up, dan's source nobody ever restated.
COUNTS = pd.DataFrame(
    [
        (10, "ann", "en", "u", "turn of the lamp", "h", "off|lamp", 900, 1),
        (11, "ann", "en", "u", "turn of the lamp", "u", "turn of lamp", 800, 1),
        (11, "ann", "en", "u", "turn of the lamp", "-", "", 300, 2),
        (12, "ben", "en", "u", "turn of the lamp", "h", "on|lamp", 600, 1),
        (12, "ben", "en", "u", "turn of the lamp", "+", "", 400, 1),
        (13, "cem", "en", "u", "turn of the lamp", "-", "", 1000, 1),
        (13, "dan", "en", "u", "turn of lamp", "-", "", 1000, 1),
        (13, "ann", "en", "h", "off|lamp", "+", "", 1000, 1),
    ],
    columns=["day", "user_id", "locale", "kind", "state", "target_kind", "target", "mass", "turns"],
)
# Downstream of the restatement: off|lamp ends well there 9 times in 10; "turn of lamp" half the time at off|lamp.
SCORES = sparse.csr_array(np.array([[0.9, 0, 0, 0], [0, 0.8, 0, 0], [0.5, 0, 0, 0], [0.6, 0.3, 0, 0.1]]))


@pytest.fixture
def ground(tmp_path):
    for name, frame in (("counts", COUNTS), ("nodes", NODES)):
        with duckdb.connect() as con:
            con.register("frame", frame)
            con.sql("SELECT * FROM frame").write_parquet(str(tmp_path / f"{name}.parquet"))
    return votes.read(tmp_path / "counts.parquet", tmp_path / "nodes.parquet", SCORES, SCORES.sum(axis=1))


def test_votes_follow_the_chain(ground):
    rows = {(s, u): i for i, (s, u) in enumerate(zip(ground.source.tolist(), ground.user, strict=True))}
    assert set(rows) == {(3, "ann"), (3, "ben"), (3, "cem")}
    ann, ben, cem = rows[3, "ann"], rows[3, "ben"], rows[3, "cem"]
    assert ground.turns[[ann, ben, cem]].tolist() == [2.0, 1.0, 1.0]
    assert ground.success[[ann, ben, cem]].tolist() == [0.0, 0.4, 0.0]
    assert ground.goals[ann, 0] == pytest.approx(0.9 * 0.9 + 0.8 * 0.5)
    assert ground.goals[ben, 1] == pytest.approx(0.6 * 0.8)
    assert ground.resolved[cem] == 0.0
    assert (ground.first_day[ann], ground.last_day[ann]) == (10, 11)


def test_evidence_leaves_out_the_vote_that_proposed(ground):
    pairs = evidence.gather(ground, SCORES, SCORES.diagonal())
    assert list(zip(pairs.source.tolist(), pairs.target.tolist(), pairs.rank.tolist(), strict=True)) == [(3, 0, 0), (3, 1, 1)]
    assert pairs.said_by.tolist() == [3, 3]
    assert pairs.users.tolist() == [1, 1]
    assert pairs.turns.tolist() == [4.0, 4.0]
    assert pairs.stay.tolist() == [0.1, 0.1]
    # ann's votes come to 1.21 and count as one; ben's to 0.48; whoever voted strongest for the pair is left out.
    assert pairs.agreed == pytest.approx([0.0, 0.0])
    assert pairs.asked == pytest.approx([0.48, 1.0])
    assert pairs.ok == pytest.approx([0.4, 0.4])


def oracle(rows, n, scores):
    """Count the votes in plain Python: {(source, target): (users, agreed, asked)}."""
    by_pair, by_source = defaultdict(list), defaultdict(list)
    for source, _, goals in rows:
        resolved = sum(goals.values())
        weight = min(resolved, 1.0)
        by_source[source].append(weight)
        for target, vote in goals.items():
            by_pair[source, target].append((vote / resolved * weight if resolved else 0.0, weight))
    found = {}
    for (source, target), cast in by_pair.items():
        best_vote, best_weight = max(cast)
        users = sum(vote > 0.5 * weight for vote, weight in cast)
        found[source, target] = (users, sum(v for v, _ in cast) - best_vote, sum(by_source[source]) - best_weight)
    return found


ROWS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.sampled_from("abcdef")),
    st.dictionaries(st.integers(4, 7), st.integers(1, 2000).map(lambda x: x / 1000), max_size=3),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200)
@given(ROWS)
def test_evidence_equals_the_oracle(table):
    rows = [(s, u, goals) for (s, u), goals in sorted(table.items())]
    n = 8
    dense = np.zeros((len(rows), n))
    for i, (_, _, goals) in enumerate(rows):
        for target, vote in goals.items():
            dense[i, target] = vote
    scores = np.zeros((n, n))
    scores[:4, 4:] = 0.25
    cast = Votes(
        source=np.array([s for s, _, _ in rows]),
        user=np.array([u for _, u, _ in rows], dtype=object),
        turns=np.full(len(rows), 5.0),
        success=np.zeros(len(rows)),
        steps=sparse.csr_array(dense),
        goals=sparse.csr_array(dense),
        resolved=dense.sum(axis=1),
        first_day=np.zeros(len(rows), dtype=np.int64),
        last_day=np.zeros(len(rows), dtype=np.int64),
    )
    pairs = evidence.gather(cast, sparse.csr_array(scores), np.zeros(n), rivals=4)
    expected = oracle(rows, n, scores)
    for i, key in enumerate(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)):
        users, agreed, asked = expected.get(key, (0, 0.0, None))
        assert pairs.users[i] == users
        assert pairs.agreed[i] == pytest.approx(agreed, abs=1e-9)
        if asked is not None:
            assert pairs.asked[i] == pytest.approx(asked, abs=1e-9)
