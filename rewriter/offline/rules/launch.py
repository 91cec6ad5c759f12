"""From evidence to verdicts: every rule under consideration is launched, or refused with its reason.

The guardrail with what this log's assistant knows: its words and its names, per locale.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from rewriter.arrays import Floats, Ints
from rewriter.codes import RuleVerdict
from rewriter.config import Launch
from rewriter.engines.duckdb import connect, save
from rewriter.guardrail import Guardrail
from rewriter.model.hypothesis import slots_of
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import expected_outcome, surface
from rewriter.offline.rules import votes as votes_
from rewriter.offline.rules.chain import Absorption
from rewriter.offline.rules.votes import Votes
from rewriter.similarity import sound_similarity, text_similarity
from rewriter.tables import RULES, Table
from rewriter.text import normalise

Guard = Callable[[str, str, str, bool], str | None]
"""(locale, source, target, personal) -> what the guardrail finds against the rewrite, or None."""


@dataclass(frozen=True, slots=True)
class LaunchInputs:
    """What launch stands on: the mined tables, the votes of users, the chain's S, and what can be said for its states.

    Attributes:
        mined: the mined tables.
        votes: rows of (source, user).
        scores: (n, n) S_ij.
        stay: (n,) S_ii.
        commonest: surface of each state, whoever says it.
        surfaces: the same among what `Launch.min_users` users say.
        refused: failed and all turns of each (locale, utterance).
    """

    mined: Mined
    votes: Votes
    scores: sparse.csr_array
    stay: Floats
    commonest: surface.Surfaces
    surfaces: surface.Surfaces
    refused: pd.DataFrame

    @classmethod
    def of(cls, mined: Mined, votes: Votes, solved: Absorption, config: Launch) -> "LaunchInputs":
        """Read what can be said for each state of a solved chain."""
        n = solved.scores.shape[0]
        commonest, surfaces = (surface.choose(mined.queries, n, users) for users in (1, config.min_users))
        with connect(queries=mined.queries) as con:
            refused = con.execute(_REFUSED).df().set_index(["locale", "source"])
        return cls(mined, votes, solved.scores, solved.stay(), commonest, surfaces, refused)


@dataclass(frozen=True, slots=True)
class GlobalRules:
    """What all users together say.

    Attributes:
        pairs: every source with every goal that a way led to.
        priors: of the whole log.
        rules: the rules under consideration with their verdicts, columns of `tables.RULES`.
    """

    pairs: votes_.Pairs
    priors: expected_outcome.Priors
    rules: pd.DataFrame


def everybody(
    inputs: LaunchInputs, guard: Guard, config: Launch, seed: int, priors: expected_outcome.Priors | None = None
) -> GlobalRules:
    """Decide on the rules that serve everybody; each end of a rule, and the step itself, needs `min_users` users.

    Args:
        inputs: what launch stands on.
        guard: the guardrail.
        config: settings.
        seed: of the draws.
        priors: of the log as they were fitted some days ago; None to fit them.
    """
    pairs = votes_.gather(inputs.votes)
    k = config.min_users
    names = surface.states(inputs.mined.nodes, np.concatenate([pairs.source, pairs.target]))
    near = nearness(names, pairs.source, inputs.commonest.text[pairs.target])
    if priors is None:
        source, goal = votes_.strays(pairs, seed=seed)
        priors = expected_outcome.fit(pairs, near, nearness(names, source, inputs.commonest.text[goal]), seed=seed)

    score = values_at(inputs.scores, pairs.source, pairs.target)
    best = _best(pairs, score, config.rivals)
    source, target = pairs.source[best], pairs.target[best]
    frame = pd.DataFrame(
        {
            "scope": "global",
            "user_id": "",
            "context_value": "",
            "locale": names["locale"].reindex(source).to_numpy(),
            "source": names["state"].reindex(source).to_numpy(),
            "target": inputs.surfaces.text[target],
            "state": names["state"].reindex(target).to_numpy(),
            "users": pairs.users[best],
            "turns": pairs.turns[best],
            "first_day": pairs.first_day[best],
            "last_day": pairs.last_day[best],
            "score": score[best],
            "stay": inputs.stay[source],
            "similarity": near[best, 0],
        }
    )
    beliefs = expected_outcome.believe(priors, pairs, near, best)
    around = expected_outcome.Surroundings(
        honest=honest(inputs.refused, frame, beliefs.p_fails()),
        understood=inputs.surfaces.understood[target],
        acts=inputs.surfaces.acts[target],
    )
    reason = np.full(len(frame), "", dtype=object)
    refuse(reason, pairs.said_by[best] < k, RuleVerdict.FEW_SAY_SOURCE)
    refuse(reason, pairs.users[best] < k, RuleVerdict.FEW_MEAN_TARGET)
    refuse(reason, pairs.votes[best] < 1.0, RuleVerdict.GOAL_UNSURE)
    refuse(reason, frame["target"] == "", RuleVerdict.NO_SURFACE)
    refuse(reason, later(source, reason), RuleVerdict.OUTRANKED)
    refuse(reason, frame["stay"] >= frame["score"], RuleVerdict.STAYING_BETTER)
    return GlobalRules(pairs, priors, verdicts(frame, beliefs, around, reason, guard, config, seed))


def one_user(inputs: LaunchInputs, global_rules: GlobalRules, guard: Guard, config: Launch, seed: int) -> pd.DataFrame:
    """Decide on rules for single users, from their own restatements and the global rules's of the same source."""
    votes = inputs.votes
    least = _OWN_SHARE * config.personal_turns
    entries, pairs = votes_.of_users(votes, global_rules.pairs, least)
    names = surface.states(inputs.mined.nodes, np.concatenate([votes.source[entries], pairs.target]))
    near = nearness(names, votes.source[entries], inputs.commonest.text[pairs.target])
    own_turns = values_at(votes.goals, entries, pairs.target)
    rows = np.flatnonzero((own_turns >= least) & (votes.source[entries] != pairs.target))
    rows = rows[np.lexsort((-pairs.votes[rows], entries[rows]))]  # the best target of each user first
    row, target, vote = entries[rows], pairs.target[rows], own_turns[rows]
    source = votes.source[row]
    own = surface.of_users(inputs.mined.counts, inputs.mined.texts, votes.user[row], target)
    frame = pd.DataFrame(
        {
            "scope": "personal",
            "user_id": surface.hashes(inputs.mined.users, votes.user[row]),
            "context_value": "",
            "locale": names["locale"].reindex(source).to_numpy(),
            "source": names["state"].reindex(source).to_numpy(),
            "target": own,
            "state": names["state"].reindex(target).to_numpy(),
            "users": pairs.users[rows],
            "turns": votes.turns[row],
            "first_day": votes.first_day[row],
            "last_day": votes.last_day[row],
            "score": vote / np.maximum(votes.turns[row], 1e-9),
            "stay": votes.success[row] / np.maximum(votes.turns[row], 1e-9),
            "similarity": near[rows, 0],
        }
    )
    beliefs = expected_outcome.believe(global_rules.priors, pairs, near, rows)
    around = expected_outcome.Surroundings(
        honest=honest(inputs.refused, frame, beliefs.p_fails()),
        understood=np.ones(len(frame)),
        acts=np.ones(len(frame)),
    )
    reason = np.full(len(frame), "", dtype=object)
    refuse(reason, frame["target"] == "", RuleVerdict.NO_OWN_SURFACE)
    refuse(reason, later(row, reason), RuleVerdict.OUTRANKED)
    refuse(reason, frame["stay"] >= frame["score"], RuleVerdict.STAYING_BETTER)
    refuse(reason, served(frame, global_rules.rules), RuleVerdict.SAME_AS_GLOBAL)
    return verdicts(frame, beliefs, around, reason, guard, config, seed)


