"""What an artefact holds of one person, and the same artefact without that person.

`tables.Column.holds` declares what each column of each table can hold; `FILES` does so for all other files.

`context_rules_without` and `online_without` do the same for the parts that serve: rules of context values and the online layer.
"""

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from rewriter.artefact.writer import CATALOG_FILES
from rewriter.engines import connect, glob, quoted
from rewriter.errors import ArtefactError, reading_artefact, reading_state
from rewriter.guardrail.contrasts import WordContrasts, open_contrasts, save_contrasts
from rewriter.model.ambiguity import ambiguous_texts
from rewriter.model.columns import HashedNumbers, HashIndex, text_key
from rewriter.model.habits import Habits
from rewriter.model.index import build_index
from rewriter.model.query_store import QueryBook
from rewriter.model.risk import Risk
from rewriter.model.spellings import FOLDER as SPELLINGS
from rewriter.model.spellings import Spellings
from rewriter.tables import Column

FILES: Final = {
    "state/*/*.parquet": "its columns are declared in tables.py",
    "state/*/*.parquet/*.parquet": "its columns are declared in tables.py",
    "state/*/evidence_starts.json": "texts and context values: entries of texts that are gone are removed",
    "state/*/files.json": "names of log files: a name that holds the user id is replaced by the checksum",
    "state/*/days.json": "no text: marked, so that the next learn fits again",
    "state/*/contents.json": "names of the files of the state",
    "state/*/priors.json": "no text: figures of the whole log",
    "state/*/contrasts.json": "words of texts of at least k users: words of fewer are removed",
    "state/*/detector/*": "no text: weights of features",
    "state/*/catalog.json": "the channel: nothing of a person",
    "state/*/catalog.jsonl": "texts that the operator gave: those for the person, by the keyed hash, are removed",
    "state/feedback.jsonl": "keyed hashes: lines of the person are removed",
    "state/taught.db": "texts and keyed hashes: rows of the person, and of a household of this id, are removed and overwritten",
    "state/taught.db-journal": "rows while a write is under way; removed with its end",
    "state/rejected.parquet": "rejected rows of a job that stopped: the file is removed",
    "state/forgetting.json": "texts of a person while `forget` works: removed at its end",
    "state/held.json": "no text: the id of a version and reasons in figures",
    "state/lock": "empty",
    "state/user.key": "the secret of the keyed hashes",
    "review.csv": "texts: lines with a text of nobody else are removed",
    "CURRENT": "the id of a version",
    "versions/*/manifest.json": "locales of at least k users, settings, figures, checksums",
    "versions/*/rules.parquet": "made anew from the rules that stay",
    "versions/*/rules/*": "made anew from the rules that stay; moments.mdb from the users that stay",
    "versions/*/catalog/habits/*": "texts that the operator gave for single users, keyed hashes: those of the person are removed",
    "versions/*/catalog/*": "texts that the operator gave for everybody: taken over as they are",
    "versions/*/online/habits/*": "texts and keyed hashes: the slice of the person is removed",
    "versions/*/online/book/*": "texts of at least k users: rows of fewer are removed",
    "versions/*/online/index/*": "vectors of the book: built anew where a row was removed",
    "versions/*/online/spoken.npy": "a flag for each row of the book",
    "versions/*/online/translations.json": "words of texts that the operator gave for everybody; only of a catalog alone",
    "versions/*/online/shows.npy": "a flag for each row of the book, in an artefact of a catalog alone",
    "versions/*/online/slots/*": "values of texts of at least k users: removed until the next learn if a text was removed",
    "versions/*/online/ambiguity/*": "texts of at least k users: removed if the person said one of them",
    "versions/*/online/risk.json": "words of at least k users: words of fewer are removed",
    "versions/*/online/risk_texts*.npy": "hashes of texts of at least k users: those of fewer are removed",
    "versions/*/online/wording/*": "names and hashes of texts of at least k users: names with a word of fewer are removed",
    "versions/*/online/encoder/*": "weights; a vocabulary of words of at least k users, until the next learn",
    "versions/*/online/spellings/*": "spellings of at least k users: of texts of the person those of only k are removed",
    "versions/*/online/contrasts.json": "words of texts of at least k users: words of fewer are removed",
    "versions/*/online/*.json": "no text: weights and thresholds",
}
"""Every file of an artefact folder and its private state: what of a person it can hold, and what `forget` does with it."""

