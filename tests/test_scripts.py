"""Texts of every script from the log to the answer, the terminal, a page and an export: as people write them, byte for byte."""

import csv
import json
import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from browser import Browser
from click.testing import CliRunner

from rewriter import Rewriter, label, terminal
from rewriter.cli import main
from rewriter.connect.verbs import export
from rewriter.evaluation.report import Report, ReportTable, html
from rewriter.offline.learn import learn
from rewriter.operate.console.page import console
from rewriter.operate.explain import explain
from rewriter.operate.label import TrainingExample, rasa_yaml
from rewriter.operate.review import pending
from rewriter.text import normalise, unspaced

FIXED = {
    "ar": ("شغل اضوا المطبخ", "شغّل أضواء المطبخ"),
    "he": ("הדלק אור בסלן", "הדלק את האור בסלון"),
    "hi": ("लाट चालू करो", "रसोईघर की लाइट चालू करो"),
    "zh-CN": ("打开厨防登", "打开厨房的灯"),
    "ja": ("テレビおんにし", "テレビをオンにして"),
    "th": ("เปิดไฟห้องคัว", "เปิดไฟในห้องครัว"),
    "ko": ("거실 조명 켜저", "거실 조명을 켜줘"),
    "en": ("💡 onn", "turn the 💡 on"),
}
"""Locale -> what fails, and what people say next that works."""
RIGHT_TO_LEFT = ("ar", "he")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    start = datetime(2026, 1, 5, 8, tzinfo=UTC)
    with (folder / "log.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "timestamp", "utterance", "hypothesis", "status", "locale"])
        for day in range(6):
            for i in range(12):
                for j, (locale, (failed, meant)) in enumerate(FIXED.items()):
                    at = start + timedelta(days=day, minutes=30 * i, seconds=200 * j)
                    rows.writerow([f"u{i}", at.isoformat(), failed, "", "failed", locale])
                    rows.writerow([f"u{i}", (at + timedelta(seconds=6)).isoformat(), meant, "On|name=light", "ok", locale])
    learn([folder / "log.csv"], out=folder / "artefact")
    return folder / "artefact"


@pytest.mark.parametrize("locale", FIXED)
def test_what_is_sent_explained_shown_and_exported_is_what_people_wrote(artefact, locale, tmp_path, monkeypatch, capsys):
    failed, meant = FIXED[locale]
    answer = Rewriter.open(artefact).rewrite(failed, locale=locale)
    assert (answer.text, str(answer.reason)) == (meant, "rule")
    found = explain(artefact, failed, locale=locale)
    assert f"is rewritten to {meant!r}" in found.sentences()[0]
    monkeypatch.setattr(terminal, "console", terminal.Console(highlight=False, emoji=False, width=160))
    terminal.table("rules", ("target",), [(found.rows()[0][0],)])
    read = terminal.unspaced(normalise(meant, locale))
    assert read in capsys.readouterr().out
    page = tmp_path / "console.html"
    console(artefact, out=page)
    assert f'<bdi dir="auto">{read}</bdi>'.encode() in page.read_bytes()
    export("solr", artefact, tmp_path / "synonyms.txt", locale=locale)
    lines = (tmp_path / "synonyms.txt").read_bytes().decode("utf-8").splitlines()[1:]
    assert lines == [f"{terminal.unspaced(normalise(failed, locale))} => {read}"]
    export("ovos", artefact, tmp_path / "corrections.json", locale=locale)
    assert set(json.loads((tmp_path / "corrections.json").read_bytes()).values()) <= {read}


@pytest.mark.parametrize("locale", FIXED)
def test_no_verb_puts_blanks_between_letters_that_have_none(artefact, locale, tmp_path):
    failed, meant = FIXED[locale]
    own = tmp_path / "artefact"
    shutil.copytree(artefact, own)
    console(own, out=tmp_path / "console.html")
    label([artefact.parent / "log.csv"], out=tmp_path / "labels.parquet", train=tmp_path / "nlu.yml")
    label([artefact.parent / "log.csv"], out=tmp_path / "labels.parquet", train=tmp_path / "nlu.jsonl")
    told = [(tmp_path / name).read_text(encoding="utf-8") for name in ("console.html", "nlu.yml", "nlu.jsonl")]
    told[0] = re.sub(r"<script.*?</script>", "", told[0], flags=re.DOTALL)  # its data is keyed by normal forms
    rule = next(rule.rule for rule in pending(own) if rule.locale == locale)
    who = ["--user", "ann", "--locale", locale]
    for verb, *given in (
        ["teach", own, failed, meant * 2, *who],
        ["teach", own, failed, meant, *who],
        ["teach", own, meant, failed, *who],
        ["lessons", own, "--user", "ann"],
        ["rewrite", own, failed, *who],
        ["explain", own, meant, *who],
        ["review", own, "--edit", rule, meant * 2],
        ["review", own, "--approve", rule],
        ["review", own, "--block", rule],
        ["history", own, failed],
        ["forget", "ann", own],
    ):
        done = CliRunner().invoke(main, [verb, *map(str, given)])
        assert done.exit_code == 0, done.output
        told.append(done.output)
    for normal in (normalise(failed, locale), normalise(meant, locale)):
        assert normal == unspaced(normal) or not [text for text in told if normal in text]


def test_slots_are_marked_in_scripts_without_blanks():
    found = [
        TrainingExample("zh-CN", "打开厨房的灯", "On", {"area": "厨房"}, 4, 3),
        TrainingExample("en", "a lamp on", "On", {"name": "am", "area": "lamp"}, 4, 3),
    ]
    assert [line.strip(" -") for line in rasa_yaml(found).splitlines()[-2:]] == ["打开[厨房](area)的灯", "a [lamp](area) on"]


def test_a_user_who_switches_is_answered_in_each_language(artefact):
    rewriter = Rewriter.open(artefact)
    for failed, meant in [*FIXED.values(), *reversed(FIXED.values())]:
        for user in ("u1", "new"):
            assert rewriter.rewrite(failed, user_id=user).text == meant
            assert rewriter.rewrite(meant, user_id=user).text == meant


def test_a_page_shows_every_script_whole_and_in_its_direction(tmp_path):
    texts = [(locale, normalise(meant * 5, locale)) for locale, (_, meant) in FIXED.items()]
    page = tmp_path / "report.html"
    page.write_text(html(Report("t", "l", [], [ReportTable("texts", "", ("locale", "text"), texts)])), encoding="utf-8")
    with Browser() as browser:
        for width in (1100, 420):
            browser.size(width)
            browser.open(page.as_uri())
            shown = browser.run(
                """return [...document.querySelectorAll("td:last-child bdi")].map(of => {
                  const cell = of.closest("td").getBoundingClientRect(), box = of.getBoundingClientRect();
                  return [of.textContent, of.matches(":dir(rtl)"), box.right <= cell.right + 1 && cell.right <= innerWidth];
                })"""
            )
            assert shown == [[terminal.unspaced(text), locale in RIGHT_TO_LEFT, True] for locale, text in texts]
            browser.picture(tmp_path / f"{width}.png")
            assert (tmp_path / f"{width}.png").stat().st_size > 10_000
