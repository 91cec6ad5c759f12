import math

import pytest
from hand_made import make

from rewriter.evaluation.charts import PUBLISHED, draw, save
from rewriter.evaluation.summary import curve

FAILED, OK, WRONG = "failed_honestly", "ok", "wrong"
ROWS = [
    ("ann", FAILED, OK, True, 0.9),
    ("bob", FAILED, OK, True, 0.9),
    ("eve", FAILED, WRONG, True, 0.5),
    ("ann", WRONG, OK, True, 0.4),
    ("bob", OK, WRONG, True, 0.1),
    ("eve", FAILED, FAILED, False),
]


def test_a_curve_has_a_point_for_each_score():
    found = [(p.threshold, p.rewritten, p.wins, p.losses, p.fixed.value, p.win_loss.value) for p in curve(make(ROWS))]
    assert found == [(0.9, 2, 2, 0, 0.4, math.inf), (0.5, 3, 2, 1, 0.4, 2.0), (0.4, 4, 3, 1, 0.6, 3.0), (0.1, 5, 3, 2, 0.4, 1.5)]


def test_many_scores_become_quantiles_with_both_ends():
    rows = [("ann", FAILED, OK, True, i / 1000) for i in range(1000)]
    points = curve(make(rows), points=5)
    assert [p.threshold for p in points] == [0.999, 0.749, 0.499, 0.249, 0.0]
    assert [p.wins for p in points] == [1, 251, 501, 751, 1000]


def test_without_rewrites_there_is_no_curve():
    assert curve(make([("ann", OK, OK, False)])) == []


@pytest.fixture
def picture():
    twelve = [(f"user {i}", FAILED, WRONG if i % 4 == 0 else OK, True, i / 12) for i in range(12)]
    sure = [(f"user {i}", FAILED, OK, True, i / 12) for i in range(12)]
    curves = {"ours <b>": curve(make(twelve)), "sure": curve(make(sure)), "silent": []}
    return draw(curves, operating={"sure": 0.0}, title="A world")


def lines(figure):
    return {str(line.get_label()): line for line in figure.axes[0].get_lines()}


def test_systems_are_drawn_where_they_decided_enough(picture):
    labels = lines(picture)
    assert "silent" not in labels
    # Only the three lowest thresholds have ten decided turns.
    x, y = labels["ours <b>"].get_data()
    assert list(x) == pytest.approx([8 / 12, 9 / 12, 9 / 12])
    assert list(y) == pytest.approx([8 / 2, 9 / 2, 9 / 3])
    assert all(math.isnan(height) for height in labels["sure"].get_ydata())


def test_published_ratios_are_marked_and_in_sight(picture):
    axes = picture.axes[0]
    low, high = axes.get_ylim()
    levels = {line.get_ydata()[0] for line in axes.get_lines() if list(line.get_xdata()) == [0, 1]}
    assert levels == set(PUBLISHED.values())
    assert all(low < level < high for level in levels)


def test_the_same_picture_gives_the_same_svg_with_names_escaped(picture, tmp_path):
    for name in ("a.svg", "b.svg", "c.png"):
        save(picture, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert svg == (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "ours &lt;b&gt;" in svg
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_is_an_empty_picture(tmp_path):
    save(draw({"silent": []}), tmp_path / "empty.png")


@pytest.mark.parametrize(("systems", "bands"), [(1, 1), (3, 3), (4, 1), (7, 1)])
def test_many_systems_leave_the_band_to_the_first(systems, bands):
    points = curve(make([(f"user {i}", FAILED, WRONG if i % 4 == 0 else OK, True, i / 12) for i in range(12)]))
    axes = draw({f"system {i}": points for i in range(systems)}).axes[0]
    assert len(axes.collections) == bands
    corners = axes.collections[0].get_paths()[0].vertices
    lowest = min(p.win_loss.low for p in points if p.wins + p.losses >= 10)
    assert corners[:, 1].min() == pytest.approx(max(lowest, axes.get_ylim()[0]))
