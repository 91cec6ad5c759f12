"""Where the turns of a log broke, as users see it: the file, the clusters, the page and the verb."""

import json
import shutil
import stat
from collections import Counter
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner

from rewriter.cli import main
from rewriter.codes import FailurePoint
from rewriter.config import Config
from rewriter.evaluation.report import ReportTable
from rewriter.operate.console.content import content
from rewriter.operate.console.page import html
from rewriter.operate.diagnose import KEPT, diagnose, kept
from rewriter.operate.forget import forget
from rewriter.tables import FAILURES, check

SECRET = "call doctor house about the rash"
ON = "On|name=hall lamp"


def rows():
    """Six users and a lamp over three weeks; in the last week the lamp does not respond to three of them."""
    start = datetime(2026, 1, 5, 8, tzinfo=UTC)
    for day in range(0, 21, 3):
        for i in range(6):

            def turn(text, meant, seconds, response, status="ok", day=day, i=i):
                when = (start + timedelta(days=day, minutes=30 * i, seconds=seconds)).isoformat()
                said = {"user_id": f"u{i}", "timestamp": when, "utterance": text, "hypothesis": meant, "response": response}
                return said | {"status": status, "device_type": "speaker" if i else "car"}

            yield turn("turn on the hall lamp", ON, 0, "OK, the hall lamp is on.")
            if day >= 14 and i < 3:
                yield turn("turn on the hall lamp", ON, 900, "Sorry, something went wrong.", "failed")
                yield turn("turn on the hall lamp", ON, 906, "OK, the hall lamp is on.")
            if i == 0:
                yield turn(SECRET, None, 1500, "Sorry, something went wrong.", "failed")
    yield {"user_id": "u1", "timestamp": start.isoformat(), "utterance": ""}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diagnosis")
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return folder, diagnose(log, out=folder / "failures.parquet", report=folder / "failures.html")


def test_the_file_is_as_declared_whole_and_private(found):
    folder, report = found
    path = folder / "failures.parquet"
    check(FAILURES, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with duckdb.connect() as con:
        stages = ", ".join(f"p_{f}" for f in FailurePoint)
        p = np.array(con.execute(f"SELECT {stages} FROM read_parquet(?)", [str(path)]).fetchall())
        week = con.execute("SELECT DISTINCT week FROM read_parquet(?)", [str(path)]).fetchall()
    assert np.allclose(p.sum(axis=1), 1)
    assert len(p) == report.turns
    assert sum(report.failures.values()) == pytest.approx(report.turns)
    assert sum(report.likeliest.values()) == report.turns
    assert {(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=w)).weekday() for (w,) in week} == {0}


def test_a_broken_lamp_is_found_with_its_trend_and_remedy(found):
    _, report = found
    cluster = next(c for c in report.clusters["intent"] if c.failure == FailurePoint.RESULT)
    assert (cluster.value, cluster.turns, cluster.users) == ("On", 6, 3)
    assert cluster.examples == ("turn on the hall lamp",)
    assert cluster.remedy == "fix_service"
    assert cluster.trend == np.inf
    assert "new" in cluster.row()
    assert report.clusters["week"][0].value == "2026-01-19"


def test_the_tables_count_the_same_turns(found, tmp_path):
    """With k = 1 the clusters of the weeks, which every turn has, add up to the stages."""
    _, report = found
    folder, _ = found
    everybody = diagnose(
        folder / "log.jsonl",
        out=tmp_path / "f.parquet",
        config=Config.from_dict({"launch": {"min_users": 1}, "logs": {"max_rejected": 1.0}}),
    )
    by_week = Counter()
    for cluster in everybody.clusters["week"]:
        by_week[cluster.failure] += cluster.turns
    failed = {f: n for f, n in everybody.likeliest.items() if n and f != FailurePoint.CORRECT}
    assert failed == {f: n for f, n in by_week.items() if f != FailurePoint.CORRECT}
    assert by_week[FailurePoint.CORRECT] == everybody.likely_unsupported
    assert [row[1] for row in report.rows()[:6]] == [f"{report.likeliest[f]:,}" for f in FailurePoint]


def test_nothing_of_fewer_than_k_users_is_shown(found):
    folder, report = found
    page = (folder / "failures.html").read_text(encoding="utf-8")
    assert SECRET not in page
    assert all(cluster.users >= 3 for of in report.clusters.values() for cluster in of)
    assert "car" not in {cluster.value for cluster in report.clusters["device_type"]}
    assert "turn on the hall lamp" in page


def test_a_wake_without_words_is_counted(found):
    assert found[1].without_words == 1


def test_a_log_without_interpretations_has_correct_turns_too(tmp_path):
    """What the assistant understood is not in the log, so a text stands for itself."""
    log = tmp_path / "log.jsonl"
    lamp = [row | {"hypothesis": None} for row in rows() if row["utterance"]]
    log.write_text("".join(json.dumps(row) + "\n" for row in lamp), encoding="utf-8")
    report = diagnose(log, out=tmp_path / "failures.parquet")
    assert report.likeliest[FailurePoint.CORRECT] == sum(row["status"] == "ok" for row in lamp)
    assert [cluster.value for cluster in report.clusters["intent"] if cluster.value] == []


def test_the_console_shows_what_was_kept_until_somebody_is_forgotten(found, small, tmp_path):
    root = tmp_path / "artefact"
    shutil.copytree(small, root)
    assert not kept(root)
    given = {"catalog": [{"text": "turn on the hall lamp"}], "rules_only": True, "artefact": root}
    report = diagnose(found[0] / "log.jsonl", out=tmp_path / "f.parquet", **given)
    assert kept(root) == [ReportTable(t.title, t.note, list(t.columns), [list(r) for r in t.rows]) for t in report.tables()]
    assert stat.S_IMODE((root / KEPT).stat().st_mode) == 0o600
    page = html(content(root))
    assert "Where requests break" in page
    assert "look at what carries out the request" in page
    assert SECRET not in page
    forget("nobody", root)
    assert kept(root), "nobody was forgotten, so nothing is changed"
    forget("ann", root)
    assert not kept(root)


def test_a_log_without_turns_has_no_failures(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"user_id": "a", "timestamp": "2026-01-05T08:00:00Z", "utterance": "?!"}\n')
    assert diagnose(tmp_path / "log.jsonl", out=tmp_path / "f.parquet").turns == 0


def test_the_verb_by_rules_says_what_happened(found, tmp_path):
    folder, _ = found
    out = tmp_path / "f.parquet"
    done = CliRunner().invoke(main, ["diagnose", str(folder / "log.jsonl"), "--out", str(out), "--rules-only"])
    assert done.exit_code == 0, done.output
    assert "where requests break, by rules" in done.output
    with duckdb.connect() as con:
        said = con.execute("SELECT evidence FROM read_parquet(?) WHERE failure = 'result'", [str(out)]).fetchall()
    assert said
    assert all("the answer says that something went wrong" in evidence for (evidence,) in said)


def test_no_log_is_told_in_one_line(tmp_path):
    done = CliRunner().invoke(main, ["diagnose", str(tmp_path / "no.jsonl"), "--out", str(tmp_path / "f.parquet")])
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1
