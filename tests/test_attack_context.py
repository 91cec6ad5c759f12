"""Contexts of fewer than k accounts change nothing for others, and nothing of them leaves the private state."""

import json

import duckdb
import pytest
import room_log

from rewriter import Config, Rewriter
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.operate.forget import forget

CONFIG = Config.from_dict({"loop": {"refit_days": 0}})
PIN = "my pin is four seven one one"
PRIVATE = ("previous_utterance", "room", "place", "state.note")
"""Keys of the context under which one user says something of their own."""
LAST = "2026-01-16"


def learned(folder, rows):
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    learn([log], out=folder / "artefact", config=CONFIG, detector=RuleDetector())
    return folder / "artefact"


def served(artefact):
    """The rules that serve others, and what some users are answered in each room."""
    (path,) = artefact.glob("state/*/rules.parquet")
    rules = duckdb.sql(
        f"SELECT context_value, source, target FROM '{path}' WHERE scope IN ('global', 'context')"
        " AND verdict IN ('launched', 'keep_source', 'rare_here')"
    ).fetchall()
    rewriter = Rewriter.open(artefact)
    answers = {
        (text, user, room): rewriter.rewrite(text, user_id=user, context={"room": room}).text
        for text in (room_log.SAID, room_log.GARBLE)
        for user in (*room_log.USERS[::5], None)
        for room in ("kitchen", "office", "bedroom", "attic")
    }
    return set(rules), answers


def turn(user, text, n, day, context, **more):
    when = f"2026-01-{day:02}T{20 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z"
    return {"user_id": user, "timestamp": when, "utterance": text, "hypothesis": "X", "status": "ok", "context": context} | more


def on_last_day(row, key):
    return row | {"context": row["context"] | {key: "normal"}} if row["timestamp"] > LAST else row


def attacks(accounts):
    """Name -> the log of the honest users with what some accounts did to it."""
    honest = list(room_log.rows())
    many = [(f"fake{n % accounts}", n) for n in range(3000)]
    kept = [room_log.GARBLE, room_log.SAID, "what time is it"]
    return {
        "a new key": [*honest, *(turn(user, room_log.GARBLE, n, 16, {"state.x": "1"}) for user, n in many[:accounts])],
        "one room": [*honest, *(turn(user, kept[n % 3], n, 16, {"room": "office"}) for user, n in many)],
        "praise in a room": [
            *honest,
            *(turn(user, room_log.GARBLE, n, 5 + n % 12, {"room": "bedroom"}, feedback=1) for user, n in many[: 60 * accounts]),
        ],
        "a new room": [*honest, *(turn(user, "what time is it", n, 5 + n % 12, {"room": "attic"}) for user, n in many)],
        "many keys": [
            *honest,
            *(turn(user, "what time is it", n, 16, {f"state.{n}.{i}": i for i in range(5000)}) for user, n in many[:20]),
        ],
    }


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return served(learned(tmp_path_factory.mktemp("clean"), room_log.rows()))


@pytest.mark.parametrize(("name", "accounts"), [*((name, 2) for name in attacks(2)), ("a new key", 1)])
def test_contexts_of_few_accounts_change_nothing_for_others(clean, tmp_path, name, accounts):
    assert served(learned(tmp_path, attacks(accounts)[name])) == clean


def test_a_key_that_is_new_in_the_log_switches_nothing_off(clean, tmp_path):
    rows = [on_last_day(row, "state.mode") for row in room_log.rows()]
    assert served(learned(tmp_path, rows)) == clean


def test_turns_with_many_keys_are_counted_in_few_values_and_change_nothing_for_others(clean, tmp_path):
    artefact = learned(tmp_path, attacks(1)["many keys"])
    assert served(artefact) == clean
    (path,) = artefact.glob("state/*/context_counts.parquet")
    counted = duckdb.sql(f"SELECT context_value FROM '{path}/*.parquet' WHERE context_value LIKE 'state.%'").fetchall()
    assert len(counted) == 20 * CONFIG.context.max_keys


def test_values_of_one_user_never_leave_the_state_and_are_forgotten(tmp_path):
    user, pins = room_log.USERS[1], {key: f"{PIN} {key.split('.')[0]}" for key in PRIVATE}
    rows = [row | {"context": row["context"] | pins} if row["user_id"] == user else row for row in room_log.rows()]
    artefact = learned(tmp_path, rows)
    for pin in pins.values():
        places = where(artefact, pin)
        assert places
        assert all(place.startswith("state/") for place in places)
    forget(user, artefact)
    assert not where(artefact, PIN)


def where(artefact, text):
    """The files of a folder in which a text stands, as bytes or in a value of a table."""
    found = set()
    for path in sorted(p for p in artefact.rglob("*") if p.is_file()):
        values = duckdb.read_parquet(str(path)).fetchall() if path.suffix == ".parquet" else ()
        if text.encode() in path.read_bytes() or any(text in str(value) for row in values for value in row):
            found.add(path.relative_to(artefact).as_posix())
    return found
