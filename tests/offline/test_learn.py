"""From a log to rewrites with the real `learn`: what is launched, refused, kept private, and survives a kill."""

import json
import shutil
import stat
from collections import Counter
from datetime import UTC, datetime, timedelta

import duckdb
import lamp_log
import numpy as np
import pytest
from crash import states_of

from rewriter import Config, Rewriter, learn
from rewriter.artefact.versions import current, verify, version_ids
from rewriter.errors import LogError
from rewriter.model.detector import RuleDetector
from rewriter.operate.explain import explain
from rewriter.tables import RULES, check
from rewriter.text import hash_user

RULES_ONLY = Config.from_dict({"loop": {"refit_days": 0}})
"""Without an online layer, which takes most of the time of learning."""


def rules_of(root):
    version = current(root)
    with duckdb.cursor() as con:
        con.read_parquet(str(version.state / "rules.parquet")).create_view("rules")
        found = con.execute("SELECT scope, user_id, source, target, verdict FROM rules WHERE scope <> 'online'").fetchall()
    key = bytes.fromhex(version.manifest.user_key)
    names = {hash_user(user, key): user for user in lamp_log.USERS} | {"": ""}
    return {(scope, names[user], source, target): verdict for scope, user, source, target, verdict in found}


def test_the_right_rules_are_launched_and_every_other_has_its_reason(lamp):
    root, report = lamp
    rules = rules_of(root)
    assert rules["global", "", "turn of the lamp", "turn off the lamp"] == "launched"
    assert rules["personal", "ann", lamp_log.OWN, "play my mix"] == "launched"
    assert rules["global", "", "switch on lamb", "turn off the lamp"] == "guardrail"
    assert rules["global", "", lamp_log.RARE, "turn off the lamp"] == "few_say_source"
    flips = {("personal", user, "switch on lamb", "turn off the lamp") for user in lamp_log.USERS[:5]}
    launched = {key for key, verdict in rules.items() if verdict == "launched"}
    assert launched == flips | {  # what nobody may infer for others, people may mean themselves
        ("global", "", "turn of the lamp", "turn off the lamp"),
        ("personal", "ann", lamp_log.OWN, "play my mix"),
    }
    torn = [verdict for (_, user, source, _), verdict in rules.items() if (user, source) == ("hal", lamp_log.TORN)]
    assert len(torn) == 2
    assert "launched" not in torn
    assert report.rules == {"global": 1, "personal": 6}
    assert sum(report.refused.values()) == len(rules) - len(launched)


def test_the_key_of_the_folder_decides_nothing(lamp, tmp_path):
    learn([lamp_log.write(tmp_path / "log.jsonl")], out=tmp_path / "again")
    keys, rules, deciders = set(), [], set()
    for root in (lamp[0], tmp_path / "again"):
        keys.add(current(root).manifest.user_key)
        rules.append(rules_of(root))
        deciders.add((current(root).folder / "online" / "decider.json").read_bytes())
    assert len(keys) == 2
    assert rules[0] == rules[1]
    assert len(deciders) == 1


def test_rewrites(lamp):
    rewriter = Rewriter.open(lamp[0])
    answer = rewriter.rewrite("Turn of the LAMP!", user_id="somebody new")
    assert (answer.text, answer.applied, answer.scope, answer.reason) == ("turn off the lamp", True, "global", "rule")
    assert rewriter.rewrite(lamp_log.OWN, user_id="ann").text == "play my mix"
    for user in (None, "ben", "somebody new"):
        assert not rewriter.rewrite(lamp_log.OWN, user_id=user).applied
    assert rewriter.rewrite("switch on lamb", user_id="ben").scope == "personal"
    for text in ("turn on the lamp", lamp_log.RARE, "switch on lamb", "never heard", ""):
        assert rewriter.rewrite(text, user_id="fay").text == text


def test_evidence_of_the_launched_rule(lamp):
    explained = explain(lamp[0], "turn of the lamp")
    best = explained.rivals[0]
    assert (best.target, best.users, best.verdict) == ("turn off the lamp", 10, "launched")
    assert best.turns == pytest.approx(sum(10 * 2 ** (-age / 30) for age in (0, 2, 4, 6, 8)), abs=0.05)
    assert (best.last_day - best.first_day, round(best.stay, 3)) == (8, 0.0)
    assert 0.9 < best.p_goal <= 1.0
    assert best.p_gain >= 0.95
    assert best.win > 19 * best.loss
    assert (explained.counts[0].turns, explained.counts[0].users) == (50, 10)


def test_state_is_private_and_tables_are_as_declared(lamp):
    version = current(lamp[0])
    verify(version)
    check(RULES, version.state / "rules.parquet")
    check(RULES, version.folder / "rules.parquet")
    for path in version.state.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(version.state.parent.stat().st_mode) == 0o700


def said_by():
    """User count of every text of the log."""
    users = {}
    for row in lamp_log.rows():
        users.setdefault(row["utterance"].lower(), set()).add(row["user_id"])
    return Counter({text: len(who) for text, who in users.items()})


