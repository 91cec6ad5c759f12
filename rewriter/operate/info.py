"""`info`: what is inside an artefact, for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rewriter.artefact.versions import Version, load_current, version_ids
from rewriter.codes import Scope
from rewriter.model.rules import RuleBook


@dataclass(frozen=True, slots=True)
class ArtefactInfo:
    """What the current version of an artefact holds.

    Attributes:
        id: the version that serves.
        created: when it was written, ISO 8601 in UTC.
        rules: rules by scope and locale.
        locales: turns of the log by locale.
        counts: what `learn` counted.
        metrics: what `learn` measured.
        packages: versions of the packages that wrote it.
        sizes: bytes of each file, by its path below the version's folder.
        versions: ids of all versions that are kept, oldest first.
    """

    id: str
    created: str
    rules: Mapping[Scope, Mapping[str, int]]
    locales: Mapping[str, int]
    counts: Mapping[str, int]
    metrics: Mapping[str, float | None]
    packages: Mapping[str, str]
    sizes: Mapping[str, int]
    versions: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Return what and how much, line by line, to be printed."""
        rules = [(f"rules, {scope}, {locale}", n) for scope, counts in self.rules.items() for locale, n in counts.items()]
        return [
            ("version", self.id),
            ("created", self.created),
            *((what, f"{n:,}") for what, n in rules),
            *((f"turns, {locale}", f"{n:,}") for locale, n in self.locales.items()),
            *((what, f"{n:,}") for what, n in self.counts.items()),
            *((what, "none" if value is None else f"{value:.4g}") for what, value in self.metrics.items()),
            ("bytes", f"{sum(self.sizes.values()):,}"),
            ("versions kept", ", ".join(self.versions)),
        ]


def info(path: str | Path) -> ArtefactInfo:
    """Describe the artefact in a folder.

    Raises:
        ArtefactError: it is missing, damaged or from a newer release; names the file.
    """
    return load_current(path, _describe)


def _describe(version: Version) -> ArtefactInfo:
    manifest = version.manifest
    return ArtefactInfo(
        id=version.id,
        created=manifest.created,
        rules=RuleBook.open(version.folder / "rules").counts,
        locales=manifest.locales,
        counts=manifest.counts,
        metrics=manifest.metrics,
        packages=manifest.packages,
        sizes=manifest.sizes,
        versions=tuple(version_ids(version.root / "versions")),
    )
