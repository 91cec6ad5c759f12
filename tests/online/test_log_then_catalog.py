"""A log and a catalog in one version: rules first, then the log's layer, then after a refusal the catalog."""

import json
from pathlib import Path

import pytest

from rewriter import Rewriter, learn
from rewriter.artefact.versions import current
from rewriter.codes import Layer, Reason, Scope
from rewriter.config import Config, Trigger
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.online.catalog_layer import CATALOG_RULES
from rewriter.online.request import Verdict
from rewriter.operate.forget import forget
from rewriter.operate.scrub import is_declared

GENEROUS = Config(trigger=Trigger(max_loss_share=0.25))
TEXTS = [{"text": f"unlock the {place} gate for {who}"} for place in ("harbour", "castle") for who in ("guests", "staff")]
HEARD, SENT = "unlock the harbor gate for guests", "unlock the harbour gate for guests"


@pytest.fixture(scope="module")
def folder(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("both")
    report = learn([log], out=out, config=GENEROUS, catalog=[*TEXTS, {"text": "?"}], complete=True)
    assert report.catalog_texts == 4
    assert report.catalog is not None
    assert dict(report.catalog.rejected) == {"no text": 1}
    return out


def answer(folder, text, *, after_failure=True):
    return Rewriter.open(folder).rewrite(text, after_failure=after_failure)


def test_the_catalog_answers_a_refusal_for_which_the_log_sends_nothing(folder):
    found = answer(folder, HEARD)
    assert (found.text, found.reason, found.rule) == (SENT, Reason.ONLINE, CATALOG_RULES[Scope.GLOBAL])
    assert not answer(folder, HEARD, after_failure=False).applied


def test_what_the_layer_of_the_log_sends_goes_first(folder, monkeypatch):
    sent = Verdict("lamp off", Reason.ONLINE, Layer.ONLINE, Scope.GLOBAL, 0.99)
    monkeypatch.setattr("rewriter.online.layer.OnlineLayer.decide", lambda *_, **__: sent)
    found = answer(folder, HEARD)
    assert (found.text, found.rule) == ("lamp off", "online-after-global")


def test_a_locale_that_only_the_catalog_has(log, tmp_path):
    learn([log], out=tmp_path, config=GENEROUS, catalog=[{"text": t["text"], "locale": "de-AT"} for t in TEXTS], complete=True)
    assert Rewriter.open(tmp_path).rewrite(HEARD, locale="de", after_failure=True).text == SENT
    assert Rewriter.open(tmp_path).rewrite(HEARD, locale="fr", after_failure=True).reason == Reason.UNKNOWN_LOCALE


def test_a_catalog_is_kept_until_the_next_one_is_given(log, tmp_path):
    learn_catalog(TEXTS, out=tmp_path, config=GENEROUS, complete=True)
    assert learn([log], out=tmp_path, config=GENEROUS).catalog_texts == 4, "kept from the version that had no log"
    assert answer(tmp_path, HEARD).text == SENT
    report = learn([log], out=tmp_path, config=GENEROUS, catalog=[row for row in TEXTS if row["text"] != SENT], complete=True)
    assert not report.nothing_new
    assert report.catalog_texts == 3
    assert answer(tmp_path, HEARD).text != SENT, "a row that left the catalog is no target"
    assert learn([log], out=tmp_path, config=GENEROUS, afresh=True).catalog_texts == 0


def test_every_file_is_declared_and_forgetting_keeps_the_catalog(log, tmp_path):
    learn([log], out=tmp_path, config=GENEROUS, catalog=TEXTS, complete=True)
    names = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert [name for name in names if not is_declared(name)] == []
    state = current(tmp_path).state
    assert json.loads((state / "catalog.json").read_text(encoding="utf-8")) == {"channel": "spoken", "complete": True}
    assert forget("u1", tmp_path).known
    assert answer(tmp_path, HEARD).text == SENT
    assert Path(current(tmp_path).state / "catalog.jsonl").exists()
