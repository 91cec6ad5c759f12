"""From evidence to verdicts: every rule under consideration is launched, or refused with its reason."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from rewriter.config import Launch
from rewriter.model.similarity import sound_similarity, text_similarity
from rewriter.offline import evidence, launch, surface
from rewriter.offline.votes import Floats, Votes
from rewriter.tables import RULES, glob

LAUNCHED = "launched"
Guard = Callable[[str, str, str, bool], str | None]
"""(locale, source, target, personal) -> why the rewrite is forbidden, or None."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What launch stands on: the mined tables, the votes of users, and the chain's S.

    Attributes:
        nodes: Parquet of `tables.NODES`.
        spoken: Parquet of `tables.SPOKEN`.
        queries: Parquet of `tables.QUERIES`.
        votes: rows of (source, user).
        scores: (n, n) S_ij.
        stay: (n,) S_ii.
    """

    nodes: Path
    spoken: Path
    queries: Path
    votes: Votes
    scores: sparse.csr_array
    stay: Floats


@dataclass(frozen=True, slots=True)
class Decisions:
    """Rules with their verdicts, columns of `tables.RULES`, and the posterior behind them."""

    rules: pd.DataFrame
    posterior: launch.Posterior

    @property
    def launched(self) -> pd.DataFrame:
        """The rules that go into the artefact."""
        return self.rules[self.rules["verdict"] == LAUNCHED]


def everybody(ground: Ground, guard: Guard, config: Launch, seed: int) -> Decisions:
    """Decide on the rules that serve everybody; each end of a rule, and the step itself, needs `min_users` users."""
    pairs = evidence.gather(ground.votes, ground.scores, ground.stay)
    surfaces = surface.choose(ground.queries, ground.scores.shape[0], config.min_users)
    names = surface.states(ground.nodes, np.concatenate([pairs.source, pairs.target]))
    frame = pd.DataFrame(
        {
            "scope": "global",
            "user_id": "",
            "locale": names["locale"].reindex(pairs.source).to_numpy(),
            "source": names["state"].reindex(pairs.source).to_numpy(),
            "target": surfaces.text[pairs.target],
            "state": names["state"].reindex(pairs.target).to_numpy(),
            "users": pairs.users,
            "turns": pairs.turns,
            "first_day": pairs.first_day,
            "last_day": pairs.last_day,
            "score": pairs.score,
            "stay": pairs.stay,
        }
    )
    similar = _near(frame)
    around = launch.Surroundings(
        near=similar,
        honest=_honest(ground.queries, frame, 1.0 - pairs.ok / np.maximum(pairs.said_by, 1)),
        understood=surfaces.understood[pairs.target],
        acts=surfaces.acts[pairs.target],
    )
    posterior = launch.weigh(pairs, around, draws=config.draws, seed=seed)
    reason = np.full(len(frame), "", dtype=object)
    k = config.min_users
    _refuse(reason, pairs.said_by < k, f"the source was said by fewer than {k} users")
    _refuse(reason, pairs.users < k, f"fewer than {k} users meant the target")
    _refuse(reason, frame["target"] == "", f"no utterance of {k} users says the target")
    _refuse(reason, _later(pairs.source, reason), "another target is better")
    _refuse(reason, pairs.stay >= pairs.score, "leaving the request alone is better")
    return Decisions(_verdicts(frame, posterior, similar, reason, guard, config, personal=False), posterior)


def one_user(ground: Ground, crowd: Decisions, guard: Guard, config: Launch, seed: int) -> Decisions:
    """Decide on rules for single users, from their own restatements, shrunk to what the crowd meant."""
    votes = ground.votes
    cast = sparse.coo_array(votes.goals)
    kept = (cast.data >= _OWN_SHARE * config.personal_turns) & (votes.source[cast.row] != cast.col)
    row, target, vote = cast.row[kept], cast.col[kept].astype(np.int64), cast.data[kept]
    source = votes.source[row]
    names = surface.states(ground.nodes, np.concatenate([source, target]))
    frame = pd.DataFrame(
        {
            "scope": "personal",
            "user_id": votes.user[row],
            "locale": names["locale"].reindex(source).to_numpy(),
            "source": names["state"].reindex(source).to_numpy(),
            "target": surface.of_users(ground.spoken, ground.nodes, votes.user[row], target),
            "state": names["state"].reindex(target).to_numpy(),
            "users": 1,
            "turns": votes.turns[row],
            "first_day": votes.first_day[row],
            "last_day": votes.last_day[row],
            "score": vote / np.maximum(votes.turns[row], 1e-9),
            "stay": votes.success[row] / np.maximum(votes.turns[row], 1e-9),
        }
    )
    similar = _near(frame)
    known = crowd.rules.set_index(["locale", "source", "state"])["p_goal"]
    known = known[~known.index.duplicated()]
    shared = known.reindex(pd.MultiIndex.from_frame(frame[["locale", "source", "state"]])).to_numpy(dtype=np.float64)
    around = launch.Surroundings(
        near=similar,
        honest=_honest(ground.queries, frame, 1.0 - frame["stay"].to_numpy(dtype=np.float64)),
        understood=np.ones(len(frame)),
        acts=np.ones(len(frame)),
    )
    posterior = launch.weigh_own(votes, row, vote, shared, around, crowd.posterior, draws=config.draws, seed=seed)
    reason = np.full(len(frame), "", dtype=object)
    _refuse(reason, frame["target"] == "", "this user never said the target with success")
    _refuse(reason, frame["stay"] >= frame["score"], "leaving the request alone is better")
    _refuse(reason, _served(frame, crowd.launched), "the rule for everybody does the same")
    return Decisions(_verdicts(frame, posterior, similar, reason, guard, config, personal=True), posterior)


_OWN_SHARE = 0.7  # a sure restatement is worth a little less than one vote, so that n of them are at least this share of n


def write(rules: pd.DataFrame, path: Path) -> None:
    """Write rules as Parquet of `tables.RULES`."""
    columns = ", ".join(f"CAST({c.name} AS {c.type}) AS {c.name}" for c in RULES.columns)
    with duckdb.connect() as con:
        con.register("rules", rules[list(RULES.names)])
        con.sql(f"SELECT {columns} FROM rules ORDER BY user_id, locale, source, score DESC, target").write_parquet(str(path))


def rule_id(user: str, locale: str, source: str, target: str) -> str:
    """Return a name for a rule that is the same in every run: 12 hex digits of BLAKE2b over its four parts."""
    return hashlib.blake2b("\0".join((user, locale, source, target)).encode(), digest_size=6).hexdigest()


def _verdicts(
    frame: pd.DataFrame,
    posterior: launch.Posterior,
    similar: Floats,
    reason: npt.NDArray[np.object_],
    guard: Guard,
    config: Launch,
    *,
    personal: bool,
) -> pd.DataFrame:
    """Apply what holds for every scope: the target differs, the gain is sure, the guardrail agrees, the budget holds."""
    _refuse(reason, frame["source"] == frame["target"], "the target is said by the source itself")
    _refuse(reason, posterior.p_gain < config.min_p_gain, "the gain is too unsure")
    for i in np.flatnonzero(reason == ""):
        row = frame.iloc[i]
        if forbidden := guard(row["locale"], row["source"], row["target"], personal):
            reason[i] = f"guardrail: {forbidden}"
    left = np.flatnonzero(reason == "")
    traffic = frame["turns"].to_numpy(dtype=np.float64)[left]
    kept = launch.within_budget(traffic, posterior.win[left], posterior.loss[left], config.max_loss_share)
    reason[left] = np.where(kept, LAUNCHED, "over the loss budget")
    keys = zip(frame["user_id"], frame["locale"], frame["source"], frame["target"], strict=True)
    return frame.assign(
        rule=[rule_id(*key) for key in keys],
        p_goal=posterior.p_goal,
        p_gain=posterior.p_gain,
        win=posterior.win,
        loss=posterior.loss,
        similarity=similar[:, 0],
        verdict=reason,
    )


def _refuse(reason: npt.NDArray[np.object_], where: npt.ArrayLike, why: str) -> None:
    """Give a reason to those that have none yet."""
    reason[np.asarray(where, dtype=bool) & (reason == "")] = why


def _later(source: npt.NDArray[np.int64], reason: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Mark all but the first open rule of each source; rules stand in order of S_ij."""
    open_ = np.flatnonzero(reason == "")
    _, first = np.unique(source[open_], return_index=True)
    later = np.zeros(len(source), dtype=bool)
    later[open_] = True
    later[open_[first]] = False
    return later