_OWN_SHARE = 0.7  # a sure restatement is worth a little less than one vote, so that n of them are at least this share of n


def write(rules: pd.DataFrame, path: Path) -> None:
    """Write rules as Parquet of `tables.RULES`."""
    write_table(RULES, rules, "user_id, context_value, locale, source, score DESC, target", path)


def write_table(table: Table, rows: pd.DataFrame, order: str, path: Path) -> None:
    """Write rows as Parquet of a declared table."""
    columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in table.columns)
    with connect() as con:
        con.register("rows_given", rows[list(table.names)])
        save(con, f"SELECT {columns} FROM rows_given ORDER BY {order}", path)


def rule_id(user: str, locale: str, source: str, target: str) -> str:
    """Return a name for a rule that is the same in every run: 12 hex digits of BLAKE2b over its four parts."""
    return hashlib.blake2b("\0".join((user, locale, source, target)).encode(), digest_size=6).hexdigest()


def verdicts(
    frame: pd.DataFrame,
    beliefs: expected_outcome.Beliefs,
    around: expected_outcome.Surroundings,
    reason: npt.NDArray[np.object_],
    guard: Guard,
    config: Launch,
    seed: int,
) -> pd.DataFrame:
    """Apply what holds for every scope: the target differs, the gain is sure, the guardrail agrees, the budget holds."""
    win, loss = expected_outcome.expected(beliefs, around)
    refuse(reason, frame["source"] == frame["target"], RuleVerdict.SAME_TEXT)
    left = np.flatnonzero(reason == "")
    gain = np.full(len(frame), np.nan)
    gain[left] = expected_outcome.p_gain(beliefs.take(left), around.take(left), draws=config.draws, seed=seed)
    detail = np.where(np.isin(reason, _NEEDS_USERS), str(config.min_users), "").astype(object)
    refuse(reason, gain < config.min_p_gain, RuleVerdict.GAIN_UNSURE)
    for i in np.flatnonzero(reason == ""):
        row = frame.iloc[i]
        if forbidden := guard(row["locale"], row["source"], row["target"], row["scope"] == "personal"):
            reason[i], detail[i] = RuleVerdict.GUARDRAIL, forbidden
    left = np.flatnonzero(reason == "")
    traffic = frame["turns"].to_numpy(dtype=np.float64)[left]
    kept = expected_outcome.within_budget(traffic, win[left], loss[left], config.max_loss_share)
    reason[left] = np.where(kept, RuleVerdict.LAUNCHED, RuleVerdict.OVER_BUDGET)
    keys = zip(frame["user_id"], frame["locale"], frame["source"], frame["target"], strict=True)
    return frame.assign(
        rule=[rule_id(*key) for key in keys],
        p_goal=beliefs.p_goal(),
        p_gain=gain,
        win=win,
        loss=loss,
        verdict=reason,
        detail=detail,
    )


