"""What turns were meant to say: by hand, and against a second account in plain Python."""

import json
import random
from collections import defaultdict

import numpy as np
import pytest
from logs_by_hand import listed, turn

from rewriter.detect.turns import Turns
from rewriter.detect.weak_labels import Items, weak_labels
from rewriter.model.hypothesis import intent_of, slots_of

OFF, ON = "TurnOff|name=lamp", "TurnOn|name=lamp"


def labels_of(turns, folder):
    """{(turn id, ahead): (missed, restates)}, and {turn id: missed} of the turns whose meaning is known."""
    tables = listed(turns, folder)
    read = Turns.read(tables)
    found = weak_labels(tables, read, Items.of(read))
    rows = zip(found.row, found.ahead, found.failed, found.restates, strict=True)
    pairs = {(read.turn_id[row], int(ahead)): (bool(missed), bool(restates)) for row, ahead, missed, restates in rows}
    known = np.flatnonzero(np.isfinite(found.misunderstood))
    return pairs, {read.turn_id[row]: found.misunderstood[row] == 1 for row in known}


def others(text, hypothesis, n=2):
    """A text that works for n other users, each in a session of its own."""
    return [turn(f"user {i} of {text}", 40_000, text, hypothesis) for i in range(n)]


def test_a_failed_text_that_others_succeed_with_is_restated_by_what_they_got(tmp_path):
    ann = [turn("ann", 0, "lamp off"), turn("ann", 5, "play abba", "Play|artist=abba"), turn("ann", 9, "turn off the lamp", OFF)]
    pairs, missed = labels_of([*ann, *others("lamp off", OFF)], tmp_path)
    assert pairs == {("ann-000000", 1): (True, False), ("ann-000000", 2): (True, True)}
    assert missed["ann-000000"]


def test_the_next_goal_after_a_success_restates_nothing(tmp_path):
    ann = [turn("ann", 0, "lamp off", OFF), turn("ann", 5, "turn off the lamp", OFF)]
    pairs, missed = labels_of([*ann, *others("lamp off", OFF)], tmp_path)
    assert pairs == {("ann-000000", 1): (False, False)}
    assert missed == {f"user {i} of lamp off-040000": False for i in range(2)} | {"ann-000000": False}


@pytest.mark.parametrize(
    ("meant", "reached", "restates"),
    [
        (OFF, OFF, True),
        (OFF, ON, False),  # another intent
        (OFF, "TurnOff|name=tv", False),  # another name
        (OFF, "TurnOff|area=hall|name=lamp", True),  # the same, and more
        ("TurnOff|area=hall|name=lamp", OFF, True),  # a part of it, nothing else
        ("TurnOff|area=hall|name=lamp", "TurnOff|area=hall|name=tv", False),  # a part of it, and something else
        ("inform+request|food=thai|request=phone", "request|request=phone", True),  # half of a compound intent
        ("inform|food=thai", "inform|area=north", False),
        ("Stop", "Stop", True),
        ("Stop", "Stop|name=music", False),  # the word alone is no proof
    ],
)
def test_what_restates(meant, reached, restates, tmp_path):
    ann = [turn("ann", 0, "garbled"), turn("ann", 5, "clear", reached)]
    pairs, _ = labels_of([*ann, *others("garbled", meant)], tmp_path)
    assert pairs["ann-000000", 1] == (True, restates)


@pytest.mark.parametrize(("at", "found"), [(60, {("ann-000000", 1): (True, True)}), (61, {})])
def test_what_is_reached_after_the_window_tells_nothing(at, found, tmp_path):
    ann = [turn("ann", 0, "lamp off"), turn("ann", at, "turn off the lamp", OFF)]
    pairs, missed = labels_of([*ann, *others("lamp off", OFF)], tmp_path)
    assert pairs == found
    assert missed["ann-000000"]


def test_nobody_vouches_for_herself_and_one_other_is_too_few(tmp_path):
    ann = [turn("ann", 0, "lamp off"), turn("ann", 5, "turn off the lamp", OFF), turn("ann", 9000, "lamp off", OFF)]
    pairs, missed = labels_of([*ann, *others("lamp off", OFF, n=1)], tmp_path)
    assert pairs == {}
    assert missed == {}


def test_noise_that_mostly_fails_means_nothing(tmp_path):
    failing = [turn(f"nora {i}", 100, "yes") for i in range(3)]
    ann = [turn("ann", 0, "yes"), turn("ann", 5, "right", "Affirm")]
    pairs, _ = labels_of([*ann, *failing, *others("yes", "Affirm")], tmp_path)
    assert pairs == {}


