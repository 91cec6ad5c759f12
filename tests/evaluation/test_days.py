"""What the state tells of the days: figures worked by hand from a few counts, and the page of an artefact."""

import json
import math
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest

from rewriter.errors import ArtefactError
from rewriter.evaluation import charts
from rewriter.evaluation import report as module
from rewriter.evaluation import report as pages
from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.report import ARMS, days
from rewriter.tables import COUNTS, STAGE_CHANGES, STAGE_COUNTS

TREATED, HELD, UNDRAWN, CONTROL = ARMS
SVG = "{http://www.w3.org/2000/svg}text"


def count(day, user, *, said=1, rewritten=0, share=-1, turns=1, failed=0, ok=0.0):
    """`ok` turns end well; a turn without any cue counts 950 of 1,000."""
    mass = {"success": round(950 * ok), "failure": 0}
    text = {"sent": 9 if rewritten else said, "state": 9 if rewritten else said, "rule": ""}
    row = {"day": day, "user_no": user, "said": said, "rewritten": rewritten, "share": share, "turns": turns, "failed": failed}
    return row | text | mass


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads counts as if an artefact had left them."""

    def found(counts, stage_counts=(), stage_changes=()):
        given = {COUNTS: counts, STAGE_COUNTS: stage_counts, STAGE_CHANGES: stage_changes}
        for table, rows in given.items():
            frame = pd.DataFrame(list(rows), columns=list(table.names))
            columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in table.columns)
            with duckdb.cursor() as con:
                con.register("frame", frame)
                con.sql(f"SELECT {columns} FROM frame").write_parquet(str(tmp_path / f"{table.name}.parquet"))
        manifest = SimpleNamespace(config={"friction": {"unknown": 50}})
        monkeypatch.setattr(module, "current", lambda _: SimpleNamespace(state=tmp_path, manifest=manifest, learned=True))
        return days(tmp_path)

    return found


def test_arms_count_by_one_over_their_probability(read):
    found = read(
        [
            count(100, 1, rewritten=1, share=900_000, turns=3, ok=3),
            count(100, 2, rewritten=1, share=500_000, turns=1, ok=0),
            count(100, 3, share=900_000, turns=2, ok=1),
            count(100, 4, share=500_000, turns=1, ok=1),
            count(100, 5, rewritten=1, turns=4, ok=3),
            count(100, 6, turns=4, ok=4),
            count(101, 6, turns=2, ok=1),
        ]
    )
    assert found.defects[TREATED][0].value == pytest.approx(2 / (3 / 0.9 + 2))
    assert found.defects[HELD][0].value == pytest.approx(10 / (20 + 2))
    assert found.defects[UNDRAWN][0].value == pytest.approx(1 / 4)
    assert [found.defects[CONTROL][n].value for n in (0, 1)] == [0.0, 0.5]
    assert found.overall[CONTROL].value == pytest.approx(1 / 6)
    assert all(i.low <= i.value <= i.high for line in found.defects.values() for i in line.values())
    nothing_wrong = found.defects[CONTROL][0]
    assert nothing_wrong.high > 0.5, "one user who never failed proves little"


def test_wins_and_losses_are_told_by_the_same_text_as_spoken(read):
    found = read(
        [
            count(70, 1, turns=4, failed=2, ok=2),  # one half-life before the end of the day
            count(100, 2, turns=2, failed=2),
            count(100, 3, rewritten=1, turns=4, failed=1, ok=2),
        ],
    )
    # As spoken, the older turns by half: x = 1 of 4 well, h = 3 of 4 refused. Rewritten, 2 of 4 well and one acted on wrongly.
    won, lost = 0.75 * 2, 0.25 * 2 + 0.75 * 1
    assert found.ratios[30].value == pytest.approx(won / lost)
    assert found.ratio.value == pytest.approx(won / lost)
    assert list(found.ratios) == [30]


def test_a_log_without_any_verdict_is_read_carefully(read):
    found = read([count(100, 1, turns=2, ok=1), count(100, 2, rewritten=1, turns=2, ok=1)])
    assert found.ratio.value == pytest.approx(0.5 / (0.5 + 0.5))


@pytest.mark.parametrize(("last", "span", "points"), [(161, 1, 62), (162, 7, 9), (100 + 7 * 62, 30, 15)])
def test_a_picture_has_so_many_points_at_most(read, last, span, points):
    found = read([count(100, 1, ok=1), count(last, 1, ok=1)])
    assert (found.span, len(found.starts)) == (span, points)


def test_where_rules_stood_stays_until_somebody_learns_again(read):
    stage_counts = [
        [100, "global", "canary", 2],
        [102, "global", "live", 1],
        [102, "global", "retired", 1],
        [100, "personal", "shadow", 9],
    ]
    found = read([count(100, 1, ok=1), count(103, 1, ok=1)], stage_counts)
    assert pages._by_stage(found, "global") == {"canary": {0: 2, 1: 2}, "live": {2: 1, 3: 1}, "retired": {2: 1, 3: 1}}
    assert pages._by_stage(found, "personal") == {}
    assert (f"{1:,}", "rules that serve everybody") in pages.figures(found)


def test_an_artefact_without_its_state_or_without_a_turn_is_refused(read, tmp_path):
    with pytest.raises(ArtefactError, match="no turn yet"):
        read([])
    (tmp_path / "stage_counts.parquet").unlink()
    with pytest.raises(ArtefactError, match=r"lacks stage_counts\.parquet: .* private state"):
        days(tmp_path)
    (tmp_path / "counts.parquet").unlink()
    with pytest.raises(ArtefactError, match=r"lacks counts\.parquet, stage_counts\.parquet"):
        days(tmp_path)


def test_the_page_of_an_artefact_tells_what_the_log_tells(lamp, tmp_path):
    root, report = lamp
    page = tmp_path / "report.html"
    found = pages.report(root, page)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert sum(found.stage_counts["rules"][found.stage_counts["scope"] == "global"]) >= report.rules["global"]
    titles = ("Defect rate by day and arm", "Rules for everybody", "What changed")
    assert all(f"<h2>{title}</h2>" in text for title in titles)
    assert "Win/loss" not in text, "nothing has been rewritten yet"
    assert "people restate it so" in text
    assert json.dumps(pages.figures(found)[0][0])[1:-1] in text


def test_pictures_name_what_they_show():
    starts = [f"01-{n + 1:02}" for n in range(30)]
    some = Interval(0.5, 0.25, 0.75)
    drawn = {
        "rates": charts.rates(starts, {"rewritten": {0: some, 2: some}}, "turns that fail"),
        "standing": charts.stages(starts, {"live": {0: 3}, "retired": {29: 1}}, "rules"),
        "ratios": charts.ratios(starts, {3: Interval(math.inf, 2.0, math.inf), 4: some}),
    }
    named = {
        "rates": {"rewritten", "turns that fail"},
        "standing": {"live", "retired", "rules"},
        "ratios": {"wins for each loss"},
    }
    for name, svg in drawn.items():
        texts = {element.text for element in ET.fromstring(svg).iter(SVG)}
        assert {"day (UTC)", "01-01", "01-04", *named[name]} <= texts
        assert "01-02" not in texts, "thirty dates would run into each other"
