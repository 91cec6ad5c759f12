"""Which version serves: hold one back, publish it, roll back to an older one. Each is one step on the disk."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rewriter.artefact.disk import explained, locked, replace
from rewriter.artefact.versions import (
    HELD,
    Held,
    Manifest,
    current_id,
    held,
    known,
    named,
    open_version,
    running_number,
    verify,
    version_ids,
)
from rewriter.errors import ArtefactError

COLUMNS = ("version", "created, UTC", "turns", "global", "personal", "exp. loss", "place")
FIGURES = COLUMNS[2:6]
WHOLE = COLUMNS[:2]

Place = Literal["older", "serves", "held back", "newer"]


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One version of an artefact folder, in its place.

    Attributes:
        id: of the version.
        manifest: what it says of itself.
        place: ``serves``, ``held back`` by the guard, ``older`` than the one that serves, or ``newer`` where somebody went back.
        reasons: why it is held back, one line each.
    """

    id: str
    manifest: Manifest
    place: Place
    reasons: tuple[str, ...] = ()

    def row(self) -> tuple[str, ...]:
        """Return what a person wants to see of it, in the order of COLUMNS."""
        counts, share = self.manifest.counts, self.manifest.metrics.get("expected loss share")
        figures = (f"{counts.get(name, 0):,}" for name in ("turns", "global rules", "personal rules"))
        created = self.manifest.created[:16].replace("T", " ")
        return self.id, created, *figures, "" if share is None else f"{100 * share:.1f} %", self.place


def listed(root: str | Path) -> list[ListedVersion]:
    """Return all versions that are kept, oldest first.

    Raises:
        ArtefactError: there is no artefact, or one of its manifests is missing or damaged; names the file.
    """
    serving, waiting = current_id(root), held(root)

    def place(version_id: str) -> Place:
        if version_id == serving:
            return "serves"
        if waiting and version_id == waiting.id:
            return "held back"
        return "older" if running_number(version_id) < running_number(serving) else "newer"

    ids = version_ids(Path(root) / "versions")
    manifests = (open_version(root, version_id).manifest for version_id in ids)
    why = {waiting.id: waiting.reasons} if waiting else {}
    return [ListedVersion(v, manifest, place(v), why.get(v, ())) for v, manifest in zip(ids, manifests, strict=True)]


def publish(root: str | Path, version: str | None = None, *, force: bool = False) -> str:
    """Let a version serve, after its files were compared with their checksums.

    Args:
        root: the artefact folder.
        version: id, or the beginning of one; None for the one that is held back.
        force: publish it though it is held back.

    Returns:
        The id of the version that serves now.

    Raises:
        ArtefactError: there is no such version, it is damaged, it serves already, or it is held back and `force` is not set.
    """
    with _changing(root):
        waiting = held(root)
        if version is None and waiting is None:
            raise ArtefactError(f"no version in {root} is held back; name one of {known(root)}")
        wanted = named(root, version) if version else waiting.id if waiting else ""
        if waiting and wanted == waiting.id and not force:
            raise ArtefactError(f"{wanted} is held back: {'; '.join(waiting.reasons)}; publish it all the same with --force")
        return _serve(root, wanted)


def rollback(root: str | Path, version: str | None = None) -> str:
    """Let an older version serve, after its files were compared with their checksums.

    The next `learn` starts from the state of that version; what was learned since is learned again from the same logs.

    Args:
        root: the artefact folder.
        version: id, or the beginning of one; None for the last before the one that serves.

    Returns:
        The id of the version that serves now.

    Raises:
        ArtefactError: there is no older version, it is damaged, or it serves already.
    """
    with _changing(root):
        serving = running_number(current_id(root))
        older = [v for v in version_ids(Path(root) / "versions") if running_number(v) < serving]
        wanted = named(root, version) if version else older[-1] if older else ""
        if not wanted or running_number(wanted) > serving:
            raise ArtefactError(f"no older version is kept in {root}; there are: {known(root)}")
        return _serve(root, wanted)


def hold(root: Path, version: Held) -> None:
    """Note that a version is held back; the caller holds the writer's lock."""
    replace(root / HELD, json.dumps(asdict(version), indent=1).encode(), mode=0o600)


def switch(root: Path, version_id: str) -> None:
    """Make a version the one that serves; the caller holds the writer's lock. What was held back before is so no more."""
    replace(root / "CURRENT", f"{version_id}\n".encode())


@contextmanager
def _changing(root: str | Path) -> Iterator[None]:
    """Hold the one writer's lock of an artefact that exists."""
    current_id(root)
    folder = Path(root) / "state"
    with explained(Path(root)):
        folder.mkdir(mode=0o700, exist_ok=True)  # a copy that was shipped has none
        with locked(folder / "lock", Path(root)):
            yield


def _serve(root: str | Path, version_id: str) -> str:
    if version_id == current_id(root):
        raise ArtefactError(f"{version_id} serves already")
    verify(open_version(root, version_id))
    switch(Path(root), version_id)
    (Path(root) / HELD).unlink(missing_ok=True)
    return version_id
