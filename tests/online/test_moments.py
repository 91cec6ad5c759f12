"""Teachable moments: what a user restates, complains about, or the engine is unsure of; within a budget, and not after a no."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from rewriter.codes import Moment
from rewriter.config import Config
from rewriter.errors import RequestError
from rewriter.model.detector import RuleDetector
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.operate.forget import forget

TV, JAZZ = "TurnOn|name=tv", "Play|genre=jazz"
CONFIG = Config.from_dict({"launch": {"personal": False}, "loop": {"refit_days": 0}})


def rows():
    """Ten days: ann restates movie time on two, ben on one; cem means now this, now that; dan complains; eva unlocks."""
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    plan = [
        ("ann", (2, 5), [("movie time", None), ("turn on the tv", TV)]),
        ("ann", (1, 3), [("play jazz", JAZZ)]),
        ("ben", (4,), [("movie time", None), ("turn on the tv", TV)]),
        ("cem", (2, 4), [("cinema", None), ("turn on the tv", TV)]),
        ("cem", (3, 5), [("cinema", None), ("play jazz", JAZZ)]),
        ("dan", (8,), [("some music", "Say|what=hello"), ("That's wrong!", None), ("play jazz", JAZZ)]),
        ("dan", (9,), [("play jazz", JAZZ)]),
        ("eva", (2, 5), [("i am home", None), ("unlock the door", "Unlock|name=door")]),
    ]
    for user in ("ann", "ben", "cem", "dan", "eva"):  # what else they ask for
        plan += [(user, (day,), [(f"ask for thing {day}", f"Ask|thing={day}")]) for day in range(10)]
    for n, (user, days, turns) in enumerate(plan):
        for day in days:
            for i, (text, hypothesis) in enumerate(turns):
                at = start + timedelta(days=day, minutes=13 * n, seconds=6 * i)
                status = "failed" if hypothesis is None else "ok"
                yield {
                    "user_id": user,
                    "timestamp": at.isoformat(),
                    "utterance": text,
                    "hypothesis": hypothesis,
                    "status": status,
                }


@pytest.fixture(scope="module")
def learned(once):
    def build(folder):
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
        learn([folder / "log.jsonl"], out=folder / "a", config=CONFIG, detector=RuleDetector())
        return folder / "a"

    return once("moments", build)


@pytest.fixture
def root(learned, tmp_path):
    shutil.copytree(learned, tmp_path / "a")
    return tmp_path / "a"


def test_what_a_user_restates_on_two_days_is_asked(root):
    asked = Rewriter.open(root).rewrite("Movie time", user_id="ann").teachable
    assert (asked.moment, asked.said, asked.meant, asked.turns, asked.days) == (
        Moment.RESTATED,
        "movie time",
        "turn on the tv",
        2,
        2,
    )
    assert asked.question == "When you say “movie time”, shall I “turn on the tv”?"


@pytest.mark.parametrize(
    ("user", "said"),
    [("ben", "movie time"), ("cem", "cinema"), ("eva", "i am home"), ("ann", "play jazz"), (None, "movie time"), ("ann", "tv")],
)
def test_what_is_no_moment_is_not_asked(root, user, said):
    """One occasion, two meanings, a destructive target, a request that works, nobody, and a text never heard."""
    assert Rewriter.open(root).rewrite(said, user_id=user).teachable is None


def test_a_complaint_and_a_restatement_are_asked_at_once(root):
    asked = Rewriter.open(root).rewrite("some music", user_id="dan").teachable
    assert (asked.moment, asked.meant, asked.days) == (Moment.COMPLAINED, "play jazz", 1)


def test_yes_teaches_and_no_is_remembered(root):
    clock = [1e9]
    rewriter = Rewriter.open(root, now=lambda: clock[0])
    asked = rewriter.rewrite("movie time", user_id="ann").teachable
    with pytest.raises(RequestError, match="words for yes or no, not 'blue'"):
        rewriter.answer(asked, "blue", user_id="ann")
    assert rewriter.answer(asked, "No, thanks!", user_id="ann") is None
    clock[0] += 86_400 * 3
    assert Rewriter.open(root).rewrite("movie time", user_id="ann").teachable is None
    assert rewriter.answer(asked, "yes please", user_id="ann").stored
    answer = rewriter.rewrite("movie time", user_id="ann")
    assert (answer.text, answer.teachable) == ("turn on the tv", None)


def test_one_user_is_asked_once_a_day(root):
    clock = [1e9]
    rewriter = Rewriter.open(root, now=lambda: clock[0])
    asked = [rewriter.rewrite("movie time", user_id="ann").teachable is not None for _ in range(3)]
    clock[0] += 86_400
    assert [*asked, rewriter.rewrite("movie time", user_id="ann").teachable is not None] == [True, False, False, True]


@pytest.mark.parametrize("spelled", ["kitchen", "Kitchen"])
def test_what_the_engine_may_not_send_alone_is_asked(tmp_path, spelled):
    said = ("turn on the kitchen lights", "turn off the kitchen lights", "set a timer")
    texts = [{"text": text.replace("kitchen", spelled)} for text in said]
    learn_catalog(texts, out=tmp_path / "a", complete=True)
    answer = Rewriter.open(tmp_path / "a").rewrite("turn off the kitchen light", after_failure=True, user_id="ann")
    assert (answer.teachable.moment, answer.teachable.meant) == (Moment.UNSURE, answer.suggestion)
    assert answer.teachable.p == answer.candidates[0].p_success


def test_who_is_forgotten_is_not_asked(root):
    rewriter = Rewriter.open(root)
    rewriter.answer(rewriter.rewrite("some music", user_id="dan").teachable, False, user_id="dan")
    assert forget("dan", root).taught == 1
    assert not any(b"some music" in path.read_bytes() for path in root.rglob("*") if path.is_file())
    rewriter = Rewriter.open(root)
    assert rewriter.rewrite("some music", user_id="dan").teachable is None
    assert rewriter.rewrite("movie time", user_id="ann").teachable is not None
