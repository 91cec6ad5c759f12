"""Real calls as a log, and the judging of mined pairs."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from rewriter.config import Logs
from rewriter.offline.logs.contract import CONTRACT
from rewriter.offline.logs.reader import check

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared/data/dstc2"


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def test_average_precision_by_hand(benchmarks):
    from pairs import average_precision, best_f1, best_threshold, judge, strict_recall

    found = {("a1", "a2"): 0.9, ("a1", "a3"): 0.8, ("b1", "b2"): 0.7, ("healthy", "next"): 0.95, ("d1", "d2"): 0.0}
    events = {("a1", "a2"): True, ("b1", "b2"): False, ("d1", "d3"): True}
    judged = judge(found, {"a1": "ann", "b1": "bob", "d1": "ann"}, events)
    once = np.ones(2)
    assert average_precision(judged, once) == pytest.approx((1 + 2 / 3) / 3)  # the third event is reached by no pair
    assert best_f1(judged, once) == pytest.approx(2 / 3)
    assert best_threshold(judged) == 0.7
    assert strict_recall(judged, once, 0.9) == 0.5
    assert strict_recall(judged, once, 0.91) == 0.0
    assert average_precision(judged, np.array([2.0, 0.0])) == pytest.approx(1 / 2)  # ann drawn twice, bob not at all


@pytest.mark.skipif(not DATA.exists(), reason=f"needs {DATA}")
def test_calls_become_turns_without_a_column_of_truth(benchmarks, tmp_path):
    from dstc2 import convert, truth

    path = tmp_path / "log.parquet"
    assert convert(DATA, path) == 15_611
    report = check([path], config=Logs(max_rejected=0.02))
    assert (report.turns, report.users, report.rejected) == (15_401, 179, {"no utterance": 210})
    with duckdb.connect() as con:
        found = con.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [d[0] for d in found.description]
        log = {row[names.index("turn_id")]: dict(zip(names, row, strict=True)) for row in found.fetchall()}
        raw = con.execute(
            "SELECT dialogue_id, turn_index, sys_transcript, slu_live_nbest, sys_aborted_by_barge_in FROM read_parquet(?)",
            [str(DATA / "turns.parquet")],
        ).fetchall()
    assert set(names) <= set(CONTRACT)
    prompts = {(call, i): prompt for call, i, prompt, _, _ in raw}
    for call, i, prompt, slu, barged in raw:
        turn = log[f"{call}:{i}"]
        empty = not json.loads(slu)[0][0]
        assert turn["status"] == ("failed" if empty or prompts.get((call, i + 1)) == prompt else None)
        assert turn["response"] == prompts.get((call, i + 1))
        assert (turn["hypothesis"] is None) == empty
        assert turn["barge_in"] == barged

    failed, events = truth(DATA, "all")
    assert (len(failed), len(events), sum(events.values())) == (3_174, 1_180, 360)
    assert {source for source, _ in events} <= set(failed)
    assert not set(truth(DATA, "train")[0].values()) & set(truth(DATA, "dev")[0].values())
