"""Raising `launch.min_users` over an existing folder: whatever has fewer users behind it stops serving with the next learn."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
import room_log

from rewriter import Config, Rewriter, learn
from rewriter.artefact.versions import current
from rewriter.model.detector import RuleDetector
from rewriter.model.query_store import QueryBook
from rewriter.operate.info import history

SAID, MEANT = "turn of the lamp", "turn off the lamp"
HEARD, OTHER, DARK = "TurnOff|name=lamp", "TurnOn|name=lamp", ("lamp off", "make the lamp dark")


def config(k, refit_days=0):
    return Config.from_dict({"launch": {"min_users": k}, "loop": {"refit_days": refit_days}})


def log(path, users, restate, spell):
    """A log of some users, of whom `restate` restate the source, and `spell` say the target in the words that are sent."""
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for day in range(10):
            for i in range(users):

                def turn(text, hypothesis, seconds, i=i, day=day):
                    when = (start + timedelta(days=day, minutes=20 * i, seconds=seconds)).isoformat()
                    status = "failed" if hypothesis is None else "ok"
                    row = {"user_id": f"u{i}", "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status}
                    file.write(json.dumps(row) + "\n")

                words = MEANT if i < spell else DARK[i % 2]
                turn(SAID, None, 0)
                if i < restate:
                    turn(words, HEARD, 6)
                turn(words, HEARD, 800)
                turn("turn on the lamp", OTHER, 1_200)
    return path


@pytest.mark.parametrize("few", [(8, 8, 8), (12, 8, 12), (12, 12, 8)], ids=["source", "pair", "surface"])
def test_a_rule_with_fewer_users_behind_it_retires(tmp_path, few):
    source, root = log(tmp_path / "log.jsonl", *few), tmp_path / "artefact"
    learn([source], out=root, config=config(3), detector=RuleDetector())
    assert Rewriter.open(root).rewrite(SAID).text == MEANT
    learn([source], out=root, config=config(9), detector=RuleDetector())
    assert not Rewriter.open(root).rewrite(SAID).applied
    assert [change.stage for change in history(root, SAID) if change.scope == "global"][-1] == "retired"
    learn([source], out=root, config=config(8), detector=RuleDetector())
    assert Rewriter.open(root).rewrite(SAID).text == MEANT  # it is launched again as soon as it may


def test_a_rule_for_a_context_value_retires_likewise(tmp_path, rooms):
    root = tmp_path / "artefact"
    shutil.copytree(rooms, root)
    assert Rewriter.open(root).rewrite(room_log.SAID, context={"room": "kitchen"}).applied
    k = len(room_log.USERS) + 1
    learn([rooms.parent / "log.jsonl"], out=root, config=config(k), detector=RuleDetector())
    assert not Rewriter.open(root).rewrite(room_log.SAID, context={"room": "kitchen"}).applied


@pytest.mark.parametrize("refit_days", [0, 7])
def test_the_online_layer_sends_no_text_of_fewer_users(tmp_path, small, refit_days):
    root = tmp_path / "artefact"
    shutil.copytree(small, root)
    book = current(root).folder / "online" / "book"
    assert len(QueryBook.open(book))
    learn([small.parent / "log.jsonl"], out=root, config=config(11, refit_days), detector=RuleDetector())
    book = current(root).folder / "online" / "book"
    assert not book.exists() or len(QueryBook.open(book)) == 0
