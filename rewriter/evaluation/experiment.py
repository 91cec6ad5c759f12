"""A/B experiments: assign users or texts to two releases, plan the size, and read the result from a log.

Users who share rules are not independent: what one arm teaches, the other arm learns, and a test by user then sees no effect
(Musgrave 2023: +0.66 % by query, -0.02 % by user). Therefore global rules are tried by families of texts, personal ones by user.
"""

import math
import secrets
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import duckdb
import networkx as nx
import numpy as np
from scipy.stats import norm

from rewriter.arrays import Bools, Floats, Ints
from rewriter.config import Logs
from rewriter.errors import ConfigError, LogError
from rewriter.evaluation.compare import opened
from rewriter.evaluation.intervals import Interval, bounds
from rewriter.evaluation.replay import firsts, load, restatements, troubles
from rewriter.offline.logs import reader
from rewriter.text import normalise

_DAY_MS = 86_400_000
Arm = Literal["A", "B"]

COLUMNS = ("until", "requests", "A", "B", "B - A", "if read once", "at any time")

ALPHA = 0.05
MIN_CLUSTERS = 30
"""With fewer clusters in an arm the variance estimate is too uncertain, and the sequential interval is infinite."""


@dataclass(frozen=True, slots=True)
class ArmSplit:
    """Assigns units (users, or families of texts) to arms. Nothing is stored: the same name always gives the same arms.

    Attributes:
        name: name of the experiment; another name gives another assignment.
        share: share of the units in arm B, 0..1.

    Example:
        >>> arms = [ArmSplit("lamps").arm(f"user {n}") for n in range(1000)]
        >>> arms.count("B")
        505
    """

    name: str
    share: float = 0.5

    def arm(self, unit: str) -> Arm:
        """Return the arm of a user id, or of the name of a family of texts."""
        digest = blake2b(f"{self.name}\0{unit}".encode("utf-8", "surrogatepass"), digest_size=8, person=b"split").digest()
        return "B" if int.from_bytes(digest) < self.share * 2**64 else "A"


def families(rules: Iterable[tuple[str, str, str]]) -> Mapping[tuple[str, str], str]:
    """Group texts that rules connect. What is learned about one text of a family affects the others, and no text outside it.

    Args:
        rules: (locale, source, target) of all releases in the experiment.

    Returns:
        (locale, text) -> name of its family, which is its first text; a text without a rule is its own family.

    Example:
        >>> families([("en", "lamp of", "lamp off"), ("en", "lump off", "lamp off")])["en", "lump off"]
        'lamp of'
    """
    graph: nx.Graph[tuple[str, str]] = nx.Graph(((locale, source), (locale, target)) for locale, source, target in rules)
    return {text: min(family)[1] for family in nx.connected_components(graph) for text in family}


@dataclass(frozen=True, slots=True)
class ExperimentDay:
    """The state of an experiment at the end of a day.

    Attributes:
        day: the last day, days since 1970-01-01 UTC.
        requests: number in A, and in B.
        defects: share of the requests that ended badly in A, and in B.
        difference: defect rate of B minus that of A, with the bootstrap interval by cluster; valid for one planned look.
        always: the same with a confidence sequence; valid for any number of looks and any stopping time.
    """

    day: int
    requests: tuple[int, int]
    defects: tuple[float, float]
    difference: Interval
    always: Interval

    def row(self) -> tuple[str, ...]:
        """Return the figures in percent, in the order of COLUMNS after the day."""
        rates = (f"{100 * rate:.2f}" for rate in self.defects)
        spans = (f"[{100 * i.low:+.2f}, {100 * i.high:+.2f}]" for i in (self.difference, self.always))
        return f"{sum(self.requests):,}", *rates, f"{100 * self.difference.value:+.2f}", *spans


def readings(cluster: Ints, in_b: Bools, bad: Floats, day: Ints, *, detect: float, seed: int = 0) -> list[ExperimentDay]:
    """Compute the state of an experiment at the end of each day.

    Args:
        cluster: number of the user, or family, of each request, 0..c-1, (n,).
        in_b: whether it was served by B, (n,).
        bad: how badly it ended, 0..1, (n,).
        day: (n,).
        detect: difference of the defect rates to detect, above 0, fixed before the experiment (`plan`). The sequential interval
            is narrowest at the size at which such a difference is detected with a power of 80 %.
        seed: of the bootstrap.
    """
    found = []
    for last in np.unique(day):
        now = day <= last
        arms = [_sums(cluster[now & arm], bad[now & arm]) for arm in (~in_b, in_b)]
        requests = tuple(int(n.sum()) for _, n in arms)
        rates = tuple(float(b.sum() / n.sum()) if n.sum() else math.nan for b, n in arms)
        once, always = _between(arms, seed), _always(arms, detect)
        found.append(ExperimentDay(int(last), (requests[0], requests[1]), (rates[0], rates[1]), once, always))
    return found


