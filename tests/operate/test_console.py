"""The console as a file: what it says of an artefact, whose texts it holds, and that nothing in it can run or be fetched."""

import json
import re
import shutil

import duckdb
import lamp_log
import pytest
from test_demo import Page

from rewriter import Rewriter, console
from rewriter.artefact.review import FILE, read
from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.model.rules import Rule, count_moments, save_moments
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.learn import learn
from rewriter.operate.console import content as gathered
from rewriter.operate.console.content import content
from rewriter.operate.console.page import _embedded, html, policy
from rewriter.operate.review import decide, decided, pending
from rewriter.text import normalise


@pytest.fixture
def root(small, tmp_path):
    shutil.copytree(small, tmp_path / "artefact")
    return tmp_path / "artefact"


def stored(root, query):
    with duckdb.connect() as con:
        con.read_parquet(str(current(root).state / "rules.parquet")).create_view("rules")
        return con.execute(query).fetchall()


def test_rules_parts_and_refusals_are_those_of_the_state(root):
    found = content(root)
    launched = stored(root, "SELECT rule, source, target FROM rules WHERE verdict = 'launched' AND scope = 'global'")
    assert [(r.decided.rule.rule, r.decided.rule.source, r.decided.rule.target) for r in found.rules] == launched
    assert found.parts[0].on
    assert found.parts[0].text.endswith(f"; {len(launched)} for everybody, 6 for single users")
    refused = stored(root, "SELECT COUNT(*) FROM rules WHERE verdict <> 'launched' AND scope = 'global' AND context_value = ''")
    assert sum(each.rules for each in found.refused) == refused[0][0]
    assert [each.rules for each in found.refused] == sorted((each.rules for each in found.refused), reverse=True)
    guarded = next(each for each in found.refused if each.reason == "guardrail")
    assert [(rule.source, rule.verdict) for rule in guarded.examples] == [
        ("switch on lamb", "guardrail: flips switch on to turn off")
    ]


def test_another_budget_launches_what_it_would(root, monkeypatch):
    """Three rules with known expected wins and losses; those that fail something else never launch."""
    version = current(root)
    path = version.state / "rules.parquet"
    with duckdb.connect() as con:
        con.execute(
            f"""CREATE TABLE t AS SELECT * REPLACE (10.0 AS turns, 0.9 AS win, 0.01 AS loss) FROM read_parquet('{path}')
                WHERE verdict = 'launched' AND scope = 'global' LIMIT 1"""
        )
        for i, (verdict, loss) in enumerate(
            [("over_budget", 0.11), ("over_budget", 0.40), ("guardrail", 0.0), ("no_surface", 0.0)]
        ):
            detail = "flips|on|off|" if verdict == "guardrail" else ""
            con.execute(
                f"""INSERT INTO t SELECT * REPLACE ('x{i}' AS rule, 'text {i}' AS source, '{verdict}' AS verdict,
                    '{detail}' AS detail, {loss} AS loss) FROM t LIMIT 1"""
            )
        con.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    found = content(root)
    # 0.01 / 0.91 = 1.1 %; (0.01 + 0.11) / (0.91 + 1.01) = 6.25 %; (0.01 + 0.11 + 0.40) / (0.91 + 1.01 + 1.30) = 16.1 %
    assert [(b.share, b.rules, b.present) for b in found.budgets] == [
        (0.02, 1, False), (0.05, 1, True), (0.10, 2, False), (0.20, 3, False),
    ]  # fmt: skip
    assert (found.budgets[2].win, found.budgets[2].loss) == (pytest.approx(18.0), pytest.approx(1.2))
    shown = {rule.source: rule.launches_at for each in found.refused for rule in each.examples}
    assert shown == {"text 0": 0.10, "text 1": 0.20, "text 2": None}, "no k users say the target of the last, so it is not shown"


