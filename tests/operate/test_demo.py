"""The demo, small: a page that stands alone, says what was found, shows nobody's own words, and comes out the same again."""

import re
from collections import defaultdict
from html.parser import HTMLParser

import duckdb
import pytest

from rewriter.cli import main
from rewriter.messages import verdict_kind
from rewriter.operate import demo as show
from rewriter.text import normalise

pytestmark = pytest.mark.slow

SMALL = {"seed": 3, "users": 50, "days": 5, "later": 1, "asked": 150}


class Page(HTMLParser):
    """What a page asks for and what it shows."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.headings, self.tables, self.svg_texts = set(), [], [], [], []
        self._open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data") and value]
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data.strip()
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)
        if "svg" in self._open and "text" in self._open:
            self.svg_texts.append(data.strip())

    def table(self, *columns):
        """The rows of the table that has these columns first."""
        return next(rows[1:] for rows in self.tables if rows[0][: len(columns)] == list(columns))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    steps = []
    folder = tmp_path_factory.mktemp("demo")
    return folder, show.demo(folder, **SMALL, progress=steps.append), steps


@pytest.fixture(scope="module")
def page(made):
    return Page(made[1].report.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def speakers(made):
    """Normalised text -> who said it, in the log."""
    said = defaultdict(set)
    with duckdb.cursor() as con:
        for user, text in con.read_parquet(str(made[0] / "log.parquet")).project("user_id, utterance").fetchall():
            said[normalise(text)].add(user)
    return said


def test_the_page_stands_alone(made, page):
    text = made[1].report.read_text(encoding="utf-8")
    assert "script" not in page.tags
    assert not {"iframe", "link", "img", "object", "embed"} & page.tags
    assert all(source.startswith("#") for source in page.sources), page.sources
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", text)
    assert re.search(r"\bon[a-z]+\s*=", re.sub(r">[^<]*<", "><", text)) is None
    assert text.startswith("<!doctype html>")


def test_the_page_tells_all_that_was_found(made, page):
    _, found, steps = made
    assert steps == list(show.STEPS)
    judged = page.table("", "turns", "defects")
    names = [row[0] for row in judged]
    assert names[:4] == ["no rewriting", "exact rules", "+ global", "+ personal"]
    assert {
        "known users",
        "new users",
        "known phrases",
        "never-heard healthy phrases",
        "never-heard goals",
        "silent defects",
    } <= set(names)
    everything = found.rows["before the NLU"][3]
    assert judged[3][1:3] == [f"{everything.turns:,}", f"{everything.defects:,}"]
    assert judged[0][-1] == "–", "where nothing is asked nothing takes time"
    heard = [tuple(row[:2]) for row in page.table(*show.EXAMPLES)]
    assert heard == [(e.source, e.target) for e in found.examples]
    assert found.examples
    assert {row[0] for row in page.table("reason", "rules")} == {verdict_kind(verdict) for verdict in found.learned.refused}
    assert "Win/loss against defects fixed" in page.headings
    assert "Defect rate by day" in page.headings
    assert [f"“{e.source}”" in page.headings for e in found.examples[:3]] == [True] * len(found.examples[:3])
    assert "win/loss ratio" in page.svg_texts
    assert "with rewriting" in page.svg_texts
    assert page.headings[:3] == ["Losses", "The ten best rewrites", "Defects fixed by layer"]
    for rows in found.rows.values():
        assert {row.name for row in rows[:4]} <= set(page.svg_texts)
        assert {f"{100 * row.fixed.value:.1f} %" for row in rows[:4]} <= set(page.svg_texts)


def test_the_rungs_of_the_ladder_stand_on_the_same_requests(made):
    for rows in made[1].rows.values():
        wins = [row.wins for row in rows[:4]]
        assert wins[0] == 0 < wins[1] <= wins[3]
        assert {row.turns for row in rows[:4]} == {SMALL["asked"]}


def test_what_is_shown_was_said_by_three_people(made, page, speakers):
    shown = [text for row in page.table(*show.EXAMPLES) for text in row[:2]]
    shown += [text for row in page.table(*show.NOT_SENT) for text in row[:2]]
    assert shown
    assert {text: len(speakers[text]) for text in shown if len(speakers[text]) < 3} == {}


def test_pictures_show_no_text_of_fewer_people(page, speakers):
    common = [text for text, users in speakers.items() if len(users) >= 3]
    # A label stands in lines, so a part of what many said may well be all of what one said.
    rare = {text for text, users in speakers.items() if len(users) < 3 and not any(text in whole for whole in common)}
    assert rare
    assert not [text for text in page.svg_texts if normalise(text) in rare]


def test_rewriting_makes_later_days_better(made):
    by_day = made[1].by_day
    later = sorted(by_day["with rewriting"])
    assert len(by_day["as spoken"]) == SMALL["days"] + SMALL["later"]
    assert len(later) == SMALL["later"]
    assert all(by_day["with rewriting"][day] < by_day["as spoken"][day] for day in later)
    assert 0 < made[1].rows["before the NLU"][3].fixed.value < made[1].ceilings["any rewriting"] <= 1


def test_the_same_seed_gives_the_same_home_and_the_same_rules(tmp_path):
    """Users are hashed under a new secret, and draws follow their order: a doubtful personal rule may fall either way."""
    tiny = SMALL | {"users": 20, "days": 3, "asked": 40}
    found, again = (show.demo(tmp_path / name, **tiny) for name in ("one", "two"))
    assert (tmp_path / "one/log.parquet").read_bytes() == (tmp_path / "two/log.parquet").read_bytes()
    assert again.by_day["as spoken"] == found.by_day["as spoken"]
    for mode, rows in found.rows.items():
        assert [(r.turns, r.defects) for r in again.rows[mode]] == [(r.turns, r.defects) for r in rows]
    assert [e.source for e in again.examples][:3] == [e.source for e in found.examples][:3]


def test_the_command_prints_tables_that_fit_and_says_where_the_page_is(made, tmp_path, monkeypatch):
    from click.testing import CliRunner

    asked = {}

    def small(out, **arguments):
        asked.update(arguments, out=out)
        return made[1]

    monkeypatch.setattr(show, "demo", small)
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path), "--seed", "5", "--setting", "noisy"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert (asked["out"], asked["seed"], asked["setting"]) == (tmp_path, 5, "noisy")
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines if line.startswith(" ")) <= 80
    assert {"judged before the NLU", "judged after a refusal", "ten rewrites"} <= {line.strip() for line in lines}
    assert lines[-1] == f"report: {made[1].report}"
    assert any(line.startswith("within reach of exact rules: ") for line in lines)
