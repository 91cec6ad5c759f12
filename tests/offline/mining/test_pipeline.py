"""Mining by hand: what single turns spend, and where it goes."""

import shutil
from collections import Counter

import duckdb
import numpy as np
import pytest
from hard_logs import BLANK, Spread, long_log, rows, write_turns

from rewriter import tables
from rewriter.config import Chain, Config, Loop
from rewriter.detect import turns as turns_
from rewriter.engines import DuckDB, glob
from rewriter.errors import EngineError
from rewriter.model.detector import RuleDetector
from rewriter.offline.mining import chunks, pipeline
from rewriter.offline.mining.pipeline import TABLES, mine
from rewriter.offline.mining.small_tables import stop_words
from rewriter.similarity import pairwise


class Sure:
    """P of a restatement is what the test says, for every candidate."""

    columns = ("gap_ms",)

    def __init__(self, p):
        self.p = p

    def score(self, candidates):
        assert set(candidates) == {"gap_ms"}
        return np.full(len(candidates["gap_ms"]), self.p)


def turn(at, utterance, user="ann", **values):
    """A turn, `at` seconds after midnight."""
    return (
        BLANK
        | {"turn_id": f"{user}-{at:05}", "user_id": user, "ts_ms": at * 1000, "locale": "en", "utterance": utterance}
        | values
    )


@pytest.fixture
def mined(tmp_path):
    """Mine turns; return a function from a table name to its rows, with texts in place of numbers, and what `mine` returned."""

    def run(turns, detector=None, config=None):
        engine = DuckDB(tmp_path / "work", threads=1)
        result = mine(engine, write_turns(turns, tmp_path / "turns.parquet"), detector or RuleDetector(), config or Config())
        engine.close()
        return result

    return run


def steps(result):
    """{(source, target): mass} with states as "kind:text"."""
    sql = """
        SELECT s.kind || ':' || s.text, t.kind || ':' || t.text, mass
        FROM edges JOIN texts AS s ON s.id = source JOIN texts AS t ON t.id = target
    """
    return {(source, target): mass for source, target, mass in query(result, sql)}


def states(result):
    """{state: (success, failure)} with states as "kind:text"."""
    return {f"{kind}:{text}": (s, f) for kind, text, s, f in query(result, "SELECT kind, state, success, failure FROM nodes")}


def query(result, sql):
    with duckdb.cursor() as con:
        for name in ("nodes", "edges", "texts", "queries"):
            con.read_parquet(glob(getattr(result, name))).create_view(name)
        return con.execute(sql).fetchall()


def test_one_turn_spends_on_the_nearest_first(mined):
    """600 of 1,000 to the next turn, 600 of the 400 left to the one after, the rest by friction; by hand."""
    turns = [turn(0, "a", status="failed"), turn(5, "b", status="ok"), turn(10, "c", status="ok")]
    result = mined(turns, Sure(600))
    assert steps(result) == {("u:a", "u:b"): 600, ("u:a", "u:c"): 240, ("u:b", "u:c"): 600}
    assert states(result) == {"u:a": (0, 160), "u:b": (380, 20), "u:c": (950, 50)}


def test_the_odd_thousandth_goes_to_the_larger_part(mined):
    """999 of 1,000; then 999 of 1, which is the whole of it."""
    result = mined([turn(0, "a"), turn(5, "b"), turn(10, "c")], Sure(999))
    assert steps(result) == {("u:a", "u:b"): 999, ("u:a", "u:c"): 1, ("u:b", "u:c"): 999}
    assert states(result)["u:a"] == (0, 0)
    assert states(result)["u:b"] == (1, 0)


def test_a_source_keeps_its_own_row(mined):
    """What was misunderstood stands apart from the healthy phrasing of what it was taken for."""
    wrong, right = "soundtrack", "audiobook"
    turns = [
        turn(0, "play harry potter", hypothesis=wrong),
        turn(4, "play the harry potter audiobook", hypothesis=right),
        turn(0, "play the soundtrack", user="ben", hypothesis=wrong),
    ]
    result = mined(turns, Sure(800))
    assert steps(result) == {("u:play harry potter", f"h:{right}"): 800, (f"h:{wrong}", f"h:{right}"): 800}
    found = states(result)
    assert found["u:play harry potter"] == (190, 10)
    assert found["u:play the soundtrack"] == (950, 50)
    assert found[f"h:{wrong}"] == (190 + 950, 10 + 50)


def test_the_same_again_goes_round(mined):
    """In the row of what was said it is a loop; the interpretation moves on to the one that was understood."""
    turns = [turn(0, "turn of the lamp", hypothesis="x"), turn(4, "Turn of the lamp!", hypothesis="off|lamp")]
    found = steps(mined(turns, Sure(700)))
    assert found == {("u:turn of the lamp", "u:turn of the lamp"): 700, ("h:x", "h:off|lamp"): 700}


