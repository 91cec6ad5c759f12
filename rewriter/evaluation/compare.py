"""`compare`: estimates from the arms that were drawn in a log which of two releases would have answered it better.

The estimates are off-policy: the value of a release on a log that another release answered. Let y be the outcome of a request, p
the probability with which its action was drawn, pi the probability with which the release would take the same action, w = pi / p,
and q(a) the expected outcome of action a::

    IPS    mean of w y                                     Horvitz and Thompson 1952
    SNIPS  sum of w y / sum of w                           Swaminathan and Joachims 2015
    DR     mean of sum_a pi(a) q(a) + w (y - q(done))      Dudik, Langford and Li 2011

All three are unbiased if the release takes no action that could not have been drawn. Other actions are *unsupported*.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb
import numpy as np

from rewriter.arrays import Bools, Floats, Ints
from rewriter.artefact.versions import Version, current_id, named, open_version
from rewriter.config import Config
from rewriter.engines import glob
from rewriter.errors import LogError
from rewriter.evaluation.intervals import Interval, bounds
from rewriter.evaluation.replay import RecordedTurn, firsts, load, restatements, troubles
from rewriter.model.layer_slices import SLICES
from rewriter.offline.logs import reader
from rewriter.offline.logs.report import LogReport
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.simulation.world import Rewriting
from rewriter.text import normalise

Method = Literal["IPS", "SNIPS", "DR"]
METHODS: Final[tuple[Method, ...]] = ("IPS", "SNIPS", "DR")

MAX_UNSUPPORTED = 0.05
"""A release with a larger share of unsupported requests is not estimated."""
_FOLDS = 5
"""Folds of users for the expected outcomes of DR."""
_PRIOR = 2.0
"""Weight, in requests, of the overall mean in the expected outcome of a text and action."""


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """Actions and outcomes of n requests; every vector is (n,).

    Attributes:
        cluster: number of the user, 0..c-1.
        source: number of the text in its locale, 0..s-1.
        rewritten: whether the request was rewritten.
        p: probability with which the action was drawn; 1 without a draw.
        y: outcome, 0..1.
    """

    cluster: Ints
    source: Ints
    rewritten: Bools
    p: Floats
    y: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """What a release would do with the same n requests; every vector is (n,).

    Attributes:
        share: probability with which it rewrites the request, 0..1.
        supported: whether every action that it may take could have been drawn.
    """

    share: Floats
    supported: Bools

    @property
    def unsupported(self) -> float:
        """The share of requests that it answers in a way that was never drawn."""
        return float(1.0 - self.supported.mean())


def estimates(logged: Logged, release: Release, *, seed: int = 0) -> dict[Method, Interval]:
    """Return the share of requests that would have ended well, by method, with 95 % bootstrap intervals by user.

    Requests that are not supported are left out.

    Args:
        logged: n requests.
        release: what it would have done with them.
        seed: of the bootstrap, and of the folds of DR.
    """
    kept = release.supported
    parts = _terms(logged, release, kept, seed)
    return {name: _ratio(_sums(logged.cluster[kept], *parts[name]), seed) for name in METHODS}


def differences(logged: Logged, before: Release, after: Release, *, seed: int = 0) -> dict[Method, Interval]:
    """Return how much more requests end well with one release than with another, by method, on what both support.

    The two are estimated from the same requests, so that what they do alike cancels out.

    Args:
        logged: n requests.
        before: the release that is compared with.
        after: the other release, whose outcome is the minuend.
        seed: of the bootstrap, and of the folds of DR.
    """
    kept = before.supported & after.supported
    one, two = (_terms(logged, release, kept, seed) for release in (before, after))
    return {name: _difference(_sums(logged.cluster[kept], *one[name], *two[name]), seed) for name in METHODS}


def _terms(logged: Logged, release: Release, kept: Bools, seed: int) -> Mapping[Method, tuple[Floats, Floats]]:
    """Return numerator and denominator of each kept request, by method."""
    y, share, done = logged.y[kept], release.share[kept], logged.rewritten[kept]
    w = np.where(done, share, 1.0 - share) / logged.p[kept]
    leave, rewrite = _expected_outcomes(logged, kept, seed)
    expected = share * rewrite + (1.0 - share) * leave
    doubly = expected + w * (y - np.where(done, rewrite, leave))
    one = np.ones(len(y))
    return {"IPS": (w * y, one), "SNIPS": (w * y, w), "DR": (doubly, one)}


def _expected_outcomes(logged: Logged, kept: Bools, seed: int) -> tuple[Floats, Floats]:
    """Return the expected outcome of leaving alone and of rewriting each kept request, from the requests of other users.

    It is the mean of the same source and action, shrunk to the mean of all sources. All requests of a user are in one fold, so
    that no request is estimated from itself.
    """
    fold = np.random.default_rng(seed).integers(_FOLDS, size=int(logged.cluster.max(initial=-1)) + 1)[logged.cluster]
    n = int(logged.source.max(initial=-1)) + 1
    expected = np.zeros((2, len(logged.y)))
    for action in (0, 1):
        for part in range(_FOLDS):
            others = (logged.rewritten == action) & (fold != part)
            seen = np.bincount(logged.source[others], minlength=n)
            good = np.bincount(logged.source[others], weights=logged.y[others], minlength=n)
            mean = good.sum() / max(1, seen.sum())
            here = fold == part
            expected[action, here] = ((good + _PRIOR * mean) / (seen + _PRIOR))[logged.source[here]]
    return expected[0, kept], expected[1, kept]


def _sums(cluster: Ints, *columns: Floats) -> list[Floats]:
    """Return the sums of each column by cluster."""
    n = int(cluster.max(initial=-1)) + 1
    return [np.bincount(cluster, weights=column, minlength=n).astype(np.float64) for column in columns]


def _ratio(columns: list[Floats], seed: int) -> Interval:
    up, down = (float(column.sum()) for column in columns)
    return Interval(up / down if down else math.nan, *bounds(columns, _over, seed=seed))


def _difference(columns: list[Floats], seed: int) -> Interval:
    def more(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
        return _over(c, d) - _over(a, b)

    a, b, c, d = (float(column.sum()) for column in columns)
    return Interval(c / d - a / b if b and d else math.nan, *bounds(columns, more, seed=seed))


def _over(up: Floats, down: Floats) -> Floats:
    """Return up / down; 0 in a resample without any action of the release."""
    return np.asarray(np.divide(up, down, out=np.zeros_like(down), where=down > 0), dtype=np.float64)


COLUMNS = ("method", "A", "B", "B - A")


@dataclass(frozen=True, slots=True)
class LoggedDecision:
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
        unsupported: share of them that release A, and release B, answer in a way that was never drawn.
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
    """Estimate how a log would have ended under two releases, by `rewriter.evaluation.compare`.

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


