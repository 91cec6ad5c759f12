"""`compare`: what counts as supported, case by case; and from logs and artefacts to the table."""

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta

import lamp_log
import numpy as np
import pytest
from click.testing import CliRunner

from rewriter.artefact.writer import Writer
from rewriter.cli import main
from rewriter.config import Config
from rewriter.evaluation.compare import LoggedDecision, compare, opened, release_of
from rewriter.evaluation.replay import RecordedTurn, firsts
from rewriter.model.rules import Rule, write_rules

PLAIN = RecordedTurn("t", "hash", "ann", 0, "en", "lamp of", "lamp of", None, False, False, (), {}, None)
SENT = dataclasses.replace(PLAIN, sent="lamp off")


def answer(text="lamp of", rule=None, arm=None, propensity=None):
    from rewriter.result import Rewrite

    applied = text != "lamp of"
    layer = ("precomputed" if rule else "online") if applied else None
    fixed = {"id": "i", "source": "lamp of", "reason": "rule", "score": None, "suggestion": None, "candidates": ()}
    told = {"text": text, "applied": applied, "rule": rule, "arm": arm, "propensity": propensity, "layer": layer, "scope": None}
    return Rewrite(**fixed, **told, artefact="a")


DRAWN, SURE, NONE = LoggedDecision("r", True, 0.5), LoggedDecision("r", False, 1.0), LoggedDecision("", False, 1.0)


@pytest.mark.parametrize(
    ("turn", "decision", "said", "share", "supported"),
    [
        (PLAIN, NONE, answer(), 0, True),  # nobody rewrites
        (PLAIN, NONE, answer("lamp off", "r"), 1, False),  # a rule that was never drawn
        (PLAIN, DRAWN, answer("lamp off", "r"), 1, True),  # drawn to be left alone
        (PLAIN, DRAWN, answer(), 0, True),  # the rule is dropped
        (PLAIN, DRAWN, answer("lamp on", "s"), 1, False),  # another rule
        (SENT, DRAWN, answer("lamp off", "r"), 1, True),
        (SENT, DRAWN, answer(), 0, True),
        (SENT, SURE, answer("lamp off", "r"), 1, True),
        (SENT, SURE, answer(), 0, False),  # a rule without a hold-out was never left out
        (SENT, SURE, answer("lamp on", "s"), 1, False),
        (SENT, NONE, answer("lamp off"), 1, True),  # the online layer says the same
        (SENT, NONE, answer("lamp on"), 1, False),
        (PLAIN, DRAWN, answer("lamp off", "r", "rewrite", 0.9), 0.9, True),  # another hold-out
        (PLAIN, DRAWN, answer("lamp of", "r", "leave", 0.1), 0.9, True),
        (SENT, SURE, answer("lamp off", "r", "rewrite", 0.9), 0.9, False),
    ],
)
def test_what_could_have_been_drawn(turn, decision, said, share, supported):
    found = release_of([(turn, decision)], lambda *_args, **_kwargs: said)
    assert (found.share[0], bool(found.supported[0])) == (pytest.approx(share), supported)


def test_new_requests_do_not_follow_a_failure():
    def turn(ms, text, answer, user="ann"):
        return dataclasses.replace(PLAIN, user=user, ts_ms=ms, utterance=text, sent=text, answer=answer)

    turns = [
        turn(0, "lamp of", ""),  # refused
        turn(6_000, "lamp off", "Off"),  # said again
        turn(9_000, "music", "Play"),  # soon, but after a success
        turn(50_000, "stop", ""),
        turn(90_000, "stop", "Stop"),  # after a failure, but not soon
        turn(91_000, "hello", "Hi", user="ben"),
    ]
    assert firsts(turns) == [True, False, True, True, True, True]
    assert firsts([]) == []


def artefact(root, rules):
    with Writer(root) as writer:
        write_rules(writer.folder / "rules", [Rule(rule, "", "en", s, t, 0.9) for rule, (s, t) in rules.items()])
        return writer.publish(config=Config(), locales={"en": 9}, counts={}, metrics={})


RULES = {"r1": ("lamp of", "lamp off"), "r2": ("lamp own", "lamp on")}


def rows(share=0.5, users=60):
    """Every user says both texts, drawn apart; rewriting mends the first and breaks the second."""
    rng, start = np.random.default_rng(3), datetime(2026, 2, 1, tzinfo=UTC)
    for n in range(users):
        for k, (rule, (source, target)) in enumerate(RULES.items()):
            rewritten = bool(rng.random() < share)
            good = rewritten if rule == "r1" else not rewritten
            yield {
                "user_id": f"u{n}",
                "timestamp": (start + timedelta(hours=n, minutes=10 * k)).isoformat(),
                "utterance": source,
                "hypothesis": "Lamp" if good else None,
                "status": "ok" if good else "failed",
                "sent": target if rewritten else None,
                "rule": rule,
                "arm": "rewrite" if rewritten else "leave",
                "propensity": share if rewritten else 1 - share,
            }