CATALOG_ROWS: Final = CATALOG_FILES[1]
"""File of a state that keeps the rows of a catalog."""
_GONE = "\x1f"
"""Begins the text that stands for a removed one. No normalised text begins so."""
_NO_LOCALE = "und"
"""BCP 47 for a locale that is not known; stands for one that is gone."""
_KEPT_ROWS = ("users", "texts", "nodes")
"""Tables whose rows are numbered by their place, so that no row is removed."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person in one state.

    Attributes:
        user_id: as the log gives it.
        hashed: as the artefact stores it.
        number: the number of the user in the tables; -1 if the state does not know the person.
        ids: numbers of the texts that nobody else said, was sent or was understood as.
        texts: those texts, unless they are somebody else's in another locale.
        few: texts of this person that fewer than k others said, were sent or were understood as.
        said: all texts of this person.
        words: words of this person that fewer than k others said.
        k: users without whom nothing serves others.
        locales: each locale of this person -> how many others said something in it.
    """

    user_id: str
    hashed: str
    number: int
    ids: frozenset[int]
    texts: frozenset[str]
    few: frozenset[str]
    said: frozenset[str]
    words: frozenset[str]
    k: int
    locales: Mapping[str, int] = field(default_factory=dict)


def is_known(state: Path, hashed: str) -> bool:
    """Return whether a state holds anything under the keyed hash of a user.

    Args:
        state: a folder with tables, such as the state of one version.
        hashed: the keyed hash.
    """
    if any(row.get("scope") == hashed for row in _catalog_rows(state)):
        return True
    with connect() as con:
        for table in _tables(state):
            for column in _columns(con, state, table):
                test = {"user": f"{column.name} = ?", "text": "contains(content, ?)"}.get(column.holds)
                if column.name in ("user_id", "content") and test:
                    found = con.execute(f"SELECT 1 FROM {_read(state, table)} WHERE {test} LIMIT 1", [hashed]).fetchone()
                    if found:
                        return True
    return False


def find(state: Path, user_id: str, hashed: str, k: int) -> Person:
    """Look for a person in a state.

    Args:
        state: the folder of the state of one version.
        user_id: as the log gives it.
        hashed: the same under the key of the artefact.
        k: users without whom no text serves others.
    """
    if not (state / "users.parquet").exists():  # made of a catalog alone
        nothing: frozenset[str] = frozenset()
        return Person(user_id, hashed, -1, frozenset(), nothing, nothing, nothing, nothing, k)
    with connect() as con:
        known = con.execute(f"SELECT user_no FROM {_read(state, 'users')} WHERE user_id = ?", [hashed]).fetchone()
        number = -1 if known is None else int(known[0])
        columns = {table: _columns(con, state, table) for table in _tables(state)}
        parts = " UNION ALL ".join(
            f"SELECT user_no, {column.name} AS id FROM {_read(state, table)}"
            for table, of_table in columns.items()
            for column in of_table
            if column.holds == "text_id" and any(each.holds == "user_no" for each in of_table)
        )
        con.execute(f"CREATE TEMP TABLE used AS SELECT DISTINCT user_no, id FROM ({parts})")
        con.execute(
            f"""CREATE TEMP TABLE shared AS
                SELECT t.id, t.text, COUNT(DISTINCT u.user_no) FILTER (u.user_no <> {number}) AS others,
                       COUNT(*) FILTER (u.user_no = {number}) > 0 AS is_own
                FROM {_read(state, "texts")} AS t LEFT JOIN used AS u USING (id) GROUP BY t.id, t.text"""
        )
        gone = con.execute("SELECT id, text FROM shared WHERE others = 0").fetchall() if known else []
        kept = {text for (text,) in con.execute("SELECT text FROM shared WHERE others > 0").fetchall()}
        said = con.execute("SELECT DISTINCT text FROM shared WHERE is_own").fetchall()
        few = con.execute("SELECT text FROM shared GROUP BY text HAVING bool_or(is_own) AND MAX(others) < ?", [k]).fetchall()
        locales = con.execute(
            f"""SELECT t.locale, COUNT(DISTINCT u.user_no) FILTER (u.user_no <> {number})
                FROM used AS u JOIN {_read(state, "texts")} AS t USING (id)
                GROUP BY t.locale HAVING bool_or(u.user_no = {number})"""
        ).fetchall()
        words = con.execute(
            f"""SELECT word FROM (
                  SELECT u.user_no, unnest(string_split(t.text, ' ')) AS word
                  FROM used AS u JOIN {_read(state, "texts")} AS t USING (id) WHERE t.kind = 'u'
                ) GROUP BY word
                HAVING bool_or(user_no = {number}) AND COUNT(DISTINCT user_no) FILTER (user_no <> {number}) < ?""",
            [k],
        ).fetchall()
    return Person(
        user_id=user_id,
        hashed=hashed,
        number=number,
        ids=frozenset(id_ for id_, _ in gone),
        texts=frozenset(text for _, text in gone) - kept,
        few=frozenset(text for (text,) in few),
        said=frozenset(text for (text,) in said),
        words=frozenset(word for (word,) in words),
        k=k,
        locales=dict(locales),
    )


