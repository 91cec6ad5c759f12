"""Rules for the context on trials made by hand: who keeps the promise stays, who does not is withdrawn."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import room_log

from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline import context_life
from rewriter.offline.decide import LAUNCHED
from rewriter.offline.learn import learn
from rewriter.offline.trials import Trials
from rewriter.online.rewriter import Rewriter

WITHDRAWN = "retired: it does not work any more"
TODAY = 400


def rules(*ids):
    return pd.DataFrame(
        {"rule": ids, "locale": "en", "source": "a", "target": ids, "win": 0.9, "verdict": LAUNCHED}, index=range(5, 5 + len(ids))
    )


def trials(rule, sent, outcome, *, days=4, users=20, last=TODAY, arm=1):
    n = days * users
    return Trials(
        said=np.full(n, 1),
        sent=np.full(n, sent),
        arm=np.full(n, arm),
        rule=np.full(n, rule, dtype=object),
        share=np.full(n, np.nan),
        user=np.tile(np.arange(users), days),
        day=np.repeat(np.arange(last - days + 1, last + 1), users),
        outcome=np.full(n, outcome),
        weight=np.ones(n),
        voice=np.ones(n),
    )


@pytest.fixture
def verdicts(monkeypatch):
    """Return the verdicts that some rules, sent as texts 10, 11, …, get on some trials."""

    def found(frame, *parts):
        keys = pd.DataFrame({"said": 1, "sent": 10 + np.arange(len(frame)), "place": np.arange(len(frame)), "user": -1})
        seen = Trials(*(np.concatenate([getattr(part, name) for part in parts]) for name in Trials.__slots__))
        monkeypatch.setattr(context_life.lives, "numbered", lambda given, _: keys.iloc[: len(given)])
        monkeypatch.setattr(context_life.trials, "read", lambda *_: seen)
        monkeypatch.setattr(context_life.mine, "last_day", lambda _: TODAY)

        class Somewhere:
            counts = row_days = ages = None

        return context_life.withdraw(frame, Somewhere(), Config())["verdict"].tolist()

    return found


def test_each_rule_answers_for_its_own_rewrites(verdicts):
    good, bad = trials("r1", 10, 0.9), trials("r2", 11, 0.2)
    assert verdicts(rules("r1", "r2"), good, bad) == [LAUNCHED, WITHDRAWN]
    assert verdicts(rules("r1", "r2"), good, trials("other", 11, 0.2)) == [LAUNCHED, LAUNCHED]
    assert verdicts(rules("r1", "r2"), good, trials("r2", 11, 0.2, arm=0)) == [LAUNCHED, LAUNCHED]


def test_fewer_than_k_users_withdraw_nothing_and_what_is_long_ago_is_forgotten(verdicts):
    assert verdicts(rules("r1"), trials("r1", 10, 0.0, users=2, days=50)) == [LAUNCHED]
    assert verdicts(rules("r1"), trials("r1", 10, 0.0, users=4, days=50)) == [WITHDRAWN]
    assert verdicts(rules("r1"), trials("r1", 10, 0.0, last=TODAY - 90)) == [LAUNCHED]


def test_what_is_refused_already_stays_as_it_is(verdicts):
    refused = "the rule for everybody does not hold here"
    frame = rules("r1", "r2").assign(verdict=[refused, LAUNCHED])
    assert verdicts(frame, trials("r1", 10, 0.0), trials("r2", 10, 0.0)) == [refused, WITHDRAWN]


@pytest.mark.slow
def test_what_people_undo_in_one_room_is_not_sent_there_any_more(tmp_path):
    def answer(room):
        return Rewriter.open(tmp_path / "artefact").rewrite(room_log.SAID, user_id="guest", context={"room": room})

    def undone(day, user):
        when = datetime(2026, 1, 17, 8, tzinfo=UTC) + timedelta(days=day)
        row = {"user_id": user, "timestamp": when.isoformat(), "utterance": room_log.SAID, "status": "ok", "feedback": -1}
        decision = {"sent": before.text, "rule": before.rule, "layer": "precomputed", "scope": "global"}
        return row | decision | {"hypothesis": "LightOn|name=kitchen", "context": {"room": "kitchen"}}

    exact = Config.from_dict({"loop": {"refit_days": 0}})
    arguments = {"out": tmp_path / "artefact", "config": exact, "detector": RuleDetector()}
    learn([room_log.write(tmp_path / "log.jsonl")], **arguments)
    before, office = answer("kitchen"), answer("office")
    assert (before.text, office.text) == tuple(room_log.TARGETS.values())
    rows = [undone(day, user) for day in range(4) for user in room_log.USERS]
    (tmp_path / "undone.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    learn([tmp_path / "undone.jsonl"], **arguments)
    assert answer("kitchen").text == room_log.SAID
    assert answer("office").text == office.text
