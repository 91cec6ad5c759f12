"""`compare`: estimates from a log which of two releases would have served it better, with the arms that were drawn in it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from rewriter.artefact.versions import Version, current_id, named, open_version
from rewriter.config import Config
from rewriter.engines.duckdb import glob
from rewriter.errors import LogError
from rewriter.evaluation.intervals import Interval
from rewriter.evaluation.offpolicy import MAX_UNSUPPORTED, Logged, Method, Release, differences, estimates
from rewriter.evaluation.replay import Turn, firsts, load, restatements, troubles
from rewriter.model.layer_slices import SLICES
from rewriter.offline.logs import reader
from rewriter.offline.logs.report import LogReport
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.simulation.world import Rewriting
from rewriter.text import normalise

COLUMNS = ("method", "A", "B", "B - A")


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a turn, as logged.

    Attributes:
        rule: id; empty without a rule.
        drawn: whether an arm was drawn.
        propensity: probability of the arm that was drawn; 1 without a draw.
    """

    rule: str
    drawn: bool
    propensity: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two releases on one log.

    Attributes:
        log: what was read.
        requests: new requests of the log.
        drawn: share of them in which an arm was drawn.
        unsupported: share of them that A, and B, answer in a way that was never drawn.
        values: method -> share of requests that end well with A, with B, and the difference; empty if not estimated.
    """

    log: LogReport
    requests: int
    drawn: float
    unsupported: tuple[float, float]
    values: Mapping[Method, tuple[Interval, Interval, Interval]]

    @property
    def refused(self) -> str:
        """Why nothing is estimated; empty if it is."""
        if not self.drawn:
            return (
                "not estimated: no arm was drawn in this log; serve with the setting loop.draw = true and log the decisions, or"
                " name the folder of the decision log: --decisions DIR"
            )
        if max(self.unsupported) <= MAX_UNSUPPORTED:
            return ""
        what = " and ".join(f"{100 * u:.1f} % of the requests by {name}" for name, u in zip("AB", self.unsupported, strict=True))
        return (
            f"not estimated: {what} would be answered in a way that was never drawn in this log, and the limit is"
            f" {100 * MAX_UNSUPPORTED:.0f} %; serve the new rules as a canary first, or replay with `rewriter evaluate`"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Return the estimates in percent, in the order of COLUMNS."""
        return [(name, *map(_text, found)) for name, found in self.values.items()]


def compare(
    a: str | Path,
    b: str | Path,
    sources: str | Path | Sequence[str | Path],
    *,
    mapping: Mapping[str, str] | None = None,
    decisions: str | Path | None = None,
    seed: int = 0,
) -> Comparison:
    """Estimate how a log would have ended under two releases, by `rewriter.evaluation.offpolicy`.

    A request is a turn that does not follow soon after a failure of the same user, and ends well if it is neither refused,
    disliked, interrupted nor restated (`rewriter.evaluation.replay`).

    Args:
        a: an artefact folder, or DIR@VERSION for another version than the one that serves.
        b: the same.
        sources: files, folders or globs of a log whose requests were answered before the NLU, with the decisions in it.
        mapping: contract column -> column of the log, where they differ.
        decisions: folder of a `rewriter.DecisionLog`, if the log does not hold the decisions itself.
        seed: of the bootstrap by user.

    Raises:
        ArtefactError: an artefact is missing or damaged.
        LogError: the log cannot be read, or holds no turn.
    """
    one, two = opened(a), opened(b)
    names = dict(mapping or {})
    # The table of turns holds hashed user ids, and here those of the log are needed: an unused column carries them.
    borrowed = {"device_id": names.get("user_id", "user_id")}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        log = reader.read(
            sources,
            out=work,
            key=bytes.fromhex(one.manifest.user_key),
            config=Config.from_dict(dict(one.manifest.config)).logs,
            mapping=names | borrowed,
            decisions=Path(decisions) if decisions else None,
            rejected=reader.temporary_file,
        )
        turns = load(work / "turns.parquet", speaker="device_id")
        decided = read_decisions(work / "turns.parquet")
    kept = [i for i, new in enumerate(firsts(turns)) if new]
    if not kept:
        raise LogError("the log holds no request to compare releases on")
    logged = logged_of(turns, decided)
    asked = [(turns[i], decided[i]) for i in kept]
    before, after = (release_of(asked, Rewriter.open(v.root, version=v.id).rewrite) for v in (one, two))
    unsupported = before.unsupported, after.unsupported
    requests = Logged(*(getattr(logged, name)[kept] for name in Logged.__slots__))
    values: dict[Method, tuple[Interval, Interval, Interval]] = {}
    if max(unsupported) <= MAX_UNSUPPORTED:
        found = (*(estimates(requests, r, seed=seed) for r in (before, after)), differences(requests, before, after, seed=seed))
        values = {name: (found[0][name], found[1][name], found[2][name]) for name in found[0]}
    return Comparison(log, len(kept), float(np.mean([d.drawn for _, d in asked])), unsupported, values)


