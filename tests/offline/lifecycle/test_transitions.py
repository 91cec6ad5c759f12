"""From verdicts and yesterday's lives to today's: who enters, who waits, who leaves and comes back. Plain frames, no log."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from rewriter.errors import ArtefactError
from rewriter.offline.lifecycle import transitions
from rewriter.tables import RULES, STAGE_CHANGES, STAGE_COUNTS

GOOD = {"p_goal": 0.9, "win": 0.9, "loss": 0.02, "stay": 0.1, "score": 0.9, "similarity": 0.9, "p_gain": 0.99, "p_better": np.nan}


def row(rule, source, target, verdict, *, user="", **values):
    fixed = {"scope": "personal" if user else "global", "user_id": user, "context_value": "", "locale": "en", "state": target}
    days = {
        "users": 5,
        "turns": 9.0,
        "first_day": 1,
        "last_day": 9,
        "rule": rule,
        "source": source,
        "target": target,
        "verdict": verdict,
        "detail": "",
    }
    return fixed | days | GOOD | values


def frame(*rows, names=RULES.names):
    return pd.DataFrame(list(rows), columns=[n for n in names if not rows or n in rows[0]])


def old(rule, source, target, state, since, **values):
    figures = {"tried": 0.0, "tried_ok": 0.0, "left_alone": 0.0, "left_ok": 0.0, "share": 0.9}
    return row(rule, source, target, "launched", stage=state, since_day=since, **figures | values)


def considered(decided, before=(), today=20, draw=True):
    had = pd.DataFrame(list(before), columns=list(RULES.names))
    found = transitions._enter_and_leave(frame(*decided), had, today, draw=draw)
    return {r["rule"]: (r["stage"], r["since_day"], r["verdict"], r["reason"]) for r in found.to_dict("records")}


def test_who_is_launched_enters_as_a_canary_or_live_where_nothing_is_drawn():
    decided = [row("r1", "a", "b", "launched"), row("p1", "a", "c", "launched", user="u")]
    found = considered(decided)
    assert found["r1"] == ("canary", 21, "launched", "restated")
    assert found["p1"][0] == "live"
    assert considered(decided, draw=False)["r1"][0] == "live"


def test_what_is_unsure_is_watched_and_what_cannot_be_is_not():
    decided = [row("r1", "a", "b", "gain_unsure"), row("r2", "c", "d", "staying_better")]
    found = considered(decided)
    assert (found["r1"][0], found["r2"][0]) == ("shadow", "")


def test_a_rule_that_serves_stays_whatever_is_thought_of_it_today_and_others_of_its_text_wait():
    before = [old("r1", "a", "b", "live", 5), old("r9", "x", "y", "probation", 7)]
    decided = [row("r1", "a", "b", "gain_unsure"), row("r2", "a", "c", "launched")]
    found = considered(decided, before)
    assert found["r1"] == ("live", 5, "launched", "")
    assert found["r2"][0::2] == ("shadow", "source_taken")
    assert found["r9"][:2] == ("probation", 7)  # nobody weighed it today


@pytest.mark.parametrize(
    ("tried", "went_well", "takes_over"), [(50, 20, True), (50, 46, False), (1, 0, False), (5, 0, True), (0, 0, False)]
)
def test_a_better_rule_takes_over_through_canary_where_the_one_at_work_surely_does_less(tried, went_well, takes_over):
    """P(success < .9), with a promise of .9 that is worth five trials."""
    before = [old("r1", "a", "b", "live", 5, tried=float(tried), tried_ok=float(went_well))]
    found = considered([row("r1", "a", "b", "outranked"), row("r2", "a", "c", "launched")], before)
    if takes_over:
        assert found == {
            "r1": ("shadow", 21, "outdone", "outdone"),
            "r2": ("canary", 21, "launched", "restated"),
        }
    else:
        assert found == {"r1": ("live", 5, "launched", ""), "r2": ("shadow", 21, "source_taken", "")}
    undrawn = considered([row("r2", "a", "c", "launched")], before, draw=False)
    assert undrawn["r1"][0] == "live"


@pytest.mark.parametrize("verdict", ["guardrail", "few_say_source"])
def test_what_is_not_allowed_any_more_leaves_at_once(verdict):
    found = considered([row("r1", "a", "b", verdict)], [old("r1", "a", "b", "live", 5)])
    assert found["r1"] == ("retired", 21, verdict, "forbidden")


def test_a_retired_rule_comes_back_on_new_evidence_only_and_a_personal_one_does_not():
    before = [old("r1", "a", "b", "retired", 5), old("p1", "a", "c", "retired", 5, user="u")]
    found = considered([row("r1", "a", "b", "gain_unsure"), row("p1", "a", "c", "launched", user="u")], before)
    assert found["r1"][0] == "retired"
    assert found["p1"][0::2] == ("retired", "retired")
    assert considered([row("r1", "a", "b", "launched")], before[:1])["r1"][0] == "canary"
    assert considered([], before, today=500) == {}


def test_the_source_begins_anew_where_the_doubt_began():
    moved = pd.DataFrame(
        [old("r1", "a", "b", "retired", 21), old("r2", "c", "d", "retired", 21), old("r3", "e", "f", "live", 21)]
    )
    was = pd.DataFrame({"stage": ["probation", "live", "canary"], "since_day": [12, 3, 4]})
    assert transitions._evidence_starts(moved, was, 20) == {("en", "a", ""): 12, ("en", "c", ""): 21}


def test_every_change_is_told_once():
    before = transitions.Lifecycle(
        pd.DataFrame([old("r1", "a", "b", "canary", 5)]),
        pd.DataFrame(columns=list(STAGE_CHANGES.names)),
        {},
        pd.DataFrame(columns=list(STAGE_COUNTS.names)),
    )
    now = pd.DataFrame(
        [
            old("r1", "a", "b", "live", 21, reason="x"),
            old("r2", "c", "d", "canary", 21, reason="y"),
            old("r3", "e", "f", "live", 4, reason=""),
        ]
    )
    told = transitions._changes(before, now, 20)
    assert told[["day", "rule", "stage_before", "stage", "reason"]].to_numpy().tolist() == [
        [20, "r1", "canary", "live", "x"],
        [20, "r2", "", "canary", "y"],
    ]


def test_state_is_read_as_it_was_written(tmp_path):
    rules = pd.DataFrame([old("r1", "a", "b", "live", 5)])
    nothing = transitions.Lifecycle.empty()
    told, standing = transitions._changes(nothing, rules.assign(reason="x"), 20), transitions._counts(nothing.counts, rules, 20)
    now = transitions.Lifecycle(rules, told, {("en", "a \ud800", "room=hall"): 7}, standing)
    now.write(tmp_path)
    found = transitions.Lifecycle.read(tmp_path)
    assert found.rules["rule"].tolist() == ["r1"]
    assert found.changes["reason"].tolist() == ["x"]
    assert found.evidence_starts == {("en", "a \ud800", "room=hall"): 7}
    assert found.counts.to_numpy().tolist() == [[20, "global", "live", 1]]
    assert transitions.Lifecycle.read(None).rules.empty


def test_the_last_word_of_a_day_says_where_rules_stand():
    rules = pd.DataFrame([old("r1", "a", "b", "live", 5), old("r2", "c", "d", "live", 5), old("r3", "e", "f", "", 5)])
    first = transitions._counts(pd.DataFrame([[19, "global", "canary", 2]], columns=list(STAGE_COUNTS.names)), rules[:1], 20)
    assert first.to_numpy().tolist() == [[19, "global", "canary", 2], [20, "global", "live", 1]]
    assert transitions._counts(first, rules, 20).to_numpy().tolist() == [[19, "global", "canary", 2], [20, "global", "live", 2]]


def test_rules_of_an_older_release_are_told_in_one_line(tmp_path):
    transitions.Lifecycle.empty().write(tmp_path)
    with duckdb.cursor() as con:
        older = con.read_parquet(str(tmp_path / "rules.parquet")).project("* EXCLUDE (context_value)").df()
        con.register("older", older)
        con.sql("FROM older").write_parquet(str(tmp_path / "rules.parquet"))
    with pytest.raises(ArtefactError, match="without context_value; learn with --afresh"):
        transitions.Lifecycle.read(tmp_path)
