"""The parts of the online layer: it has no rules, so it is drawn, judged and withdrawn by what it goes by, mode and scope.

A part is named like a rule in answers, logs and lives. After a refusal nothing is drawn: what the words come to is known then.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rewriter.codes import Scope
from rewriter.errors import reading_artefact

_FILE = "online.json"


def part_of(basis: str, scope: Scope, *, after_failure: bool) -> str:
    """Return the name of a part.

    Args:
        basis: ``online`` for what was found and ranked, ``ambiguity`` for what habits told.
        scope: whose evidence it rests on.
        after_failure: whether the NLU has already refused the request.

    Example:
        >>> part_of("online", "global", after_failure=False)
        'online-before-global'
    """
    return f"{basis}-{'after' if after_failure else 'before'}-{scope}"


_SCOPES: Final[tuple[tuple[str, Scope], ...]] = (
    ("online", Scope.GLOBAL), ("online", Scope.PERSONAL), ("ambiguity", Scope.PERSONAL),
)  # fmt: skip
DRAWN: Final = tuple(part_of(*of, after_failure=False) for of in _SCOPES)
PARTS: Final = (*DRAWN, *(part_of(*of, after_failure=True) for of in _SCOPES))


def save_shares(folder: Path, shares: Mapping[str, float]) -> None:
    """Write the probability with which each part is applied, 0 for one that is withdrawn."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(json.dumps(shares), encoding="utf-8")


def open_shares(folder: Path) -> dict[str, float]:
    """Read what `save_shares` wrote; no file holds nothing, and a part of which nothing is said is always applied.

    Raises:
        ArtefactError: the file is none of ours.
    """
    path = folder / _FILE
    if not path.exists():
        return {}
    with reading_artefact(path):
        return {str(part): float(share) for part, share in json.loads(path.read_text(encoding="utf-8")).items()}
