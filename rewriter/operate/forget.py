"""`forget`: takes one person out of an artefact folder, its private state, and the logs beside it.

What is left is written as a new version and published in one step; then all other versions and their states are removed. A note
in the private state says what is to be done outside of the versions, so that a second call finishes what a kill interrupted.
The next `learn` weighs anew what follows from the counts of many users: the chain, the evidence of the rules, the fitted parts.
"""

import json
import math
import reprlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Final

from rewriter.artefact import feedback, review, taught
from rewriter.artefact.disk import replace as replace_file
from rewriter.artefact.versions import Version, current, held, version_ids
from rewriter.artefact.writer import CATALOG_FILES, Writer
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.errors import ArtefactError, RequestError, reading_state, running
from rewriter.model.layer_slices import open_shares, save_shares
from rewriter.model.rules import Rule, save_moments_without, write_rules
from rewriter.offline.catalog_layer import OWN_TEXTS
from rewriter.offline.logs.reader import names_user
from rewriter.online.overlay import Overlay
from rewriter.operate.diagnose import KEPT
from rewriter.operate.scrub import (
    Person,
    catalog_without,
    context_rules_without,
    find,
    is_known,
    online_without,
    state_without,
    table_without,
)
from rewriter.operate.scrub_logs import Rewritten, discard, lines_without, logs_without
from rewriter.text import hash_household, hash_user

NOTE: Final = "forgetting.json"
"""Below the folder ``state``: hash of each person who is being forgotten -> the texts to remove from the review."""

_NO_STATE = "{root} has no private state: call forget where `rewriter learn` writes, and ship the new version"
_SERVED = """
SELECT rule, user_id, locale, source, target, win, share FROM read_parquet(?)
WHERE verdict = 'launched' AND scope IN ('global', 'personal')
"""
_EVERYBODYS = "SELECT * FROM read_parquet(?) WHERE verdict = 'launched' AND scope = 'global'"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken out.

    Attributes:
        version: id of the version that serves now.
        known: whether the state knew the person; if it did, no other version is left.
        rows: rows of the private state.
        texts: texts that nobody else had.
        rules: rules that no longer serve: the person's own, and those of fewer than k others.
        online: whether the online layer serves. It stops only if every row of its query index rests on fewer than k others.
        parts: part of the online layer -> entries that rested on fewer than k others, until the next `learn`.
        logs: file of a log -> rows.
        decisions: lines of decision logs.
        feedback: lines of feedback.
        taught: lessons of the person, and of a household of this id.
        review: lines of the review.
        named: files whose names hold the user id; they are not renamed.
    """

    version: str
    known: bool = False
    rows: int = 0
    texts: int = 0
    rules: int = 0
    online: bool = False
    parts: Mapping[str, int] = field(default_factory=dict)
    logs: Mapping[str, int] = field(default_factory=dict)
    decisions: int = 0
    feedback: int = 0
    taught: int = 0
    review: int = 0
    named: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the id was found nowhere, so that nothing was changed."""
        return not (self.known or self.rows or self.logs or self.decisions or self.feedback or self.taught or self.review)

    def lines(self) -> list[tuple[str, str]]:
        """Return this as rows of a table."""
        return [
            ("version that serves now", self.version),
            ("known here", "yes" if self.known else "no: nothing of the artefact was changed"),
            ("rows of the state", f"{self.rows:,}"),
            ("texts of nobody else", f"{self.texts:,}"),
            ("rules withdrawn", f"{self.rules:,}"),
            ("online layer", "serves" if self.online else "does not serve until the next learn"),
            *((f"withdrawn until the next learn: {part}", f"{n:,}") for part, n in self.parts.items()),
            *((f"rows of {name}", f"{rows:,}") for name, rows in self.logs.items()),
            ("decisions", f"{self.decisions:,}"),
            ("feedback", f"{self.feedback:,}"),
            ("lessons", f"{self.taught:,}"),
            ("lines of the review", f"{self.review:,}"),
            *(("rename this file, its name holds the user id", name) for name in self.named),
        ]


