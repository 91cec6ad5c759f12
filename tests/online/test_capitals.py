"""Capitals of Turkish: log, catalog, lessons, review and requests agree on the small letters of I and İ."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from rewriter.artefact import review
from rewriter.artefact.review import Line
from rewriter.model.detector import RuleDetector
from rewriter.offline.catalog import read_catalog
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.operate.explain import explain
from rewriter.operate.forget import forget

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
WORDS = {"salı": "SALI", "altı": "ALTI", "kırk": "KIRK", "yarın": "YARIN", "sıcak": "SICAK", "izmir": "İZMİR"}


def rows():
    """Six users who fail with one text, in small letters and in capitals by turns, and restate it."""
    for day in range(6):
        for n in range(6):
            for i, (small, large) in enumerate(WORDS.items()):
                when = START + timedelta(days=day, minutes=20 * n + 120 * i)
                fails = f"{small} gunu kur" if (n + day) % 2 else f"{large} GUNU KUR"
                for seconds, text, meaning in ((0, fails, None), (6, f"{small} için kur", f"kur|ne={small}")):
                    yield {
                        "user_id": f"u{n}",
                        "timestamp": (when + timedelta(seconds=seconds)).isoformat(),
                        "utterance": text,
                        "hypothesis": meaning,
                        "status": "ok" if meaning else "failed",
                        "locale": "tr-TR",
                    }


@pytest.fixture(scope="module")
def turkish(once):
    """An artefact of a Turkish log."""

    def build(folder):
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
        learn([folder / "log.jsonl"], out=folder / "artefact", detector=RuleDetector())
        return folder / "artefact"

    return once("turkish", build)


@pytest.mark.parametrize(("small", "large"), WORDS.items())
@pytest.mark.parametrize("locale", [None, "tr", "tr-TR"])
def test_small_letters_and_capitals_are_one_text(turkish, small, large, locale):
    rewriter = Rewriter.open(turkish)
    for heard in (f"{small} gunu kur", f"{large} GUNU KUR", f"{large} gunu kur"):
        assert rewriter.rewrite(heard, locale=locale).text == f"{small} için kur", heard
    found = explain(turkish, f"{large} GUNU KUR", locale=locale)
    assert (found.source, found.counts[0].users, found.counts[0].turns) == (f"{small} gunu kur", 6, 36)


def test_lessons_and_review_read_capitals_too(turkish, tmp_path):
    root = tmp_path / "artefact"
    shutil.copytree(turkish, root)
    rewriter = Rewriter.open(root)
    rewriter.teach("KIZ KARDEŞİM", "ablamı ara", user_id="u1", locale="tr")
    assert rewriter.rewrite("kız kardeşim", user_id="u1", locale="tr").text == "ablamı ara"
    (root / review.FILE).write_text("block,tr,SALI GUNU KUR,,\n", encoding="utf-8")
    assert review.read(root / review.FILE).lines == [Line("tr", "salı gunu kur", "", "block")]
    assert rewriter.rewrite("salı gunu kur", locale="tr").reason == "blocked_by_review"
    assert forget("u1", root).known
    assert not any("KIZ" in str(lesson) for lesson in rewriter.lessons("u1"))


def test_a_catalog_is_read_in_its_locale():
    texts = [{"text": "SALI", "locale": "tr"}, {"text": "SALI", "locale": "en"}]
    catalog, _ = read_catalog(texts)
    assert sorted(zip(catalog.locales, catalog.queries, strict=True)) == [("en", "sali"), ("tr", "salı")]
