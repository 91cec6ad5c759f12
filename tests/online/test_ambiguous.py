"""Two towns of one name: who asks for one of them as a rule means that one, though she never said the short name before."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from rewriter import Rewriter, learn
from rewriter.operate.explain import explain
from rewriter.operate.forget import forget

pytestmark = pytest.mark.slow

WEST, EAST = "what's the weather in wilkerson washington", "what's the weather in wilkerson ohio"
SHORT = "what's the weather in wilkerson"
PEOPLE = 60
ASKING = 48
"""The first of them have said the short name; half of each kind."""


def rows():
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    for day in range(6):
        for i in range(PEOPLE):
            mine = WEST if i % 2 else EAST

            def turn(text, hypothesis, seconds, day=day, i=i):
                when = (start + timedelta(days=day, minutes=9 * i, seconds=seconds)).isoformat()
                status = "failed" if hypothesis is None else "ok"
                return {"user_id": f"u{i}", "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status}

            if i < ASKING and day == i % 6:
                yield turn(SHORT, None, 0)
                yield turn(mine, f"Weather|town={mine.split()[-1]}", 6)
            yield turn(mine, f"Weather|town={mine.split()[-1]}", 200)
            yield turn("turn on the lamp", "TurnOn|name=lamp", 400)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wilkerson")
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    learn([folder / "log.jsonl"], out=folder / "artefact")
    return folder / "artefact"


@pytest.mark.parametrize(("user", "town"), [("u49", WEST), ("u50", EAST), ("u51", WEST), ("u58", EAST)])
def test_the_town_that_this_user_asks_about(artefact, user, town):
    answer = Rewriter.open(artefact).rewrite(SHORT, user_id=user)
    assert (answer.text, answer.applied, answer.reason, answer.layer, answer.scope) == (
        town,
        True,
        "ambiguity",
        "online",
        "personal",
    )
    assert {candidate.text for candidate in answer.candidates} == {WEST, EAST}


def test_it_is_explained(artefact):
    told = explain(artefact, SHORT, user_id="u49").sentences()
    assert told[0].startswith(f"{SHORT!r} is rewritten to {WEST!r} (online, personal, P(success) 0.")
    assert told[1].startswith(f"users mean different things by it; probabilities with the habits of this user: {WEST!r} 0.")


def test_nobody_else(artefact):
    rewriter = Rewriter.open(artefact)
    for user in (None, "a stranger"):
        assert not rewriter.rewrite(SHORT, user_id=user).applied
    assert not Rewriter.open(artefact, layers=("precomputed",)).rewrite(SHORT, user_id="u49").applied


def test_what_the_user_undid_stays_undone(artefact):
    rewriter = Rewriter.open(artefact)
    rewriter.feedback(rewriter.rewrite(SHORT, user_id="u53").id, -1, user_id="u53")
    assert rewriter.rewrite(SHORT, user_id="u53").reason == "undone_by_user"
    assert rewriter.rewrite(SHORT, user_id="u55").text == WEST


def test_what_people_blocked_is_not_sent(artefact):
    (artefact / "review.csv").write_text(f"block,en,{SHORT},{EAST}\n", encoding="utf-8")
    try:
        rewriter = Rewriter.open(artefact)
        assert not rewriter.rewrite(SHORT, user_id="u50").applied
        assert rewriter.rewrite(SHORT, user_id="u49").text == WEST
    finally:
        (artefact / "review.csv").unlink()


def test_who_is_forgotten_leaves_no_share_behind(artefact, tmp_path):
    shutil.copytree(artefact, tmp_path / "copy")
    forget("u1", tmp_path / "copy")
    assert Rewriter.open(tmp_path / "copy").rewrite(SHORT, user_id="u49").reason != "ambiguity"
    forget("u50", artefact)  # she never said it
    assert not Rewriter.open(artefact).rewrite(SHORT, user_id="u50").applied
    assert Rewriter.open(artefact).rewrite(SHORT, user_id="u49").reason == "ambiguity"