def read_decisions(path: Path) -> list[LoggedDecision]:
    """Read the decisions of turns in the layout of `tables.TURNS`, in the order of `recorded.load`."""
    with duckdb.connect() as con:
        rows = con.execute(
            """SELECT COALESCE(rule, ''), arm IS NOT NULL AND propensity > 0, COALESCE(propensity, 1)
               FROM read_parquet(?) ORDER BY user_id, ts_ms, turn_id""",
            [glob(path)],
        ).fetchall()
    return [LoggedDecision(rule, drawn, p if drawn else 1.0) for rule, drawn, p in rows]


def logged_of(turns: Sequence[RecordedTurn], decided: Sequence[LoggedDecision]) -> Logged:
    """Return the action of each turn, and whether the turn ended well."""
    bad = [bad or again for bad, again in zip(troubles(turns), restatements(turns), strict=True)]
    return Logged(
        cluster=_numbered([t.user for t in turns]),
        source=_numbered([f"{t.locale}\0{normalise(t.utterance, t.locale)}" for t in turns]),
        rewritten=np.array([t.rewritten for t in turns], dtype=bool),
        p=np.array([d.propensity for d in decided], dtype=np.float64),
        y=1.0 - np.array(bad, dtype=np.float64),
    )


def release_of(asked: Sequence[tuple[RecordedTurn, LoggedDecision]], rewrite: Rewriting) -> Release:
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
        # An answer of the online layer has no rule id in the log, so its text is compared.
        if turn.rewritten and answer.applied and answer.rule in (None, *SLICES):
            same = normalise(answer.text, turn.locale) == normalise(turn.sent, turn.locale)
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