def test_no_text_of_few_users_is_in_the_artefact_outside_their_slices(lamp):
    folder = current(lamp[0]).folder
    few = [text for text, users in said_by().items() if users < 3]
    assert {lamp_log.RARE, lamp_log.OWN, *lamp_log.SECRETS.values()} <= set(few)
    for path in filter(lambda p: p.is_file(), folder.rglob("*")):
        held = path.read_bytes()
        for text in few:
            own = path.name in ("personal.mdb", "moments.mdb") and text in (lamp_log.OWN, "play my mix")
            own |= path.parent == folder / "online" / "habits" / "private"  # who reaches it: test_stock
            assert own or text.encode() not in held, f"{text!r} is in {path.name}"
        for user in lamp_log.USERS:
            assert f'"{user}"'.encode() not in held, f"the name of {user} is in {path.name}"


def test_k_is_an_argument(tmp_path):
    log = lamp_log.write(tmp_path / "log.jsonl")
    learn(
        [log],
        out=tmp_path / "two",
        config=Config.from_dict({"launch": {"min_users": 11}, "loop": {"refit_days": 0}}),
        detector=RuleDetector(),
    )
    assert not Rewriter.open(tmp_path / "two").rewrite("turn of the lamp").applied


def test_bad_rows_are_kept_with_their_reason(tmp_path):
    log = lamp_log.write(tmp_path / "log.jsonl")
    with log.open("a") as file:
        file.write('{"user_id": null, "timestamp": "2026-01-05", "utterance": "who am i"}\n')
    report = learn([log], out=tmp_path / "artefact", config=RULES_ONLY, detector=RuleDetector())
    assert dict(report.log.rejected) == {"no user": 1}
    rejected = current(tmp_path / "artefact").state / "rejected.parquet"
    with duckdb.cursor() as con:
        assert con.execute("SELECT row_number, reason FROM read_parquet(?)", [str(rejected)]).fetchall() == [
            (sum(1 for _ in lamp_log.rows()) + 1, "no user")
        ]


def test_a_failed_learn_leaves_the_old_version_serving(tmp_path, lamp):
    root = tmp_path / "artefact"
    shutil.copytree(lamp[0], root)
    before = version_ids(root / "versions")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LogError):
        learn([tmp_path / "bad.csv"], out=root)
    assert version_ids(root / "versions") == before
    assert Rewriter.open(root).rewrite("turn of the lamp").applied


SCRIPT = """
import sys
import rewriter.offline.learn
from rewriter import learn
from rewriter.model.detector import RuleDetector
learn([sys.argv[2]], out=sys.argv[1], detector=RuleDetector(), afresh=True)
"""


@pytest.fixture(scope="module")
def killed(small, tmp_path_factory):
    """What a SIGKILL leaves before each step that finds the disk changed, in order; the log; the id of the new version."""
    place = tmp_path_factory.mktemp("killed")
    log, root, states = lamp_log.write(place / "log.jsonl"), place / "artefact", place / "states"
    shutil.copytree(small, root)
    states_of(SCRIPT, states, root, str(log))
    return sorted(states.iterdir(), key=lambda path: int(path.name)), log, current(root).id


@pytest.mark.slow
def test_a_killed_learn_leaves_the_old_version_serving(killed, small):
    states, _, new = killed
    old, serving = current(small).id, [current(root).id for root in states]
    published = serving.index(new)
    assert old != new
    assert len(states) > published > 2 * len(states) // 3 > 50, "it publishes near its end"
    assert serving == [old] * published + [new] * (len(states) - published)
    for root in states:
        verify(current(root))
        assert Rewriter.open(root).rewrite("turn of the lamp").text == "turn off the lamp"


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.1, 0.5, 0.75, 0.99])
def test_after_a_kill_the_next_learn_works_and_sweeps(killed, tmp_path, part):
    states, log, _ = killed
    root = shutil.copytree(states[int(part * len(states))], tmp_path / "artefact")
    learn([log], out=root, config=RULES_ONLY, detector=RuleDetector())
    verify(current(root))
    assert [path.name for path in root.rglob(".*")] == []
    assert {path.name for path in (root / "versions").iterdir()} == set(version_ids(root / "versions"))


class Unsure:
    """A detector that takes everything for a restatement with one and the same probability."""

    columns = ("ahead",)

    def __init__(self, thousandths):
        self.thousandths = thousandths

    def score(self, candidates):
        return np.full(len(candidates["ahead"]), self.thousandths, dtype=np.int64)


@pytest.mark.parametrize(("thousandths", "unsure"), [(100, True), (900, False)])
def test_a_rule_rests_on_one_whole_restatement_at_least(tmp_path, thousandths, unsure):
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    rows = []
    for i in range(6):
        for seconds, text, hypothesis in ((0, "lamp of wrong", None), (5, "turn off the lamp", "TurnOff|name=lamp")):
            when = (start + timedelta(hours=i, seconds=seconds)).isoformat()
            status = "failed" if hypothesis is None else "ok"
            rows.append({"user_id": f"u{i}", "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    learn([tmp_path / "log.jsonl"], out=tmp_path / "artefact", config=RULES_ONLY, detector=Unsure(thousandths))
    with duckdb.cursor() as con:
        con.read_parquet(str(current(tmp_path / "artefact").state / "rules.parquet")).create_view("rules")
        [(verdict,)] = con.execute("SELECT verdict FROM rules WHERE scope = 'global' AND source = 'lamp of wrong'").fetchall()
    assert (verdict == "goal_unsure") == unsure
