"""What depends on the context counts users, not turns, and fewer than k users decide nothing: by tables made by hand."""

import json
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from rewriter import Config
from rewriter.codes import RuleVerdict
from rewriter.config import Context
from rewriter.offline.mining.small_tables import write_context_values
from rewriter.offline.rules import context, exceptions

K = 3
SAID, GOAL, OTHER = 0, 1, 2
LAUNCHED = pd.DataFrame({"locale": ["en"], "source": ["s"], "state": ["g"], "first_day": [0], "last_day": [1]})


def mined(folder, turns):
    """The mined tables of turns (day, user, text, context value, turns, successes); every turn of SAID is restated by GOAL."""
    rows = pd.DataFrame(turns, columns=["day", "user_no", "said", "context_value", "turns", "success"])
    counts = rows.assign(rewritten=0, state=rows["said"], success=1000 * rows["success"])
    restated = rows[rows["said"] == SAID].assign(target=GOAL, mass=lambda of: 1000 * (of["turns"] - of["success"]))
    tables = {
        "counts": counts.drop(columns="context_value"),
        "context_counts": counts,
        "context_steps": restated[["day", "user_no", "said", "context_value", "target", "mass"]],
        "edges": pd.DataFrame({"source": [SAID], "target": [GOAL]}),
        "ages": pd.DataFrame({"age": range(10), "weight": 1_000_000}),
        "left_out": pd.DataFrame({"user_no": [99]}),
        "evidence_starts": pd.DataFrame({"node": [9], "context_value": ["never=said"], "day": [0]}),
        "row_days": rows.groupby("said", as_index=False)["day"].max().set_axis(["node", "last_day"], axis=1),
        "nodes": pd.DataFrame({"node": [SAID, GOAL, OTHER], "locale": "en", "kind": "u", "state": ["s", "g", "o"]}),
    }
    for name, frame in tables.items():
        duckdb.from_df(frame).write_parquet(str(folder / f"{name}.parquet"))
    return SimpleNamespace(
        nodes=folder / "nodes.parquet", named=lambda *names: {name: folder / f"{name}.parquet" for name in names}
    )


def found_in(folder, turns):
    """Context value of each cell -> (its part, its row in the description of the cells)."""
    tables = mined(folder, turns)
    cells = context.cells(tables, sparse.csr_array(np.eye(3)), np.ones(3), K)
    described = exceptions._described(cells, tables)
    return {said: (part, of) for said, part, (_, of) in zip(cells.context_value, cells.part, described.iterrows(), strict=True)}


def test_a_pair_of_text_and_value_needs_k_users(tmp_path):
    many = [(0, user, OTHER, "room=cellar", 9, 9) for user in range(9)]  # the value and the text are common, the pair is not
    many += [(0, user, SAID, "room=kitchen", 1, 0) for user in range(9)]
    assert "room=cellar" not in found_in(tmp_path, [*many, *((0, user, SAID, "room=cellar", 90, 0) for user in range(K - 1))])
    assert "room=cellar" in found_in(tmp_path, [*many, *((0, user, SAID, "room=cellar", 1, 0) for user in range(K))])


def test_shares_of_a_value_are_of_users(tmp_path):
    turns = [(0, user, SAID, "room=kitchen", 1, 0) for user in range(4)]
    turns += [(0, user, SAID, "room=office", 1, 0) for user in range(4, 8)]
    assert found_in(tmp_path, turns)["room=kitchen"][0] == 0.5
    loud = [*turns, (0, 0, SAID, "room=kitchen", 999, 0), (0, 0, SAID, "room=office", 1000, 0)]
    assert found_in(tmp_path, loud)["room=kitchen"][0] == 3.5 / 8
    loud = [*turns, (0, 0, SAID, "room=kitchen", 999, 0)]
    assert found_in(tmp_path, loud)["room=kitchen"][0] == 0.5  # and it is still a value that not nearly all turns have


def test_a_user_counts_for_one_turn_of_a_cell(tmp_path):
    turns = [(0, user, SAID, "room=kitchen", 1, 0) for user in range(4)] + [(0, 9, SAID, "room=office", 1, 0)]
    for well in (0, 1):
        (_, quiet), (_, loud) = (
            found_in(tmp_path, [*turns, (0, 4, SAID, "room=kitchen", n, n * well)])["room=kitchen"] for n in (1, 1000)
        )
        assert quiet["stay"] == loud["stay"] == well / 5
        assert quiet["votes"] == loud["votes"] == 5 - well


def everyday(users, share, key_users=None, days=(0, 1)):
    """Users who say SAID in the kitchen, and other texts so that this share of all their turns is in the office."""
    spread = round(100 * share)
    return [
        row
        for day in days
        for user in range(users)
        for row in (
            (day, user, SAID, "room=kitchen", 20, 0),
            (day, user, OTHER, "room=kitchen", 80 - spread, 80 - spread),
            (day, user, OTHER, "room=office", spread, spread),
        )
    ]


def rare_in(folder, turns, config=Config()):  # noqa: B008 - frozen
    tables = mined(folder, turns)
    return set(exceptions._rare(LAUNCHED, tables, config)["context_value"])