def state_without(person: Person, state: Path, out: Path) -> int:
    """Write a state into another folder, without a person.

    Args:
        person: who is forgotten.
        state: folder of the state of one version; not changed.
        out: folder to write to.

    Returns:
        How many rows were left out.

    Raises:
        ArtefactError: a file is damaged, or is not declared in `FILES`.
    """
    left_out = 0
    for path in sorted(p for p in state.rglob("*") if p.is_file()):
        name = path.relative_to(state)
        if not is_declared(f"state/x/{name.as_posix()}"):
            raise ArtefactError(f"{path} is no file of a state that this release knows; remove it, and call forget again")
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            left_out += table_without(person, path, target, name.parts[0].removesuffix(".parquet"))
        elif path.name == CATALOG_ROWS:
            left_out += _catalog_rows_without(person, state, target)
        else:
            shutil.copyfile(path, target)
    _mend_evidence_starts(out / "evidence_starts.json", person)
    _contrasts_without(person, out)
    _forget_the_fit(out / "days.json")
    return left_out


def _catalog_rows(state: Path) -> Iterator[dict[str, object]]:
    """Yield the rows of the catalog that a state keeps."""
    path = state / CATALOG_ROWS
    if path.exists():
        with reading_state(path), path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _catalog_rows_without(person: Person, state: Path, out: Path) -> int:
    """Write the catalog of a state without the texts of a person; return how many were left out."""
    rows = list(_catalog_rows(state))
    kept = [row for row in rows if row.get("scope") != person.hashed]
    out.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    return len(rows) - len(kept)


def is_declared(name: str) -> bool:
    """Return whether `FILES` declares a file, given by its path below the artefact folder."""
    return any(fnmatch(name, pattern) for pattern in FILES)


def table_without(person: Person, path: Path, out: Path, table: str) -> int:
    """Write one Parquet file of a state without a person, and return how many rows were left out."""
    with reading_state(path), connect(found=path) as con:
        columns = _described(con, "found")
        con.execute("CREATE TEMP TABLE gone AS SELECT unnest(?::BIGINT[]) AS id", [sorted(person.ids)])
        for name, texts in (
            ("texts_gone", person.texts),
            ("few", person.few),
            ("said", person.said),
            ("locales_gone", {name for name, others in person.locales.items() if not others}),
        ):
            con.execute(f"CREATE TEMP TABLE {name} AS SELECT unnest(?::VARCHAR[]) AS text", [sorted(texts)])
        who = [person.user_id, person.hashed, person.number, person.k]
        con.execute("CREATE TEMP TABLE who AS SELECT ? AS user_id, ? AS hashed, ? AS number, ? AS k", who)
        kept = con.sql(_masked(table) if table in _KEPT_ROWS else f"SELECT * FROM found WHERE {_stays(table, columns)}")
        kept.write_parquet(str(out))
        written = f"read_parquet({quoted(str(out))})"
        before, after = (con.execute(f"SELECT COUNT(*) FROM {each}").fetchall()[0][0] for each in ("found", written))
        return int(before - after)


def _masked(table: str) -> str:
    """Return the SELECT that puts something else in the place of what is gone from a table whose rows are numbered."""
    if table == "users":
        token = secrets.token_hex(16)  # nobody's hash: the number stays taken, and no other table holds it any more
        return f"SELECT * REPLACE (IF(user_id = (SELECT hashed FROM who), '{token}', user_id) AS user_id) FROM found"
    locale = f"IF(locale IN (FROM locales_gone), '{_NO_LOCALE}', locale) AS locale"
    if table == "texts":
        return f"SELECT * REPLACE (IF(id IN (FROM gone), '{_GONE}' || id, text) AS text, {locale}) FROM found"
    return f"SELECT * REPLACE (IF(node IN (FROM gone), '{_GONE}' || node, state) AS state, {locale}) FROM found"


