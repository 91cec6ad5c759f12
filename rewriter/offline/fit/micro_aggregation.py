"""Micro-aggregation: rows are averaged in groups of at least k users, so that a shared model learns nothing of fewer users."""

import numpy as np

from rewriter.arrays import Floats, Ints

_TRIED_COLUMNS = 3  # the widest ones, along which a group is tried to be halved
_POSITIVE = 0.5  # target above which a row is positive; positive and negative rows are grouped apart


def micro_groups(columns: Floats, users: Ints, k: int) -> list[Ints]:
    """Partition rows into groups of similar rows, each of at least k users.

    A group is halved at the median of its widest column as long as both halves have k users (multidimensional k-anonymity:
    LeFevre, DeWitt and Ramakrishnan 2006, "Mondrian", ICDE). If all rows together have fewer than k users, there is no group.

    Args:
        columns: (n, f), of comparable width.
        users: (n,) the user of each row.
        k: distinct users of each group.

    Returns:
        The numbers of the rows of each group; every row is in one group, or none is.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
        >>> [group.tolist() for group in micro_groups(rows, np.array([1, 2, 1, 2, 2]), 2)]
        [[2, 3, 4], [0, 1]]
    """
    found: list[Ints] = []
    pending = [np.arange(len(columns))]
    while pending:
        group = pending.pop()
        halves = _halves(group, columns, users, k)
        if halves:
            pending += halves
        elif len(np.unique(users[group])) >= k:
            found.append(group)
    return found


def averaged(columns: Floats, target: Floats, weight: Floats, users: Ints, k: int) -> tuple[Floats, Floats, Floats]:
    """Average rows over micro-groups, positive and negative ones apart.

    Columns are scaled to unit variance before rows are grouped. In a group every user has the same weight: the rows of a user are
    averaged first.

    Args:
        columns: (n, f).
        target: (n,) 0..1.
        weight: (n,) >= 0.
        users: (n,) the user of each row; -1 for rows that rest on k users already, which stay as they are.
        k: distinct users behind each average.

    Returns:
        Columns (m, f) and targets (m,) averaged by weight, and the weight of each average (m,), which is the sum over its users.
    """
    is_shared = users < 0
    scale = columns.std(axis=0) if len(columns) else np.ones(columns.shape[1])
    scaled = columns / np.where(scale > 0, scale, 1.0)
    groups = [np.array([row]) for row in np.flatnonzero(is_shared)]
    for side in (target > _POSITIVE, target <= _POSITIVE):
        rows = np.flatnonzero(side & ~is_shared & (weight > 0))
        groups += [rows[group] for group in micro_groups(scaled[rows], users[rows], k)]
    if not groups:
        return columns[:0], target[:0], weight[:0]
    order, starts = np.concatenate(groups), np.cumsum([0, *(len(group) for group in groups[:-1])])
    group = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    user_weight = weight[order] / _rows_of_user(group, users[order])
    total = np.add.reduceat(user_weight, starts)
    share = user_weight / np.maximum(total, 1e-12)[group]
    return (
        np.add.reduceat(columns[order] * share[:, None], starts, axis=0),
        np.add.reduceat(target[order] * share, starts),
        total,
    )


def _rows_of_user(group: Ints, users: Ints) -> Ints:
    """Return, for each row, how many rows of its group are of its user."""
    _, inverse, counts = np.unique(np.stack([group, users]), axis=1, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse.reshape(-1)], dtype=np.int64)


def _halves(group: Ints, columns: Floats, users: Ints, k: int) -> list[Ints]:
    """Return two halves of a group with k users each; empty if there are none."""
    if len(group) < 2 * k:
        return []
    values = columns[group]
    for column in np.argsort(values.min(axis=0) - values.max(axis=0), kind="stable")[:_TRIED_COLUMNS].tolist():
        ordered = group[np.argsort(values[:, column], kind="stable")]
        halves = [ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]]
        if all(len(np.unique(users[half])) >= k for half in halves):
            return halves
    return []
