"""Personal over global, learned from a log whose truth is known: a habit decides what is open, and swallows nothing clear."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from rewriter import Rewriter, learn

pytestmark = pytest.mark.slow

STEMS = ["wilk", "bark", "hend", "patt", "mort", "dav", "robb", "and", "pett", "jeff", "nell", "garn"]
TOWNS = [(f"{stem}eson", f"{stem}erton", f"{stem}erson") for stem in STEMS]
"""Two towns, and what is heard for either."""
SONGS = [
    ("we don't talk anymore", "we don't talk about bruno", "we don't talk about brunno"),
    ("hello goodbye", "hello darkness", "hello darkeness"),
    ("stand by me", "stand and deliver", "stand an deliver"),
    ("let it be", "let it snow", "let it snoww"),
    ("yellow river", "yellow submarine", "yellow submarin"),
]
"""A song that people love, one that they play now and then, and how the latter is misheard."""
DAYS, EACH = 8, 4  # users of each town


def users():
    """(user, her town, what is heard for it, whether it ever is, her song, another one, and how that is misheard)."""
    for i, (one, other, heard) in enumerate(TOWNS):
        for town in (one, other):
            for n in range(EACH):
                loved, rare, garbled = SONGS[(i + n) % len(SONGS)]
                yield f"{town}-{n}", town, heard, n > 0, loved, rare, garbled


def rows():
    """What they say on eight days; the last user of no town is ever misheard when asking for it."""
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    for day in range(DAYS):
        for i, (user, town, heard, misheard, loved, rare, garbled) in enumerate(users()):

            def turn(text, hypothesis, seconds, day=day, i=i, user=user):
                when = (start + timedelta(days=day, minutes=5 * i, seconds=seconds)).isoformat()
                status = "failed" if hypothesis is None else "ok"
                return {"user_id": user, "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status}

            if misheard and (day + i) % 4 == 0:
                yield turn(f"what's the weather in {heard}", None, 0)
            yield turn(f"what's the weather in {town}", f"Weather|town={town}", 6)
            yield turn(f"play {loved}", f"Play|song={loved}", 900)
            if misheard and (day + i) % 5 == 0:
                yield turn(f"play {garbled}", None, 1800)
                yield turn(f"play {rare}", f"Play|song={rare}", 1806)


@pytest.fixture(scope="module")
def rewriter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towns")
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    learn([folder / "log.jsonl"], out=folder / "artefact")
    return Rewriter.open(folder / "artefact")


@pytest.mark.parametrize("pair", TOWNS, ids=lambda pair: pair[2])
def test_the_weather_is_that_of_the_users_town(rewriter, pair):
    one, other, heard = pair
    for town in (one, other):
        answer = rewriter.rewrite(f"what's the weather in {heard}", user_id=f"{town}-0", after_failure=True)
        best = answer.candidates[0]
        assert (best.text, best.scope) == (f"what's the weather in {town}", "personal")
    stranger = rewriter.rewrite(f"what's the weather in {heard}", user_id="stranger", after_failure=True)
    assert {candidate.scope for candidate in stranger.candidates} == {"global"}
    assert not stranger.applied
    assert best.p_success > stranger.candidates[0].p_success


def test_who_loves_one_song_still_gets_another(rewriter):
    for user, _, _, misheard, loved, rare, garbled in users():
        if not misheard:
            answer = rewriter.rewrite(f"play {garbled}n", user_id=user, after_failure=True)
            texts = [candidate.text for candidate in answer.candidates]
            assert texts[0] == f"play {rare}", (loved, answer)
