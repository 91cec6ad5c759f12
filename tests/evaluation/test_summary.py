import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hand_made import make

from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.summary import plain, ratio_text, row, summary, table

ROWS = [
    ("ann", "failed_honestly", "ok", True, 0.9, "precomputed", "global"),
    ("ann", "failed_honestly", "ok", True, 0.9, "precomputed", "personal"),
    ("bob", "ok", "wrong", True, 0.9, "online", "global"),
    ("bob", "wrong", "ok", True, 0.9, "online", "global"),
    ("eve", "failed_honestly", "failed_honestly", False),
]


def test_rows_of_all_layers_scopes_and_slices_with_their_counts():
    rows = summary(make(ROWS, **{"new users": [False, False, False, False, True]}))
    found = {r.name: (r.turns, r.defects, r.wins, r.losses, r.broken, r.fixed.value) for r in rows}
    assert found == {
        "all": (5, 4, 3, 1, 1, 0.5),
        "layer online": (5, 4, 1, 1, 1, 0.0),
        "layer precomputed": (5, 4, 2, 0, 0, 0.5),
        "scope global": (5, 4, 2, 1, 1, 0.25),
        "scope personal": (5, 4, 1, 0, 0, 0.25),
        "new users": (1, 1, 0, 0, 0, 0.0),
    }


def test_latency_is_that_of_the_turns_that_were_asked():
    outcomes = replace(make(ROWS), latency_us=np.array([10.0, np.nan, 30.0, np.nan, np.nan]))
    assert row("all", outcomes).p50_us == 20.0
    assert math.isnan(row("all", replace(outcomes, latency_us=np.full(5, np.nan))).p99_us)


def test_a_row_is_plain_json():
    data = plain(row("all", make(ROWS[:2])))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["wins"], data["losses"]) == (2, 0)
    assert data["win_loss"]["value"] is None
    assert data["win_loss"]["low"] == pytest.approx(2 / 1.959963984540054**2)


def test_the_table_has_a_line_for_each_row_and_a_cell_for_each_column():
    lines = table(summary(make(ROWS))).splitlines()
    assert len(lines) == 2 + 5
    assert {line.count("|") for line in lines} == {13}
    assert len({len(line) for line in lines}) == 1
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:7] == ["all", "5", "4", "80.0 %", "3", "1", "3.0 (0.4–∞)"]
    assert cells[7].startswith("50.0 % (")
    assert cells[8] == "–"
    assert cells[9].startswith("1000.0 (")
    assert cells[10:] == ["2 µs", "4 µs"]


def test_the_table_of_a_replay_tells_the_worst_case():
    rows = [*ROWS, ("eve", "failed_honestly", "unknown", True), ("eve", "ok", "unknown", True)]
    header, _, every, *_ = ([c.strip() for c in line.split("|")] for line in table(summary(make(rows))).splitlines())
    assert every[header.index("unknown")] == "2"
    assert every[header.index("win/loss")].startswith("3.0 (")
    assert every[header.index("win/loss at worst")].startswith("1.0 (")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Interval(9.94, 4.0, 12.4), "9.9 (4.0–12)"),
        (Interval(1234.0, 10.0, math.inf), "1,234 (10–∞)"),
        (Interval(math.inf, 19.9, math.inf), "no loss (≥ 19)"),
        (Interval(math.inf, 0.26, math.inf), "no loss (≥ 0.3)"),
        (Interval(math.nan, 0.0, math.inf), "–"),
    ],
)
def test_ratios_for_people(ratio, text):
    assert ratio_text(ratio) == text
