"""Through which utterance a target speaks: what works for most people, not what one of them says most."""

import duckdb
import pandas as pd

from rewriter.offline.rules import surface
from rewriter.tables import QUERIES

OFF, OUT = 0, 1


def chosen(tmp_path, *rows, min_users=1):
    """Rows of (query, node, turns, success, failed, users, share, well); everything in English."""
    path = tmp_path / "queries.parquet"
    with duckdb.cursor() as con:
        con.register("given", pd.DataFrame([("en", *row) for row in rows], columns=list(QUERIES.names)))
        con.sql("SELECT * FROM given").write_parquet(str(path))
    return surface.choose(path, 2, min_users)


def test_one_user_who_says_something_often_does_not_decide_for_all(tmp_path):
    """900 turns of one user among three, beside ten users once each: 2.9 of 3 + 2 and 9 of 10 + 2."""
    loud = ("lamp off", OFF, 902, 900_000, 0, 3, 3000, 2900)
    many = ("turn off the lamp", OFF, 10, 9_000, 0, 10, 10_000, 9000)
    assert chosen(tmp_path, loud, many).text.tolist() == ["turn off the lamp", ""]


def test_a_text_that_is_understood_otherwise_by_others_is_worth_less(tmp_path):
    """Ten users each; half of them were understood otherwise: 5 of 12 against 8 of 12."""
    shared = [("lights out", OFF, 10, 5_000, 0, 10, 5000, 5000), ("lights out", OUT, 10, 5_000, 4, 10, 5000, 5000)]
    found = chosen(tmp_path, *shared, ("lamp off", OFF, 10, 8_000, 2, 10, 10_000, 8000))
    assert found.text.tolist() == ["lamp off", "lights out"]
    assert found.understood.tolist() == [1.0, 0.5]
    assert found.acts.tolist() == [0.8, 0.8]


def test_what_too_few_users_say_is_no_surface(tmp_path):
    row = ("lamp off", OFF, 50, 50_000, 0, 2, 2000, 2000)
    assert chosen(tmp_path, row, min_users=3).text.tolist() == ["", ""]
    assert chosen(tmp_path, row, min_users=2).text.tolist() == ["lamp off", ""]
