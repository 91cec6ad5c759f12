"""`learn`, `label` and `diagnose` on each engine: the same rules and labels, and what is wrong with a choice in one line."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import duckdb
import lamp_log
import pytest
from click.testing import CliRunner

from rewriter import Config, diagnose, label, learn
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.detect import select
from rewriter.engines import EngineChoice, connect, glob, spark_session
from rewriter.errors import ConfigError, EngineError, MissingExtraError
from rewriter.offline.mining import pipeline
from rewriter.offline.mining.incremental import SUMMED, SUMMED_BY
from rewriter.offline.rules import chain_parts
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world
from rewriter.text import hash_user

RULES_ONLY = Config.from_dict({"loop": {"refit_days": 0}})
"""Without an online layer, which takes most of the time of learning."""


def rules_of(root):
    """Return every rule with its verdict and figures, by the users' own names."""
    version = current(root)
    key = bytes.fromhex(version.manifest.user_key)
    names = {hash_user(user, key): user for user in lamp_log.USERS} | {"": ""}
    columns = "scope, user_id, source, target, verdict, turns, win, loss"
    with duckdb.cursor() as con:
        rows = con.execute(f"SELECT {columns} FROM read_parquet('{version.state}/rules.parquet')").fetchall()
    return sorted((scope, names[user], *rest) for scope, user, *rest in rows)


