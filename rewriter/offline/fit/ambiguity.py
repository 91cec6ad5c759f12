"""`learn_ambiguity`: finds texts by which users mean different things, and how well habits predict what a user means."""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import minimize_scalar

from rewriter.arrays import Floats
from rewriter.config import Config
from rewriter.guardrail import Guardrails
from rewriter.model.ambiguity import Meanings, liking_of, posterior, write_ambiguity
from rewriter.model.layer_slices import SLICES, Promise
from rewriter.offline.fit import thresholds
from rewriter.offline.fit.query_index import QueryIndex
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface
from rewriter.offline.rules.assess import EvidenceSource, GlobalRules, Guard, guard_of
from rewriter.offline.rules.votes import Votes

_MAX_MEANINGS = 8  # only so many of the commonest meanings of a text are used
_MIN_SHARE = 0.1
"""Least share of the votes of a meaning. A rarer one may be the user's next goal, which follows habits too and would mislead."""
_OTHER_VOTES = 1.0  # votes that are added for meanings that nobody has had so far
_MIN_TRUST = 0.1  # with less trust in habits, nothing is served
_TRUE_LOSSES = 0.25  # share of the budget that counts as true losses among the best scores; other losses there are label noise
_NOISE_QUANTILE = 0.25  # quantile of the label noise that is used; it is low, so that few texts excuse little


class _Table(NamedTuple):
    """One row for each text and user, with up to m = `_MAX_MEANINGS` meanings of the text. Missing meanings have share 0.

    Attributes:
        share: (r, m) share of each meaning in the votes of all other users.
        liking: (r, m) log preference of the user for each meaning, see `liking_of`. The turns that this text led to are left out.
        liking_unseen: (r,) the same for a meaning that the user never wanted.
        meant: (r, m) share of each meaning in the user's own votes.
        mass: (r,) votes of the user, at most 1.
        fails: (r,) P(the text fails as spoken).
    """

    share: Floats
    liking: Floats
    liking_unseen: Floats
    meant: Floats
    mass: Floats
    fails: Floats


def learn_ambiguity(
    mined: Mined,
    global_rules: GlobalRules,
    votes: Votes,
    query_index: QueryIndex,
    by_context: Collection[tuple[str, str]],
    config: Config,
    folder: Path,
    guardrails: Guardrails,
) -> dict[str, Promise]:
    """Write ``ambiguity`` if habits predict what held-out users mean; see `rewriter.model.ambiguity.posterior`.

    The votes of each user are predicted from what all other users mean by the text and from the user's habits. The trust in
    habits is fitted by maximum likelihood. Then the threshold that keeps the budget of losses is found. Only answers whose own
    probability is high enough are considered for it.

    Args:
        mined: its tables nodes, queries and users are read.
        global_rules: votes of all users together.
        votes: of each user's turns on what was meant.
        query_index: the shared queries and the habits of each user.
        by_context: (locale, text) of the texts whose meaning follows from the context; they are left out.
        config: uses `launch.min_users`, `launch.max_loss_share` and `trigger.min_p_before`.
        folder: of the online layer.
        guardrails: of the deployment.

    Returns:
        Name of each slice that answers by habits -> what the held-out evidence promises; empty if nothing was written.
    """
    k = config.launch.min_users
    guard = guard_of(mined.queries, mined.nodes, k, guardrails)
    shared = _ambiguous(mined, global_rules, query_index.good, by_context, guard, k)
    if shared.empty:
        return {}
    table = _table(mined, shared, votes, query_index)
    trust = _trust(table)
    held_out = _held_out(table, trust)
    budget = config.launch.max_loss_share
    noise = thresholds.label_noise(held_out, less=_TRUE_LOSSES * budget, quantile=_NOISE_QUANTILE)
    likely = thresholds.calibrate(held_out, noise=noise).all(held_out.score) >= config.trigger.min_p_before
    promise = thresholds.lowest(held_out.take(likely), loss_share=budget, noise=noise)
    if trust < _MIN_TRUST or not np.isfinite(promise.threshold):
        return {}
    meanings = [
        Meanings(locale, text, of["phrase"].tolist(), of["share"].tolist(), float(of["fails"].iloc[0]))
        for (locale, text), of in shared.groupby(["locale", "text"])
    ]
    write_ambiguity(folder / "ambiguity", meanings, trust=trust, threshold=promise.threshold)
    return {name: promise for name, of in SLICES.items() if of.method == "ambiguity"}


