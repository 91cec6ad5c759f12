"""`learn_ambiguity`: the texts by which people mean different things, and how far habits tell whom of them means what."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import minimize_scalar

from rewriter.arrays import Floats
from rewriter.config import Launch
from rewriter.model.ambiguity import Meanings, liking_of, posterior, write_ambiguity
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.offline.fit import thresholds
from rewriter.offline.fit.query_index import QueryIndex
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface
from rewriter.offline.rules.launch import GlobalRules, Guard, guard_of
from rewriter.offline.rules.votes import Votes

_MEANINGS = 8  # of a text, the commonest, that are looked at
_RARE = 0.1  # share of the votes below which they may be next wishes, which are as people like them
_ELSE = 1.0  # votes for something that nobody has yet meant by a text
_LEAST_TRUST = 0.1  # below which habits tell nothing worth serving


class _Table(NamedTuple):
    """Rows of (text, user) with the meanings of the text, m = `_MEANINGS`; what is not there has share 0.

    Attributes:
        share: (r, m) of the votes of all other users.
        liking, stranger: (r, m), (r,) what the user's habits say, less what this very text led to.
        meant: (r, m) share of the user's own votes.
        mass: (r,) votes of the user's own, one at the most.
        fails: (r,) P(the text fails as spoken).
    """

    share: Floats
    liking: Floats
    stranger: Floats
    meant: Floats
    mass: Floats
    fails: Floats


def learn_ambiguity(
    mined: Mined,
    global_rules: GlobalRules,
    votes: Votes,
    query_index: QueryIndex,
    told: Collection[tuple[str, str]],
    config: Launch,
    folder: Path,
) -> dict[str, Promise]:
    """Write ``ambiguity``, where held-out users show that habits tell what is meant; see `rewriter.model.ambiguity.lean`.

    Each user's votes are held against what all others mean by the text and what she herself wanted otherwise. By these the trust
    in habits is fitted (maximum likelihood), and the threshold that keeps the budget of losses is found.

    Args:
        mined: its tables nodes, queries and users are read.
        global_rules: what all users together say.
        votes: what each user's turns say was meant.
        query_index: everybody's queries and each user's own.
        told: (locale, text) of which the context tells the meaning, which are left out.
        config: its `min_users` and `max_loss_share` are used.
        folder: of the online layer.

    Returns:
        What the held-out evidence promises of each slice that habits fill, by name; empty where nothing was written.
    """
    guard = guard_of(mined.queries, mined.nodes, config.min_users)
    shared = _ambiguous(mined, global_rules, query_index.good, told, guard, config.min_users)
    if shared.empty:
        return {}
    table = _table(mined, shared, votes, query_index)
    trust = _trust(table)
    evidence = _evidence(table, trust)
    noise = thresholds.label_noise(evidence, less=config.max_loss_share / 4, quantile=0.25)
    promise = thresholds.lowest(evidence, loss_share=config.max_loss_share, noise=noise)
    if trust < _LEAST_TRUST or not np.isfinite(promise.threshold):
        return {}
    meanings = [
        Meanings(locale, text, of["phrase"].tolist(), of["share"].tolist(), float(of["fails"].iloc[0]))
        for (locale, text), of in shared.groupby(["locale", "text"])
    ]
    write_ambiguity(folder / "ambiguity", meanings, trust=trust, threshold=promise.threshold)
    return {name: promise for name, of in SLICES.items() if of.method == "ambiguity"}


def _ambiguous(
    mined: Mined, global_rules: GlobalRules, good: pd.DataFrame, told: Collection[tuple[str, str]], guard: Guard, k: int
) -> pd.DataFrame:
    """Return texts of k users with two meanings of k users or more: source, goal, locale, text, phrase, share, votes …"""
    pairs, (works, fails) = global_rules.pairs, global_rules.priors.ok.after(global_rules.pairs.ok, global_rules.pairs.spoken_by)
    all_ = pd.DataFrame({"source": pairs.source, "goal": pairs.target, "users": pairs.users, "votes": pairs.votes})
    all_ = all_.assign(said_by=pairs.said_by, fails=fails / (works + fails))
    all_["total"] = all_.groupby("source")["votes"].transform("sum") + _ELSE
    rows = good.assign(phrase=np.arange(len(good)), worth=good["success"] * good["share"])
    best = rows.sort_values(["worth", "phrase"], ascending=[False, True]).drop_duplicates("node").set_index("node")
    all_["share"] = all_["votes"] / all_["total"]
    known = (all_["users"] >= k) & (all_["said_by"] >= k) & (all_["share"] >= _RARE)
    kept = all_[known & all_["goal"].isin(best.index) & (all_["goal"] != all_["source"])]
    kept = kept.sort_values(["source", "votes", "goal"], ascending=[True, False, True])
    kept = kept[kept.groupby("source").cumcount() < _MEANINGS]
    names = surface.states(mined.nodes, kept["source"].to_numpy())
    kept = kept.assign(
        locale=names["locale"].reindex(kept["source"]).to_numpy(),
        text=names["state"].reindex(kept["source"]).to_numpy(),
        phrase=best["phrase"].reindex(kept["goal"]).to_numpy(),
        target=best["query"].reindex(kept["goal"]).to_numpy(),
    )
    keys = list(zip(kept["locale"], kept["text"], kept["target"], strict=True))
    may = [(locale, text) not in told and not guard(locale, text, target, False) for locale, text, target in keys]
    kept = kept[np.array(may, dtype=bool)]
    return kept[kept.groupby("source")["goal"].transform("count") >= 2]


def _table(mined: Mined, shared: pd.DataFrame, votes: Votes, query_index: QueryIndex) -> _Table:
    """Hold each user's votes on an ambiguous text against what the others mean by it, and what she wants otherwise."""
    shared = shared.assign(place=shared.groupby("source").cumcount())
    own, good = query_index.own, query_index.good
    goal_prior = good.groupby("node")["success"].sum() / good["success"].sum()
    cast = sparse.coo_array(votes.goals)
    cell = pd.DataFrame({"row": cast.row, "goal": cast.col, "led": cast.data})
    all_ = cell.groupby("row")["led"].sum()
    rows = np.flatnonzero(np.isin(votes.source, shared["source"]) & np.isin(np.arange(len(votes.source)), all_.index))
    user = surface.hashes(mined.users, votes.user[rows])
    flat = pd.DataFrame({"row": rows, "source": votes.source[rows], "user_id": user}).merge(shared, on="source")
    flat = flat.merge(cell, on=["row", "goal"], how="left").fillna({"led": 0.0})
    flat = flat.merge(
        own.groupby(["user_id", "node"])["success"].sum().rename("own"),
        left_on=["user_id", "goal"],
        right_index=True,
        how="left",
    ).fillna({"own": 0.0})
    flat["all_led"] = flat["row"].map(all_)
    flat["mass"] = flat["all_led"].clip(upper=1.0)
    flat["meant"] = flat["led"] / flat["all_led"]
    less = np.maximum(flat["votes"] - flat["meant"] * flat["mass"], 0.0)
    flat["without"] = less / np.maximum(flat["total"] - flat["mass"], _ELSE)
    at = np.searchsorted(rows, flat["row"]), flat["place"].to_numpy(dtype=np.int64)
    share, meant, had, goal_prior = np.zeros((4, len(rows), _MEANINGS))
    share[at], meant[at], goal_prior[at] = flat["without"], flat["meant"], flat["goal"].map(goal_prior)
    had[at] = np.maximum(flat["own"] - flat["led"], 0.0)
    per_row = flat.drop_duplicates("row").sort_values("row")
    everything = per_row["user_id"].map(own.groupby("user_id")["success"].sum()).fillna(0.0).to_numpy()
    liking, stranger = liking_of(had, np.maximum(everything - per_row["all_led"].to_numpy(), had.sum(axis=1)), goal_prior)
    return _Table(share, liking, stranger, meant, per_row["mass"].to_numpy(), per_row["fails"].to_numpy())


def _trust(table: _Table) -> float:
    """Return the trust in habits that makes what users meant likeliest, 0..1."""

    def surprise(trust: float) -> float:
        p = posterior(table.share, table.liking, table.stranger, trust)
        other = np.maximum(1 - p.sum(axis=1), 1e-6)
        told = table.meant * np.log(np.maximum(p, 1e-6))
        return -float(table.mass @ (told.sum(axis=1) + (1 - table.meant.sum(axis=1)) * np.log(other)))

    return float(minimize_scalar(surprise, bounds=(0.0, 1.0), method="bounded").x)


def _evidence(table: _Table, trust: float) -> thresholds.Evidence:
    p = posterior(table.share, table.liking, table.stranger, trust)
    rows = np.arange(len(p))
    best = p.argmax(axis=1)
    hit = table.meant[rows, best]
    return thresholds.Evidence(
        score=table.fails * p[rows, best],
        win=table.mass * table.fails * hit,
        loss=table.mass * (table.fails * (1 - hit) + (1 - table.fails)),
    )