def table(path, columns):
    with duckdb.cursor() as con:
        return con.execute(f"SELECT {columns} FROM read_parquet('{path}') ORDER BY ALL").fetchall()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"engine": "oracle"}, "engine must be 'duckdb', 'spark' or a Spark session, not 'oracle'"),
        ({"master": "local[2]"}, "master 'local[2]' is for engine 'spark'; leave it out, or name that engine"),
        *(
            ({"memory_gb": wrong}, f"memory_gb is a number from 1 to 1,000,000, such as 8, not {wrong!r}")
            for wrong in (0.1, float("nan"), float("inf"), 1e30, "4", True)
        ),
        *(({"engine": wrong}, f"engine must be 'duckdb', 'spark' or a Spark session, not {wrong}") for wrong in (None, 5)),
        *(
            ({"engine": "spark", "master": wrong}, f"or yarn, not {wrong!r}")
            for wrong in ("", " ", "foo", "local[x]", "local[2]\n", "spark://", "host:7077", 5)
        ),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused_before_anything_is_read(tmp_path, choice, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        learn(["nothing.parquet"], out=tmp_path / "artefact", **choice)
    assert not (tmp_path / "artefact").exists()


def test_without_pyspark_the_cure_is_named(monkeypatch):
    monkeypatch.setattr("rewriter.engines.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rewriter\[spark\]'"):
        EngineChoice("spark")


@pytest.mark.parametrize(
    "master", ["local", "local[2]", "local[*, 3]", "local-cluster[2,1,1024]", "spark://a:1,b:2", "k8s://https://host:443", "yarn"]
)
def test_what_spark_knows_as_a_master_is_taken(master):
    assert EngineChoice("spark", master).master == master


def test_a_session_that_was_stopped_is_named(tmp_path):
    def refuse(*_arguments):
        raise OSError("Connection refused\n\tat java.net")

    session = SimpleNamespace(sql=None, conf=SimpleNamespace(set=refuse))
    with pytest.raises(EngineError, match=r"^the Spark session does not answer: Connection refused; start a new one$"):
        learn([lamp_log.write(tmp_path / "log.jsonl")], out=tmp_path / "artefact", config=RULES_ONLY, engine=session)


def test_a_session_with_another_master_is_not_taken_for_the_one_that_is_named(monkeypatch):
    sql = pytest.importorskip("pyspark.sql", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    running = SimpleNamespace(sparkContext=SimpleNamespace(master="k8s://https://host:443"))
    builder = SimpleNamespace(master=lambda _: builder, appName=lambda _: builder, config=lambda *_: builder)
    builder.getOrCreate = lambda: running
    monkeypatch.setattr(sql, "SparkSession", SimpleNamespace(getActiveSession=lambda: running, builder=builder))
    for same in (None, "k8s://host:443", "k8s://https://host:443"):
        assert spark_session(same) is running
    with pytest.raises(
        ConfigError, match=r"runs in this process with master 'k8s://https://host:443', not 'yarn'; leave master out"
    ):
        spark_session("yarn")


@pytest.mark.slow
@pytest.mark.spark
def test_spark_that_does_not_start_leaves_the_version_that_serves(on_duckdb, tmp_path):
    sql = pytest.importorskip("pyspark.sql", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    if (running := sql.SparkSession.getActiveSession()) is not None:  # of a test before, in the same process
        running.stop()
    log, rules = on_duckdb
    learn([log], out=tmp_path / "artefact", config=RULES_ONLY)
    with pytest.raises(EngineError, match=r"^Spark does not start with master 'local\[0\]': [^\n]+; install Java 17"):
        learn([log], out=tmp_path / "artefact", config=RULES_ONLY, afresh=True, engine="spark", master="local[0]")
    assert rules_of(tmp_path / "artefact") == rules


@pytest.mark.parametrize("arguments", [["--check"], ["--out", "{out}"], ["--catalog", "{log}", "--check"]])
def test_the_command_line_refuses_before_anything_is_read(tmp_path, arguments):
    log = lamp_log.write(tmp_path / "log.jsonl")
    given = [one.format(out=tmp_path / "artefact", log=log) for one in arguments]
    done = CliRunner().invoke(main, ["learn", *([] if "--catalog" in given else [str(log)]), *given, "--memory-gb", "nan"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "rewriter: memory_gb is a number from 1 to 1,000,000, such as 8, not nan\n"


def test_on_the_command_line(tmp_path):
    log = lamp_log.write(tmp_path / "log.jsonl")
    done = CliRunner().invoke(main, ["learn", str(log), "--out", str(tmp_path / "artefact"), "--master", "local[2]"])
    assert done.exit_code == 1
    assert done.stderr == "rewriter: master 'local[2]' is for engine 'spark'; leave it out, or name that engine\n"


def test_memory_holds_both_databases_while_it_learns(tmp_path):
    def limits(con):
        return con.execute("SELECT current_setting('memory_limit')").fetchone()[0]

    choice = EngineChoice(memory_gb=3)
    with connect() as con:
        before = limits(con)
    with choice.limited(), choice.opened(tmp_path) as engine, connect() as con:
        assert limits(con) == limits(engine._con) == "1.3 GiB"
    with connect() as con:
        assert limits(con) == before


@pytest.mark.parametrize("job", [learn, label, diagnose])
def test_every_job_mines_on_the_engine_that_is_named(tmp_path, monkeypatch, job):
    class Asked(Exception):
        pass

    def opened(choice, work):
        raise Asked(choice.engine, choice.master, choice.memory_gb)

    monkeypatch.setattr(EngineChoice, "opened", opened)
    monkeypatch.setattr("rewriter.engines.find_spec", lambda name: name)
    with pytest.raises(Asked) as caught:
        job([lamp_log.write(tmp_path / "log.jsonl")], out=tmp_path / "out", engine="spark", master="local[3]", memory_gb=2)
    assert caught.value.args == ("spark", "local[3]", 2)


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory):
    work = tmp_path_factory.mktemp("duckdb")
    log = lamp_log.write(work / "log.jsonl")
    learn([log], out=work / "artefact", config=RULES_ONLY)
    return log, rules_of(work / "artefact")


@pytest.fixture
def session():
    pytest.importorskip("pyspark", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    session = spark_session("local[2]")
    yield session
    session.stop()


@pytest.fixture
def dealt(monkeypatch):
    """Deal small logs as if they were large; hold how many parts the chain had."""
    for limit in ("AT_ONCE", "STATES"):
        monkeypatch.setattr(chain_parts, limit, 5)
    parts, real = [], chain_parts.solve_parts
    monkeypatch.setattr(chain_parts, "solve_parts", lambda *given: parts.append(given[-1]) or real(*given))
    return parts


@pytest.mark.slow
@pytest.mark.spark
def test_the_same_rules_and_labels_on_spark(on_duckdb, session, dealt, tmp_path):
    log, rules = on_duckdb
    assert rules
    learn([log], out=tmp_path / "artefact", config=RULES_ONLY, engine=session)
    assert rules_of(tmp_path / "artefact") == rules
    assert len(dealt) == 1 < dealt[0]
    label([log], out=tmp_path / "one.parquet")
    label([log], out=tmp_path / "other.parquet", engine="spark", master="local[2]")
    columns = "utterance, p_defect, goal_success, failure"
    assert table(tmp_path / "one.parquet", columns) == table(tmp_path / "other.parquet", columns)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(("job", "columns"), [(label, "utterance, p_defect, goal, p_asr"), (diagnose, "failure, p_asr")])
def test_the_executors_label_parts_of_a_large_log(session, tmp_path, monkeypatch, job, columns):
    log = lamp_log.write(tmp_path / "log.jsonl")
    monkeypatch.setattr(select, "_AT_ONCE", 150)
    one = job([log], out=tmp_path / "one.parquet")
    other = job([log], out=tmp_path / "other.parquet", engine=session)
    assert one.rows() == other.rows()
    assert table(tmp_path / "one.parquet", columns) == table(tmp_path / "other.parquet", columns)


@pytest.mark.spark
def test_a_night_on_spark_sums_again_what_it_touched(session, tmp_path, monkeypatch):
    """Two days, learned one after the other on each engine: the kept sums and those of the touched rows are the same."""
    again, real = [], pipeline._summed_again
    monkeypatch.setattr(pipeline, "_summed_again", lambda *args: again.append(args) or real(*args))
    days = simulate_days(phrase_world(3, n_users=12), days=2, start=date(2026, 1, 5), seed=3)
    for day, turns in enumerate(days):
        write_log(turns, tmp_path / f"{day}.parquet")
        for name, engine in (("duckdb", "duckdb"), ("spark", session)):
            learn([tmp_path / f"{day}.parquet"], out=tmp_path / name, config=RULES_ONLY, engine=engine)
    assert len(again) == 2
    for of in (*SUMMED, *SUMMED_BY):
        one, other = (glob(current(tmp_path / name).state / f"{of.name}.parquet") for name in ("duckdb", "spark"))
        columns = ", ".join(of.names)
        assert table(one, columns) == table(other, columns), of.name


@contextmanager
def cluster(work, workers):
    """A standalone cluster of Spark on this machine; yields its URL."""
    import pyspark

    start = [str(Path(pyspark.__file__).parent / "bin" / "spark-class")]
    local = {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "SPARK_NO_DAEMONIZE": "1"}
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SPARK_WORKER_DIR": str(work / "worker")}
    running = []

    def begin(name, role, *arguments):
        with (work / name).open("w") as out:
            command = [*start, f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1", *arguments]
            running.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | local | paths))

    def told(name, pattern):
        for _ in range(600):
            if found := re.search(pattern, (work / name).read_text()):
                return found[1]
            time.sleep(0.1)
        raise AssertionError((work / name).read_text())

    try:
        begin("master.log", "master.Master", "--port", "0", "--webui-port", "0")
        url = told("master.log", r"Starting Spark master at (spark://\S+)")
        for number in range(workers):
            begin(f"worker{number}.log", "worker.Worker", "--cores", "1", "--memory", "1g", "--webui-port", "0", url)
        for number in range(workers):
            told(f"worker{number}.log", r"Successfully registered with master (\S+)")
        yield url
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


@pytest.mark.slow
@pytest.mark.spark
def test_the_same_rules_on_a_cluster_of_two_workers(on_duckdb, dealt, tmp_path):
    pytest.importorskip("pyspark", reason="the Spark engine needs `pip install 'rewriter[spark]'`")
    log, rules = on_duckdb
    with cluster(tmp_path, workers=2) as url:
        session = spark_session(url)
        try:
            session.conf.set("spark.sql.shuffle.partitions", 2)  # a few hundred rows
            learn([log], out=tmp_path / "artefact", config=RULES_ONLY, engine=session)
            hosts = session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
        finally:
            session.stop()
    assert len(hosts) == 1 + 2, "the driver and two workers"
    assert len(dealt) == 1 < dealt[0]
    assert rules_of(tmp_path / "artefact") == rules
