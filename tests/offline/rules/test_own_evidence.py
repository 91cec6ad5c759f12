"""One restatement of a user's own is enough unless it changes what is meant; then three, on two days, none to the contrary."""

import json
from datetime import UTC, datetime, timedelta

import duckdb
import lamp_log
import numpy as np
import pytest
from scipy import sparse

from rewriter import Config, learn
from rewriter.artefact.versions import current
from rewriter.offline.rules.launch import _may_change_meaning
from rewriter.offline.rules.votes import Votes
from rewriter.text import hash_user

RULES_ONLY = Config.from_dict({"loop": {"refit_days": 0}})
TV = "TurnOff|name=tv"


def restated(user, day, said, meant, hypothesis, at=3000):
    clock = datetime(2026, 1, 5 + day, 9, 0, tzinfo=UTC) + timedelta(seconds=at + 60 * lamp_log.USERS.index(user))
    for text, of, status, seconds in ((said, None, "failed", 0), (meant, hypothesis, "ok", 6)):
        when = (clock + timedelta(seconds=seconds)).isoformat()
        yield {"user_id": user, "timestamp": when, "utterance": text, "hypothesis": of, "status": status}


def healthy(text, hypothesis, at):
    for user in lamp_log.USERS:
        clock = datetime(2026, 1, 6, 12, 0, tzinfo=UTC) + timedelta(seconds=at + 600 * lamp_log.USERS.index(user))
        yield {"user_id": user, "timestamp": clock.isoformat(), "utterance": text, "hypothesis": hypothesis, "status": "ok"}


def extra():
    yield from healthy("turn off the tv", TV, 0)
    for user in ("ida", "jon"):
        yield from restated(user, 2, "don't turn off the tv", "turn off the tv", TV)
        yield from restated(user, 4, "turn off the tee vee", "turn off the tv", TV)
    for day in (1, 3, 5, 7):
        yield from restated("gus", day, "don't turn off the tv", "turn off the tv", TV)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    (root / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*lamp_log.rows(), *extra())), encoding="utf-8")
    learn([root / "log.jsonl"], out=root / "out", config=RULES_ONLY)
    version = current(root / "out")
    names = {hash_user(user, bytes.fromhex(version.manifest.user_key)): user for user in lamp_log.USERS}
    with duckdb.cursor() as con:
        con.read_parquet(str(version.state / "rules.parquet")).create_view("rules")
        found = con.execute("SELECT user_id, source, target, verdict, detail FROM rules WHERE scope = 'personal'").fetchall()
    return {(names[user], source, target): (verdict, detail) for user, source, target, verdict, detail in found}


@pytest.mark.parametrize("user", ["ida", "jon"])
def test_one_restatement_changes_nothing_that_is_meant(verdicts, user):
    assert verdicts[user, "don't turn off the tv", "turn off the tv"] == ("guardrail", "drops_negation|don't||")


@pytest.mark.parametrize("user", ["ida", "jon"])
def test_one_restatement_is_enough_for_anything_else(verdicts, user):
    assert verdicts[user, "turn off the tee vee", "turn off the tv"][0] == "launched"


def test_three_on_two_days_may_change_what_is_meant(verdicts):
    assert verdicts["gus", "don't turn off the tv", "turn off the tv"][0] == "launched"


@pytest.mark.parametrize(
    ("own", "days", "elsewhere", "as_spoken", "expected"),
    [
        (3.0, 1, 0.0, 0.0, True),
        (2.0, 1, 0.0, 0.0, False),
        (3.0, 0, 0.0, 0.0, False),
        (3.0, 1, 0.9, 0.0, False),
        (3.0, 1, 0.0, 0.9, False),
    ],
)
def test_what_counts_as_enough(own, days, elsewhere, as_spoken, expected):
    empty, one = sparse.csr_array((1, 1)), np.ones(1)
    day = np.array([20_000])
    votes = Votes(day, day, 4 * one, as_spoken * one, empty, empty, (own + elsewhere) * one, day, day + days, one > 0)
    assert _may_change_meaning(votes, np.array([0]), own * one).tolist() == [expected]