def _stays(table: str, columns: list[Column]) -> str:
    """Return the condition under which a row of a table stays."""
    names = {column.name for column in columns}
    conditions = ["true"]
    for column in columns:
        if column.holds == "user_no":
            conditions.append(f"{column.name} <> (SELECT number FROM who)")
        elif column.holds == "user":
            conditions.append(f"{column.name} <> (SELECT hashed FROM who)")
        elif column.name == "locale" and "utterance" not in names:
            conditions.append("locale NOT IN (FROM locales_gone)")
        elif column.name == "content":
            word = "'(^|[^\\w])' || regexp_escape((SELECT user_id FROM who)) || '([^\\w]|$)'"
            conditions.append("NOT contains(coalesce(content, ''), (SELECT hashed FROM who))")
            conditions.append(f"NOT regexp_matches(coalesce(content, ''), {word})")
        elif column.holds == "text" and "utterance" not in names:  # a turn belongs to its user, whatever others said
            conditions.append(f"coalesce({column.name}, '') NOT IN (FROM texts_gone)")
            if column.name == "context_value":  # written name=value
                conditions.append("regexp_replace(coalesce(context_value, ''), '^[^=]*=', '') NOT IN (FROM texts_gone)")
    if table in ("rules", "stage_changes"):
        everybodys = "user_id = ''" if "user_id" in names else "true"
        conditions += [f"NOT ({everybodys} AND {name} IN (FROM few))" for name in ("source", "target") if name in names]
        if "users" in names:  # this person may have been one of those who meant the target
            conditions.append(f"NOT ({everybodys} AND source IN (FROM said) AND users <= (SELECT k FROM who))")
    return " AND ".join(conditions)


def _mend_evidence_starts(path: Path, person: Person) -> None:
    """Leave out the days from which texts that are gone count anew."""
    if path.exists():
        with reading_state(path):
            found = json.loads(path.read_text("utf-8", "surrogatepass"))
            kept = [entry for entry in found if not person.texts.intersection(values_of(entry))]
        path.write_text(json.dumps(kept, ensure_ascii=False, indent=0), encoding="utf-8", errors="surrogatepass")


def values_of(entry: list[object]) -> Iterator[str]:
    """Yield the texts of an entry, and the value of each context value (name=value)."""
    for value in entry:
        if isinstance(value, str):
            yield value
            yield value.partition("=")[2]


def _forget_the_fit(days: Path) -> None:
    """Mark the fitted parts, so that the next `learn` fits them again."""
    if days.exists():
        with reading_state(days):
            data = json.loads(days.read_text(encoding="utf-8"))
        days.write_text(json.dumps(data | {"fitted_day": None, "launch_turns": 0, "summed_by": ""}), encoding="utf-8")


def _tables(state: Path) -> Iterator[str]:
    """Yield the names of the tables of a state; one may be a file or a folder of parts."""
    yield from sorted(path.name.removesuffix(".parquet") for path in state.glob("*.parquet"))


def _read(state: Path, table: str) -> str:
    return f"read_parquet({quoted(glob(state / f'{table}.parquet'))})"


def _columns(con: duckdb.DuckDBPyConnection, state: Path, table: str) -> list[Column]:
    with reading_state(state / f"{table}.parquet"):
        return _described(con, f"(SELECT * FROM {_read(state, table)})")


def _described(con: duckdb.DuckDBPyConnection, relation: str) -> list[Column]:
    """Return the columns of a relation.

    Raises:
        KeyError: a text column that `tables.py` does not declare.
    """
    columns = [Column(name, kind) for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]
    _ = [column.holds for column in columns]
    return columns


def context_rules_without(person: Person, old: Path, new: Path) -> None:
    """Write the rules of context values without those that name a text of fewer than k others."""
    if old.exists():
        with reading_artefact(old):
            rows = json.loads(old.read_bytes().decode("utf-8", "surrogatepass"))
            kept = [row for row in rows if not (person.texts | person.few).intersection(values_of(row))]
        new.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")


