"""`forget`: takes one person out of an artefact folder, its private state, and the logs beside it.

What is left is written as a new version, which is published in one step; then all other versions and their states are removed. So
whatever kills it, either nothing has happened, or the new version serves; calling it again finishes the work. What follows from
the counts of many (the chain, the evidence of a rule) is weighed anew by the next `learn`.
"""

import json
import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import numpy as np

from rewriter.artefact import review
from rewriter.artefact.feedback import FILE, without
from rewriter.artefact.versions import Version, current
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.errors import ArtefactError
from rewriter.model.ambiguity import ambiguous_texts
from rewriter.model.habits import Habits
from rewriter.model.layer_slices import open_shares, save_shares
from rewriter.model.query_store import QueryBook
from rewriter.model.rules import Rule, write_rules
from rewriter.operate.scrub import Person, find, state_without, table_without
from rewriter.operate.scrub_logs import discard, lines_without, logs_without
from rewriter.text import hash_user

_SERVED = """
SELECT rule, user_id, locale, source, target, win, share FROM read_parquet(?)
WHERE verdict = 'launched' AND scope IN ('global', 'personal')
"""
_EVERYBODYS = "SELECT * FROM read_parquet(?) WHERE verdict = 'launched' AND scope = 'global'"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken out.

    Attributes:
        version: id of the version that serves now, the only one that is left.
        known: whether the state knew the person.
        rows: rows of the private state.
        texts: texts that nobody else had.
        rules: rules that serve no more: her own, and those of fewer than k others.
        online: whether the online layer still serves; it does not where fewer than k others said one of its texts, until the
            next `learn` makes it anew.
        logs: rows of logs, by file.
        decisions: lines of decision logs.
        feedback: lines of what users said of rewrites.
    """

    version: str
    known: bool
    rows: int
    texts: int
    rules: int
    online: bool
    logs: Mapping[str, int] = field(default_factory=dict)
    decisions: int = 0
    feedback: int = 0

    def lines(self) -> list[tuple[str, str]]:
        """Return this as rows of a table."""
        return [
            ("version that serves now", self.version),
            ("known here", "yes" if self.known else "no"),
            ("rows of the state", f"{self.rows:,}"),
            ("texts of nobody else", f"{self.texts:,}"),
            ("rules withdrawn", f"{self.rules:,}"),
            ("online layer", "serves, less her habits" if self.online else "none until the next learn"),
            *((f"rows of {name}", f"{rows:,}") for name, rows in self.logs.items()),
            ("decisions", f"{self.decisions:,}"),
            ("feedback", f"{self.feedback:,}"),
        ]


def forget(
    user_id: str,
    root: str | Path,
    *,
    logs: Iterable[str | Path] = (),
    decisions: str | Path | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Forgotten:
    """Take one person out of habits, private rows, rules, counts, feedback, decision logs, logs and all versions.

    Args:
        user_id: as the log gives it.
        root: the artefact folder, with its private state.
        logs: files, folders and globs of logs to take her out of; their new checksums are recorded, so that nothing is counted
            twice.
        decisions: folder that a `rewriter.DecisionLog` filled, and that nobody writes to now.
        mapping: contract column -> column of the log, where they differ.

    Raises:
        ArtefactError: the artefact or its state is missing or damaged, or another process is writing it.
        LogError: a log cannot be read or rewritten.
    """
    root = Path(root)
    version = current(root)
    rewritten = logs_without(user_id, list(logs), dict(mapping or {}).get("user_id", "user_id"))
    try:
        person, found = _publish(user_id, version, {each.checksum: str(each.path) for each in rewritten})
    except BaseException:
        discard(rewritten)
        raise
    for each in rewritten:
        each.new.replace(each.path)
    _mend_review(root / review.FILE, person)
    feedback = without(root / "state" / FILE, person.hashed)
    decided = (
        sum(lines_without(path, "user_id", person.hashed) for path in sorted(Path(decisions).glob("*.jsonl"))) if decisions else 0
    )
    logged = {str(each.path): each.rows for each in rewritten}
    return replace(found, logs=logged, decisions=decided, feedback=feedback)


def _publish(user_id: str, version: Version, checksums: Mapping[str, str]) -> tuple[Person, Forgotten]:
    """Publish what is left as the only version."""
    with Writer(version.root, keep=1) as writer:
        if writer.previous_state is None or not version.state.is_dir():
            raise ArtefactError(
                f"{version.root} has no private state: forget where `rewriter learn` writes, and ship the new version"
            )
        config = Config.from_dict(dict(version.manifest.config))
        hashed, k = hash_user(user_id, writer.user_key), config.launch.min_users
        person = find(writer.previous_state, user_id, hashed, k)
        rows = state_without(person, writer.previous_state, writer.state)
        _record(writer.state / "files.json", checksums)
        before, after = _rules(person, version, writer.folder, writer.work)
        online = _online(person, version.folder / "online", writer.folder / "online")
        manifest = version.manifest
        version_id = writer.publish(
            config=config,
            locales=manifest.locales,
            counts=dict(manifest.counts) | after,
            metrics={name: math.nan if value is None else value for name, value in manifest.metrics.items()},
        )
    rules = sum(before.values()) - sum(after.values())
    return person, Forgotten(version_id, person.number >= 0, rows, len(person.ids), rules, online)


def _mend_review(path: Path, person: Person) -> None:
    """Take the lines with a text of nobody else out of the review."""
    lines = review.read(path)
    kept = [line for line in lines if not {line.source, line.target} & person.texts]
    if len(kept) < len(lines):
        review.write(path, kept)


def _record(files: Path, checksums: Mapping[str, str]) -> None:
    """Add the checksums of rewritten logs to those that were learned from; the old ones stay, for nobody shall learn a copy."""
    known = json.loads(files.read_text(encoding="utf-8"))
    files.write_text(json.dumps(known | dict(checksums), indent=1), encoding="utf-8")


def _rules(person: Person, version: Version, folder: Path, work: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Write the rules that serve, less those that do no more; return how many there were and are, by kind."""
    old, new = version.state / "rules.parquet", work / "rules.parquet"
    table_without(person, old, new, "rules")
    with duckdb.connect() as con:
        counted = [con.execute(_SERVED, [str(path)]).fetchall() for path in (old, new)]
        con.sql(_EVERYBODYS, params=[str(new)]).write_parquet(str(folder / "rules.parquet"))
    write_rules(folder / "rules", (Rule(*row) for row in counted[1]))
    _context_rules(person, version.folder / "rules" / "context.json", folder / "rules" / "context.json")
    save_shares(folder / "rules", open_shares(version.folder / "rules"))
    kinds = [
        {"global rules": sum(not row[1] for row in rows), "personal rules": sum(bool(row[1]) for row in rows)} for rows in counted
    ]
    return kinds[0], kinds[1]


def _context_rules(person: Person, old: Path, new: Path) -> None:
    """Write the rules of context values, less those with a text of fewer than k others."""
    if old.exists():
        rows = json.loads(old.read_bytes().decode("utf-8", "surrogatepass"))
        kept = [row for row in rows if not {row[4], row[5]} & (person.texts | person.few)]
        new.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")


def _online(person: Person, old: Path, new: Path) -> bool:
    """Write the online layer without the person's habits; nothing where one of its texts is now of fewer than k people.

    Where she said a text of more than one meaning, their shares wait for the next learn.
    """
    if not old.is_dir():
        return False
    book = QueryBook.open(old / "book")
    if not person.few.isdisjoint(book.texts(np.arange(len(book)))):
        return False
    told = person.said.intersection(ambiguous_texts(old / "ambiguity"))
    shutil.copytree(old, new, ignore=shutil.ignore_patterns("habits", *(["ambiguity"] if told else [])))
    Habits.open(old / "habits").without([person.hashed], new / "habits")
    return True
