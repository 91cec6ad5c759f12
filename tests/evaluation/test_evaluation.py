import json
import stat

import duckdb
import pytest

from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.errors import ArtefactError, LogError
from rewriter.evaluation.evaluate import evaluate
from rewriter.model.rules import Rule, write_rules
from rewriter.tables import OUTCOMES, check
from rewriter.text import hash_user

DAY = 86_400  # seconds
FIRST = 20_000  # the day of the log, since 1970

TURNS = [  # user, seconds into the log, utterance, hypothesis, wanted
    *[("bob", 60 * i, "lamp on", "On", "On") for i in range(3)],
    *[("bob", 600 + 60 * i, "lamp off", "Off", "Off") for i in range(3)],
    ("ann", 1000, "lump on", None, "On"),  # everybody's rule: won
    ("ann", 2000, "my lump", None, "Off"),  # Ann's own rule: won
    ("bob", 3000, "my lump", None, "Off"),  # which does not serve Bob
    ("bob", 4000, "lamp onn", "On", "On"),  # healthy, and broken by a rule
    ("ann", 5000, "lamp ohm", None, None),  # rewritten, but nobody knows what was wanted
]


@pytest.fixture
def log(tmp_path):
    rows = [
        {
            "user": user,
            "timestamp": FIRST * DAY + second,
            "utterance": text,
            "hypothesis": understood,
            "status": None if understood else "failed",
            "wanted": wanted,
        }
        for user, second, text, understood, wanted in TURNS
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def artefact(tmp_path):
    return publish(tmp_path / "artefact", learned=(FIRST - 9, FIRST - 1))


def publish(root, learned):
    with Writer(root) as writer:
        rules = [
            Rule("r1", "", "en", "lump on", "lamp on", 0.9),
            Rule("r2", "", "en", "lamp onn", "lamp off", 0.6),
            Rule("r3", hash_user("ann", writer.user_key), "en", "my lump", "lamp off", 0.8),
            Rule("r4", "", "en", "lamp ohm", "lamp on", 0.7),
        ]
        write_rules(writer.folder / "rules", rules)
        with duckdb.cursor() as con:
            if learned:
                con.execute(
                    f"COPY (SELECT {learned[0]} AS first_day, {learned[1]} AS last_day) TO '{writer.state}/nodes.parquet'"
                )
                texts = (
                    "('lamp onn', 1000, 1), ('lump on', 400, 1), ('lamp on', 300, 1), ('lamp on', 700, 1), ('lamp off', 499, 1)"
                )
                con.execute(
                    f"COPY (SELECT * FROM (VALUES {texts}) AS t(query, success, turns)) TO '{writer.state}/queries.parquet'"
                )
        writer.publish(config=Config(), locales={"en": 9}, counts={}, metrics={})
    return root


def by_text(evaluation):
    rows = zip(evaluation.outcomes.source, evaluation.outcomes.as_spoken, evaluation.outcomes.rewritten, strict=True)
    return [row for row in rows if row[0] not in ("lamp on", "lamp off")]


def test_a_log_with_truth_is_judged_by_it(artefact, log):
    evaluation = evaluate(artefact, [log], truth="wanted", mapping={"user_id": "user"})
    assert sorted(by_text(evaluation)) == [
        ("lamp ohm", "failed_honestly", "unknown"),
        ("lamp onn", "ok", "wrong"),
        ("lump on", "failed_honestly", "ok"),
        ("my lump", "failed_honestly", "failed_honestly"),
        ("my lump", "failed_honestly", "ok"),
    ]
    every = evaluation.rows[0]
    assert (every.turns, every.wins, every.losses, every.broken, every.unknown) == (11, 2, 1, 1, 1)
    assert (every.win_loss.value, every.win_loss_worst.value) == (2.0, 1.0)
    assert every.broken_seen.value == 250.0  # of the three turns "lamp on" and the one "lamp onn"
    assert every.broken_unseen.value == 0.0
    assert [r.name for r in evaluation.rows] == ["all", "layer precomputed", "scope global", "scope personal"]
    assert evaluation.warnings == ()


def test_without_truth_the_strict_rule_knows_less(artefact, log):
    evaluation = evaluate(artefact, [log], mapping={"user_id": "user"}, after_failure=True)
    assert ("lump on", "failed_honestly", "unknown") in by_text(evaluation)
    assert ("lamp onn", "ok", "ok") in by_text(evaluation)
    assert evaluation.rows[0].unknown == 3


def test_what_is_written(artefact, log, tmp_path):
    out = tmp_path / "out"
    evaluation = evaluate(artefact, [log], truth="wanted", mapping={"user_id": "user"}, out=out)
    assert sorted(p.name for p in out.iterdir()) == ["curve.png", "curve.svg", "outcomes.parquet", "table.md"]
    check(OUTCOMES, out / "outcomes.parquet")
    assert stat.S_IMODE((out / "outcomes.parquet").stat().st_mode) == 0o600
    assert (out / "table.md").read_text(encoding="utf-8") == evaluation.table + "\n"
    with duckdb.cursor() as con:
        sql = "SELECT verdict, source, sent, score, layer, scope FROM read_parquet(?) WHERE applied = 1 ORDER BY source"
        rows = con.execute(sql, [str(out / "outcomes.parquet")]).fetchall()
        users = con.execute(
            "SELECT COUNT(DISTINCT user_id), BOOL_OR(user_id = 'ann') FROM read_parquet(?)", [str(out / "outcomes.parquet")]
        )
        assert users.fetchone() == (2, False)
    assert rows == [
        ("unknown", "lamp ohm", "lamp on", pytest.approx(0.7), "precomputed", "global"),
        ("loss", "lamp onn", "lamp off", pytest.approx(0.6), "precomputed", "global"),
        ("win", "lump on", "lamp on", pytest.approx(0.9), "precomputed", "global"),
        ("win", "my lump", "lamp off", pytest.approx(0.8), "precomputed", "personal"),
    ]


@pytest.mark.parametrize(
    ("learned", "warned"),
    [
        ((FIRST - 9, FIRST - 1), ""),
        ((FIRST - 9, FIRST), "learned from 2024-09-25 to 2024-10-04"),
        ((FIRST + 1, FIRST + 2), ""),
        (None, "without the private state of the artefact"),
    ],
)
def test_a_log_that_was_learned_from_is_warned_of(tmp_path, log, learned, warned):
    artefact = publish(tmp_path / "another", learned)
    warnings = evaluate(artefact, [log], truth="wanted", mapping={"user_id": "user"}).warnings
    assert len(warnings) == bool(warned)
    assert warned in "".join(warnings)


def test_a_log_without_hypotheses_is_warned_of(tmp_path, artefact):
    path = tmp_path / "bare.csv"
    path.write_text("user_id,timestamp,utterance\nann,2030-01-01T00:00:00Z,lump on\n", encoding="utf-8")
    (warning,) = evaluate(artefact, [path]).warnings
    assert "the log needs the column hypothesis" in warning


def test_errors_are_one_line(tmp_path, log, artefact):
    with pytest.raises(ArtefactError, match="no artefact here"):
        evaluate(tmp_path / "nowhere", [log])
    with pytest.raises(LogError, match="no file has a column want"):
        evaluate(artefact, [log], truth="want", mapping={"user_id": "user"})
