"""What the private state of an artefact knows of one person, and the same state without her."""

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

_TEXTS = ("said", "sent", "state", "target")
"""Columns of the tables of users that hold ids of texts."""
_NAMED = ("source", "target", "state", "query")
"""Columns of other tables that hold texts themselves."""
_GONE = "\x1f"
"""Begins what stands for a text that is gone; nothing normalised begins so."""
_NUMBERED = ("users", "texts", "nodes")
"""Tables whose rows have numbers that others hold: no row of them is removed."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person in one state.

    Attributes:
        user_id: as the log gives it.
        hashed: as the artefact stores it.
        number: in the tables; -1 where the state does not know her.
        ids: texts that nobody else said, was sent or was understood as.
        texts: those of them that are no text of anybody else in another locale.
        few: texts that fewer than k others said or were sent, in whose counting she took part.
        said: texts in whose counting she took part.
        k: users without whom nothing serves others.
    """

    user_id: str
    hashed: str
    number: int
    ids: frozenset[int]
    texts: frozenset[str]
    few: frozenset[str]
    said: frozenset[str]
    k: int


def find(state: Path, user_id: str, hashed: str, k: int) -> Person:
    """Look for a person in a state.

    Args:
        state: the folder of one version's state.
        user_id: as the log gives it.
        hashed: the same under the key of the artefact.
        k: users without whom no text serves others.
    """
    with duckdb.connect() as con:
        known = con.execute(f"SELECT user_no FROM {_read(state, 'users')} WHERE user_id = ?", [hashed]).fetchone()
        number = -1 if known is None else int(known[0])
        parts = " UNION ALL ".join(
            f"SELECT user_no, {column} AS id FROM {_read(state, table)}"
            for table in _tables(state)
            for column in _TEXTS
            if {"user_no", column} <= _columns(con, state, table)
        )
        con.execute(f"CREATE TEMP TABLE used AS SELECT DISTINCT user_no, id FROM ({parts})")
        con.execute(
            f"""CREATE TEMP TABLE told AS
                SELECT t.id, t.text, COUNT(DISTINCT u.user_no) FILTER (u.user_no <> {number}) AS others,
                       COUNT(*) FILTER (u.user_no = {number}) > 0 AS hers
                FROM {_read(state, "texts")} AS t LEFT JOIN used AS u USING (id) GROUP BY t.id, t.text"""
        )
        gone = con.execute("SELECT id, text FROM told WHERE others = 0").fetchall() if known else []
        kept = {text for (text,) in con.execute("SELECT text FROM told WHERE others > 0").fetchall()}
        said = con.execute("SELECT DISTINCT text FROM told WHERE hers").fetchall()
        few = con.execute("SELECT text FROM told GROUP BY text HAVING bool_or(hers) AND MAX(others) < ?", [k]).fetchall()
    return Person(
        user_id,
        hashed,
        number,
        frozenset(id_ for id_, _ in gone),
        frozenset(text for _, text in gone) - kept,
        frozenset(text for (text,) in few),
        frozenset(text for (text,) in said),
        k,
    )


def state_without(person: Person, state: Path, out: Path) -> int:
    """Write a state into another folder, without a person.

    Args:
        person: who is forgotten.
        state: folder of one version's state; not changed.
        out: folder to write to.

    Returns:
        How many rows were left out.
    """
    left_out = 0
    for path in sorted(p for p in state.rglob("*") if p.is_file()):
        target = out / path.relative_to(state)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            left_out += table_without(person, path, target, path.relative_to(state).parts[0].removesuffix(".parquet"))
        else:
            shutil.copyfile(path, target)
    _mend(out / "evidence_starts.json", person)
    _forget_the_fit(out / "days.json")
    return left_out


