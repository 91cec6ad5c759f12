"""Rules for the context: counted as a plain reading of the log counts, launched and refused as known beforehand, and served."""

import json
import secrets
from collections import Counter, defaultdict
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
import room_log
from scipy import sparse

from rewriter import Config, Rewriter
from rewriter.engines import DuckDB
from rewriter.model.context_rules import context_values
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.offline.mining import pipeline
from rewriter.offline.rules import context as context_
from rewriter.offline.rules import surface


@pytest.fixture(scope="module")
def made(rooms, tmp_path_factory):
    """The artefact, and the mined tables of the same log."""
    folder, log = tmp_path_factory.mktemp("rooms"), rooms.parent / "log.jsonl"
    reader.read([log], out=folder, key=secrets.token_bytes(32), config=Config().logs)
    engine = DuckDB(folder)
    mined = pipeline.mine(engine, folder / "turns.parquet", RuleDetector(), Config())
    engine.close()
    return rooms, mined


@pytest.fixture(scope="module")
def artefact(made):
    return made[0]


def state(artefact, name, columns):
    (path,) = (artefact / "state").glob(f"*/{name}.parquet")
    return duckdb.read_parquet(str(path)).project(columns).fetchall()


def said_in():
    """(utterance, context_value) -> turns."""
    return Counter(
        (row["utterance"], said)
        for row in room_log.rows()
        for said in context_values({**row["context"], "device_type": row["device_type"]})
    )


def test_turns_count_once_in_each_of_their_circumstances(made):
    mined = made[1]
    with duckdb.cursor() as con:
        for name in ("context_counts", "counts", "context_steps", "rephrases", "texts"):
            con.read_parquet(str(getattr(mined, name))).create_view(name)
        counted = con.execute(
            "SELECT text, context_value, SUM(turns) FROM context_counts JOIN texts ON id = said GROUP BY ALL"
        ).fetchall()
        assert {(text, said): turns for text, said, turns in counted} == said_in()
        success = "SELECT said, state, SUM(success) FROM {} GROUP BY ALL ORDER BY ALL"
        rooms = success.format("context_counts WHERE context_value LIKE 'room=%'")
        assert con.execute(rooms).fetchall() == con.execute(success.format("counts")).fetchall()
        steps = "SELECT said, target, SUM(mass) FROM {} GROUP BY ALL ORDER BY ALL"
        rooms = steps.format("context_steps WHERE context_value LIKE 'room=%'")
        assert con.execute(rooms).fetchall() == con.execute(steps.format("rephrases")).fetchall()
        assert con.execute("SELECT COUNT(*) FROM rephrases").fetchone()[0] > 0


def test_a_cut_in_one_circumstance_leaves_the_others_alone(tmp_path):
    reader.read([room_log.write(tmp_path / "log.jsonl")], out=tmp_path, key=secrets.token_bytes(32), config=Config().logs)
    engine = DuckDB(tmp_path)
    first = [date(2026, 1, 5 + later).toordinal() - date(1970, 1, 1).toordinal() for later in (0, 4, 8)]
    evidence_starts = {("en", room_log.SAID, "room=office"): first[1], ("en", room_log.GARBLE, ""): first[2]}
    mined = pipeline.mine(engine, tmp_path / "turns.parquet", RuleDetector(), Config(), evidence_starts=evidence_starts)
    engine.close()
    n = duckdb.read_parquet(str(mined.nodes)).shape[0]
    found = context_.cells(mined, sparse.csr_array((n, n)), np.zeros(n), 3)
    names = surface.states(mined.nodes, found.source)["state"].reindex(found.source)
    begins = pd.Series(found.votes.first_day).groupby(found.votes.source).min()
    told = {(name, said): begins[cell] for cell, (name, said) in enumerate(zip(names, found.context_value, strict=True))}
    rooms = {key: day for key, day in told.items() if key[0] == room_log.SAID and key[1].startswith("room=")}
    assert rooms == {(room_log.SAID, "room=kitchen"): first[0], (room_log.SAID, "room=office"): first[1]}
    nodes = dict(duckdb.read_parquet(str(mined.nodes)).project("state, first_day").fetchall())
    assert (nodes[room_log.SAID], nodes[room_log.GARBLE]) == (first[0], first[2] + 1)  # heard every third day


def test_what_is_launched_and_what_is_not(artefact):
    rules = defaultdict(set)
    for said, source, target, verdict in state(artefact, "rules", "context_value, source, target, verdict"):
        if said:
            rules[verdict].add((said, source, target))
    assert rules["launched"] == {(f"room={room}", room_log.SAID, target) for room, target in room_log.TARGETS.items()}
    assert rules["rare_here"] == {(f"room={room}", room_log.GARBLE, room_log.GARBLE) for room in room_log.ROOMS}
    everybody = {
        (source, verdict) for scope, source, verdict in state(artefact, "rules", "scope, source, verdict") if scope == "global"
    }
    assert everybody - {(room_log.SAID, "outranked")} == {(room_log.SAID, "depends_on_context"), (room_log.GARBLE, "launched")}


def test_only_who_means_one_thing_everywhere_has_a_rule_of_her_own(artefact):
    users = {
        user
        for user, scope, verdict in state(artefact, "rules", "user_id, scope, verdict")
        if scope == "personal" and verdict == "launched"
    }
    assert len(users) == 1


@pytest.mark.parametrize(
    ("user", "context", "light", "fan"),
    [
        (room_log.USERS[0], {"room": "kitchen"}, "turn on the kitchen light", room_log.GARBLE),
        (room_log.USERS[0], {"room": "Office", "hour": 8}, "turn on the office light", room_log.GARBLE),
        (room_log.USERS[0], {"room": "bedroom"}, room_log.SAID, "turn off the fan"),
        (room_log.USERS[0], None, room_log.SAID, "turn off the fan"),
        (None, {"room": "office"}, "turn on the office light", room_log.GARBLE),
        ("stranger", {"room": "kitchen"}, "turn on the kitchen light", room_log.GARBLE),
        (room_log.OWN, {"room": "office"}, "turn on the kitchen light", room_log.GARBLE),
        (room_log.OWN, None, "turn on the kitchen light", "turn off the fan"),
        (None, {"room": ["kitchen"], 3: object()}, room_log.SAID, "turn off the fan"),
        (None, "kitchen", room_log.SAID, "turn off the fan"),
    ],
)
def test_what_is_served_where(artefact, user, context, light, fan):
    rewriter = Rewriter.open(artefact)
    answers = [rewriter.rewrite(text, user_id=user, context=context) for text in (room_log.SAID, room_log.GARBLE)]
    assert [answer.text for answer in answers] == [light, fan]
    assert [answer.reason == "rule" for answer in answers] == [answer.applied for answer in answers]
    assert "error" not in {answer.reason for answer in answers}


def test_a_log_without_context_has_no_such_rules(tmp_path):
    rows = [{k: v for k, v in row.items() if k not in ("context", "device_type")} for row in room_log.rows()]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = learn([tmp_path / "log.jsonl"], out=tmp_path / "artefact")
    assert "context" not in report.rules
    assert set(state(tmp_path / "artefact", "rules", "context_value")) == {("",)}
