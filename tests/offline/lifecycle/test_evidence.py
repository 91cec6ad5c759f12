"""Whose trials are whose, on tables made by hand: of one text a rule for everybody, two for a room, and one that is gone."""

from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from rewriter.offline.lifecycle import evidence
from rewriter.offline.trials import Trials

DAY = 10
SAID, SENT, KITCHEN, OFFICE = range(4)
TEXTS = ["light", "lamp", "kitchen light", "office light"]
COUNTS = ["day", "user_no", "said", "sent", "rewritten", "state", "rule", "share", "turns", "failed", "success", "failure"]
SHARE = 900_000
PART = "online-before-global"


@pytest.fixture
def mined(tmp_path):
    """Two texts a row: what was decided, and what became of it."""

    def write(name, rows, columns):
        with duckdb.cursor() as con:
            con.register("given", pd.DataFrame(rows, columns=columns))
            con.sql("FROM given").write_parquet(str(tmp_path / f"{name}.parquet"))

    write("texts", [(i, "en", "u", text, 0) for i, text in enumerate(TEXTS)], ["id", "locale", "kind", "text", "stop"])
    write("users", [(i, f"u{i}") for i in range(4)], ["user_no", "user_id"])
    write("row_days", [(SAID, DAY), (SENT, 7)], ["node", "last_day"])
    write("ages", [(age, 1_000_000 >> age) for age in range(DAY)], ["age", "weight"])
    rows = [
        (9, 0, SAID, SENT, 1, 7, "all", SHARE, 2, 0, 1_000, 1_000),
        (9, 1, SAID, SAID, 0, 7, "all", SHARE, 1, 1, 0, 1_000),
        (DAY, 0, SAID, KITCHEN, 1, 7, "kitchen", SHARE, 1, 0, 1_000, 0),
        (DAY, 1, SAID, SAID, 0, 7, "kitchen", SHARE, 1, 0, 250, 750),
        (DAY, 2, SAID, OFFICE, 1, 7, "gone", -1, 1, 0, 1_000, 0),
        (DAY, 3, SAID, SAID, 0, 7, "", -1, 1, 0, 0, 1_000),
        (4, 0, SENT, KITCHEN, 1, 7, PART, SHARE, 1, 0, 1_000, 0),
        (7, 1, SENT, OFFICE, 1, 7, PART, SHARE, 1, 0, 500, 500),
        (7, 2, SAID, SAID, 0, 7, PART, SHARE, 1, 0, 0, 1_000),
    ]
    write("counts", rows, COUNTS)
    there = [
        (8, 2, SAID, 0, 7, "room=kitchen", 2, 500),
        (8, 2, SAID, 0, 7, "room=office", 1, 1_000),
        (DAY, 1, SAID, 0, 7, "room=kitchen", 1, 250),
        (DAY, 0, SAID, 1, 7, "room=kitchen", 1, 1_000),
    ]
    write("context_counts", there, ["day", "user_no", "said", "rewritten", "state", "context_value", "turns", "success"])

    def named(*names):
        return {name: tmp_path / f"{name}.parquet" for name in names}

    return SimpleNamespace(named=named, **named("counts", "row_days", "ages"))


RULES = pd.DataFrame(
    [("kitchen", "room=kitchen", TEXTS[KITCHEN]), ("all", "", TEXTS[SENT]), ("office", "room=office", TEXTS[OFFICE])],
    columns=["rule", "context_value", "target"],
).assign(user_id="", scope="global", locale="en", source=TEXTS[SAID])


def told(rules, mined, evidence_starts=None):
    seen, rule, sent = evidence.trials_of(rules, pd.Index(["kitchen", "office", "gone", PART]), mined, evidence_starts or {})
    rows = zip(rules["rule"].to_numpy()[rule], seen.user, seen.day, seen.arm, seen.share, seen.outcome, seen.weight, strict=True)
    return {(name, int(user), int(day)): tuple(map(float, rest)) for name, user, day, *rest in rows}, sent.tolist()


def test_a_rule_for_a_room_answers_for_its_own_decisions_and_for_what_its_text_came_to_there(mined):
    found, sent = told(RULES, mined)
    drawn = SHARE / 1e6
    own = {("kitchen", 0, DAY): (1, drawn, 1.0, 1.0), ("kitchen", 1, DAY): (0, drawn, 0.25, 1.0)}
    spoken = {key: value for key, value in found.items() if np.isnan(value[1])}
    assert {key: value for key, value in found.items() if key not in spoken} == own | {
        ("all", 0, 9): (1, drawn, 0.5, 0.5), ("all", 1, 9): (0, drawn, 0.0, 0.5)
    }  # fmt: skip
    # Nothing of what a rule that is gone decided; each turn as spoken once, that of the drawn day with its draw.
    assert {key: (value[0], *value[2:]) for key, value in spoken.items()} == {
        ("all", 3, DAY): (0, 0.0, 1.0), ("kitchen", 2, 8): (0, 0.25, 0.25), ("office", 2, 8): (0, 1.0, 0.25)
    }  # fmt: skip
    assert sent == [KITCHEN, SENT, OFFICE]


def test_without_rules_for_a_context_nothing_is_looked_up_there(mined):
    found, _ = told(RULES[RULES["rule"] == "all"].reset_index(drop=True), mined)
    assert set(found) == {("all", 0, 9), ("all", 1, 9), ("all", 3, DAY)}


def test_a_part_of_the_online_layer_answers_for_all_that_was_decided_under_its_name_since_it_was_in_doubt(mined):
    part = pd.DataFrame([{"rule": PART, "scope": "online", "context_value": "", "locale": "", "source": PART, "target": ""}])
    rules = pd.concat([RULES, part.assign(user_id="")], ignore_index=True)
    found, sent = told(rules, mined)
    drawn = SHARE / 1e6
    of_part = {key: value for key, value in found.items() if key[0] == PART}
    assert of_part == {  # all age towards the newest day, each text with its own
        (PART, 0, 4): (1, drawn, 1.0, 1 / 64), (PART, 1, 7): (1, drawn, 0.5, 1 / 8), (PART, 2, 7): (0, drawn, 0.0, 1 / 8)
    }  # fmt: skip
    assert sent[-1] == -1
    later, _ = told(rules, mined, {("", PART, ""): 5})
    assert {key for key in later if key[0] == PART} == {(PART, 1, 7), (PART, 2, 7)}
    assert {key: v for key, v in later.items() if key[0] != PART}.keys() == told(RULES, mined)[0].keys()


@pytest.mark.parametrize("accounts", [0, 1, 2])
def test_what_fewer_than_k_users_reject_does_not_make_room_for_a_rival(accounts):
    """Six users of whom one rejects a rewrite, and accounts that reject it every day: the rule has the trials of the others."""
    said = [(user, day, 1.0) for user in range(5) for day in range(3)] + [(5, 0, 0.0)]
    said += [(100 + n, day, 0.0) for n in range(accounts) for day in range(10)]
    user, day, outcome = (np.array(column) for column in zip(*said, strict=True))
    n, ones = len(said), np.ones(len(said))
    sent, nothing = np.full(n, SENT), np.full(n, "", dtype=object)
    seen = Trials(np.full(n, SAID), sent, ones.astype(np.int64), nothing, np.full(n, np.nan), user, day, outcome, ones, ones)
    tried, ok = evidence.tried_by_others(seen, np.zeros(n, dtype=np.int64), np.array([SENT]), np.array([2]))
    assert ok / tried == 1.0 if accounts < 2 else ok / tried == pytest.approx(15 / 16)
    assert tried[0] >= 12
