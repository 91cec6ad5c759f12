"""The slices of the online layer. Each slice has a method, a mode and a scope, and is judged and withdrawn like a rule.

The online layer has no rules of its own. So its rewrites are recorded by slice: by their method (the ranker, or the user's habits
for an ambiguous text), by mode (whether the NLU had already refused the request), and by scope (whose evidence they rest on). In
answers, logs and the history of stages the name of a slice takes the place of the id of a rule.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rewriter.codes import Scope
from rewriter.errors import reading_artefact

PRIOR_WINS: Final = 19.0
PRIOR_LOSSES: Final = 1.0
"""Counts of the shipped prior where it stands in: of 20 rewrites that it sends, 1 is lost. On left-out worlds it was 0 to 1.2."""

_SHARES = "online.json"
_PROMISES = "promises.json"


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of the online layer.

    Attributes:
        method: ``online`` for what was found and ranked, ``ambiguity`` for what the user's habits decided.
        scope: whose evidence it rests on.
        after_failure: whether the NLU has already refused the request.

    Example:
        >>> Slice("online", Scope.GLOBAL, after_failure=False).name
        'online-before-global'
    """

    method: str
    scope: Scope
    after_failure: bool

    @property
    def name(self) -> str:
        """The name of the slice."""
        return f"{self.method}-{self.mode}-{self.scope}"

    @property
    def mode(self) -> str:
        """``before`` the NLU or ``after`` its refusal."""
        return "after" if self.after_failure else "before"

    @property
    def is_drawn(self) -> bool:
        """Whether part of its requests is held out. After a refusal none is, because the request has already failed as spoken."""
        return not self.after_failure


_FILLED: Final = (("online", Scope.GLOBAL), ("online", Scope.PERSONAL), ("ambiguity", Scope.PERSONAL))
_ALL = (Slice(method, scope, after) for after in (False, True) for method, scope in _FILLED)
SLICES: Final[Mapping[str, Slice]] = {of.name: of for of in _ALL}
"""All slices, by name."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What held-out evidence promises of a slice of the online layer.

    Attributes:
        threshold: lowest score that keeps the budget of losses; infinity if none does.
        win: expected wins among the held-out texts that pass it.
        loss: expected losses among them.
        ratio: win / loss; NaN if nothing passes.
        low: lower end of the 95 % interval of `ratio`; NaN if nothing passes.
        threshold_since: for a slice that was withdrawn, the threshold on texts first heard since it came into doubt; None for
            any other.
        least_budget: smallest share of losses that any threshold keeps, including the prior counts; 1 without evidence.
        more_evidence: by what factor the evidence must grow for some threshold to keep the budget, if its quality stays the same;
            1 if one keeps it already, infinity if more evidence of this kind would not help.
        least_prior: the least P(meant) by the shipped prior, if the log is too small for a threshold of its own and the prior
            sets it; else 0. If it is above 0, `win` and `loss` contain the counts of the prior.
    """

    threshold: float
    win: float
    loss: float
    ratio: float = math.nan
    low: float = math.nan
    threshold_since: float | None = None
    least_budget: float = 1.0
    more_evidence: float = math.inf
    least_prior: float = 0.0

    @property
    def by_prior(self) -> bool:
        """Whether the shipped prior stands in."""
        return self.least_prior > 0

    @property
    def log_win(self) -> float:
        """Expected wins among the held-out texts of the log, without the counts of the prior."""
        return self.win - PRIOR_WINS * self.by_prior

    @property
    def log_loss(self) -> float:
        """The same for losses."""
        return self.loss - PRIOR_LOSSES * self.by_prior

    def keeps_budget(self) -> bool:
        """Whether some threshold keeps the budget of losses on all held-out texts."""
        return math.isfinite(self.threshold)

    def keeps_budget_since(self) -> bool:
        """Whether some threshold does so on the texts first heard since the slice came into doubt."""
        return math.isfinite(self.threshold if self.threshold_since is None else self.threshold_since)


def save_promises(folder: Path, promises: Mapping[str, Promise]) -> None:
    """Write what was promised of each slice, by its name, as ``promises.json``."""
    data = {name: {key: _json(value) for key, value in asdict(promise).items()} for name, promise in promises.items()}
    (folder / _PROMISES).write_text(json.dumps(data, indent=1), encoding="utf-8")


def open_promises(folder: Path) -> dict[str, Promise]:
    """Read what `save_promises` wrote; empty if the file is missing, because then no online layer was fitted.

    Raises:
        ArtefactError: the file is damaged.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_promises(folder, {"online-before-global": Promise(math.inf, 0.0, 0.0)})
        >>> open_promises(folder)["online-before-global"].keeps_budget()
        False
    """
    path = folder / _PROMISES
    if not path.exists():
        return {}
    with reading_artefact(path):
        data = json.loads(path.read_text(encoding="utf-8"))
        return {name: Promise(**{key: _number(value) for key, value in fields.items()}) for name, fields in data.items()}


def _json(value: float | None) -> float | str | None:
    """Return a number as JSON can hold it: infinity and NaN as text."""
    return value if value is None or math.isfinite(value) else str(value)


def _number(value: float | str | None) -> Any:  # noqa: ANN401 - None only where `Promise` allows it
    return None if value is None else float(value)


def save_shares(folder: Path, shares: Mapping[str, float]) -> None:
    """Write the probability with which each slice is applied, 0 for one that is withdrawn."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SHARES).write_text(json.dumps(shares), encoding="utf-8")


def open_shares(folder: Path) -> dict[str, float]:
    """Read what `save_shares` wrote; empty if the file is missing. A slice that is not named is always applied.

    Raises:
        ArtefactError: the file is damaged.
    """
    path = folder / _SHARES
    if not path.exists():
        return {}
    with reading_artefact(path):
        return {str(name): float(share) for name, share in json.loads(path.read_text(encoding="utf-8")).items()}
