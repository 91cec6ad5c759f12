"""What a log knows of how turns went: its books by hand, and the teacher in their place."""

from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd

from rewriter.detect.turns import Turns
from rewriter.offline.fit.ranker import defect_counts

OF, OFF = 0, 1


def mined(folder, out=()):
    """Turns of two users on two days; one of them was rewritten."""
    columns = ["day", "user_no", "said", "rewritten", "turns", "success"]
    rows = [
        (1, 0, OF, 0, 2, 500),
        (1, 1, OF, 0, 1, 1000),
        (1, 1, OFF, 0, 1, 1000),
        (2, 0, OF, 0, 1, 250),
        (2, 0, OF, 1, 1, 1000),
        (2, 1, OFF, 0, 2, 1750),
    ]
    left_out = pd.DataFrame({"user_no": np.array(out, dtype=np.int64)})
    texts = pd.DataFrame({"id": [OF, OFF], "text": ["lamp of", "lamp off"]})
    paths = {}
    for name, frame in {"counts": pd.DataFrame(rows, columns=columns), "texts": texts, "left_out": left_out}.items():
        paths[name] = folder / f"{name}.parquet"
        duckdb.from_df(frame).write_parquet(str(paths[name]))
    return SimpleNamespace(named=lambda *names: {name: paths[name] for name in names})


def test_without_a_teacher_the_books_tell(tmp_path):
    seen = defect_counts(mined(tmp_path), None, 2)
    assert seen.p("lamp of") == (1.5 + 0.0 + 0.75) / 4
    assert seen.p("lamp off") == 0.25 / 3
    assert set(seen.risk().words) == {"lamp", "of"}  # user 0 never said "off"


def test_the_teacher_is_believed(tmp_path):
    columns = {"said": [OF, OF, OF, OFF, OFF], "user_no": [0, 0, 1, 1, 1], "rewritten": [0, 1, 0, 0, 0]}
    column = {name: np.array(values) for name, values in columns.items()}
    turns = Turns(*[np.array([])] * 2, column, *[np.array([])] * 2, *[np.array(["lamp of", "lamp off"], dtype=object)] * 3)
    pair = SimpleNamespace(turns=turns, defect=np.array([0.5, 0.0, 0.75, 0.125, 0.25]))
    seen = defect_counts(mined(tmp_path), pair, 2)
    assert (seen.p("lamp of"), seen.p("lamp off")) == (0.625, 0.1875)
    assert set(seen.risk().words) == {"lamp", "of"}
    assert set(seen.risk().texts) == {"lamp of"}


def test_who_is_left_out_counts_in_neither(tmp_path):
    seen = defect_counts(mined(tmp_path, [0]), None, 1)
    assert (seen.p("lamp of"), seen.p("lamp off")) == (0.0, 0.25 / 3)