def _ambiguous(
    mined: Mined, global_rules: GlobalRules, good: pd.DataFrame, by_context: Collection[tuple[str, str]], guard: Guard, k: int
) -> pd.DataFrame:
    """Return texts of k users with two meanings of k users or more, one row for each meaning.

    The columns are source, goal, users, votes, said_by, fails, total, share, locale, text, phrase and target.
    """
    pairs, (works, fails) = global_rules.pairs, global_rules.priors.ok.after(global_rules.pairs.ok, global_rules.pairs.spoken_by)
    all_ = pd.DataFrame({"source": pairs.source, "goal": pairs.target, "users": pairs.users, "votes": pairs.votes})
    all_ = all_.assign(said_by=pairs.said_by, fails=fails / (works + fails))
    all_["total"] = all_.groupby("source")["votes"].transform("sum") + _OTHER_VOTES
    rows = good.assign(phrase=np.arange(len(good)), worth=good["success"] * good["share"])
    best = rows.sort_values(["worth", "phrase"], ascending=[False, True]).drop_duplicates("node").set_index("node")
    all_["share"] = all_["votes"] / all_["total"]
    known = (all_["users"] >= k) & (all_["said_by"] >= k) & (all_["share"] >= _MIN_SHARE)
    kept = all_[known & all_["goal"].isin(best.index) & (all_["goal"] != all_["source"])]
    kept = kept.sort_values(["source", "votes", "goal"], ascending=[True, False, True])
    kept = kept[kept.groupby("source").cumcount() < _MAX_MEANINGS]
    names = surface.states(mined.nodes, kept["source"].to_numpy())
    kept = kept.assign(
        locale=names["locale"].reindex(kept["source"]).to_numpy(),
        text=names["state"].reindex(kept["source"]).to_numpy(),
        phrase=best["phrase"].reindex(kept["goal"]).to_numpy(),
        target=best["query"].reindex(kept["goal"]).to_numpy(),
    )
    keys = list(zip(kept["locale"], kept["text"], kept["target"], strict=True))
    may = [
        (locale, text) not in by_context and not guard(locale, text, target, EvidenceSource.VOTES)
        for locale, text, target in keys
    ]
    kept = kept[np.array(may, dtype=bool)]
    return kept[kept.groupby("source")["goal"].transform("count") >= 2]


def _table(mined: Mined, shared: pd.DataFrame, votes: Votes, query_index: QueryIndex) -> _Table:
    """Return the votes of each user on ambiguous texts, beside the votes of the others and the habits of the user."""
    votes = votes.for_others()
    shared = shared.assign(place=shared.groupby("source").cumcount())
    own, good = query_index.own, query_index.good
    share_of_goal = good.groupby("node")["success"].sum() / good["success"].sum()
    goals = sparse.coo_array(votes.goals)
    cell = pd.DataFrame({"row": goals.row, "goal": goals.col, "led": goals.data})
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
    flat["without"] = less / np.maximum(flat["total"] - flat["mass"], _OTHER_VOTES)
    at = np.searchsorted(rows, flat["row"]), flat["place"].to_numpy(dtype=np.int64)
    share, meant, had, goal_prior = np.zeros((4, len(rows), _MAX_MEANINGS))
    share[at], meant[at], goal_prior[at] = flat["without"], flat["meant"], flat["goal"].map(share_of_goal)
    had[at] = np.maximum(flat["own"] - flat["led"], 0.0)
    per_row = flat.drop_duplicates("row").sort_values("row")
    everything = per_row["user_id"].map(own.groupby("user_id")["success"].sum()).fillna(0.0).to_numpy()
    liking, liking_unseen = liking_of(had, np.maximum(everything - per_row["all_led"].to_numpy(), had.sum(axis=1)), goal_prior)
    return _Table(share, liking, liking_unseen, meant, per_row["mass"].to_numpy(), per_row["fails"].to_numpy())


def _trust(table: _Table) -> float:
    """Return the trust in habits, 0..1, that maximises the likelihood of the votes."""

    def surprise(trust: float) -> float:
        p = posterior(table.share, table.liking, table.liking_unseen, trust)
        other = np.maximum(1 - p.sum(axis=1), 1e-6)
        known = table.meant * np.log(np.maximum(p, 1e-6))
        return -float(table.mass @ (known.sum(axis=1) + (1 - table.meant.sum(axis=1)) * np.log(other)))

    return float(minimize_scalar(surprise, bounds=(0.0, 1.0), method="bounded").x)


def _held_out(table: _Table, trust: float) -> thresholds.HeldOut:
    """Return the outcome that each row would have had if the likeliest meaning had been sent."""
    p = posterior(table.share, table.liking, table.liking_unseen, trust)
    rows = np.arange(len(p))
    best = p.argmax(axis=1)
    hit = table.meant[rows, best]
    return thresholds.HeldOut(
        score=table.fails * p[rows, best],
        win=table.mass * table.fails * hit,
        loss=table.mass * (table.fails * (1 - hit) + (1 - table.fails)),
        tie=np.zeros(len(p)),
    )