Sums = tuple[Floats, Floats]
"""Requests that ended badly, and all requests, of each cluster of an arm."""


def _sums(cluster: Ints, bad: Floats) -> Sums:
    _, place = np.unique(cluster, return_inverse=True)
    return np.bincount(place, weights=bad).astype(np.float64), np.bincount(place).astype(np.float64)


def _between(arms: list[Sums], seed: int) -> Interval:
    """Return the difference of the two rates, with the bootstrap over the clusters of both arms."""
    (bad_a, n_a), (bad_b, n_b) = arms
    if not (len(n_a) and len(n_b)):
        return Interval(math.nan, -math.inf, math.inf)
    none_a, none_b = np.zeros(len(n_a)), np.zeros(len(n_b))
    pairs = ((bad_a, none_b), (n_a, none_b), (none_a, bad_b), (none_a, n_b))
    columns = [np.concatenate(pair) for pair in pairs]
    low, high = bounds(columns, lambda a, m, b, n: b / np.maximum(n, 1) - a / np.maximum(m, 1), seed=seed)
    return Interval(float(bad_b.sum() / n_b.sum() - bad_a.sum() / n_a.sum()), low, high)


def _always(arms: list[Sums], detect: float) -> Interval:
    """Return the difference with a confidence sequence: the normal mixture of Robbins 1970, in the information 1 / variance.

    The estimate times the information V moves like a Brownian motion in the time V (Jennison and Turnbull 1997), so with
    probability 1 - alpha it stays for all V within (Howard et al. 2021, formula 14; asymptotically, Waudby-Smith et al. 2024)::

        sqrt((V + r) log((V + r) / (r alpha^2)))

    r makes this narrowest near V = ((z_alpha/2 + z_power) / detect)^2. The variance is that of a ratio of sums over clusters.
    """
    if min(len(n) for _, n in arms) < MIN_CLUSTERS:
        return Interval(math.nan, -math.inf, math.inf)
    rates = [b.sum() / n.sum() for b, n in arms]
    spread = [
        len(n) / (len(n) - 1) * ((b - rate * n) ** 2).sum() / n.sum() ** 2 for (b, n), rate in zip(arms, rates, strict=True)
    ]
    value, variance = float(rates[1] - rates[0]), float(sum(spread))
    if variance == 0.0:
        return Interval(value, -math.inf, math.inf)
    v, planned = 1 / variance, (2.8 / detect) ** 2
    r = planned / (-2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA)))
    radius = math.sqrt((v + r) * math.log((v + r) / (r * ALPHA**2))) / v
    return Interval(value, value - radius, value + radius)


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of an experiment with two equal arms.

    Attributes:
        requests: requests in each arm if they were independent.
        design_effect: factor for the correlation of requests of one cluster.
        clusters: users, or families of texts, in each arm.
    """

    requests: int
    design_effect: float
    clusters: int

    def rows(self) -> list[tuple[str, str]]:
        """Return the plan as rows of a table."""
        return [
            ("requests in each arm, were they independent", f"{self.requests:,}"),
            ("design effect", f"{self.design_effect:.2f}"),
            ("requests in each arm", f"{math.ceil(self.requests * self.design_effect):,}"),
            ("users or families in each arm", f"{self.clusters:,}"),
        ]


def plan(
    base: float, change: float, *, per_cluster: float = 1.0, alike: float = 0.0, power: float = 0.8, alpha: float = 0.05
) -> Plan:
    """Return how many requests show a relative change of a defect rate, two-sided (Fleiss, Levin and Paik 2003, formula 4.14).

    With the two rates p and p', their mean m, and the design effect of Donner and Klar 2000::

        n = (z_alpha/2 sqrt(2 m (1 - m)) + z_power sqrt(p (1 - p) + p' (1 - p')))^2 / (p - p')^2
        design effect = 1 + (requests of a cluster - 1) · alike

    Args:
        base: defect rate without the change, 0..1.
        change: relative, -0.13 for 13 % fewer defects.
        per_cluster: requests that one user, or family of texts, makes in the time of the experiment.
        alike: intraclass correlation of the requests of a cluster (`alike_within`), 0..1.
        power: probability of detecting the change if it exists.
        alpha: probability of detecting a change that does not exist.

    Raises:
        ValueError: there is no such rate, or no change.

    Example:
        >>> plan(0.15, -0.13).requests
        4977
    """
    other = base * (1.0 + change)
    if not (0.0 < base < 1.0 and 0.0 < other < 1.0 and change):
        raise ValueError(f"a defect rate of {base} cannot change by {change}: both rates must lie between 0 and 1, and differ")
    middle = (base + other) / 2
    chance = norm.isf(alpha / 2) * math.sqrt(2 * middle * (1 - middle))
    miss = norm.isf(1 - power) * math.sqrt(base * (1 - base) + other * (1 - other))
    requests = math.ceil(((chance + miss) / (base - other)) ** 2)
    effect = 1.0 + max(0.0, per_cluster - 1.0) * alike
    return Plan(requests, effect, math.ceil(requests * effect / max(1.0, per_cluster)))


def alike_within(y: Floats, cluster: Ints) -> float:
    """Return the intraclass correlation of outcomes, by the analysis of variance (Donner and Klar 2000). It is at least 0.

    Args:
        y: outcomes, (n,).
        cluster: number of the user, or family, of each, (n,).

    Example:
        >>> alike_within(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0, 0, 1, 1]))
        1.0
    """
    _, cluster, n = np.unique(cluster, return_inverse=True, return_counts=True)
    k, total = len(n), int(n.sum())
    if k < 2 or total == k:
        return 0.0
    mean = np.bincount(cluster, weights=y) / n
    between = float((n * (mean - y.mean()) ** 2).sum()) / (k - 1)
    within = float(((y - mean[cluster]) ** 2).sum()) / (total - k)
    size = (total - float((n**2).sum()) / total) / (k - 1)
    spread = between + (size - 1) * within
    return max(0.0, (between - within) / spread) if spread else 0.0


def experiment(
    sources: str | Path | Sequence[str | Path],
    split: ArmSplit,
    *,
    detect: float,
    releases: Sequence[str | Path] = (),
    mapping: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[ExperimentDay]:
    """Compute the state of an experiment at the end of each day of its log.

    The arms follow from the split; the log need not hold them. A request is a turn that does not follow soon after a failure
    of the same user, and ends badly if it is refused, disliked, interrupted or restated (`rewriter.evaluation.replay`).

    Args:
        sources: files, folders or globs of the log of the experiment.
        split: the split by which the requests were served.
        detect: difference of the defect rates to detect, above 0.
        releases: both releases (DIR or DIR@VERSION) if families of texts were split; empty if users were.
        mapping: contract column -> column of the log, where they differ.
        seed: of the bootstrap.

    Raises:
        ArtefactError: a release is missing or damaged.
        ConfigError: `detect` is not above 0, or the share of B is not between 0 and 1.
        LogError: the log cannot be read, has no requests, has requests of one arm only, or says nothing of rewrites.
    """
    if detect <= 0:
        raise ConfigError(f"an experiment detects a difference above 0, not {detect:g}; for example 0.02")
    if not 0 < split.share < 1:
        raise ConfigError(f"the share of arm B lies between 0 and 1, not {split.share:g}; for example 0.5")
    names = dict(mapping or {})
    # The table of turns holds hashed user ids, and the split uses those of the log: an unused column carries them.
    borrowed = {"device_id": names.get("user_id", "user_id")}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        key = secrets.token_bytes(32)
        log = reader.read(sources, out=work, key=key, config=Logs(), mapping=names | borrowed, rejected=reader.temporary_file)
        turns = load(work / "turns.parquet", speaker="device_id")
    bad = [a or b for a, b in zip(troubles(turns), restatements(turns), strict=True)]
    kept = [i for i, first in enumerate(firsts(turns)) if first]
    if not kept:
        raise LogError("the log holds no request to read an experiment from")
    named = families(rule for release in releases for rule in _rules(release))

    def unit(i: int) -> str:
        if not releases:
            return turns[i].speaker
        text = normalise(turns[i].utterance, turns[i].locale)
        return named.get((turns[i].locale, text), text)

    units = [unit(i) for i in kept]
    arms = {split.arm(u) for u in units}
    if len(arms) < 2:
        raise LogError(
            f"all {len(kept):,} requests of the log are in arm {arms.pop()}, so there is nothing to compare; check --name and"
            " --share, and that the log holds the users of both arms"
        )
    if {"sent", "rewrite_id"} <= set(log.missing):
        raise LogError(
            "the log has neither sent nor rewrite_id, so nothing in it was served by two releases; log one of these columns, or"
            " name it, such as with --map sent=COLUMN"
        )
    return readings(
        cluster=np.unique(np.array(units, dtype=object), return_inverse=True)[1].astype(np.int64),
        in_b=np.array([split.arm(u) == "B" for u in units], dtype=bool),
        bad=np.array([bad[i] for i in kept], dtype=np.float64),
        day=np.array([turns[i].ts_ms // _DAY_MS for i in kept], dtype=np.int64),
        detect=detect,
        seed=seed,
    )


def _rules(release: str | Path) -> list[tuple[str, str, str]]:
    with duckdb.connect() as con:
        path = opened(release).folder / "rules.parquet"
        return con.execute("SELECT locale, source, target FROM read_parquet(?)", [str(path)]).fetchall()