@pytest.fixture
def trial(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    both = artefact(tmp_path / "a", RULES)
    one = artefact(tmp_path / "a", {"r1": RULES["r1"]})
    return tmp_path, path, both, one


def test_a_release_that_drops_the_bad_rule_is_better(trial):
    """All of the requests of the one rule end well rewritten, and of the other left alone: .5 with both rules, 1 without it."""
    folder, log, both, one = trial
    found = compare(f"{folder / 'a'}@{both}", folder / "a", [log])
    assert (found.requests, found.drawn, found.unsupported, found.refused) == (120, 1.0, (0.0, 0.0), "")
    for method, values in found.values.items():
        assert [v.value for v in values] == pytest.approx([0.5, 1.0, 0.5], abs=0.02), method
        assert all(v.low <= v.value <= v.high for v in values)
        assert values[2].low > 0.3
    assert found.values["SNIPS"][1].value == 1.0
    assert opened(f"{folder / 'a'}@{one[:6]}").id == one


def test_the_table_and_the_refusal(trial):
    folder, log, both, _ = trial
    out = CliRunner().invoke(main, ["compare", f"{folder / 'a'}@{both[:6]}", str(folder / "a"), str(log)])
    assert out.exit_code == 0, out.output
    assert "120 new requests; arms drawn for 100.0 %; answers never drawn: A 0.0 %, B 0.0 %" in out.output
    assert re.search(r"SNIPS +\d\d\.\d\d .* 100\.00 \[100\.00, 100\.00\]", out.output)
    artefact(folder / "c", {"r1": RULES["r1"], "r3": ("lamp own", "lamp off")})
    out = CliRunner().invoke(main, ["compare", str(folder / "a"), str(folder / "c"), str(log)])
    assert out.exit_code == 3
    assert "not estimated: 0.0 % of the requests by A and 50.0 % of the requests by B would be answered" in out.output


def test_an_experiment_is_read_from_its_log(trial):
    """Served by Split("lamps") by user: B gets the rewrite of "lamp of", which works."""
    from rewriter.evaluation.experiment import ArmSplit

    log = trial[1]
    split, lines = ArmSplit("lamps"), []
    for row in rows(users=200):
        if row["rule"] == "r1":
            served = split.arm(row["user_id"]) == "B"
            good = {"hypothesis": "Lamp" if served else None, "status": "ok" if served else "failed"}
            lines.append(row | good | {"sent": "lamp off" if served else None, "arm": None, "propensity": None})
    log.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
    out = CliRunner().invoke(main, ["experiment", str(log), "--name", "lamps", "--detect", "0.1"])
    assert out.exit_code == 0, out.output
    last = out.output.strip().splitlines()[-1]
    assert re.search(r"2026-02-09 +200 +100\.00 +0\.00 +-100\.00 +\[-100\.00, -100\.00\] +\[-inf, \+inf\]", last), last


def test_families_are_tried_as_one(lamp, tmp_path):
    """The source and the target of the one global rule of the lamp log have one arm, and the other texts arms of their own."""
    from rewriter.evaluation.experiment import ArmSplit
    from rewriter.evaluation.experiment import experiment as read

    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row | {"sent": row["utterance"]}) + "\n" for row in lamp_log.rows()), encoding="utf-8")
    last = read([log], ArmSplit("lamps"), detect=0.1, releases=[lamp[0]])[-1]
    texts = {row["utterance"].lower() for row in lamp_log.rows()}
    arm = {text: ArmSplit("lamps").arm("turn of the lamp" if text == "turn off the lamp" else text) for text in texts}
    again = ("06+00:00", "26+00:00", "46+00:00")  # who failed speaks again six seconds later
    new = [row["utterance"].lower() for row in lamp_log.rows() if not row["timestamp"].endswith(again)]
    in_b = sum(arm[text] == "B" for text in new)
    assert last.requests == (len(new) - in_b, in_b)


def test_plan_on_the_command_line():
    out = CliRunner().invoke(main, ["plan", "--base", "0.15", "--change", "-0.13", "--per-cluster", "41", "--alike", "0.05"])
    assert re.search(r"users or families in each arm +365", out.output)
    assert CliRunner().invoke(main, ["plan", "--base", "0", "--change", "-0.13"]).exit_code == 2
