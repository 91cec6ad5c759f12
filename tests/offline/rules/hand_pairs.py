"""Pairs made by hand for the tests of launch."""

import numpy as np

from rewriter.offline.rules.votes import Pairs


def pairs_of(rows, *, ok=0.0, said_by=None):
    """Pairs of (source, target, votes, proposed); every vote is a user unless `said_by` says more."""
    source, target, votes, proposed = (np.array(column) for column in zip(*rows, strict=True))
    votes, proposed = votes.astype(float), proposed.astype(float)
    m = len(source)
    goal_prior = np.bincount(target, votes)
    days = np.zeros(m, dtype=np.int64)
    users = np.ceil(votes).astype(np.int64)
    said_by = users if said_by is None else np.broadcast_to(np.asarray(said_by), m).astype(np.int64)
    return Pairs(
        source=source.astype(np.int64),
        target=target.astype(np.int64),
        users=users,
        said_by=said_by,
        spoken_by=said_by.astype(float),
        traffic=np.ones(m),
        fit_weight=np.ones(m),
        turns=np.ones(m),
        first_day=days,
        last_day=days,
        votes=votes,
        user_weights=votes,
        proposed=proposed,
        chance=goal_prior[target] / votes.sum(),
        ok=np.broadcast_to(np.asarray(ok, dtype=float), m).copy(),
    )