def table_without(person: Person, path: Path, out: Path, table: str) -> int:
    """Write one Parquet file of a state without a person, and return how many rows were left out."""
    with duckdb.connect() as con:
        read = con.read_parquet(str(path))
        read.create_view("found")
        con.execute("CREATE TEMP TABLE gone AS SELECT unnest(?::BIGINT[]) AS id", [sorted(person.ids)])
        con.execute("CREATE TEMP TABLE texts_gone AS SELECT unnest(?::VARCHAR[]) AS text", [sorted(person.texts)])
        con.execute("CREATE TEMP TABLE few AS SELECT unnest(?::VARCHAR[]) AS text", [sorted(person.few)])
        con.execute("CREATE TEMP TABLE said AS SELECT unnest(?::VARCHAR[]) AS text", [sorted(person.said)])
        who = [person.user_id, person.hashed, person.number, person.k]
        con.execute("CREATE TEMP TABLE who AS SELECT ? AS user_id, ? AS hashed, ? AS number, ? AS k", who)
        before = len(read)
        kept = con.sql(_numbered(table) if table in _NUMBERED else f"SELECT * FROM found WHERE {_stays(table, read.columns)}")
        kept.write_parquet(str(out))
        return before - len(con.read_parquet(str(out)))


def _numbered(table: str) -> str:
    """Return the SELECT that puts something else in the place of what is gone from a table whose rows are numbered."""
    if table == "users":
        token = secrets.token_hex(16)  # nobody's hash; her number stays hers, and no table holds it any more
        return f"SELECT * REPLACE (IF(user_id = (SELECT hashed FROM who), '{token}', user_id) AS user_id) FROM found"
    if table == "texts":
        return f"SELECT * REPLACE (IF(id IN (FROM gone), '{_GONE}' || id, text) AS text) FROM found"
    return f"SELECT * REPLACE (IF(state IN (FROM texts_gone), '{_GONE}' || node, state) AS state) FROM found"


def _stays(table: str, columns: list[str]) -> str:
    """Return the condition under which a row of a table stays."""
    conditions = ["true"]
    if "user_no" in columns:
        conditions.append("user_no <> (SELECT number FROM who)")
    if "user_id" in columns:
        conditions.append("user_id <> (SELECT hashed FROM who)")
    conditions += [f"CAST({name} AS VARCHAR) NOT IN (FROM texts_gone)" for name in _NAMED if name in columns]
    if table in ("rules", "stage_changes"):
        everybodys = "user_id = ''" if "user_id" in columns else "true"
        conditions += [f"NOT ({everybodys} AND {name} IN (FROM few))" for name in ("source", "target") if name in columns]
        if "users" in columns:  # she may have been one of those who meant the target
            conditions.append(f"NOT ({everybodys} AND source IN (FROM said) AND users <= (SELECT k FROM who))")
    if "content" in columns:
        names = ("user_id", "hashed")
        conditions += [f"NOT contains(COALESCE(content, ''), (SELECT {name} FROM who))" for name in names]
    return " AND ".join(conditions)


def _mend(evidence_starts: Path, person: Person) -> None:
    """Leave what is gone out of the days from which sources count anew."""
    if evidence_starts.exists():
        kept = [cut for cut in json.loads(evidence_starts.read_text("utf-8", "surrogatepass")) if cut[1] not in person.texts]
        evidence_starts.write_text(json.dumps(kept, ensure_ascii=False, indent=0), encoding="utf-8", errors="surrogatepass")


def _forget_the_fit(days: Path) -> None:
    """Mark the fitted parts, so that the next `learn` fits them again."""
    if days.exists():
        data = json.loads(days.read_text(encoding="utf-8"))
        days.write_text(json.dumps(data | {"fitted_day": None}), encoding="utf-8")


def _tables(state: Path) -> Iterator[str]:
    """Yield the names of the tables of a state; one may be a file or a folder of parts."""
    yield from sorted(path.name.removesuffix(".parquet") for path in state.glob("*.parquet"))


def _read(state: Path, table: str) -> str:
    path = state / f"{table}.parquet"
    name = str(path / "*.parquet" if path.is_dir() else path).replace("'", "''")
    return f"read_parquet('{name}')"


def _columns(con: duckdb.DuckDBPyConnection, state: Path, table: str) -> set[str]:
    return {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {_read(state, table)}").fetchall()}
