"""`simulate`, and the log that comes with the repository."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from rewriter.errors import ConfigError, LogError
from rewriter.simulation import simulate

SAMPLE = Path("data/sample.parquet")


def rows(path):
    return duckdb.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()


def test_the_same_arguments_give_the_same_rows(tmp_path):
    seen = []
    n = simulate("phrases", tmp_path / "a.parquet", days=2, users=30, seed=4, on_day=lambda day, turns: seen.append((day, turns)))
    simulate("phrases", tmp_path / "b.parquet", days=2, users=30, seed=4)
    simulate("phrases", tmp_path / "c.parquet", days=2, users=30, seed=5)
    a, b, c = (rows(tmp_path / f"{name}.parquet") for name in "abc")
    assert a == b != c
    assert len(a) == n == sum(turns for _, turns in seen) > 100
    assert [day for day, _ in seen] == [date(2026, 1, 5), date(2026, 1, 6)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"days": 0}, "at least 1 day and 1 user"),
        ({"users": -5}, "at least 1 day and 1 user"),
        ({"days": 4, "start": date(9999, 12, 30)}, "4 days from 9999-12-30 end after the year 9999"),
    ],
)
def test_days_and_users_that_cannot_be_are_refused_before_anything_is_written(tmp_path, given, words):
    with pytest.raises(ConfigError, match=words):
        simulate("phrases", tmp_path / "log.jsonl", **({"days": 1, "users": 5} | given))
    assert not (tmp_path / "log.jsonl").exists()


@pytest.mark.parametrize("start", [date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 29)])
def test_any_other_day_may_be_the_first(tmp_path, start):
    assert simulate("phrases", tmp_path / "log.jsonl", days=2, users=5, start=start) > 0


def test_unknown_worlds_and_files(tmp_path):
    with pytest.raises(ConfigError, match="unknown world 'car'; choose one of home, phrases"):
        simulate("car", tmp_path / "a.parquet")
    with pytest.raises(LogError, match="ends in"):
        simulate("phrases", tmp_path / "a.xls", days=1, users=5)


@pytest.mark.slow
def test_the_sample_is_what_its_readme_says(tmp_path):
    simulate("home", tmp_path / "sample.parquet", days=7, users=150, seed=1)
    assert rows(tmp_path / "sample.parquet") == rows(SAMPLE)
    assert SAMPLE.stat().st_size < 1_000_000