_NEEDS_USERS = (RuleVerdict.FEW_SAY_SOURCE, RuleVerdict.FEW_MEAN_TARGET, RuleVerdict.NO_SURFACE)
"""Verdicts whose detail is k, the users that are needed."""


def refuse(reason: npt.NDArray[np.object_], where: npt.ArrayLike, why: RuleVerdict) -> None:
    """Give a verdict to those that have none yet."""
    reason[np.asarray(where, dtype=bool) & (reason == "")] = why


def later(source: npt.NDArray[np.int64], reason: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Mark all but the first open rule of each source; the best stand first."""
    open_ = np.flatnonzero(reason == "")
    _, first = np.unique(source[open_], return_index=True)
    later = np.zeros(len(source), dtype=bool)
    later[open_] = True
    later[open_[first]] = False
    return later


def served(frame: pd.DataFrame, global_rules: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mark what a launched rule for everybody does already."""
    key = ["locale", "source", "target"]
    launched = global_rules.loc[global_rules["verdict"] == RuleVerdict.LAUNCHED, key]
    return np.asarray(pd.MultiIndex.from_frame(frame[key]).isin(pd.MultiIndex.from_frame(launched)), dtype=bool)


def _best(pairs: votes_.Pairs, score: Floats, rivals: int) -> Ints:
    """Return the pairs of the `rivals` best goals of each source by S_ij, best first, the source itself left out."""
    order = np.lexsort((pairs.target, -score, pairs.source))
    order = order[(pairs.source != pairs.target)[order]]
    source = pairs.source[order]
    best: Ints = order[np.arange(len(order)) - np.searchsorted(source, source) < rivals]
    return best


def values_at(matrix: sparse.csr_array, row: Ints, column: Ints) -> Floats:
    """Return the values at (row, column), 0 where nothing is stored."""
    return np.asarray(matrix[row, column], dtype=np.float64).reshape(-1) if len(row) else np.zeros(0)


def nearness(names: pd.DataFrame, source: Ints, target: npt.NDArray[np.object_]) -> Floats:
    """Return text and sound similarity of each source and the text of its target, (m, 2)."""
    texts, locales = names["state"].reindex(source).to_numpy(), names["locale"].reindex(source).to_numpy()
    sound = np.zeros(len(source))
    for locale in np.unique(locales.astype(str)):
        of = np.flatnonzero(locales == locale)
        sound[of] = sound_similarity(texts[of].tolist(), target[of].tolist(), locale)
    return np.column_stack([text_similarity(texts.tolist(), target.tolist()), sound])


_REFUSED = "SELECT locale, query AS source, SUM(failed) AS failed, SUM(turns) AS turns FROM queries GROUP BY locale, query"


def honest(refused: pd.DataFrame, frame: pd.DataFrame, fails: Floats) -> Floats:
    """Return P(the assistant says so | the source fails), (m,); 1 for a log without any status, the careful reading."""
    if not refused["failed"].sum():
        return np.ones(len(frame))
    found = refused.reindex(pd.MultiIndex.from_frame(frame[["locale", "source"]]))
    share = (found["failed"] / found["turns"]).fillna(1.0).to_numpy(dtype=np.float64)
    return np.asarray(np.minimum(1.0, share / np.maximum(fails, 1e-9)), dtype=np.float64)


_UNDERSTOOD = "FROM queries AS q JOIN nodes AS n ON q.node = n.node WHERE q.users >= ? AND q.success > 0"
_WORDS = f"SELECT DISTINCT q.locale, UNNEST(string_split(q.query, ' ')) {_UNDERSTOOD}"
_STATES = f"SELECT DISTINCT q.locale, n.state {_UNDERSTOOD} AND n.kind = 'h'"


def guard_of(queries: Path, nodes: Path, min_users: int) -> Guard:
    """Return the guardrail as a function of (locale, source, target, personal).

    A word is known to the assistant if an utterance of `min_users` users holds it and was understood; a name is the value of
    a slot of such an utterance.
    """
    words: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    with connect(queries=queries, nodes=nodes) as con:
        for locale, word in con.execute(_WORDS, [min_users]).fetchall():
            words[locale].add(word)
        for locale, state in con.execute(_STATES, [min_users]).fetchall():
            names[locale].update(normalise(value) for value in slots_of(state).values())
    known = {locale: frozenset(values) for locale, values in names.items()}

    def guard(locale: str, source: str, target: str, personal: bool) -> str | None:
        finding = Guardrail.open(locale).verdict(
            source, target, names=known.get(locale, frozenset()), knows=words[locale].__contains__, personal=personal
        )
        return finding and finding.packed()

    return guard