def _served(frame: pd.DataFrame, launched: pd.DataFrame) -> npt.NDArray[np.bool_]:
    key = ["locale", "source", "target"]
    return np.asarray(pd.MultiIndex.from_frame(frame[key]).isin(pd.MultiIndex.from_frame(launched[key])), dtype=bool)


def _near(frame: pd.DataFrame) -> Floats:
    """Return text and sound similarity of source and target of each row, (m, 2)."""
    sound = np.zeros(len(frame))
    for locale, rows in frame.groupby("locale").indices.items():
        part = frame.iloc[rows]
        sound[rows] = sound_similarity(part["source"].tolist(), part["target"].tolist(), str(locale))
    return np.column_stack([text_similarity(frame["source"].tolist(), frame["target"].tolist()), sound])


_FAILED = "SELECT locale, query AS source, SUM(failed) AS failed, SUM(turns) AS turns FROM queries GROUP BY locale, query"


def _honest(queries: Path, frame: pd.DataFrame, fails: Floats) -> Floats:
    """Return P(the assistant says so | the source fails), (m,); 1 for a log without any status, the careful reading."""
    with duckdb.connect() as con:
        con.read_parquet(glob(queries)).create_view("queries")
        said = con.execute(_FAILED).df().set_index(["locale", "source"])
    if not said["failed"].sum():
        return np.ones(len(frame))
    found = said.reindex(pd.MultiIndex.from_frame(frame[["locale", "source"]]))
    share = (found["failed"] / found["turns"]).fillna(1.0).to_numpy(dtype=np.float64)
    return np.asarray(np.minimum(1.0, share / np.maximum(fails, 1e-9)), dtype=np.float64)
