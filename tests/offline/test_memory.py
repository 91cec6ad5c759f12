"""What does not fit into `memory_gb`: smaller parts for detectors, and one line before a log is mined that is too large."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from rewriter import Config, learn
from rewriter.detect.select import parts_for
from rewriter.errors import EngineError
from rewriter.offline import memory
from rewriter.offline.memory import Need
from rewriter.offline.mining import pipeline

START = datetime(2026, 1, 5, tzinfo=UTC)


def log(path, users, texts):
    """Each user says each text twice."""
    rows = [
        {
            "user_id": f"{path.stem} {u}",
            "timestamp": (START + timedelta(hours=n)).isoformat(),
            "utterance": f"play song {n % texts}",
        }
        for u in range(users)
        for n in range(2 * texts)
    ]
    path.write_text("".join(json.dumps(row | {"hypothesis": "Play", "status": "ok"}) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def needs(monkeypatch):
    """A gigabyte for each thousand texts of users with an online layer, and a quarter of it without."""
    monkeypatch.setattr(memory, "WITH_LAYER", Need(0.5, 1000.0))
    monkeypatch.setattr(memory, "RULES_ALONE", Need(0.5, 250.0))


def refused(monkeypatch, *logs, **kwargs):
    """Return the line that learning ends with, and whether mining began."""
    mined = []
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "mine", lambda *_, **__: mined.append(1) or pytest.skip("mined"))
        try:
            learn(list(logs), **kwargs)
        except EngineError as error:
            return str(error), bool(mined)
        except pytest.skip.Exception:
            return "", bool(mined)


def asked(line):
    return float(line.partition("that takes about ")[2].split()[0])


@pytest.mark.usefixtures("needs")
def test_a_log_that_is_too_large_is_told_before_it_is_mined(tmp_path, monkeypatch):
    """4 users with 1,000 texts each: 4.5 GB with an online layer, and 1.5 GB without."""
    path, out = log(tmp_path / "one.jsonl", users=4, texts=1000), tmp_path / "artefact"
    line, mined = refused(monkeypatch, path, out=out, memory_gb=4)
    assert not mined
    assert "\n" not in line
    assert line.startswith("not enough memory: users say ")
    assert asked(line) == pytest.approx(4.5, rel=0.1)
    assert "memory_gb is 4" in line
    assert "loop.refit_days to 0" in line
    line, mined = refused(monkeypatch, path, out=out, memory_gb=1.2)
    assert not mined
    assert "refit_days" not in line, "rules alone do not fit either"
    alone = Config.from_dict({"loop": {"refit_days": 0}})
    assert refused(monkeypatch, path, out=out, memory_gb=4, config=alone) == ("", True)
    assert refused(monkeypatch, path, out=out, memory_gb=8) == ("", True)
    assert refused(monkeypatch, path, out=out) == ("", True)
    assert not (out / "CURRENT").exists()


@pytest.mark.usefixtures("needs")
def test_what_was_said_before_counts_too(tmp_path, monkeypatch):
    """A thousand texts of users fit, and another thousand as well, but not both."""
    out, alone = tmp_path / "artefact", Config.from_dict({"loop": {"refit_days": 0}})
    monkeypatch.setattr(memory, "RULES_ALONE", Need(0.5, 500.0))
    learn([log(tmp_path / "one.jsonl", users=4, texts=250)], out=out, memory_gb=1.2, config=alone)
    more = log(tmp_path / "two.jsonl", users=4, texts=250)
    line, mined = refused(monkeypatch, more, out=out, memory_gb=1.2, config=alone)
    assert asked(line) == pytest.approx(1.5, rel=0.1)
    assert not mined
    assert refused(monkeypatch, more, out=tmp_path / "other", memory_gb=1.2, config=alone) == ("", True)


@pytest.mark.parametrize(("memory_gb", "most"), [(None, 250_000), (16, 250_000), (3, 250_000), (2.4, 200_000), (1, 84_000)])
def test_a_part_takes_a_quarter_of_the_memory(memory_gb, most):
    for turns in (0, 1, 100_000, 250_000, 250_001, 10_000_000):
        parts = parts_for(turns, memory_gb)
        assert turns <= parts * most
        assert parts == 1 or turns > (parts - 1) * (most - 1000)