def test_a_rewritten_turn_is_a_step_that_we_took(mined):
    """What was said gets the step to what was understood, as far as it went well, and what people said next; and no success as
    spoken. What was understood, and what was sent, get nothing: it was not said."""
    turns = [
        turn(0, "turn of the limp", sent="turn on the lamp", hypothesis="on|lamp"),
        turn(5, "turn off the lamp", hypothesis="off|lamp"),
        turn(0, "lamp off", user="ben"),
        turn(5, "lamp off", user="ben", sent="turn off the lamp"),
    ]
    result = mined(turns, Sure(500))
    assert steps(result) == {
        ("u:turn of the limp", "h:on|lamp"): 475,
        ("u:turn of the limp", "h:off|lamp"): 500,
        ("u:lamp off", "u:turn off the lamp"): 500 + 950,
    }
    found = states(result)
    assert (found["u:turn of the limp"], found["h:on|lamp"]) == ((0, 25), (0, 0))
    assert (found["u:lamp off"], found["u:turn off the lamp"]) == ((475, 25 + 50), (950, 50))  # ann said it
    sent = query(result, "SELECT query FROM queries")
    assert ("turn on the lamp",) not in sent
    assert ("lamp off",) in sent


def trust_of(result):
    with duckdb.cursor() as con:
        return dict(con.execute(f"SELECT source, trust FROM '{result.edge_discount}'").fetchall())


