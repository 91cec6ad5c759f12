"""The SQL of mining keeps to what DuckDB and Spark read alike (docs/mining.md, "Portable SQL")."""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from rewriter.config import Config
from rewriter.offline.mining import pipeline

FILES = sorted(path for path in Path(str(pipeline._SQL)).glob("*.sql") if not path.stem.startswith("logs_"))
NUMBERS = pipeline._numbers(Config())
SHAPE = {
    *(exp.Select, exp.Subquery, exp.Union, exp.From, exp.Join, exp.Where, exp.Group, exp.Order, exp.Ordered, exp.Distinct),
    *(exp.With, exp.CTE, exp.Alias, exp.TableAlias, exp.Table, exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Paren),
    *(
        exp.Window,
        exp.WindowSpec,
        exp.Neg,
        exp.Add,
        exp.Sub,
        exp.Mul,
        exp.Div,
        exp.EQ,
        exp.NEQ,
        exp.GT,
        exp.LT,
        exp.LTE,
        exp.And,
        exp.Or,
    ),
    *(exp.Not, exp.Is, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.DataType),
}
FUNCTIONS = {exp.Coalesce, exp.Greatest, exp.Floor, exp.RowNumber, exp.Lag, exp.Lead, exp.Count, exp.Sum, exp.Min, exp.Max}
TYPES = {exp.DataType.Type.BIGINT, exp.DataType.Type.DOUBLE}
KEYS = {"turn_id", "turn_no", "user_id", "user_no", "session_id", "locale", "text"}  # unique within what the windows order


def faults(sql):
    """Return what is not portable in a statement."""
    found = ["TRY_CAST"] if "TRY_CAST" in sql else []  # sqlglot reads every CAST of Spark as one
    for dialect in ("duckdb", "spark"):
        try:
            tree = sqlglot.parse_one(sql, dialect=dialect)
        except sqlglot.ParseError as error:
            found.append(f"{dialect}: {error}")
            continue
        for node in tree.walk():
            found += _fault(node)
        found += [f"no CAST: {e.sql()}" for select in tree.selects for e in [select.unalias()] if _bare(e)]
    return found


def _fault(node):
    if isinstance(node, exp.Anonymous):
        return [] if node.name.lower() == "normalise" else [f"function {node.name}"]
    if isinstance(node, exp.Star) and isinstance(node.parent, exp.Count):
        return []
    if type(node) not in SHAPE | FUNCTIONS:
        return [f"{type(node).__name__}: {node.sql()}"]
    if isinstance(node, exp.DataType) and node.this not in TYPES:
        return [f"type {node.sql()}"]
    if isinstance(node, exp.Div) and not isinstance(_outside(node), exp.Floor):
        return [f"division that is not rounded down: {node.sql()}"]
    if isinstance(node, exp.Order) and node.expressions[-1].this.name not in KEYS:
        return [f"ties in: {node.sql()}"]
    return []


def _outside(node):
    """Return what stands around a division, brackets and sums left out."""
    while isinstance(node := node.parent, exp.Paren | exp.Add | exp.Sub):
        pass
    return node


def _bare(expression):
    """Whether a column of the result is computed from numbers without a CAST, so that its type is the engine's choice."""
    if isinstance(expression, exp.Cast | exp.Min | exp.Max | exp.Column | exp.Case | exp.Anonymous):
        return False
    difference = isinstance(expression, exp.Sub) and not list(expression.find_all(exp.Literal))  # BIGINT of two BIGINT columns
    return not difference and not (isinstance(expression, exp.Coalesce) and expression.find(exp.Column) is not None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reads_alike(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    assert faults(text.format(**NUMBERS)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM turns",
        "SELECT LOWER(utterance) AS utterance FROM turns",
        "SELECT TRIM(utterance) AS utterance FROM turns",
        "SELECT REGEXP_REPLACE(utterance, 'a', 'b') AS utterance FROM turns",
        "SELECT ts_ms FROM turns WHERE utterance LIKE 'turn%'",
        "SELECT CAST(ts_ms // 1000 AS BIGINT) AS s FROM turns",
        "SELECT CAST(ts_ms / 1000 AS BIGINT) AS s FROM turns",
        "SELECT CAST(ts_ms AS INTEGER) AS ts_ms FROM turns",
        "SELECT CAST(ts_ms AS TIMESTAMP) AS ts FROM turns",
        "SELECT 1 - barge_in AS quiet FROM turns",
        "SELECT COUNT(*) AS n FROM turns",
        "SELECT LN(engaged) AS e FROM turns",
        "SELECT AVG(engaged) AS e FROM turns",
        "SELECT HASH(user_id) AS u FROM turns",
        "SELECT LIST(utterance) AS u FROM turns",
        "SELECT ts_ms FROM turns QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY turn_id) = 1",
        "SELECT CAST(ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY ts_ms) AS BIGINT) AS n FROM turns",
        "SELECT a.ts_ms FROM turns AS a CROSS JOIN UNNEST(a.nbest) AS n",
        'SELECT "ts_ms" AS t, CURRENT_DATE AS d FROM turns',
    ],
)
def test_what_the_engines_read_differently_is_found(sql):
    assert faults(sql)


def test_looking_ahead_reads_the_session_once():
    tree = sqlglot.parse_one((pipeline._SQL / "candidates.sql").read_text(encoding="utf-8").format(**NUMBERS), dialect="duckdb")
    assert [t.name for t in tree.find_all(exp.Table) if t.name == "sessions"] == ["sessions"]
    assert [(join.kind, len(list(join.find_all(exp.Select)))) for join in tree.find_all(exp.Join)] == [("CROSS", 3)]


def test_only_whole_numbers_enter_the_text():
    assert {type(value) for value in NUMBERS.values()} == {int}
