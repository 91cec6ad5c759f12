"""Every mined table, row for row, against plain Python written from the prose; the same suite for DuckDB and Spark."""

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import hard_logs
import numpy as np
import pytest
from hard_logs import Spread, expected, logs, long_log, rows, write_turns
from hypothesis import HealthCheck, given, settings
from oracle import mine as mine_in_python

from rewriter import tables
from rewriter.config import Chain, Config, Friction, Rephrases, Sessions
from rewriter.detect.teaching_share import p_helped
from rewriter.engines import DuckDB, Spark, connect, spark_session
from rewriter.offline.mining import chunks
from rewriter.offline.mining.pipeline import Mined, mine

DECLARED = {table.name: table for table in vars(tables).values() if isinstance(table, tables.Table)}
TABLES = [f.name for f in fields(Mined) if f.type is Path and f.name in DECLARED]
TIGHT = Config(
    sessions=Sessions(gap_ms=60_000),
    friction=replace(Friction(), unknown=0, barge_in=333, stop=777, failed=501, confidence=0.9, window_ms=60_000),
    rephrases=Rephrases(reach=2, window_ms=60_000, min_helped=0.0),
    chain=Chain(user_cap=1),
)
DEFAULT = Config(rephrases=Rephrases(min_helped=0.0))
"""All restatements teach: what is left out by the models of failures is tested beside them."""


def teaches(mined, least):
    """The scores of restatements that teach, one restatement at a time."""
    with connect(**mined.named("scores", "candidates", "sessions", "texts")) as con:
        told = con.execute("""
            SELECT s.user_no, s.turn_no, s.ahead, s.p, COALESCE(a.hypothesis, -1), COALESCE(b.hypothesis, -1),
                   COALESCE(a.reply, -1), COALESCE(a.failed, 'NaN'::DOUBLE), a.said = b.said
            FROM scores AS s JOIN candidates AS c USING (user_no, turn_no, ahead)
            JOIN sessions AS a ON a.user_no = c.user_no AND a.turn_no = c.turn_no
            JOIN sessions AS b ON b.user_no = c.user_no AND b.turn_no = c.next_turn_no""").fetchall()
        texts = con.execute("SELECT id, locale, text FROM texts").fetchall()
    names = ("p", "meant", "later", "reply", "failed", "verbatim")
    found = Counter()
    for *key, p, meant, later, reply, failed, verbatim in told:
        known = [text for text in texts if text[0] in (meant, later, reply)]
        values = (p / 1000, meant, later, reply, failed, verbatim)
        pair = {name: np.array([value]) for name, value in zip(names, values, strict=True)}
        found[(*key, p)] += not p_helped(pair, known)[0] < least
    return +found


def compare(engine, turns, config, tmp_path):
    mined = mine(engine, write_turns(turns, tmp_path / "turns.parquet"), Spread(), config)
    reference = mine_in_python(turns, Spread(), config)
    for name in TABLES:
        found, wanted = rows(DECLARED[name], getattr(mined, name)), expected(DECLARED[name], reference[name])
        assert found == wanted, f"{name}: only found {found - wanted}, only expected {wanted - found}"
    assert mined.dropped == len(turns) - len(reference["sessions"])
    return mined


@pytest.fixture
def duck(tmp_path):
    engine = DuckDB(tmp_path / "work", threads=2)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def session():
    pytest.importorskip("pyspark", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(hard_logs)  # the workers do not import tests
    session = spark_session("local[2]")
    yield session
    session.stop()


@pytest.fixture
def spark(session, tmp_path):
    engine = Spark(tmp_path / "work", session)
    yield engine
    engine.close()


@pytest.mark.parametrize("config", [DEFAULT, TIGHT], ids=["defaults", "tight"])
def test_a_log_made_to_hurt(duck, tmp_path, config):
    compare(duck, long_log(400, seed=1), config, tmp_path)


def test_no_turns(duck, tmp_path):
    mined = compare(duck, [], DEFAULT, tmp_path)
    assert (mined.locales, mined.dropped) == ({}, 0)


def compare_taught(engine, tmp_path, least=0.5):
    turns = write_turns(long_log(400, seed=1), tmp_path / "turns.parquet")
    mined = mine(engine, turns, Spread(), Config(rephrases=Rephrases(min_helped=least)))
    taught = rows(tables.SCORES, mined.taught)
    assert taught == teaches(mined, least)
    assert 0 < taught.total() < rows(tables.SCORES, mined.scores).total()


def test_what_teaches_is_told_for_each_restatement_alone(duck, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 100)
    compare_taught(duck, tmp_path)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs())
def test_small_logs(tmp_path_factory, turns):
    work = tmp_path_factory.mktemp("mine")
    for config in (DEFAULT, TIGHT):
        engine = DuckDB(work, threads=1)
        compare(engine, turns, config, work)
        engine.close()


@pytest.mark.slow
def test_a_long_log(duck, tmp_path):
    compare(duck, long_log(5_000, seed=2), DEFAULT, tmp_path)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(
    ("turns", "config"),
    [([], DEFAULT), (long_log(400, seed=1), TIGHT), (long_log(5_000, seed=2), DEFAULT)],
    ids=["none", "tight", "long"],
)
def test_the_same_rows_on_spark(spark, tmp_path, turns, config):
    compare(spark, turns, config, tmp_path)


@pytest.mark.slow
@pytest.mark.spark
def test_the_same_teaches_on_spark(spark, tmp_path):
    compare_taught(spark, tmp_path)
