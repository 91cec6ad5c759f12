"""`Writer`: writes one version of an artefact and its state, and lets both take effect in one step.

Everything goes into hidden folders first. The one step is the replacement of ``CURRENT``: whatever kills the writer, before
it the old version serves with the old state, after it the new one with the new. What a killed writer left is swept by the
next; its lock is an flock, which dies with it.
"""

import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType

from rewriter.artefact.disk import explained, files, link, locked, make_private, remove, replace, sha256, sync, sync_tree
from rewriter.artefact.switch import hold, switch
from rewriter.artefact.versions import (
    HELD,
    Held,
    Manifest,
    Version,
    current_id,
    held,
    noted,
    open_version,
    read_manifest,
    running_number,
    version_ids,
)
from rewriter.config import Config
from rewriter.errors import ArtefactError, SchemaError, reading_state

Judge = Callable[[Version], Sequence[str]]
"""A finished version -> why it must not serve yet, one line each; none where it may."""

_KEY_BYTES = 32
CATALOG_FILES = ("catalog.json", "catalog.jsonl")
"""Files of a state that keep a catalog: its header, and its rows."""
_CONTENTS = "contents.json"
"""The list of all files that a state has, by their paths below its folder."""
_CURE = "put it back from a backup, or begin anew with --afresh"
_PACKAGES = (
    "rewriter",
    "lmdb",
    "numpy",
    "faiss-cpu",
    "duckdb",
    "pyspark",
    "scipy",
    "pandas",
    "networkx",
    "scikit-learn",
    "lightgbm",
)


