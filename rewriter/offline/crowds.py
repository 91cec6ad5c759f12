"""`crowds`: groups of rows that are alike and stem from enough users, for what a shared model may learn from."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TRIED = 3  # columns, the widest first, along which a group is tried to be halved


def crowds(columns: Floats, users: Ints, k: int) -> list[Ints]:
    """Part rows into groups, each of at least k users, that are as alike as that allows.

    A group is halved at the median of its widest column for as long as both halves have k users (multidimensional
    k-anonymity: LeFevre, DeWitt and Ramakrishnan 2006, "Mondrian", ICDE). Where all rows together have fewer than k users
    there is no group.

    Args:
        columns: (n, f), of comparable width.
        users: (n,) whose each row is.
        k: distinct users of each group.

    Returns:
        Places of the rows of each group; together all rows, each once.

    Example:
        >>> rows = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
        >>> [group.tolist() for group in crowds(rows, np.array([1, 2, 1, 2, 2]), 2)]
        [[2, 3, 4], [0, 1]]
    """
    found: list[Ints] = []
    waiting = [np.arange(len(columns))]
    while waiting:
        group = waiting.pop()
        halves = _halves(group, columns, users, k)
        if halves:
            waiting += halves
        elif len(np.unique(users[group])) >= k:
            found.append(group)
    return found


def averaged(columns: Floats, target: Floats, weight: Floats, users: Ints, k: int) -> tuple[Floats, Floats, Floats]:
    """Average rows over crowds, so that nothing that fewer than k users said is learned from by itself.

    Rows are grouped apart by whether their target is above 1/2, each column scaled to unit variance for that. In a group every
    user has one voice: the average of her rows.

    Args:
        columns: (n, f).
        target: (n,) 0..1.
        weight: (n,) >= 0.
        users: (n,) whose each row is; -1 for rows that enough users stand behind, which stay as they are.
        k: distinct users behind each average.

    Returns:
        Columns and targets, averaged by weight, and the weight of each average: the sum over its users.
    """
    alone = users < 0
    scale = columns.std(axis=0) if len(columns) else np.ones(columns.shape[1])
    scaled = columns / np.where(scale > 0, scale, 1.0)
    groups = [np.array([row]) for row in np.flatnonzero(alone)]
    for side in (target > 0.5, target <= 0.5):
        rows = np.flatnonzero(side & ~alone & (weight > 0))
        groups += [rows[group] for group in crowds(scaled[rows], users[rows], k)]
    if not groups:
        return columns[:0], target[:0], weight[:0]
    order, starts = np.concatenate(groups), np.cumsum([0, *(len(group) for group in groups[:-1])])
    group = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    voice = weight[order] / _rows_of_user(group, users[order])
    total = np.add.reduceat(voice, starts)
    share = voice / np.maximum(total, 1e-12)[group]
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
    if len(group) < 2 * k:
        return []
    values = columns[group]
    for column in np.argsort(values.min(axis=0) - values.max(axis=0), kind="stable")[:_TRIED].tolist():
        ordered = group[np.argsort(values[:, column], kind="stable")]
        halves = [ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]]
        if all(len(np.unique(users[half])) >= k for half in halves):
            return halves
    return []