def test_where_the_text_means_nothing_its_other_hearings_do(tmp_path):
    heard = json.dumps(["lamb of", "Lamp off!", "nothing known"])
    ann = [turn("ann", 0, "lamb of", nbest=heard), turn("ann", 5, "turn off the lamp", OFF)]
    pairs, _ = labels_of([*ann, *others("lamp off", OFF)], tmp_path)
    assert pairs == {("ann-000000", 1): (True, True)}
    pairs, _ = labels_of([*ann, *others("lamp off", OFF), *others("lamb of", "Cook|dish=lamb")], tmp_path / "known")
    assert pairs == {("ann-000000", 1): (True, False)}


def test_what_was_overheard_is_known_as_such(tmp_path):
    heard = json.dumps(["lamb of", "lamp off"])
    ann = [turn("ann", 0, "lamb of", nbest=heard), turn("ann", 5, "turn off the lamp", OFF)]
    ben = [turn("ben", 0, "lamp off", nbest=heard), turn("ben", 5, "turn off the lamp", OFF)]
    tables = listed([*ann, *ben, *others("lamp off", OFF, n=3)], tmp_path)
    read = Turns.read(tables)
    labels = weak_labels(tables, read, Items.of(read))
    by_nbest = dict(zip(read.turn_id[labels.row], labels.by_nbest.tolist(), strict=True))
    assert by_nbest == {"ann-000000": True, "ben-000000": False}


def test_the_same_words_again_that_then_work(tmp_path):
    ann = [turn("ann", 0, "my own words"), turn("ann", 5, "my own words", OFF), turn("ann", 9, "turn off the lamp", OFF)]
    pairs, missed = labels_of(ann, tmp_path)
    assert pairs == {("ann-000000", 1): (True, True), ("ann-000000", 2): (True, False)}
    assert missed == {}


def by_hand(turns):  # noqa: C901 - one rule after the other, as in the prose
    """The same account from the prose: {(turn id, place of the candidate): (missed, restates)}."""

    def items(line):
        words = {("", word) for word in intent_of(line).split("+")} if line else set()
        return (set(slots_of(line).items()) | words) if line else set()

    def meant(text, user):
        sayers = {t["user_id"] for t in turns if t["utterance"] == text} - {user}
        got = defaultdict(set)
        for t in turns:
            if t["utterance"] == text and t["user_id"] != user and t["status"] == "ok":
                for item in items(t["hypothesis"]):
                    got[item].add(t["user_id"])
        return {item for item, users in got.items() if len(sayers) >= 2 and 2 * len(users) >= len(sayers)}

    found = {}
    for user in {t["user_id"] for t in turns}:
        own = sorted((t for t in turns if t["user_id"] == user), key=lambda t: t["ts_ms"])
        for i, t in enumerate(own):
            near = [(k, o) for k, o in enumerate(own[i + 1 : i + 4], start=1) if o["ts_ms"] - t["ts_ms"] <= 60_000]
            wanted = meant(t["utterance"], user)
            for hearing in () if wanted or not t["nbest"] else json.loads(t["nbest"]):
                wanted |= meant(hearing, user) if hearing != t["utterance"] else set()
            missed = wanted - items(t["hypothesis"])
            slots = {slot for slot, _ in wanted if slot}

            def repairs(o, t=t, wanted=wanted, missed=missed, slots=slots):
                got = items(o["hypothesis"])
                same_words = o["utterance"] == t["utterance"] and t["status"] == "failed" and o["status"] == "ok"
                if same_words and o["hypothesis"] != t["hypothesis"]:
                    return True
                words, wanted_words = ({item for item in of if not item[0]} for of in (got, wanted))
                if not got & missed or any(slot in slots and (slot, value) not in wanted for slot, value in got if slot):
                    return False
                if not (words <= wanted_words or wanted_words <= words):
                    return False
                return any(slot for slot, _ in got & missed) or got <= wanted

            restating = next((k for k, o in near if repairs(o)), None)
            if wanted or restating:
                found |= {(t["turn_id"], k): (bool(missed) or restating is not None, k == restating) for k, _ in near}
    return found


@pytest.mark.parametrize("seed", range(6))
def test_against_plain_python(seed, tmp_path):
    draw = random.Random(seed)
    texts = ["lamp off", "lamb of", "lamp on", "play abba", "hall lamp off", "yes"]
    hypotheses = [OFF, ON, "TurnOff|area=hall|name=lamp", "Play|artist=abba", "inform+Play|artist=abba", "Yes", None, None]
    hypotheses += ["TurnOff|area=hall|name=tv"]
    turns, clock = [], dict.fromkeys(["ann", "ben", "cem", "dan", "eva"], 0)
    for _ in range(90):
        user = draw.choice(list(clock))
        clock[user] += draw.choice([3, 8, 30, 61])
        heard = json.dumps(draw.sample(texts, 3)) if draw.random() < 0.5 else None
        hypothesis = draw.choice(hypotheses)
        turns.append(turn(user, clock[user], draw.choice(texts), hypothesis, nbest=heard, session_id=f"only {user}"))
    assert labels_of(turns, tmp_path)[0] == by_hand(turns)
