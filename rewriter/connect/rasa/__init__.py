"""Rasa 3.6: what runs inside Rasa, and `lay_out`, which puts it into a project.

Rasa needs Python 3.8 to 3.10, and rewriter 3.11. So nothing of it imports rewriter: it asks `rewriter serve` over HTTP.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from rewriter.artefact.disk import explained, replace

FILES: Final = ("rewriter_client.py", "rewriter_rasa.py", "rewriter_actions.py")
"""Client of the service; graph component and channel; actions."""


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What was put into a project.

    Attributes:
        files: the files.
    """

    files: tuple[Path, ...]

    def lines(self) -> list[str]:
        """Return it line by line, to be printed."""
        return [f"wrote {path}" for path in self.files]


def lay_out(folder: str | Path) -> LaidOut:
    """Put the component, its client and its actions into a project of Rasa; files of these names are replaced.

    Args:
        folder: of the project, where ``config.yml`` is; made if it is missing.

    Raises:
        ArtefactError: the disk refuses.
    """
    target = Path(folder)
    with explained(target):
        target.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            replace(target / name, resources.files(__name__).joinpath(name).read_bytes())
    return LaidOut(tuple(target / name for name in FILES))