def test_a_rewrite_that_fails_loses_its_mass(mined):
    """Three people restate it so themselves; then it is rewritten for twenty others, and fails them all."""
    people = []
    for user in ("ann", "ben", "cem"):
        people += [turn(0, "lamp of", user, status="failed"), turn(5, "lamp off", user, status="ok", hypothesis="off")]
    sent = [turn(0, "lamp of", f"user{i}", sent="lamp off", hypothesis="off", feedback=-1) for i in range(20)]
    before = mined(people, Sure(800))
    assert trust_of(before) == {}
    assert steps(before)["u:lamp of", "h:off"] == 3 * 800
    after = mined([*people, *sent], Sure(800))
    (trust,) = trust_of(after).values()
    assert 100 < trust < 500
    assert steps(after)["u:lamp of", "h:off"] == 3 * (800 * trust // 1000)
    assert states(after)["u:lamp of"] == (0, 3 * (200 + 800 - 800 * trust // 1000) + 20 * 1000)
    works = [row | {"feedback": 1} for row in sent]
    assert set(trust_of(mined([*people, *works], Sure(800))).values()) == {1000}


def test_old_evidence_weighs_less_and_that_before_a_cut_nothing(mined, tmp_path):
    """Thirty days are one half-life, counted back from the newest evidence of the row and not from today."""
    day = 86_400
    turns = [turn(0, "a", status="failed"), turn(30 * day, "a", status="ok"), turn(0, "old", "ben"), turn(90 * day, "new", "ben")]
    assert states(mined(turns))["u:a"] == (950, 500 + 50)
    assert states(mined(turns))["u:old"] == (950, 50)
    assert states(mined(turns, config=Config(loop=Loop(half_life_days=0))))["u:a"] == (950, 1000 + 50)
    engine = DuckDB(tmp_path / "work", threads=1)
    result = mine(
        engine, write_turns(turns, tmp_path / "turns.parquet"), RuleDetector(), Config(), evidence_starts={("en", "a", ""): 1}
    )
    engine.close()
    assert states(result)["u:a"] == (950, 50)


def test_a_stop_word_protests_and_restates_nothing(mined):
    turns = [turn(0, "play abba"), turn(4, "Stop!"), turn(8, "play the band abba")]
    result = mined(turns, Sure(500))
    assert steps(result) == {("u:play abba", "u:play the band abba"): 500, ("u:stop", "u:play the band abba"): 500}
    assert states(result)["u:play abba"] == (200, 300)


def test_one_user_weighs_no_more_than_the_cap(mined):
    turns = [turn(100 * i, "a", user="bot", status="failed") for i in range(7)] + [turn(0, "a", user="ann", status="ok")]
    result = mined(turns, config=Config(chain=Chain(user_cap=3)))
    assert states(result) == {"u:a": (950, 3000 + 50)}
    assert query(result, "SELECT turns, users FROM nodes") == [(8, 2)]


def test_every_turn_spends_exactly_a_thousand(mined):
    turns = long_log(600, seed=3)
    result = mined(turns, Spread())
    key = "day, user_no, said, sent, rewritten, state"
    with duckdb.cursor() as con:
        for name in ("counts", "rephrases"):
            con.read_parquet(glob(getattr(result, name))).create_view(name)
        wrong = con.execute(
            f"SELECT {key} FROM (SELECT {key}, success + failure AS mass, turns FROM counts"
            f" UNION ALL SELECT {key}, mass, 0 FROM rephrases) GROUP BY {key} HAVING SUM(mass) <> 1000 * SUM(turns)"
        ).fetchall()
        total = con.execute("SELECT SUM(turns) FROM counts").fetchone()
    assert wrong == []
    assert total == (len(turns) - result.dropped,)


def test_turns_that_say_nothing_are_counted(mined):
    result = mined([turn(0, "a"), turn(1, "?!"), turn(2, "b", locale="de"), turn(3, "", locale="de")])
    assert (result.dropped, result.locales) == (2, {}), "one user speaks them, and fewer than k users do not count"


def test_a_locale_is_shipped_where_enough_users_speak_it(mined):
    turns = [turn(i, "a", user=f"u{i}") for i in range(3)] + [turn(3 + i, "b", locale="de", user=f"u{i % 2}") for i in range(9)]
    assert mined(turns).locales == {"en": 3}


def test_the_rule_on_people_who_repair_themselves(mined):
    """Refused, then said right; understood wrongly and interrupted; and healthy requests one after the other."""
    turns = []
    for user in ("ann", "ben", "cem"):
        turns += [
            turn(0, "turn of the limp", user, status="failed"),
            turn(6, "turn off the lamp", user, status="ok", hypothesis="off|lamp"),
            turn(40, "what time is it", user, status="ok", hypothesis="time"),
            turn(1000, "play harry potter", user, status="ok", hypothesis="play|soundtrack"),
            turn(1004, "play the harry potter audiobook", user, status="ok", hypothesis="play|audiobook", barge_in=1),
        ]
    result = mined(turns)
    found = steps(result)
    assert set(found) == {
        ("u:turn of the limp", "h:off|lamp"),
        ("u:play harry potter", "h:play|audiobook"),
        ("h:play|soundtrack", "h:play|audiobook"),
    }
    assert all(mass > 3 * 700 for mass in found.values())
    assert {name for name, (success, failure) in states(result).items() if failure > success} == {
        "u:turn of the limp",
        "u:play harry potter",
        "h:play|soundtrack",
    }


def test_a_bot_is_not_quadratic(mined, monkeypatch):
    """One session of 60,000 turns: as many candidates as turns times reach, and each pair of texts is compared once."""
    n, compared = 60_000, []
    monkeypatch.setattr(turns_, "pairwise", lambda one, other: compared.append(len(one)) or pairwise(one, other))
    turns = [turn(i, f"turn on lamp {i % 7}", user="bot", session_id="s") for i in range(n)]
    result = mined(turns, config=Config())
    with duckdb.cursor() as con:
        count = {
            name: con.read_parquet(glob(result.sessions.parent / f"{name}.parquet")).count("*").fetchall()[0][0]
            for name in ("sessions", "candidates", "user_edges")
        }
    assert count == {"sessions": n, "candidates": 3 * n - 6, "user_edges": 7 * 3}
    assert compared == [7 * 3, 7 * 3]


def test_chunks_do_not_matter_and_leave_nothing_behind(mined, monkeypatch):
    turns = [turn(i, f"turn on lamp {i % 90}", session_id="s") for i in range(2_000)]
    parts = []
    kept = chunks.write
    monkeypatch.setattr(chunks, "write", lambda columns, chunk, out: parts.append(chunk) or kept(columns, chunk, out))
    monkeypatch.setattr(chunks, "ROWS", 700)
    small = mined(turns, Spread())
    assert len(parts) > 1
    scores, edges = rows(tables.SCORES, small.scores), rows(tables.EDGES, small.edges)
    monkeypatch.undo()
    large = mined(turns, Spread())
    assert (rows(tables.SCORES, large.scores), rows(tables.EDGES, large.edges)) == (scores, edges)


def test_progress_names_the_steps(tmp_path):
    seen = []
    engine = DuckDB(tmp_path / "work", threads=1)
    mine(engine, write_turns([turn(0, "a")], tmp_path / "turns.parquet"), RuleDetector(), Config(), seen.append)
    engine.close()
    assert seen[0] == "locales" and len(seen) == TABLES
    assert seen[-3:] == ["nodes", "edges", "queries"]
    assert {p.stem for p in (tmp_path / "work").glob("*.parquet")} == {
        *seen,
        "said",
        "recent",
        "no_recent",
        "no_texts",
        "no_users",
    }


def test_a_bad_detector_is_found_out(mined):
    with pytest.raises(EngineError, match="detector Sure must give one P of 0 to 1000 thousandths"):
        mined([turn(0, "a"), turn(1, "b")], Sure(1001))


def test_a_disk_that_is_too_small_is_told_before_anything_is_mined(mined, monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1_000))
    with pytest.raises(
        EngineError, match=r"disk space: mining 2 turns takes up to \d\.\d MB in .+, and 0\.0 MB are free; make room"
    ):
        mined([turn(0, "a"), turn(1, "b")])
    assert not (tmp_path / "work" / "locales.parquet").exists()


def test_turns_of_another_shape_are_refused(tmp_path):
    path = tmp_path / "turns.parquet"
    duckdb.sql("SELECT 'a' AS utterance").write_parquet(str(path))
    engine = DuckDB(tmp_path / "work", threads=1)
    with pytest.raises(EngineError, match="table turns: column turn_id is missing"):
        mine(engine, path, RuleDetector(), Config())
    engine.close()


def test_stop_words_by_language():
    assert "hör auf" in stop_words("de-AT")
    assert stop_words("en-GB") == stop_words("en")
    assert stop_words("xx") == []
    assert Counter(stop_words("en")).most_common(1)[0][1] == 1
