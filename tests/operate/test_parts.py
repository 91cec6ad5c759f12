"""`label` and `diagnose` of a large log: its users are dealt into parts, and each part counts as a log of its own."""

import json
from datetime import UTC, datetime

import duckdb
import lamp_log
import numpy as np
import pytest

from rewriter.detect import select
from rewriter.detect.defects import DefectModel
from rewriter.detect.turns import Turns
from rewriter.model.logistic import Logistic
from rewriter.operate.diagnose import diagnose
from rewriter.operate.label import label

PARTS = (1, 2, 7)
JOBS = {"label": label, "diagnose": diagnose}


@pytest.fixture(scope="module")
def rows():
    """The lamp of ten users in each of four homes, and a user who said one thing once; each turn is named after its user."""
    found = [row | {"user_id": f"{row['user_id']}-{home}"} for home in range(4) for row in lamp_log.rows()]
    last = datetime(2026, 3, 1, tzinfo=UTC).isoformat()
    found.append({"user_id": "once-0", "timestamp": last, "utterance": "hello", "hypothesis": "Greet", "status": "ok"})
    return [row | {"turn_id": f"{row['user_id']} {i:04}"} for i, row in enumerate(found)]


def write(rows, path):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def unlearned(monkeypatch):
    """Nothing is learned from a log, so that what is said of a turn hangs on its own part alone."""
    monkeypatch.setattr(select, "learn_pair", lambda *_, **__: None)
    monkeypatch.setattr(DefectModel, "learn", lambda *_, **__: DefectModel(None, None, Logistic(np.array([1.0]), 0.0), None))


class Watched:
    """Deals the users of every log into some parts, and notes whose turns are read together, and how many."""

    def __init__(self, monkeypatch, turns, parts):
        self.users = []
        self.held = []
        whole = Turns.read.__func__

        def read(cls, listed):
            found = whole(cls, listed)
            self.held.append(len(found))
            self.users.append({name.split()[0] for name in found.turn_id})
            return found

        monkeypatch.setattr(select, "_AT_ONCE", -(-turns // parts))
        monkeypatch.setattr(Turns, "read", classmethod(read))


def told(path):
    """Return what is said of each turn, and the turns of each goal."""
    with duckdb.cursor() as con:
        found = con.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [name for name, *_ in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    goals: dict[int, list[str]] = {}
    for row in rows:
        goals.setdefault(row.pop("goal", None), []).append(row["turn_id"])
    return {row.pop("turn_id"): row for row in rows}, goals


def same(one, other):
    return all(
        value == pytest.approx(other[name], abs=1e-6) if isinstance(value, float) else value == other[name]
        for name, value in one.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.usefixtures("unlearned")
def test_a_part_is_told_of_like_a_log_of_its_users(rows, tmp_path, monkeypatch, job, parts):
    """Each turn is in one part, no more are held at once than the largest part has, and none needs another part."""
    run = JOBS[job]
    with monkeypatch.context() as patch:
        watched = Watched(patch, len(rows), parts)
        report = run(write(rows, tmp_path / "log.jsonl"), out=tmp_path / "all.parquet")
    found, _ = told(tmp_path / "all.parquet")
    users = [part for n, part in enumerate(watched.users) if part not in watched.users[:n]]
    assert len(users) == parts
    assert sum(map(len, users)) == len(set.union(*users)) == 41
    assert max(watched.held) <= max(sum(row["user_id"] in part for row in rows) for part in users)
    assert report.turns == len(found) == len(rows)
    for part in (users[0], users[-1]):
        own = [row for row in rows if row["user_id"] in part]
        with monkeypatch.context() as patch:
            Watched(patch, len(own), 1)
            run(write(own, tmp_path / "own.jsonl"), out=tmp_path / "own.parquet")
        alone, _ = told(tmp_path / "own.parquet")
        assert {name for name, row in alone.items() if not same(row, found[name])} == set()


@pytest.mark.usefixtures("unlearned")
def test_figures_over_all_parts_are_those_of_the_whole(rows, tmp_path, monkeypatch):
    """Of what hangs on single users, nothing changes with the number of parts: goals, their order, repairs, training data."""
    log, found = write(rows, tmp_path / "log.jsonl"), []
    for parts in PARTS:
        with monkeypatch.context() as patch:
            Watched(patch, len(rows), parts)
            report = label(log, out=tmp_path / "labels.parquet", train=tmp_path / "nlu.jsonl")
        turns, goals = told(tmp_path / "labels.parquet")
        local = {name: [row[c] for c in ("utterance", "p_defect", "repaired", "intent", "slots")] for name, row in turns.items()}
        examples = [json.loads(line) | {"p": None} for line in (tmp_path / "nlu.jsonl").read_text().splitlines()]
        assert list(goals) == list(range(report.goals))
        assert report.goals < report.turns == len(rows)
        assert report.reached == pytest.approx(sum(turns[of[0]]["goal_success"] for of in goals.values()))
        assert sum(report.failures.values()) == pytest.approx(len(rows))
        found.append((list(turns), local, goals, examples, report.defects, report.reached, report.repaired))
    assert found[0] == found[1] == found[2]
    assert found[0][3]


def test_the_model_is_learned_from_the_first_part_only(rows, tmp_path, monkeypatch):
    watched, learned, real = Watched(monkeypatch, len(rows), 2), [], DefectModel.learn.__func__
    monkeypatch.setattr(DefectModel, "learn", classmethod(lambda *of, **rest: learned.append(len(of[1])) or real(*of, **rest)))
    label(write(rows, tmp_path / "log.jsonl"), out=tmp_path / "labels.parquet")
    assert len(learned) == 1
    assert set(watched.held) == {learned[0], len(rows) - learned[0]}