class Writer:
    """Writes one version of an artefact: fill `folder` and `state`, then `publish`. Leaving without it changes nothing.

    Attributes:
        folder: where the files of the new version go; every file below it is shipped.
        state: where the new private state goes.
        work: private scratch folder, removed with everything in it when the writer is left.
        reasons: why the version that was written is held back; empty where it serves.
        user_key: the secret of this artefact under which user ids are hashed, 32 bytes.

    Args:
        root: the artefact folder; made if it is missing.
        keep: versions to keep, the new one included.

    Raises:
        ArtefactError: another writer is at work, ``CURRENT`` or the key is damaged, or the disk refuses.

    Example:
        >>> import tempfile
        >>> with Writer(tempfile.mkdtemp()) as writer:
        ...     _ = (writer.folder / "a.txt").write_text("shipped")
        ...     _ = (writer.state / "b.txt").write_text("private")
        ...     version_id = writer.publish(config=Config(), locales={"en": 12}, counts={"turns": 12}, metrics={})
        >>> version_id[:7]
        '000001-'
    """

    def __init__(self, root: str | Path, *, keep: int = 3) -> None:
        self._root = Path(root)
        self._versions, self._states = self._root / "versions", self._root / "state"
        self._keep = keep
        self._held = ExitStack()
        self.folder = self._versions / ".new"
        self.state = self._states / ".new"
        self.work = self._states / ".work"
        self._previous: str | None = None
        self.reasons: tuple[str, ...] = ()
        self.user_key = b""

    def __enter__(self) -> "Writer":
        if self._root.exists() and not self._root.is_dir():
            raise ArtefactError(f"{self._root} is a file; the artefact is a folder, such as {self._root}-artefact")
        with explained(self._root), ExitStack() as stack:
            self._versions.mkdir(parents=True, exist_ok=True)
            self._states.mkdir(mode=0o700, exist_ok=True)
            self._states.chmod(0o700)
            stack.enter_context(locked(self._states / "lock", self._root))
            self._sweep()
            self._take_over()
            self.user_key = _user_key(self._root)
            for folder, mode in ((self.folder, 0o777), (self.state, 0o700), (self.work, 0o700)):
                folder.mkdir(mode=mode)
            self._held = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._held:
            for folder in (self.folder, self.state, self.work):
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def previous_state(self) -> Path | None:
        """The state of the newest version, to be read only; None where there is none.

        Raises:
            SchemaError: another release wrote it. A version that is damaged does not matter: the next one replaces it.
        """
        if self._previous is None:
            return None
        try:
            open_version(self._root, self._previous)
        except SchemaError:
            raise
        except ArtefactError:
            pass
        return self._states / self._previous

    def whole_state(self) -> Path | None:
        """Return the state that `learn` starts from, or None if no log was learned into this folder before.

        A state that is not whole is refused, and never used as if it were empty.

        Raises:
            ArtefactError: a version serves, but its state is missing or lacks a file.
        """
        state = self.previous_state
        if state is None:
            if not (self._root / "CURRENT").exists():
                return None
            raise ArtefactError(f"{self._states / current_id(self._root)} is missing: it holds all counts so far; {_CURE}")
        contents = state / _CONTENTS
        if not contents.exists():
            raise ArtefactError(f"{contents} is missing: the state is not whole, or of an older release; {_CURE}")
        with reading_state(contents):
            names: list[str] = list(json.loads(contents.read_text(encoding="utf-8")))
        for name in names:
            if not (state / name).exists():
                raise ArtefactError(f"{state / name} is missing: the state is not whole; {_CURE}")
        return state if set(names) - set(CATALOG_FILES) else None  # a version made from a catalog alone has learned from no log

    def finish_state(self, moved: Iterable[Path]) -> None:
        """Move files and folders into the new state, and write the list of all its files."""
        for path in moved:
            shutil.move(path, self.state / path.name)
        names = sorted(path.relative_to(self.state).as_posix() for path in self.state.rglob("*") if path.is_file())
        (self.state / _CONTENTS).write_text(json.dumps(names, indent=0), encoding="utf-8")

    def carry(self, name: str) -> bool:
        """Take a file over from the previous state as it is, without copying it where the disk has hard links.

        Args:
            name: path below the state folder.

        Returns:
            Whether there was such a file.

        Raises:
            ArtefactError: the disk refuses.
        """
        previous = self.previous_state
        if previous is None or not (previous / name).is_file():
            return False
        source, target = previous / name, self.state / name
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            link(source, target)
        return True

    def take_over(self, part: str) -> dict[str, float]:
        """Take a folder of the previous version over as it is, without copying it where the disk has hard links.

        Args:
            part: name of a folder of the version.

        Returns:
            What the manifest of that version says was measured of it: the metrics whose names begin with that of the folder.

        Raises:
            ArtefactError: the disk refuses, or the previous version is damaged.
        """
        if self.previous_state is None:
            return {}
        version = open_version(self._root, self.previous_state.name)
        with explained(self.folder):
            for path in files(version.folder / part):
                target = self.folder / path.relative_to(version.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                link(path, target)
        return {name: math.nan if v is None else v for name, v in version.manifest.metrics.items() if name.startswith(part)}

    def publish(
        self,
        *,
        config: Config,
        locales: Mapping[str, int],
        counts: Mapping[str, int],
        metrics: Mapping[str, float],
        judge: Judge | None = None,
    ) -> str:
        """Make what was written the current version, and return its id. Called once, at the end.

        Args:
            config: the settings it was learned with.
            locales: turns of the log by locale, spelled as in the rules; the commonest answers requests that name none.
            counts: anything worth counting, for people.
            metrics: anything worth measuring, for people; NaN is written as null.
            judge: asked about the finished version why it must not serve yet; one that it gives reasons against is held back.
                The first version of a folder serves in any case.

        Raises:
            ArtefactError: the disk refuses; the old version still serves.
        """
        with explained(self._root):
            sums = {path.relative_to(self.folder).as_posix(): sha256(path) for path in files(self.folder)}
            manifest = Manifest(
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                config=config.to_dict(),
                packages=_packages(),
                locales={name: int(turns) for name, turns in locales.items()},
                counts={name: int(count) for name, count in counts.items()},
                metrics={name: float(value) if math.isfinite(value) else None for name, value in metrics.items()},
                max_chars=config.logs.max_chars,
                user_key=self.user_key.hex(),
                sizes={name: (self.folder / name).stat().st_size for name in sums},
                sums=sums,
            )
            used = version_ids(self._versions) + version_ids(self._states)
            version_id, text = manifest.to_json(1 + max(map(running_number, used), default=0))
            (self.folder / "manifest.json").write_text(text, encoding="utf-8")
            make_private(self.state)
            for folder in (self.state, self.folder):  # the state first: no version is ever without its own
                sync_tree(folder)
                folder.rename(folder.with_name(version_id))
                sync(folder.parent)
            if judge is not None and (self._root / "CURRENT").exists():
                self.reasons = tuple(judge(open_version(self._root, version_id)))
            if self.reasons:
                hold(self._root, Held(version_id, current_id(self._root), self.reasons))
            else:
                switch(self._root, version_id)
        with suppress(OSError):  # the new version serves already; the next writer tries again
            self._retire(current_id(self._root), version_id)
        return version_id

    def _take_over(self) -> None:
        """Start from the newest version that was learned: the one that serves, or the one that is held back."""
        if not (self._root / "CURRENT").exists():
            return
        serving, waiting = current_id(self._root), held(self._root)
        newest = waiting.id if waiting else serving
        self._retire(serving, newest)
        if (self._states / newest).is_dir():
            self._previous = newest

    def _sweep(self) -> None:
        """Remove what a killed writer left."""
        for folder in (self._versions, self._states):
            for name in (".new", ".work", ".old"):
                remove(folder / name)

    def _retire(self, serving: str, newest: str) -> None:
        """Remove all versions and states but `serving`, the last that served before it, and `newest`."""
        note = noted(self._root)
        never = note.id if note else ""
        older = [v for v in version_ids(self._versions) if running_number(v) < running_number(serving) and v != never]
        kept = {serving, newest, *older[max(0, len(older) - self._keep + 1) :]}
        for folder in (self._versions, self._states):
            for version_id in set(version_ids(folder)) - kept:
                # Renamed first, so that a kill in the middle leaves no version that lacks files.
                remove((folder / version_id).replace(folder / ".old"))
        if not held(self._root):
            (self._root / HELD).unlink(missing_ok=True)


def _user_key(root: Path) -> bytes:
    """Read the secret, or make it on the first day. A lost file is written again from the manifest of the version that serves.

    Another secret than that of the version would hash every user anew, so that each counted twice.

    Raises:
        ArtefactError: the file is damaged or belongs to another folder, or it is lost and the manifest is damaged.
    """
    path = root / "state" / "user.key"
    try:
        served = read_manifest(root, current_id(root)).user_key if (root / "CURRENT").exists() else ""
    except SchemaError:
        raise
    except ArtefactError as error:
        if not path.exists():
            raise ArtefactError(
                f"{path} is missing, and no version has it: {error}; put {path.name} back from a backup"
            ) from error
        served = ""
    if not path.exists():
        replace(path, bytes.fromhex(served) or secrets.token_bytes(_KEY_BYTES), mode=0o600)
    key = path.read_bytes()
    cure = "remove it, and the key of the version that serves is used" if served else "put it back from a backup"
    if len(key) != _KEY_BYTES:
        raise ArtefactError(f"{path} is damaged: {len(key)} bytes, not {_KEY_BYTES}; {cure}")
    if served and key.hex() != served:
        raise ArtefactError(f"{path} is not the key of version {current_id(root)}: every user would count twice; {cure}")
    return key


@cache
def _packages() -> Mapping[str, str]:
    installed = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed
