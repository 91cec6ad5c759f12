"""Which version of an artefact is current, and whether its files are whole."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from rewriter.artefact.disk import sha256
from rewriter.errors import CURE_ARTEFACT, ArtefactError, SchemaError, one_line, reading_artefact

SCHEMA_VERSION = 4
"""Raised when an older reader would misread what a newer writer wrote, or the other way round."""

HELD = Path("state", "held.json")
"""Below the artefact folder: names the version that is held back, and says why."""

_KEY_BYTES = 64
"""Longest key that BLAKE2b takes."""

_KINDS: Mapping[str, tuple[type, ...]] = {
    "packages": (str,),
    "locales": (int,),
    "counts": (int,),
    "metrics": (int, float, type(None)),
    "sizes": (int,),
    "sums": (str,),
}
"""Types of the values of each field of the manifest that maps names to values."""

_Loaded = TypeVar("_Loaded")
_ID = re.compile(r"[0-9]{6,}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a version says of itself.

    Attributes:
        created: when it was written, ISO 8601 in UTC.
        config: the settings it was learned with, `Config.to_dict()`.
        packages: versions of the packages that wrote it.
        locales: users of the log by locale.
        counts: whatever `learn` counted, by name.
        metrics: whatever `learn` measured, by name; None where there was nothing to measure.
        max_chars: requests longer than this are left alone.
        user_key: hex of the secret under which user ids are hashed.
        sizes: bytes of each file, by its path below the version's folder.
        sums: SHA-256 of each file in hex, by the same paths.
    """

    created: str
    config: Mapping[str, Any]
    packages: Mapping[str, str]
    locales: Mapping[str, int]
    counts: Mapping[str, int]
    metrics: Mapping[str, float | None]
    max_chars: int
    user_key: str = field(repr=False)
    sizes: Mapping[str, int]
    sums: Mapping[str, str]

    def to_json(self, number: int) -> tuple[str, str]:
        """Return the id of version `number` with this content, and the text of its ``manifest.json``."""
        data = {"schema_version": SCHEMA_VERSION, **{f.name: getattr(self, f.name) for f in fields(self)}}
        version_id = f"{number:06d}-{_digest(data)}"
        return version_id, json.dumps({"id": version_id, **data}, indent=1) + "\n"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an artefact folder.

    Attributes:
        root: the artefact folder.
        id: a running number, and eight hex digits of the manifest's SHA-256.
        manifest: what it says of itself.
    """

    root: Path
    id: str
    manifest: Manifest

    @property
    def folder(self) -> Path:
        """Where the files of this version lie."""
        return self.root / "versions" / self.id

    @property
    def state(self) -> Path:
        """Where the private state lies that belongs to this version; absent where only the artefact was shipped."""
        return self.root / "state" / self.id

    @property
    def learned(self) -> bool:
        """Whether it was learned from a log; else it was made of a catalog alone."""
        return "catalog texts" not in self.manifest.counts or "turns" in self.manifest.counts


NO_LOG = "{root} was made of a catalog alone, so it knows of no log; learn from one with `rewriter learn LOGS --out {root}`"


def current_id(root: str | Path) -> str:
    """Return the id of the version that serves.

    Raises:
        ArtefactError: ``CURRENT`` is missing or damaged.
    """
    path = Path(root) / "CURRENT"
    try:
        line = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ArtefactError(f"{path} is missing: no artefact here; write one with `rewriter learn LOGS --out {root}`") from error
    except IsADirectoryError as error:
        raise ArtefactError(f"{path} is a folder, not a file; {_current_cure(root)}") from error
    except OSError as error:
        raise ArtefactError(f"cannot read {path} ({error.strerror}); let this process read it") from error
    except UnicodeDecodeError as error:
        raise ArtefactError(f"{path} is damaged: it is not text; {_current_cure(root)}") from error
    if not line.endswith("\n") or not _ID.fullmatch(line[:-1]):
        raise ArtefactError(f"{path} is damaged: it is not one line with the id of a version; {_current_cure(root)}")
    return line[:-1]


def _current_cure(root: str | Path) -> str:
    return f"replace it by a file of one line, the id of the version that is to serve; there are: {known(root)}"


@dataclass(frozen=True, slots=True)
class Held:
    """A version that was written and does not serve.

    Attributes:
        id: the version.
        serving: the version that serves in its place; when another does, nothing is held back any more.
        reasons: why, one line each.
    """

    id: str
    serving: str
    reasons: tuple[str, ...]


def held(root: str | Path) -> Held | None:
    """Return the version that is held back; None where there is none.

    Raises:
        ArtefactError: the note of it is damaged.
    """
    found = noted(root)
    return found if found and found.serving == current_id(root) else None


def noted(root: str | Path) -> Held | None:
    """Return the version that was held back last and never served, though it may wait no more; None where there is none.

    Raises:
        ArtefactError: the note of it is damaged.
    """
    path = Path(root) / HELD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Held(data["id"], data["serving"], tuple(map(str, data["reasons"])))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ArtefactError(f"{path} is damaged ({one_line(error)}); remove it to drop the version that was held back") from error


def version_ids(folder: Path) -> list[str]:
    """Return the ids in the folder ``versions`` or ``state`` of an artefact, oldest first."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(filter(_ID.fullmatch, names), key=running_number)


def named(root: str | Path, beginning: str) -> str:
    """Return the id of the one version that begins so.

    Raises:
        ArtefactError: there is none, or more than one.
    """
    found = [version_id for version_id in version_ids(Path(root) / "versions") if version_id.startswith(beginning)]
    if len(found) != 1:
        many = "more than one" if found else "no"
        raise ArtefactError(f"{many} version {beginning} in {root}; there are: {known(root)}")
    return found[0]


def known(root: str | Path) -> str:
    """Return the ids of all versions, to be told to a person."""
    return ", ".join(version_ids(Path(root) / "versions")) or "none"


def running_number(version_id: str) -> int:
    """Return the running number in the id of a version.

    Example:
        >>> running_number("000012-1a2b3c4d")
        12
    """
    return int(version_id.split("-", maxsplit=1)[0])


def current(root: str | Path) -> Version:
    """Open the version that serves, as `open_version` does.

    Raises:
        ArtefactError: something is missing, damaged or from a newer release; names the file.
    """
    return load_current(root, lambda version: version)


def load_current(root: str | Path, load: Callable[[Version], _Loaded]) -> _Loaded:
    """Open the version that serves and load something from its files.

    Raises:
        ArtefactError: something is missing, damaged or from a newer release; names the file.
    """
    version_id = current_id(root)
    while True:
        try:
            return load(open_version(root, version_id))
        except ArtefactError:
            # A writer that keeps few versions may have swept this one away since CURRENT was read.
            before, version_id = version_id, current_id(root)
            if version_id == before:
                raise


def open_version(root: str | Path, version_id: str) -> Version:
    """Open one version, current or not: read its manifest and compare the size of every file.

    Raises:
        ArtefactError: something is missing, damaged or from another release; names the file.
    """
    version = Version(Path(root), version_id, read_manifest(root, version_id))
    for name, size in version.manifest.sizes.items():
        path = version.folder / name
        with reading_artefact(path):
            found = path.stat().st_size
            if not path.is_file():
                raise ArtefactError(f"{path} is a folder, not a file; {CURE_ARTEFACT}")
            if found != size:
                raise ArtefactError(f"{path} is damaged: it has {found:,} bytes, not {size:,}; {CURE_ARTEFACT}")
    return version


def verify(version: Version) -> None:
    """Compare the SHA-256 of every file with the manifest. This finds damage; who tampers can write new sums too.

    Raises:
        ArtefactError: a file differs; names it.
    """
    for name, expected in version.manifest.sums.items():
        path = version.folder / name
        with reading_artefact(path):
            if sha256(path) != expected:
                raise ValueError("its checksum differs")


def read_manifest(root: str | Path, version_id: str) -> Manifest:
    """Read the manifest of one version, whatever its other files are.

    Raises:
        ArtefactError: it is missing, damaged or from another release.
    """
    path = Path(root) / "versions" / version_id / "manifest.json"
    with reading_artefact(path):
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = data.pop("schema_version") if isinstance(data, dict) else None
        if type(schema) is not int:
            raise ArtefactError(f"{path} is damaged: schema_version is no integer such as {SCHEMA_VERSION}; {CURE_ARTEFACT}")
        if schema > SCHEMA_VERSION:
            raise SchemaError(f"{path} has schema {schema}, newer than {SCHEMA_VERSION}: upgrade the package rewriter")
        if schema < SCHEMA_VERSION:
            raise SchemaError(f"{path} has schema {schema}, older than {SCHEMA_VERSION}: learn again, into a new folder")
        if data.pop("id") != version_id or _digest({"schema_version": schema, **data}) != version_id.split("-")[1]:
            raise ValueError("it does not match its id")
        return _checked(Manifest(**{f.name: data[f.name] for f in fields(Manifest)}))


def _checked(manifest: Manifest) -> Manifest:
    """Return a manifest whose fields have the declared types; its id only proves that nothing changed since it was written."""
    for name, kinds in _KINDS.items():
        values = getattr(manifest, name)
        if not isinstance(values, dict) or not all(type(value) in kinds for value in values.values()):
            raise ValueError(f"{name} must map names to {' or '.join(kind.__name__ for kind in kinds)}")
    if type(manifest.max_chars) is not int or not isinstance(manifest.config, dict) or not isinstance(manifest.created, str):
        raise ValueError("max_chars, config or created is of the wrong type")
    if len(bytes.fromhex(manifest.user_key)) > _KEY_BYTES:
        raise ValueError(f"user_key is longer than {_KEY_BYTES} bytes")
    if manifest.sizes.keys() != manifest.sums.keys() or any(
        ".." in PurePosixPath(n).parts or n[:1] == "/" for n in manifest.sizes
    ):
        raise ValueError("sizes and sums must name the same files, all below the version's folder")
    return manifest


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:8]