@running("forgetting")
def forget(
    user_id: str | int,
    root: str | Path,
    *,
    logs: Iterable[str | Path] = (),
    decisions: str | Path | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Forgotten:
    """Take one person out of habits, rules, counts, feedback, lessons, review, decision logs, logs and all versions.

    Nothing changes for a user id that is found nowhere.

    Args:
        user_id: as the log gives it. What was taught for a household of this id is taken out, too.
        root: the artefact folder, with its private state.
        logs: files, folders and globs of logs to take the person out of. A log that `learn` has read counts as read afterwards,
            too; one that it has not read does not.
        decisions: folder that a `rewriter.DecisionLog` filled, and that no process writes to now.
        mapping: contract column -> column of the log, where they differ.

    Raises:
        RequestError: `user_id` is empty, ``*``, or neither a text nor a whole number.
        ArtefactError: the artefact or its state is missing or damaged, or another process is writing it.
        LogError: a log cannot be read or rewritten; then nothing was changed.
    """
    root, user_id = Path(root), _one_user(user_id)
    version = current(root)
    if not version.state.is_dir():
        raise ArtefactError(_NO_STATE.format(root=root))
    hashed = hash_user(user_id, bytes.fromhex(version.manifest.user_key))
    rewritten = logs_without(user_id, list(logs), mapping or {})
    try:
        found = Forgotten(version.id, online=(version.folder / "online").is_dir())
        learned = _learned(_newest_state(version), rewritten)
        states = [root / "state" / version_id for version_id in version_ids(root / "state")]
        if hashed in _noted(root) or learned or any(is_known(state, hashed) for state in states):
            found = _publish(user_id, hashed, version, learned)
    except BaseException:
        discard(rewritten)
        raise
    for each in rewritten:
        each.apply()
    household, rows = hash_household(user_id, bytes.fromhex(version.manifest.user_key)), {str(e.path): e.rows for e in rewritten}
    return replace(
        _finish(root, hashed, found, decisions, household, rows),
        named=tuple(str(each.path) for each in rewritten if names_user(each.path.name, user_id) and not each.is_empty),
    )


def _one_user(user_id: object) -> str:
    """Return a user id as text. What cannot be one is refused, because a report about nobody would read as a success."""
    is_text = isinstance(user_id, str) and user_id.strip() not in ("", "*")
    is_number = isinstance(user_id, Integral) and not isinstance(user_id, bool)
    if not (is_text or is_number):
        raise RequestError(f"user_id is one id as the log gives it, such as 'ann' or 7, not {reprlib.repr(user_id)}")
    return str(user_id)


def _newest_state(version: Version) -> Path:
    """Return the state from which the next `learn` starts: that of the version that is held back, or else that serves."""
    waiting = held(version.root)
    state = version.root / "state" / (waiting.id if waiting else version.id)
    return state if state.is_dir() else version.state


def _learned(state: Path, rewritten: Iterable[Rewritten]) -> dict[str, str]:
    """Return checksum -> name of the rewritten logs that are to be noted as read, because `learn` has read what they were."""
    known = _files(state / "files.json")
    return {each.after: str(each.path) for each in rewritten if each.before in known and each.after not in known}


def _noted(root: Path) -> dict[str, list[str]]:
    """Return what earlier calls left to do (`NOTE`)."""
    path = root / "state" / NOTE
    if not path.exists():
        return {}
    with reading_state(path):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def _publish(user_id: str, hashed: str, version: Version, learned: Mapping[str, str]) -> Forgotten:
    """Publish what is left as the only version."""
    root = version.root
    with Writer(root, keep=1) as writer:
        if writer.previous_state is None:
            raise ArtefactError(_NO_STATE.format(root=root))
        config = Config.from_dict(dict(version.manifest.config))
        # While a version is held back, the newest state is its own, and the rules that serve follow from another state.
        person, served = (find(each, user_id, hashed, config.launch.min_users) for each in (writer.previous_state, version.state))
        noted = _noted(root)
        noted[hashed] = sorted({*noted.get(hashed, ()), *person.texts, *served.texts})
        replace_file(root / "state" / NOTE, json.dumps(noted).encode(), mode=0o600)
        rows = state_without(person, writer.previous_state, writer.state)
        _record(writer.state / "files.json", learned, user_id)
        before, after = _rules(served, version, writer.folder, writer.work)
        listed = _catalog(served, version.folder, writer.folder)
        of_log = not (version.folder / "online" / CATALOG_FILES[0]).exists()
        parts = online_without(served, version.folder / "online", writer.folder / "online") if of_log else {}
        manifest = version.manifest
        left = {name: min(users, served.locales.get(name, users)) for name, users in manifest.locales.items()}
        version_id = writer.publish(
            config=config,
            locales={name: n for name, n in left.items() if n >= config.launch.min_users or not version.learned},
            counts=dict(manifest.counts) | after | listed,
            metrics={name: math.nan if value is None else value for name, value in manifest.metrics.items()},
        )
    rules = sum(before.values()) - sum(after.values())
    known = person.number >= 0 or served.number >= 0 or rows > 0
    return Forgotten(version_id, known, rows, len(person.texts | served.texts), rules, parts is not None, parts or {})


def _finish(
    root: Path, hashed: str, found: Forgotten, decisions: str | Path | None, household: str, rows: Mapping[str, int]
) -> Forgotten:
    """Take the person out of the files that belong to no version, and remove the note when that is done."""
    noted = _noted(root)
    texts = {text for of_person in noted.values() for text in of_person}
    folder = Path(decisions) if decisions else None
    kept = sorted(path for pattern in ("*.jsonl", "*.jsonl.gz") for path in folder.glob(pattern)) if folder else []
    reviewed = _mend_review(root / review.FILE, texts) if texts else 0
    words = root / "state" / feedback.FILE
    said = sum(feedback.without(words, each) for each in {hashed, *noted})
    gone = taught.TaughtStore(root / "state" / taught.FILE).forget([*{hashed, household, *noted}])
    Overlay(words)  # makes the index anew; until then it holds what the person said
    decided = sum(lines_without(path, each) for path in kept for each in {hashed, *noted})
    if any(is_known(root / "state", each) for each in {hashed, *noted}):
        (root / "state" / "rejected.parquet").unlink()  # left by a job that stopped; the next job that stops writes a new one
    (root / "state" / NOTE).unlink(missing_ok=True)
    found = replace(found, review=reviewed, feedback=said, taught=gone, decisions=decided, logs=rows)
    if not found.is_empty:
        (root / KEPT).unlink(missing_ok=True)  # counts of all users; the next `diagnose` writes it anew
    return found


def _mend_review(path: Path, texts: set[str]) -> int:
    """Take the lines with a text of nobody else out of the review; return how many."""
    found = review.read(path)
    lines = [line for line in found.lines if not {line.source, line.target} & texts]
    wrong = [line for line in found.wrong if not any(names_user(line.text.lower(), text) for text in texts)]
    left_out = len(found.lines) + len(found.wrong) - len(lines) - len(wrong)
    if left_out:
        review.write(path, lines, wrong)
    return left_out


def _record(files: Path, learned: Mapping[str, str], user_id: str) -> None:
    """Note rewritten logs as read. The old checksums stay, so that a copy of an old log is not read either."""
    known = _files(files) | dict(learned)
    named = {checksum: checksum[:12] if names_user(name, user_id) else name for checksum, name in known.items()}
    if known or files.exists():
        files.write_text(json.dumps(named, indent=1), encoding="utf-8")


def _files(path: Path) -> dict[str, str]:
    """Return checksum -> name of the logs that a state has read; nothing for a state that was made of a catalog alone."""
    if not path.exists() and not (path.parent / "users.parquet").exists():
        return {}
    with reading_state(path):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def _catalog(person: Person, old: Path, new: Path) -> dict[str, int]:
    """Write the layer of a catalog without a person, if there is one; return the count of the manifest that changes."""
    layers = [name for name in ("online", "catalog") if (old / name / CATALOG_FILES[0]).exists()]
    left = sum(catalog_without(person, old / name, new / name) for name in layers)
    return {OWN_TEXTS: left} if layers else {}


def _rules(person: Person, version: Version, folder: Path, work: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Write the rules that still serve; return how many served before and how many serve now, by kind."""
    old, new = version.state / "rules.parquet", work / "rules.parquet"
    if not version.learned:
        shutil.copytree(version.folder / "rules", folder / "rules")
        shutil.copyfile(version.folder / "rules.parquet", folder / "rules.parquet")
        return {}, {}
    table_without(person, old, new, "rules")
    with connect() as con:
        counted = [con.execute(_SERVED, [str(path)]).fetchall() for path in (old, new)]
        con.sql(_EVERYBODYS, params=[str(new)]).write_parquet(str(folder / "rules.parquet"))
    write_rules(folder / "rules", (Rule(*row) for row in counted[1]))
    context_rules_without(person, version.folder / "rules" / "context.json", folder / "rules" / "context.json")
    save_shares(folder / "rules", open_shares(version.folder / "rules"))
    save_moments_without(version.folder / "rules", folder / "rules", person.hashed)
    kinds = [
        {"global rules": sum(not row[1] for row in rows), "personal rules": sum(bool(row[1]) for row in rows)} for rows in counted
    ]
    return kinds[0], kinds[1]