def catalog_without(person: Person, old: Path, new: Path) -> int:
    """Write a layer that was made of a catalog without the texts of a person; return how many texts of other users are left.

    What is for everybody is the operator's own, and stays.
    """
    shutil.copytree(old, new, ignore=lambda folder, _: ["habits"] if Path(folder) == old else [])
    Habits.open(old / "habits").without([person.hashed], new / "habits")
    return len(Habits.open(new / "habits").private)


def online_without(person: Person, old: Path, new: Path) -> dict[str, int] | None:
    """Write the online layer without a person.

    Habits of the person go. Of the shared parts everything goes that fewer than k others said: rows of the query index, words
    and texts of the risk, names of the wording. Ambiguous texts wait for the next `learn` if the person said one of them, or if
    a row of the index has gone. Weights stay, for they rest on many.

    Args:
        person: who is forgotten.
        old: the folder of the online layer.
        new: folder to write to.

    Returns:
        Part -> how many of its entries were left out; None if no layer is left: there was none, or every row of its index rests
        on fewer than k others.
    """
    if not old.is_dir():
        return None
    book = QueryBook.open(old / "book")
    kept = np.array([text not in person.few for text in book.texts(np.arange(len(book)))], dtype=bool)
    if not kept.any():
        return None
    removed = int(np.count_nonzero(~kept))
    ambiguous = ambiguous_texts(old / "ambiguity")
    drops_ambiguity = bool(ambiguous) and (removed > 0 or not person.said.isdisjoint(ambiguous))
    anew = ["habits", SPELLINGS, *(["ambiguity"] if drops_ambiguity else [])]
    anew += ["book", "index", "spoken.npy", "slots"] if removed else []
    shutil.copytree(old, new, ignore=lambda folder, names: [n for n in names if Path(folder) == old and n in anew])
    Habits.open(old / "habits").without([person.hashed], new / "habits", kept)
    if removed:
        book.keep(kept, new / "book")
        left = QueryBook.open(new / "book")
        build_index(new / "index", left, np.zeros((0, book.vectors.shape[1]), dtype=np.float32))
        if (old / "spoken.npy").exists():
            np.save(new / "spoken.npy", np.load(old / "spoken.npy")[kept])
    counts = {"rows of the query index": removed, "ambiguous texts": len(ambiguous) if drops_ambiguity else 0}
    counts["words of the risk"] = _risk_without(person, new)
    counts["names of the wording"] = sum(_names_without(person, path) for path in new.glob("wording/*/wording.json"))
    counts["pairs of words of the contrasts"] = _contrasts_without(person, new)
    if (old / SPELLINGS).is_dir():
        counts["spellings"] = Spellings.open(old / SPELLINGS).without(person.said, person.k, new / SPELLINGS)
    return {part: n for part, n in counts.items() if n}


def _risk_without(person: Person, folder: Path) -> int:
    """Take the words and texts of fewer than k others out of the risk; return how many words."""
    if not (folder / "risk.json").exists():
        return 0
    risk = Risk.open(folder)
    words = {word: odds for word, odds in risk.words.items() if word not in person.words}
    texts = risk.texts if isinstance(risk.texts, HashedNumbers) else HashedNumbers.of(risk.texts)
    kept = ~np.isin(texts.index.keys, np.array([text_key(text) for text in person.few], dtype=np.uint64))
    texts = HashedNumbers(HashIndex(texts.index.keys[kept]), texts.numbers[kept])
    Risk(texts, words, risk.mean, risk.weigh, risk.rate, risk.a_day).save(folder)
    return len(risk.words) - len(words)


def _contrasts_without(person: Person, folder: Path) -> int:
    """Take the pairs with a word of fewer than k others out of the contrasts; return how many."""
    old = open_contrasts(folder)
    kept = {
        locale: WordContrasts.of(
            {pair: counts for pair, counts in of.words.items() if person.words.isdisjoint(" ".join(pair).split())}
        )
        for locale, of in old.items()
    }
    left_out = sum(len(of.words) - len(kept[locale].words) for locale, of in old.items())
    if left_out:
        save_contrasts(folder, kept)
    return left_out


def _names_without(person: Person, path: Path) -> int:
    """Take the names with a word of fewer than k others out of a wording; return how many."""
    with reading_artefact(path):
        header = json.loads(path.read_text(encoding="utf-8"))
        names = {name: slot for name, slot in header["names"].items() if person.words.isdisjoint(name.split())}
    left_out = len(header["names"]) - len(names)
    if left_out:
        path.write_text(json.dumps(header | {"names": names}, ensure_ascii=False), encoding="utf-8")
    return left_out