def test_the_review_shows(root):
    (rule, *_) = pending(root)
    words = {"approve": "approved", "edit": "edited", "block": "blocked"}
    for choice, text in (("approve", ""), ("edit", "turn the lamp off"), ("approve", ""), ("block", ""), ("edit", "x")):
        decide(root, choice, [rule.rule], text=text)
        (shown,) = (each for each in decided(root) if each.rule == rule)
        assert shown.line.choice == choice
        page = html(content(root))
        assert f">{words[choice]}</span>" in page
        assert ("turn the lamp off" in page) == (text == "turn the lamp off")
        before = {"block"} if text == "x" else set()
        assert {line.choice for line in read(root / FILE).lines} == {choice} | before, "what contradicts it is gone"
    assert pending(root) == []


def test_what_users_teach_is_counted_and_not_shown(root, tmp_path):
    before = content(root)
    assert before.taught == (0, 0)
    rewriter = Rewriter.open(root)
    lesson = rewriter.teach("movie time", "turn off the lamp", user_id="ann").lesson
    rewriter.teach("bed time", "turn off the lamp", user_id="ben")
    rewriter.prefer("name", "lamp", user_id="ann")
    found = content(root)
    assert (found.taught, found.moments) == ((2, 1), before.moments)
    page = html(found)
    assert "What users teach" in page
    assert not re.search("movie time|bed time", page)
    rewriter.unteach(lesson.id)
    assert content(root).taught == (1, 1)
    rows = [Rule(f"restated:{n}:2", "5f" * 16, "en", f"text {n}", "target", 0.9) for n in range(3)]
    save_moments(tmp_path / "rules", rows)
    assert (count_moments(tmp_path / "rules"), count_moments(tmp_path)) == (3, 0)


def test_the_page_stands_alone_and_holds_no_text_of_few_users(root, tmp_path):
    console(root, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [source for source in page.sources if not source.startswith("#")] == []
    assert "turn of the lamp" in page.svg_texts, "the graph of the rule is drawn"
    for private in (lamp_log.OWN, lamp_log.RARE, lamp_log.TORN, *lamp_log.SECRETS.values(), *lamp_log.USERS):
        assert not re.search(rf"\b{re.escape(normalise(private))}\b", text)
    assert "shows no text of fewer than 3 users" in text


def test_what_people_said_cannot_run(tmp_path):
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    rows = [
        r | {"utterance": r["utterance"] + nasty, "hypothesis": r["hypothesis"] and r["hypothesis"] + nasty}
        for r in lamp_log.rows()
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = Config.from_dict({"loop": {"refit_days": 0}})
    learn([tmp_path / "log.jsonl"], out=tmp_path / nasty.replace("/", "_"), config=config, detector=RuleDetector())
    text = html(content(tmp_path / nasty.replace("/", "_")))
    assert text.count("<script") == 2
    assert "<img" not in text
    assert json.loads(_embedded({"a": "</script><!--&"})) == {"a": "</script><!--&"}
    assert not re.search("[<&]", _embedded({"a": "</script><!--&"}))
    assert "script-src 'sha256-" in policy("x")
    assert "default-src 'none'" in policy("x")


def test_without_the_private_state_the_rules_are_shown(root, tmp_path):
    shutil.rmtree(root / "state")
    found = console(root, tmp_path / "page.html")
    assert (found.state, found.parts, found.refused, found.loop) == (False, (), [], ())
    assert len(found.rules) == 1
    assert "The private state is not here" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_only_the_busiest_rules_are_shown(root, monkeypatch):
    monkeypatch.setattr(gathered, "MOST_RULES", 0)
    found = content(root)
    assert (found.rules, found.more_rules) == ([], 1)


def test_a_catalog_alone_is_called_so(tmp_path):
    learn_catalog([{"text": "turn on the lamp"}, {"text": "play jazz"}], out=tmp_path)
    page = html(content(tmp_path))
    assert "made of a catalog alone; 2 texts of en" in page
    assert "private state is not here" not in page
    assert "learned from" not in page
