"""`learn_spellings`: which surface of a text works best, and which surfaces fail where it works.

Evidence are the recent turns, by the surface that the NLU was given. Each user counts as one trial for each surface: the share of
the user's turns that went well. For each pair of a surface and the best one of the same text two models are compared:

    same      one rate of success for both,     r ~ Beta(1, 1)
    differs   each surface has its own rate,    r_spoken, r_best ~ Beta(1, 1)

The prior P(differs) is fitted for each kind of difference (case, marks, signs and their combinations) to all pairs of the log, by
expectation maximisation (Dempster, Laird and Rubin, 1977) under a Beta(1, 19) prior. So where an assistant reads all spellings
alike, no chance difference is taken for one; where it is strict, few users are enough. Where both surfaces behave alike nothing
is won or lost by exchanging them, so only the model `differs` has wins and losses.

The best surface of a text is one of the same normal form. Where none of these works, it is one that differs in marks alone
(lumiere, lumière), unless two texts without these marks work, so that a mark may change what is meant.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import betainc, betaln

from rewriter.arrays import Floats
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.model.spellings import KINDS, Mend, Priors, Surface, kind_of, mend_id, p_of_unseen, save_spellings, unmarked
from rewriter.offline.mining.pipeline import Mined

_TRIALS = """
WITH spent AS ({spent}),
by_user AS (
  SELECT x.locale, x.text, COALESCE(t.sent, t.utterance) AS surface, s.user_no, COUNT(*) AS turns,
         SUM(COALESCE(p.rest, 1000) - FLOOR((COALESCE(p.rest, 1000) * s.friction + 500) / 1000)) / 1000.0 / COUNT(*) AS ok
  FROM said AS t
  JOIN users AS u ON u.user_id = t.user_id
  JOIN sessions AS s ON s.turn_id = t.turn_id AND s.user_no = u.user_no
  JOIN texts AS x ON x.id = s.sent
  LEFT JOIN spent AS p ON p.user_no = s.user_no AND p.turn_no = s.turn_no
  GROUP BY ALL
)
SELECT locale, text, surface, CAST(COUNT(*) AS BIGINT) AS users, CAST(SUM(turns) AS BIGINT) AS turns, SUM(ok) AS ok
FROM by_user GROUP BY ALL HAVING COUNT(*) >= ? ORDER BY locale, text, surface
"""
_SAME_TRIALS = 19.0
"""Prior pairs that behave alike, for one that does not: an assistant that minds spelling is the exception."""
_WORKS = 0.5  # least share of users for whom a surface works that others are sent in
_PASSES = 200  # of expectation maximisation; it converges within some dozen
_GRID = np.linspace(0.0, 1.0, 513)
"""Edges of the cells on which P(one rate is above another) is summed."""


class Pairs(NamedTuple):
    """m pairs of a surface and the best surface of the same text: trials and their successes, (m,) each."""

    spoken: Floats
    spoken_ok: Floats
    best: Floats
    best_ok: Floats


class Compared(NamedTuple):
    """What the evidence says of m pairs.

    Attributes:
        differs: (m,) P(the surfaces have rates of their own).
        win: (m,) P(the spoken surface fails and the best one succeeds).
        loss: (m,) P(the spoken surface succeeds and the best one fails).
        p_gain: (m,) P(the best surface succeeds more often).
        p_best: (m,) P(the best surface succeeds), if the surfaces differ.
        after: (m,) P(the best surface succeeds | the spoken one was refused).
        priors: kind of difference -> P(differs) of a pair of which nothing is known.
    """

    differs: Floats
    win: Floats
    loss: Floats
    p_gain: Floats
    p_best: Floats
    after: Floats
    priors: Mapping[str, float]


def learn_spellings(mined: Mined, config: Config, folder: Path, *, draw: bool = False) -> int:
    """Find the surfaces and write them (`rewriter.model.spellings`); return how many are mended before the NLU.

    Everything rests on k users, `config.launch.min_users`: each surface by itself.

    Args:
        mined: the mined tables.
        config: its sections launch, trigger and loop are used.
        folder: where the files go.
        draw: whether part of the requests is held out for comparison.
    """
    found = trials(mined, config.launch.min_users)
    best = _best(found, "text")
    pairs = _pairs(found, best)
    compared = compare(*_columns(pairs))
    mends = _mends(pairs, compared, config, draw=draw)
    priors = Priors(compared.priors, config.trigger.min_p_after)
    p = (best["ok"] + 1) / (best["users"] + 2)
    hopeful = p_of_unseen(p, max(compared.priors.values())) >= priors.least
    used = (best["surface"] != best["text"]) | hopeful | best["surface"].isin([one.sent for one in mends])
    rows = best.assign(p=p)[used][["locale", "surface", "users", "p"]]
    save_spellings(folder, (Surface(*row) for row in rows.itertuples(index=False)), mends, priors)
    return sum(one.before for one in mends)


def trials(mined: Mined, min_users: int) -> pd.DataFrame:
    """Return the surfaces that the NLU was given in the recent turns of at least `min_users` users, one row each.

    Returns:
        Columns locale, text (normalised), surface, users, turns, ok: the sum over users of the share that went well, and
        unmarked: the text without marks.
    """
    spent = (resources.files("rewriter.offline") / "sql" / "spent.sql").read_text(encoding="utf-8")
    with connect(**mined.named("said", "users", "sessions", "texts", "taught")) as con:
        found: pd.DataFrame = con.execute(_TRIALS.format(spent=spent), [min_users]).df()
    return found.assign(unmarked=[unmarked(text) for text in found["text"]])


def _best(found: pd.DataFrame, form: str) -> pd.DataFrame:
    """Return the surface of each form that works for most users; a share of two more users is taken off rare ones."""
    ordered = found.assign(worth=found["ok"] / (found["users"] + 2))
    ordered = ordered.sort_values(["worth", "users"], ascending=False, kind="stable")
    return ordered.drop_duplicates(["locale", form]).drop(columns="worth").reset_index(drop=True)


def _pairs(found: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """Return each surface beside the one that it is compared with, whose columns end in ``_best``."""
    columns = ["surface", "users", "ok"]
    works = best[best["ok"] >= _WORKS * best["users"]]
    of_text = found.merge(works[["locale", "text", *columns]], on=["locale", "text"], suffixes=("", "_best"))
    others = found.merge(works[["locale", "text"]], on=["locale", "text"], how="left", indicator="known")
    others = others[others["known"] == "left_only"].drop(columns="known")
    alone = works[~works.duplicated(["locale", "unmarked"], keep=False)]
    of_letters = others.merge(alone[["locale", "unmarked", *columns]], on=["locale", "unmarked"], suffixes=("", "_best"))
    pairs = pd.concat([of_text, of_letters], ignore_index=True)
    return pairs[pairs["surface"] != pairs["surface_best"]].reset_index(drop=True)


def _columns(pairs: pd.DataFrame) -> tuple[Pairs, list[str]]:
    """Return the trials of each pair, and in what its surfaces differ."""
    names = ("users", "ok", "users_best", "ok_best")
    kinds = list(map(kind_of, pairs["surface"], pairs["surface_best"]))
    return Pairs(*(pairs[name].to_numpy(dtype=np.float64) for name in names)), kinds


def compare(pairs: Pairs, kinds: Sequence[str]) -> Compared:
    """Compare the two models of each pair.

    Args:
        pairs: m pairs.
        kinds: in what the surfaces of each differ (`rewriter.model.spellings.kind_of`).

    Example:
        >>> strict = compare(Pairs(*(np.array([n] * 3, dtype=float) for n in (8, 0, 40, 40))), ["signs"] * 3)
        >>> bool(strict.p_gain[0] > 0.95), bool(strict.win[0] > 19 * strict.loss[0])
        (True, True)
        >>> alike = compare(Pairs(*(np.array([n] * 3, dtype=float) for n in (8, 7, 40, 38))), ["signs"] * 3)
        >>> bool(alike.p_gain[0] < 0.1)
        True
    """
    spoken = _beta(pairs.spoken, pairs.spoken_ok)
    best = _beta(pairs.best, pairs.best_ok)
    both = _beta(pairs.spoken + pairs.best, pairs.spoken_ok + pairs.best_ok)
    favour = betaln(*spoken) + betaln(*best) - betaln(*both)  # log Bayes factor of "differs"; B(1, 1) = 1
    of = np.array(kinds, dtype=object)
    priors = {kind: _prior(favour[of == kind]) for kind in KINDS}
    differs = _posterior(np.array([priors[kind] for kind in kinds], dtype=np.float64), favour)
    fails, works = spoken[1] / sum(spoken), best[0] / sum(best)
    # A refusal is evidence by itself: P(differs | the spoken surface fails).
    refused = differs * fails
    refused_alike = (1 - differs) * both[1] / sum(both)
    p_gain = differs * _p_above(best, spoken)
    win, loss = differs * fails * works, differs * (1 - fails) * (1 - works)
    return Compared(differs, win, loss, p_gain, works, works * refused / (refused + refused_alike), priors)


def _beta(n: Floats, ok: Floats) -> tuple[Floats, Floats]:
    """Return the parameters of the posterior of a rate under Beta(1, 1)."""
    return 1.0 + ok, 1.0 + n - ok


def _prior(favour: Floats) -> float:
    """Return P(differs) of a pair, by expectation maximisation over all pairs."""
    prior = 1.0 / (1.0 + _SAME_TRIALS)
    for _ in range(_PASSES):
        prior = float((1.0 + _posterior(prior, favour).sum()) / (1.0 + _SAME_TRIALS + len(favour)))
    return prior


def _posterior(prior: Floats | float, favour: Floats) -> Floats:
    odds = np.log(prior) - np.log1p(-prior) + favour
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700))), dtype=np.float64)


def _p_above(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Floats:
    """Return P(a rate of Beta `one` is above an independent rate of Beta `other`), (m,)."""
    below = betainc(one[0][:, None], one[1][:, None], _GRID[None])
    middle = (_GRID[1:] + _GRID[:-1]) / 2
    return np.asarray((np.diff(below, axis=1) * betainc(other[0][:, None], other[1][:, None], middle[None])).sum(axis=1))


def _mends(pairs: pd.DataFrame, compared: Compared, config: Config, *, draw: bool) -> list[Mend]:
    """Return the surfaces whose evidence is enough before the NLU or after a refusal.

    The hold-out shrinks with the users of the evidence, from `loop.canary` to `loop.floor`.
    """
    launch, trigger = config.launch, config.trigger
    within = compared.loss <= launch.max_loss_share * (compared.win + compared.loss)
    before = within & (compared.p_gain >= launch.min_p_gain) & (compared.p_best >= trigger.min_p_before)
    after = np.where(before | (compared.after >= trigger.min_p_after), compared.after, 0.0)
    mends = []
    for i in np.flatnonzero(before | (after > 0)).tolist():
        row, users = pairs.iloc[i], int(pairs["users"].iloc[i])
        held = max(config.loop.floor, config.loop.canary * launch.min_users / users) if draw else 0.0
        mends.append(
            Mend(
                rule=mend_id(row["locale"], row["surface"]),
                locale=row["locale"],
                spoken=row["surface"],
                sent=row["surface_best"],
                turns=int(row["turns"]),
                users=users,
                p=float(compared.p_best[i]),
                win=float(compared.win[i]),
                loss=float(compared.loss[i]),
                before=bool(before[i]),
                after=float(after[i]),
                share=1.0 - held,
            )
        )
    return mends