def opened(release: str | Path) -> Version:
    """Open DIR, or DIR@VERSION.

    Raises:
        ArtefactError: it is missing or damaged.
    """
    root, at, version = str(release).rpartition("@")
    if not at or Path(release).exists():
        return open_version(release, current_id(release))
    return open_version(root, named(root, version))


def read_decisions(path: Path) -> list[Decision]:
    """Read the decisions of turns in the layout of `tables.TURNS`, in the order of `recorded.load`."""
    with duckdb.connect() as con:
        rows = con.execute(
            """SELECT COALESCE(rule, ''), arm IS NOT NULL AND propensity > 0, COALESCE(propensity, 1)
               FROM read_parquet(?) ORDER BY user_id, ts_ms, turn_id""",
            [glob(path)],
        ).fetchall()
    return [Decision(rule, drawn, p if drawn else 1.0) for rule, drawn, p in rows]


def logged_of(turns: Sequence[Turn], decided: Sequence[Decision]) -> Logged:
    """Return the action of each turn, and whether the turn ended well."""
    bad = [bad or again for bad, again in zip(troubles(turns), restatements(turns), strict=True)]
    return Logged(
        cluster=_numbered([t.user for t in turns]),
        source=_numbered([f"{t.locale}\0{normalise(t.utterance)}" for t in turns]),
        rewritten=np.array([t.rewritten for t in turns], dtype=bool),
        p=np.array([d.propensity for d in decided], dtype=np.float64),
        y=1.0 - np.array(bad, dtype=np.float64),
    )


def release_of(asked: Sequence[tuple[Turn, Decision]], rewrite: Rewriting) -> Release:
    """Return what a release would do with each turn, and whether that could have been drawn.

    Args:
        asked: turns with their logged decisions.
        rewrite: the rewriting function of the release.
    """
    share, supported = np.zeros(len(asked)), np.ones(len(asked), dtype=bool)
    for i, (turn, decision) in enumerate(asked):
        answer = rewrite(turn.utterance, user_id=turn.speaker, locale=turn.locale, nbest=turn.nbest, context=turn.context)
        share[i] = _share(answer)
        same = bool(answer.rule) and answer.rule == decision.rule
        # An answer of the online layer has no id that the log could name, so its text is compared.
        if turn.rewritten and answer.applied and answer.rule in (None, *SLICES):
            same = answer.text == normalise(turn.sent)
        could_rewrite = same and (turn.rewritten or decision.drawn)
        could_leave = not turn.rewritten or decision.drawn
        supported[i] = (could_rewrite or share[i] == 0) and (could_leave or share[i] == 1)
    return Release(share, supported)


def _share(answer: Rewrite) -> float:
    """Return the probability with which a release rewrites a request, from one answer of it."""
    if answer.arm is None or answer.propensity is None:
        return float(answer.applied)
    return answer.propensity if answer.applied else 1.0 - answer.propensity


def _numbered(names: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1].astype(np.int64)


def _text(found: Interval) -> str:
    return f"{100 * found.value:.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"
