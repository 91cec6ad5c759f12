"""The online layer from end to end: learned, drawn, logged, judged, withdrawn; and the answer tells each step."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from click.testing import CliRunner

import rewriter.offline.run as run
from rewriter import Config, Rewriter, learn
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.model.detector import RuleDetector
from rewriter.model.layer_slices import SLICES, open_promises
from rewriter.operate.info import history

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 12, 8, tzinfo=UTC)
SAMPLE = "data/sample.parquet"


@pytest.fixture(scope="module")
def learned(tmp_path_factory, sample):
    """An artefact of the sample that draws. Its online layer is that of `sample`, which was fitted on the same log."""

    def fitted(mined, decided, best, doubted, config, online, *others):
        shutil.copytree(current(sample[0]).folder / "online", online)
        return open_promises(online)

    root = tmp_path_factory.mktemp("layer") / "artefact"
    arguments = {"out": root, "config": Config.from_dict({"loop": {"draw": True}}), "detector": RuleDetector()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_fit", fitted)
        learn([SAMPLE], **arguments)
    return root, arguments


def garbles(rewriter):
    """Texts that nobody said and that the layer finds something for: healthy ones with a letter too many, or one too few."""
    said = duckdb.sql(f"SELECT DISTINCT utterance FROM '{SAMPLE}' WHERE status = 'ok' ORDER BY 1").fetchall()
    tried = [garbled for (text,) in said for garbled in (text + text[-1], text[:-1], text[1:])]
    return [text for text in tried if rewriter.rewrite(text).rule == "online-before-global"][:60]


def requests(rewriter, clock, texts, good):
    """Five days of twelve users; good says what becomes of a request by whether it was rewritten."""
    for day in range(5):
        clock[0] = (START + timedelta(days=day)).timestamp()
        for user in range(12):
            for n, text in enumerate(texts[user::12]):
                answer = rewriter.rewrite(text, user_id=f"new{user}")
                when = (START + timedelta(days=day, minutes=30 * n, seconds=user)).isoformat()
                ok = good[answer.applied]
                row = {"user_id": f"new{user}", "timestamp": when, "utterance": text, "status": "ok" if ok else "failed"}
                decided = {name: getattr(answer, name) for name in ("rule", "layer", "scope", "arm", "propensity")}
                yield row | decided | ({"sent": answer.text} if answer.applied else {})


def test_what_it_sends_is_drawn_logged_judged_and_withdrawn(learned, tmp_path):
    root, arguments = learned
    assert {c.source: (c.stage, round(c.share, 9)) for c in history(root)} == {
        name: ("canary", 0.9) if of.is_drawn else ("live", 1.0) for name, of in SLICES.items() if of.method == "online"
    }
    clock = [START.timestamp()]
    rewriter = Rewriter.open(root, now=lambda: clock[0])
    texts = garbles(rewriter)
    assert len(texts) >= 8
    rows = list(requests(rewriter, clock, texts, {True: False, False: True}))
    arms = [row["arm"] for row in rows if row["rule"] == "online-before-global"]
    assert 0.02 < arms.count("leave") / len(arms) < 0.25
    (tmp_path / "drawn.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    learn([tmp_path / "drawn.jsonl"], **arguments)

    (gone,) = [c for c in history(root) if c.stage == "retired"]
    assert (gone.source, gone.stage_before, gone.share, gone.scope) == ("online-before-global", "canary", 0.0, "online")
    assert gone.tried_ok == 0 < gone.left_ok
    answers = [Rewriter.open(root).rewrite(text, user_id="guest") for text in texts]
    assert not any(answer.applied for answer in answers)
    assert "withdrawn" in {answer.reason for answer in answers}
    assert any(Rewriter.open(root).rewrite(text, after_failure=True).applied for text in texts)
    told = CliRunner().invoke(main, ["history", str(root), "--json"])
    assert '"stage": "retired"' in told.output


def test_who_asks_for_no_draws_pays_nothing(sample):
    rewriter = Rewriter.open(sample[0])
    answers = [rewriter.rewrite(text, user_id="guest") for text in garbles(rewriter)]
    assert {(answer.applied, answer.arm) for answer in answers} == {(True, None)}
