"""Rules for the context live as the others do: what is drawn in one room is judged there, and evidence starts there alone."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import room_log

from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.operate.info import history

KITCHEN, OFFICE = room_log.ROOMS
START = datetime(2026, 1, 17, 8, tzinfo=UTC)
EXACT = {"refit_days": 0}


def begun(folder, **loop):
    arguments = {"out": folder / "artefact", "config": Config.from_dict({"loop": EXACT | loop}), "detector": RuleDetector()}
    learn([room_log.write(folder / "log.jsonl")], **arguments)
    return arguments


def days(folder, n, users, good):
    """What the rewriter decides for users in both rooms on n days; what is sent and what is said is `good` by room and arm."""
    clock = [0.0]
    rewriter = Rewriter.open(folder / "artefact", now=lambda: clock[0])
    for day in range(n):
        when = START + timedelta(days=day)
        clock[0] = when.timestamp()
        for i, user in enumerate(users):
            for room in room_log.ROOMS:
                context = {"room": room, "hour": 8}
                answer = rewriter.rewrite(room_log.SAID, user_id=user, context=context)
                ok = good[room][answer.applied]
                row = {"user_id": user, "timestamp": (when + timedelta(minutes=20 * i + 10 * (room == OFFICE))).isoformat()}
                row |= {"utterance": room_log.SAID, "status": "ok" if ok else "failed", "hypothesis": "On" if ok else None}
                row |= {"sent": answer.text} if answer.applied else {}
                decided = {name: getattr(answer, name) for name in ("rule", "layer", "scope", "arm", "propensity")}
                yield row | decided | {"context": context}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def stages(folder):
    """Return room -> the stages of its rule, in order."""
    changes = history(folder / "artefact", room_log.SAID)
    return {room: [c.stage for c in changes if c.context_value == f"room={room}"] for room in room_log.ROOMS}


def answer(folder, room, user="guest"):
    return Rewriter.open(folder / "artefact").rewrite(room_log.SAID, user_id=user, context={"room": room})


@pytest.mark.slow
def test_what_is_drawn_in_a_room_makes_its_rule_live_or_retires_it(tmp_path):
    arguments = begun(tmp_path, draw=True)
    assert stages(tmp_path) == {KITCHEN: ["canary"], OFFICE: ["canary"]}
    good = {KITCHEN: {True: True, False: False}, OFFICE: {True: False, False: True}}
    rows = list(days(tmp_path, 24, room_log.USERS[:15], good))
    assert {round(row["propensity"], 9) for row in rows if row["arm"]} == {0.9, 0.1}
    learn([write(tmp_path / "drawn.jsonl", rows)], **arguments)
    assert stages(tmp_path) == {KITCHEN: ["canary", "live"], OFFICE: ["canary", "retired"]}
    (live,) = [c for c in history(tmp_path / "artefact", room_log.SAID) if c.stage == "live"]
    assert (live.scope, live.reason) == ("context", "better")
    assert live.share > 0.9
    assert live.tried_ok == pytest.approx(0.95 * live.tried)  # that nobody complains is weak evidence
    evidence_starts = json.loads((current(tmp_path / "artefact").state / "evidence_starts.json").read_text())
    assert [where for *where, _ in evidence_starts] == [["en", room_log.SAID, f"room={OFFICE}"]]
    assert answer(tmp_path, OFFICE).text == room_log.SAID
    asked = [answer(tmp_path, KITCHEN, user=f"guest{i}") for i in range(20)]
    assert {a.text for a in asked if a.applied} == {room_log.TARGETS[KITCHEN]}


@pytest.mark.slow
@pytest.mark.parametrize(("users", "gone"), [(2, False), (12, True)])
def test_where_nothing_is_drawn_a_drop_retires_unless_fewer_than_k_users_say_so(tmp_path, users, gone):
    arguments = begun(tmp_path)
    assert stages(tmp_path) == {KITCHEN: ["live"], OFFICE: ["live"]}
    bad, served = {room: {True: False, False: False} for room in room_log.ROOMS}, answer(tmp_path, KITCHEN).rule
    rows = [row for row in days(tmp_path, 8, room_log.USERS[:users], bad) if row["context"]["room"] == KITCHEN]
    assert {row["arm"] for row in rows} == {None}
    learn([write(tmp_path / "bad.jsonl", rows)], **arguments)
    assert stages(tmp_path) == {KITCHEN: ["live", "retired"] if gone else ["live"], OFFICE: ["live"]}
    assert (answer(tmp_path, KITCHEN).rule == served) is not gone
    assert answer(tmp_path, OFFICE).text == room_log.TARGETS[OFFICE]


@pytest.mark.slow
def test_an_undo_in_one_room_holds_there_at_once_for_this_user(tmp_path):
    begun(tmp_path)
    rewriter = Rewriter.open(tmp_path / "artefact")

    def asked(user, room):
        return rewriter.rewrite(room_log.SAID, user_id=user, context={"room": room})

    first = asked("guest", KITCHEN)
    rewriter.feedback(first.id, -1, "guest")
    assert (asked("guest", KITCHEN).reason, asked("guest", KITCHEN).text) == ("undone_by_user", room_log.SAID)
    assert asked("guest", OFFICE).text == room_log.TARGETS[OFFICE]
    assert asked("other", KITCHEN).text == first.text
