"""What mining asks of an engine, on DuckDB and on Spark alike."""

import sys
from collections import Counter

import duckdb
import pytest

from rewriter.engines import DuckDB, Spark, glob, spark_session
from rewriter.errors import EngineError, MissingExtraError
from rewriter.text import normalise


def on_duckdb(work):
    return DuckDB(work, threads=2, memory_gb=1.5)


def on_spark(work):
    pytest.importorskip("pyspark", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    return Spark(work, spark_session("local[2]"))


@pytest.fixture(
    params=[
        pytest.param(on_duckdb, id="duckdb"),
        pytest.param(on_spark, id="spark", marks=[pytest.mark.slow, pytest.mark.spark]),
    ]
)
def engine(request, tmp_path):
    engine = request.param(tmp_path / "it's work")
    yield engine
    engine.close()


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "it's words.parquet"
    with duckdb.connect() as con:
        con.sql("SELECT * FROM (VALUES (1, 'İSTANBUL!'), (2, 'Straße'), (3, NULL), (4, '')) AS t(id, word)").write_parquet(
            str(path)
        )
    return path


def rows(path):
    with duckdb.connect() as con:
        return Counter(con.read_parquet(glob(path)).fetchall())


def test_a_step_is_a_file_and_a_table(engine, words):
    engine.read("words", words)
    odd = engine.run("odd", "SELECT id, word FROM words WHERE id <> 2")
    assert odd.parent == engine.work
    assert rows(odd) == Counter([(1, "İSTANBUL!"), (3, None), (4, "")])
    assert rows(engine.run("n", "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM odd")) == Counter([(3,)])


def test_a_step_that_runs_again_replaces_its_table(engine, words):
    engine.read("words", words)
    for limit, left in ((4, [1, 2, 3, 4]), (1, [1])):
        path = engine.run("few", f"SELECT CAST(id AS BIGINT) AS id FROM words WHERE id <= {limit}")
        assert rows(path) == Counter((i,) for i in left)


def test_rows_are_dealt_into_a_folder_for_each_value(engine, words):
    engine.read("words", words)
    for limit in (4, 2):  # what an earlier run left is gone
        dealt = engine.run(
            "dealt", f"SELECT id, CAST(id - 2 * FLOOR(id / 2) AS BIGINT) AS part FROM words WHERE id <= {limit}", "part"
        )
        ids = {part: Counter(i for i, *_ in rows(dealt / f"part={part}")) for part in (0, 1)}
        assert ids == {0: Counter(range(2, limit + 1, 2)), 1: Counter(range(1, limit + 1, 2))}
    assert rows(engine.run("n", "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM dealt")) == Counter([(2,)])


@pytest.mark.parametrize("large", [False, True])
def test_each_part_is_worked_on_once(engine, tmp_path, large):
    def write(part):
        with (tmp_path / f"part-{part}").open("a") as file:
            file.write("x")

    engine.each("parts", write, ["one", "two", "three"], large=large)
    assert {path.name: path.read_text() for path in tmp_path.glob("part-*")} == {
        f"part-{n}": "x" for n in ("one", "two", "three")
    }


def test_the_error_of_a_part_is_one_line(engine):
    def fail(part):
        raise EngineError(f"part {part} is bad")

    with pytest.raises(EngineError, match=r"part one is bad$") as caught:
        engine.each("parts", fail, ["one"])
    assert "\n" not in str(caught.value)


def shout(text):
    return text.upper()


def test_a_function_sees_texts_and_no_null(engine, words):
    engine.read("words", words)
    sql = "SELECT id, normalise(word, 'en') AS word FROM words"
    engine.function("normalise", lambda text, _: shout(text), arguments=2)
    engine.function("normalise", normalise, arguments=2)
    assert rows(engine.run("clean", sql)) == Counter([(1, "istanbul"), (2, "strasse"), (3, None), (4, "")])


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT missing FROM words", "SELECT CAST(word AS BIGINT) AS n FROM words"])
def test_a_step_that_fails_is_named(engine, words, sql):
    engine.read("words", words)
    with pytest.raises(EngineError, match=r"^step broken failed on (DuckDB|Spark): .+") as caught:
        engine.run("broken", sql)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(engine, tmp_path):
    with pytest.raises(EngineError, match=r"^table turns cannot be read: .+"):
        engine.read("turns", tmp_path / "nothing.parquet")


def test_without_pyspark_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rewriter\[spark\]'"):
        spark_session("local[2]")
