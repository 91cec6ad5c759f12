"""A custom component for Home Assistant, which `lay_out` writes as HACS and Home Assistant expect it (docs/home-assistant.md)."""

import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from rewriter import __version__
from rewriter.artefact.disk import explained, replace

_LAID_OUT = ("custom_components", "hacs.json", "README.md")
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What was written.

    Attributes:
        folder: where.
        files: how many.
    """

    folder: Path
    files: int

    def lines(self) -> list[str]:
        """Return it line by line, to be printed."""
        return [
            f"{self.files} files in {self.folder}",
            f"copy {self.folder / 'custom_components' / 'rewriter'} into the folder custom_components of Home Assistant",
            "then restart it, and add the integration Rewriter",
        ]


def lay_out(folder: str | Path) -> LaidOut:
    """Write the custom component, of the version of this package.

    Args:
        folder: made if it is missing; files of the component are replaced, others stay. If it is the configuration folder of Home
            Assistant, the component is installed.

    Raises:
        ArtefactError: the disk refuses.

    Example:
        >>> lay_out("hacs").lines()  # doctest: +SKIP
    """
    root, here = Path(folder), resources.files("rewriter.connect.home_assistant")
    written = sum(_copy(here / name, root / name) for name in _LAID_OUT)
    return LaidOut(root, written)


def _copy(source: Traversable, target: Path) -> int:
    """Copy a file or a folder; return how many files."""
    if source.is_dir():
        if source.name == "__pycache__":
            return 0
        return sum(_copy(each, target / each.name) for each in sorted(source.iterdir(), key=lambda each: each.name))
    content = source.read_bytes()
    if source.name == _MANIFEST:
        content = json.dumps(json.loads(content) | {"version": __version__}, indent=2).encode() + b"\n"
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(target, content)
    return 1
