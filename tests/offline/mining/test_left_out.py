"""Who says far more different texts than everybody else does not count for others; dates are those of k users."""

from importlib import resources
from types import SimpleNamespace

import duckdb
import pytest

from rewriter.config import Loop
from rewriter.offline.mining import pipeline

SQL = (resources.files("rewriter.offline") / "sql/left_out.sql").read_text(encoding="utf-8")


def left_out(texts_of_users, k=3):
    """The numbers of the users who are left out, where user n said so many different texts."""
    rows = [(user, text, turn) for user, texts in enumerate(texts_of_users) for text in range(texts) for turn in range(2)]
    with duckdb.connect() as con:
        con.execute("CREATE TABLE counts (user_no BIGINT, said BIGINT, turn BIGINT)")
        con.executemany("INSERT INTO counts VALUES (?, ?, ?)", rows)
        found = con.execute(SQL.format(min_users=k, far=pipeline._FAR, enough=pipeline._ENOUGH * k)).fetchall()
    return {user for (user,) in found}


@pytest.mark.parametrize(
    ("busiest", "found"),
    [
        ([10, 10, 10], set()),
        ([30, 30, 10], set()),  # three times as many are not far more
        ([31, 31, 10], {0, 1}),
        ([90, 12, 11], {0}),
        ([90, 90, 90], set()),  # k accounts are a group of users
        ([90, 90, 31, 10], set()),
    ],
)
def test_at_most_k_minus_one_and_only_far_from_the_next(busiest, found):
    assert left_out([*busiest, *[5] * 20]) == found


def test_of_few_users_nobody_is_left_out():
    assert left_out([900, *[5] * 13]) == set()
    assert left_out([900, *[5] * 14]) == {0}
    assert left_out([900, *[5] * 20], k=1) == set()


@pytest.mark.parametrize(
    ("days", "last"),
    [
        ([10, 10, 10, 9], 10),
        ([12, 11, 10, 9], 10),  # a day counts once k users have reached it
        ([40, 40, 10, 9], 12),  # but the log goes on: 28 days before the newest turn
        ([40, 40], 40),  # fewer than k users
    ],
)
def test_the_last_day_is_that_of_k_users(tmp_path, days, last):
    row_days = (resources.files("rewriter.offline") / "sql/row_days.sql").read_text(encoding="utf-8")
    with duckdb.connect() as con:
        con.execute("CREATE TABLE counts (user_no BIGINT, said BIGINT, sent BIGINT, state BIGINT, rewritten BIGINT, day BIGINT)")
        con.executemany("INSERT INTO counts VALUES (?, 0, 0, 0, 0, ?)", list(enumerate(days)))
        con.execute(f"COPY counts TO '{tmp_path / 'counts.parquet'}'")
        con.execute(f"COPY ({row_days.format(min_users=3)}) TO '{tmp_path / 'row_days.parquet'}'")
    mined = SimpleNamespace(named=lambda *names: {name: tmp_path / f"{name}.parquet" for name in names})
    assert pipeline.last_day(mined, Loop()) == last