def test_a_text_is_rare_where_far_fewer_users_say_it_than_are_expected(tmp_path):
    """18 of 20 users are expected to say it with P .4 each: 7.2, and nobody does."""
    assert rare_in(tmp_path, everyday(20, 0.4)) == {"room=office"}
    assert rare_in(tmp_path, everyday(20, 0.2)) == set()  # 3.6 are expected: P(nobody) = .027


def test_few_accounts_cannot_make_a_value_look_common(tmp_path):
    """As a plain mean the share of the office would be .27: 4.9 are expected then, and P(nobody) = .007."""
    loud = [(day, 20 + n, OTHER, "room=office", 1000, 0) for n in range(K - 1) for day in (0, 1)]
    assert rare_in(tmp_path, [*everyday(20, 0.2), *loud]) == set()


def test_few_accounts_cannot_hide_that_a_text_is_rare(tmp_path):
    """P(at most two of 7.2) is .025, but two users who say it there are not counted."""
    there = [(1, user, SAID, "room=office", 1, 0) for user in range(K - 1)]
    assert rare_in(tmp_path, [*everyday(20, 0.4), *there]) == {"room=office"}


def test_few_accounts_cannot_make_a_text_look_common(tmp_path):
    """20 users would be expected with P .25 each: 5, and P(nobody) = .007; 18 are counted: 4.5, and P = .011."""
    more = [(day, 18 + n, SAID, "room=kitchen", 100, 0) for n in range(K - 1) for day in (0, 1)]
    assert rare_in(tmp_path, [*everyday(18, 0.25), *more]) == set()


@pytest.mark.parametrize(("users", "found"), [(K - 1, set()), (K, {"room=office"})])
def test_a_key_is_known_once_k_users_carry_it_on_some_days(tmp_path, users, found):
    """All carry it on one day, and few on another."""
    later = [(1, user, OTHER, value, 1, 1) for user in range(users) for value in ("room=kitchen", "room=office")]
    assert rare_in(tmp_path, [*everyday(20, 0.4, days=(0,)), *later]) == found
    three_days = Config.from_dict({"context": {"min_days": 3}})
    assert rare_in(tmp_path, [*everyday(20, 0.4, days=(0,)), *later], three_days) == set()


@pytest.mark.parametrize(("days", "found"), [((0,), set()), ((0, 1), {"room=office"})])
def test_a_value_is_known_once_it_occurs_on_half_of_the_days_of_its_key(tmp_path, days, found):
    kitchen = [(day, user, OTHER, "room=kitchen", 1, 1) for day in range(4) for user in range(20)]
    assert rare_in(tmp_path, [*kitchen, *everyday(20, 0.4, days=days)]) == found


@pytest.mark.parametrize(("against", "voters", "kept"), [(K, 0, True), (K - 1, 0, False), (K + 1, 1, True), (K + 1, 2, False)])
def test_evidence_against_a_rule_in_a_value_needs_k_users(tmp_path, against, voters, kept):
    """Users who vote for the rule's target there do not count against it."""
    tables = mined(tmp_path, everyday(1, 0.0))
    described = pd.DataFrame({"cell": [0], "context_value": ["room=office"], "part": 0.1, "locale": "en", "source": "s"})
    described = described.assign(users=9, users_against=against, turns=9, votes=9.0, stay=0.9)
    proposed = pd.DataFrame({"cell": [0], "state": "g", "win": 0.1, "loss": 0.2, "users": voters, "verdict": ""})
    rules = LAUNCHED.assign(rule="r", verdict=str(RuleVerdict.LAUNCHED))
    found = exceptions.exceptions(described, proposed if voters else proposed[:0], SimpleNamespace(rules=rules), tables, Config())
    assert (found["context_value"].tolist() == ["room=office"]) == kept


def values_of(folder, turns, **limits):
    frame = pd.DataFrame(turns, columns=["user_id", "context"]).assign(device_type=None)
    duckdb.from_df(frame.astype({"device_type": "string"})).write_parquet(str(folder / "turns.parquet"))
    write_context_values(folder / "turns.parquet", folder / "values.parquet", Context(**limits))
    return {said for (said,) in duckdb.sql(f"SELECT context_value FROM '{folder / 'values.parquet'}'").fetchall()}


def test_of_a_key_the_values_of_most_users_are_counted(tmp_path):
    loud = [("fake", json.dumps({"room": f"attic {n}", "place": "home", "hour": 3 * m})) for n in range(50) for m in range(5)]
    honest = [(f"user{n}", json.dumps({"room": room})) for n in range(2) for room in ("kitchen", "office")]
    kept = {said for said in values_of(tmp_path, [*loud, *honest], max_values=2) if not said.startswith("hour=")}
    assert kept == {"room=kitchen", "room=office", "place=home"}


def test_keys_of_a_turn_and_bytes_of_keys_and_values_are_bounded(tmp_path):
    said = {"room": "kitchen", "hour": 8, "place": "p" * 11, "state.a": "ä" * 5, "state.b": "ä" * 6, f"state.{'c' * 9}": 1}
    assert values_of(tmp_path, [("ann", json.dumps(said))], max_bytes=10) == {"room=kitchen", "hour=6-8", "state.a=äääää"}
    assert values_of(tmp_path, [("ann", json.dumps(said))], max_keys=2) == {"room=kitchen", "hour=6-8"}
    assert values_of(tmp_path, [("ann", json.dumps(said))], keys="place") == {"place=" + "p" * 11}
