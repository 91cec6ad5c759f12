"""Second choices are not learned from; mishearings are."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter import Rewriter, learn
from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline.mining.second_choice import is_second_choice

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
WORDS = st.text("abdeiklmnoprst", min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("source", "source_meant", "target", "target_meant", "second"),
    [
        ("play peppa pig songs", "play|what=peppa pig songs", "play paw patrol songs", "play|what=paw patrol songs", True),
        ("play peppa pig songs", "", "play paw patrol songs", "play|what=paw patrol songs", True),
        ("put on peppa pig", "play|what=peppa pig", "play paw patrol", "play|what=paw patrol", True),
        ("turn on the kitchen light", "on|area=kitchen", "turn on the bedroom light", "on|area=bedroom", True),
        ("play pepper pig songs", "play|what=pepper pig songs", "play peppa pig songs", "play|what=peppa pig songs", False),
        ("set it to fifty", "set|to=fifty", "set it to fifteen", "set|to=fifteen", False),
        ("set it to 50", "set|to=50", "set it to 15", "set|to=15", False),  # digits do not show how they sound
        ("turn on the kitchen light", "", "lights please", "on|area=kitchen", False),  # another frame
        ("play jazz", "play|what=jazz", "play some jazz music", "play|what=jazz", False),  # the same value
        ("play jazz", "play|what=jazz", "stop", "stop", False),  # another intent: the chain decides
        ("is the back door locked", "", "is back door", "locked|what=back door", False),  # the value was said before
        ("jazz", "", "rock", "play|what=rock", False),  # nothing but the value: no frame shows that it is one
    ],
)
def test_what_is_a_second_choice(source, source_meant, target, target_meant, second):
    assert is_second_choice(source, source_meant, target, target_meant, "en") == second


@given(st.lists(WORDS, max_size=3), WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_nobody_chooses_what_they_said(head, value, tail):
    text = " ".join([*head, value, *tail])
    assert not is_second_choice(text, "", text, f"play|what={value}", "en")
    assert not is_second_choice(text, f"play|what={value}", text, f"play|what={value}", "en")


def log(path, asked, chosen, users, share, known):
    """Days of requests for what fails; some users then ask for something else, which works."""
    rows = []

    def say(user, at, what, status):
        meant = {"intent": "play", "slots": {"what": f"{what} songs"}} if known or status == "ok" else {}
        rows.append(
            {"user_id": f"u{user}", "timestamp": at.isoformat(), "utterance": f"play {what} songs", "status": status} | meant
        )

    for user in range(max(users, 12)):
        for day in range(5):
            say(user, START + timedelta(days=day, minutes=7 * user), chosen, "ok")
    for turn in range(users * 5):
        user, at = turn % users, START + timedelta(days=turn // users, hours=9, minutes=3 * (turn % users))
        say(user, at, asked, "failed")
        if turn % 10 < share * 10:
            say(user, at + timedelta(seconds=9), chosen, "ok")
    path.write_text("\n".join(map(json.dumps, sorted(rows, key=lambda row: row["timestamp"]))), encoding="utf-8")
    return path


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("users", "share"), [(3, 0.3), (3, 0.6), (20, 0.3), (20, 0.6)])
def test_nothing_is_learned_from_second_choices(users, share, known, tmp_path):
    read = log(tmp_path / "log.jsonl", "peppa pig", "paw patrol", users, share, known)
    learn([read], out=tmp_path / "out", config=Config.from_dict({"loop": {"refit_days": 0}}), detector=RuleDetector())
    rewriter = Rewriter.open(tmp_path / "out")
    for user in (None, "u0"):
        answer = rewriter.rewrite("play peppa pig songs", user_id=user, after_failure=True)
        assert (answer.applied, answer.suggestion) == (False, None)


def test_a_mishearing_of_a_name_is_learned(tmp_path):
    read = log(tmp_path / "log.jsonl", "pepper pig", "peppa pig", 20, 0.6, known=False)
    learn([read], out=tmp_path / "out", config=Config.from_dict({"loop": {"refit_days": 0}}), detector=RuleDetector())
    assert Rewriter.open(tmp_path / "out").rewrite("play pepper pig songs").text == "play peppa pig songs"
