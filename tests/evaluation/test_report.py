import re
import xml.etree.ElementTree as ET

import pytest
from hand_made import make

from rewriter.evaluation.charts import by_day
from rewriter.evaluation.report import Picture, Report, ReportTable, figures_of, html
from rewriter.evaluation.summary import asked, brief, cells, row, summary

NASTY = "<img src=x onerror=alert(1)>\"'&"
ROWS = summary(
    make(
        [
            ("ann", "failed_honestly", "ok", True, 0.9, "precomputed", "global"),
            ("bob", "ok", "wrong", True, 0.9, "online", "global"),
            ("eve", "failed_honestly", "failed_honestly", False),
        ]
    )
)


def test_everything_but_our_pictures_is_escaped():
    table = ReportTable(NASTY, NASTY, (NASTY, "b"), [(NASTY, "2")])
    page = html(Report(NASTY, NASTY, [(NASTY, NASTY)], [table, Picture(NASTY, NASTY, "<svg>ours</svg>")]))
    assert "<img" not in page
    assert page.count("&lt;img src=x") == 14
    assert page.count("<svg>ours</svg>") == 1


def test_parts_stand_in_their_order_and_no_empty_note_is_left():
    page = html(
        Report(
            "t",
            "l",
            [],
            [Picture("one", "", "<svg/>"), ReportTable("two", "", ("a",), [("x",)]), ReportTable("three", "n", (), [])],
        )
    )
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["one", "two", "three"]
    assert re.findall(r"<p>(.*?)</p>", page) == ["n"]
    assert "<dl" not in page


def test_a_page_explains_the_terms_that_it_uses():
    page = html(Report("t", "Losses come first.", [], [figures_of("f", "", ROWS)]))
    terms = re.findall(r'<dt id="term-([^"]+)">', page)
    assert {"loss", "win", "win/loss", "fixed", "p99"} <= set(terms)
    assert not {"probation", "budget", "S"} & set(terms)
    assert terms == sorted(terms, key=str.lower)
    linked = set(re.findall(r'href="#term-([^"]+)"', page))
    assert linked <= set(terms)
    assert {"win", "fixed"} <= linked


def test_an_interval_stands_under_its_figure():
    page = html(Report("t", "l", [], [figures_of("f", "n", ROWS)]))
    everything = dict(zip(*[cells(ROWS)[0], cells(ROWS)[1][0]], strict=True))
    value, interval = everything["fixed"].split(" (")
    assert f'<td data-name="fixed">{value}<small>({interval}</small></td>' in page
    assert f'<td data-name="turns">{everything["turns"]}</td>' in page
    words = html(Report("t", "l", [], [ReportTable("w", "", ("heard",), [("lamp (off)",)])]))
    assert '<td data-name="heard"><bdi dir="auto">lamp (off)</bdi></td>' in words


@pytest.mark.parametrize("days", [1, 3, 20])
def test_days_are_drawn_in_order_for_each_name(days):
    names = [f"2026-01-{d:02}" for d in range(1, days + 1)]
    drawn = by_day({"as spoken": dict.fromkeys(names, 0.3), "with rewriting": {names[-1]: 0.2}})
    texts = [element.text for element in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    wide, narrow = ([n[5:] for n in names[:: -(-days // most)]] for most in (12, 5))
    assert [t for t in texts if t in {n[5:] for n in names}] == [*wide, *narrow], "labels that do not fit are left out"
    assert {"as spoken", "with rewriting", "turns that fail"} <= set(texts)
    assert drawn == by_day({"as spoken": dict.fromkeys(names, 0.3), "with rewriting": {names[-1]: 0.2}})


def test_brief_figures_are_those_of_the_whole():
    columns, lines = brief(ROWS)
    whole = [dict(zip(cells(ROWS)[0], line, strict=True)) for line in cells(ROWS)[1]]
    assert columns == ["", "turns", "defects", "win", "loss", "win/loss", "fixed", "broken ‰"]
    for line, full in zip(lines, whole, strict=True):
        assert line[:6] == [full[name] for name in columns[:6]]
        assert line[6:] == [full["fixed"].split(" (")[0], full["broken ‰, unseen"].split(" (")[0]]


def test_brief_figures_of_a_replay_tell_the_worst():
    replayed = row("all", make([("a", "failed_honestly", "ok", True), ("b", "unknown", "unknown", True)]))
    columns, (line,) = brief([replayed])
    assert columns == ["", "win", "loss", "unknown", "win/loss", "at worst", "fixed", "broken ‰"]
    assert line[:4] == ["all", "1", "0", "1"]
    assert line[5:] == ["1.0", "100.0 %", "–"]
    assert asked(replayed).startswith("2 turns, 1 of which fail as spoken; ")
