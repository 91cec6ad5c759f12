"""How long an experiment must run to see what it is looking for."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from rewriter.evaluate.offpolicy import Floats, Ints


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment of two equal arms needs.

    Attributes:
        requests: of each arm, were they independent.
        design_effect: how many times more it takes because the requests of one cluster are alike.
        clusters: users, or families of texts, of each arm.
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
        power: probability of seeing the change if it is there.
        alpha: probability of seeing one that is not there.

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
    """Return the intraclass correlation of outcomes, by the analysis of variance (Donner and Klar 2000); 0 at least.

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
