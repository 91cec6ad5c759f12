"""history(): the life of the rules of a text, or of the online layer, from the private state: when each came, left, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from rewriter.artefact.versions import load_current
from rewriter.errors import ArtefactError
from rewriter.text import hash_user, normalise

_CHANGES = """
SELECT day, source, target, scope, context_value, was, life, share, why, tried, tried_ok, left_alone, left_ok FROM lives
WHERE {which} AND user_id IN ('', ?) ORDER BY day, scope, context_value, target
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change in the life of a rule.

    Attributes:
        day: since when, ISO date; the evidence is of the days before.
        source: what is rewritten; of the online layer the name of a part (`rewriter.model.layer_slices`).
        target: what is sent instead; empty for a part of the online layer.
        scope: ``global``, ``personal``, ``context`` or ``online``.
        context_value: where the rule holds; empty for everywhere.
        was: where it stood before; empty for a rule that is new.
        life: where it stands then.
        share: probability with which it is applied then.
        why: the reason.
        tried, tried_ok: days of single users that speak for the rewrite as applied, an effective number; those that went well.
        left_alone, left_ok: the same of the words as spoken.
    """

    day: str
    source: str
    target: str
    scope: str
    context_value: str
    was: str
    life: str
    share: float
    why: str
    tried: float
    tried_ok: float
    left_alone: float
    left_ok: float

    def row(self) -> tuple[str, ...]:
        """Return the change as a row of a table with `COLUMNS`."""
        sent, spoken = _share(self.tried_ok, self.tried), _share(self.left_ok, self.left_alone)
        target = f"{self.target} ({self.context_value})" if self.context_value else self.target or self.source
        return self.day, target, self.was or "new", self.life, f"{self.share:.3f}", sent, spoken, self.why


COLUMNS = ("since", "target", "was", "is", "applied", "went well rewritten", "as spoken", "because")


def history(root: str | Path, text: str | None = None, *, user_id: str | None = None) -> Sequence[Change]:
    """Return every change in the life of the rules of a text, the oldest first.

    Args:
        root: the artefact folder.
        text: the request; None for the parts of the online layer, which has no rules.
        user_id: whose personal rules are told too.

    Raises:
        ArtefactError: the artefact is missing or damaged, or its private state is not here.
    """
    version = load_current(root, lambda found: found)
    path = version.state / "lives.parquet"
    if not path.exists():
        raise ArtefactError(f"{version.state} is not here: the lives of rules are in the private state")
    user = hash_user(user_id, bytes.fromhex(version.manifest.user_key)) if user_id else ""
    with duckdb.connect() as con:
        con.read_parquet(str(path)).create_view("lives")
        which, whose = ("scope = ?", "online") if text is None else ("scope <> 'online' AND source = ?", normalise(text))
        rows = con.execute(_CHANGES.format(which=which), [whose, user]).fetchall()
    start = date(1970, 1, 1).toordinal()
    return [Change(date.fromordinal(start + day + 1).isoformat(), *rest) for day, *rest in rows]


def _share(ok: float, n: float) -> str:
    return f"{ok / n:.0%} of {n:.0f}" if n >= 1 else "-"
