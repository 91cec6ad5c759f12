"""Assesses rules: gives each rewrite that is proposed in one scope a verdict.

Rules for everybody, for one user and for one context value differ in three things: whose votes propose them, which utterance is
sent, and a few grounds of refusal. Everything else is the same for all three, and is computed here.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from rewriter.arrays import Floats, Ints
from rewriter.codes import RuleVerdict
from rewriter.config import Launch
from rewriter.engines import connect
from rewriter.guardrail import Guardrails
from rewriter.model.hypothesis import slots_of
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import surface
from rewriter.offline.rules.chain import Absorption
from rewriter.offline.rules.priors import Priors, Surroundings, believe, expected, p_gain, within_budget
from rewriter.offline.rules.votes import Pairs, Votes
from rewriter.similarity import sound_similarity, text_similarity
from rewriter.text import normalise


class EvidenceSource(StrEnum):
    """Whose turns are the evidence for a rewrite. This decides what the rewrite may change."""

    VOTES = "votes"
    """Votes of several users. Words that contrast in the log may be exchanged. What the word lists forbid may not."""
    OWN = "own"
    """Several turns of one user, and none that contradicts them. Anything may change, except to a destructive request."""
    ONE_TURN = "one_turn"
    """Fewer turns of one user. The meaning may not change."""


Guard = Callable[[str, str, str, EvidenceSource], str | None]
"""(locale, source, target, evidence) -> the finding of the guardrail against the rewrite; None if it is allowed."""
Bools = npt.NDArray[np.bool_]

_NEEDS_USERS = (RuleVerdict.FEW_SAY_SOURCE, RuleVerdict.FEW_MEAN_TARGET, RuleVerdict.NO_SURFACE)
"""Verdicts whose detail is k, the number of users that are needed."""
_FAILED = """
WITH restated AS (SELECT n.locale, n.state AS query FROM nodes AS n WHERE n.kind = 'u' AND n.node IN (SELECT UNNEST($nodes)))
SELECT locale, query AS source, SUM(failed) AS failed, SUM(turns) AS turns
FROM queries SEMI JOIN restated USING (locale, query) GROUP BY locale, query
"""
_TELLS = "SELECT COALESCE(SUM(failed), 0) > 0 FROM queries"
_UNDERSTOOD = "FROM queries AS q JOIN nodes AS n ON q.node = n.node WHERE q.users >= ? AND q.success > 0"
_WORDS = f"SELECT DISTINCT q.locale, UNNEST(string_split(q.query, ' ')) {_UNDERSTOOD}"
_STATES = f"SELECT DISTINCT q.locale, n.state {_UNDERSTOOD} AND n.kind = 'h'"


@dataclass(frozen=True, slots=True)
class LaunchInputs:
    """The data on which the verdicts of all rules are based.

    Attributes:
        mined: the mined tables.
        votes: the votes of users, one row for each (source, user).
        scores: (n, n) S_ij of the chain.
        stay: (n,) S_ii of the chain.
        commonest: surface of each state among the utterances of all users. It is used in comparisons only, and never sent.
        surfaces: surface of each state among the utterances of `Launch.min_users` users.
        tells: whether the log has any turn of status ``failed``.
        failed: columns failed and turns: turns of that status, and all turns, of each (locale, utterance) that was ever restated.
    """

    mined: Mined
    votes: Votes
    scores: sparse.csr_array
    stay: Floats
    commonest: surface.Surfaces
    surfaces: surface.Surfaces
    tells: bool
    failed: pd.DataFrame

    @classmethod
    def of(cls, mined: Mined, votes: Votes, solved: Absorption, config: Launch) -> "LaunchInputs":
        """Read the inputs from the mined tables and the solved chain."""
        n = solved.scores.shape[0]
        commonest, surfaces = (surface.choose(mined.queries, n, users) for users in (1, config.min_users))
        with connect(**mined.named("queries", "nodes")) as con:
            tells = bool(con.execute(_TELLS).fetchall()[0][0])
            failed = con.execute(_FAILED, {"nodes": np.unique(votes.source)}).df().set_index(["locale", "source"])
        return cls(mined, votes, solved.scores, solved.stay(), commonest, surfaces, tells, failed)


@dataclass(frozen=True, slots=True)
class GlobalRules:
    """The rules for everybody, and the data on which they were decided.

    Attributes:
        pairs: every source with every goal that a vote was cast for.
        priors: fitted on the whole log.
        rules: the rules under consideration with their verdicts, columns of `tables.RULES` without those of stages.
    """

    pairs: Pairs
    priors: Priors
    rules: pd.DataFrame

    def launched(self) -> pd.DataFrame:
        """Return the rules that are launched."""
        return self.rules[self.rules["verdict"] == RuleVerdict.LAUNCHED]


@dataclass(frozen=True, slots=True)
class Proposals:
    """m rewrites under consideration in one scope. Within a group the best target comes first.

    Attributes:
        scope: ``global``, ``personal`` or ``context``.
        pairs: the votes of the scope.
        near: (len(pairs), 2) text and sound similarity of the two ends of each pair.
        rows: (m,) the pair that each proposal rests on.
        group: (m,) number of the group: a source, a source of one user, or a source in one context value. At most one rule of
            a group is launched.
        source, target: (m,) nodes.
        text: (m,) utterance that would be sent; empty if there is none.
        user_id: (m,) keyed hash of the user, or empty for all.
        context_value: (m,) where the rule holds, or empty for all.
        score, stay: (m,) how often requests end well at the target, and how often they do as spoken: S_ij and S_ii, or shares
            of turns.
        stays: (m,) whether leaving the request alone is better.
        own: (m,) whether the user's own turns are enough evidence to change the meaning; None if the votes are of several users.
        understood, acts: (m,) or one figure for all: P(the text is understood as the target), P(the assistant acts on it).
    """

    scope: str
    pairs: Pairs
    near: Floats
    rows: Ints
    group: Ints
    source: Ints
    target: Ints
    text: npt.NDArray[np.object_]
    user_id: npt.NDArray[np.object_] | str
    context_value: npt.NDArray[np.object_] | str
    score: Floats
    stay: Floats
    stays: Bools
    understood: Floats | float
    acts: Floats | float
    own: Bools | None = None

    def frame(self, names: pd.DataFrame) -> pd.DataFrame:
        """Return the proposals as columns of `tables.RULES`, without the figures and verdicts that `assess` adds.

        Args:
            names: locale and state of the nodes, indexed by node.
        """
        pairs, rows = self.pairs, self.rows
        return pd.DataFrame(
            {
                "scope": self.scope,
                "user_id": self.user_id,
                "context_value": self.context_value,
                "locale": names["locale"].reindex(self.source).to_numpy(),
                "source": names["state"].reindex(self.source).to_numpy(),
                "target": self.text,
                "state": names["state"].reindex(self.target).to_numpy(),
                "users": pairs.users[rows],
                "turns": pairs.turns[rows],
                "first_day": pairs.first_day[rows],
                "last_day": pairs.last_day[rows],
                "score": self.score,
                "stay": self.stay,
                "similarity": self.near[rows, 0],
            }
        )


def assess(
    proposals: Proposals,
    names: pd.DataFrame,
    refusals: Sequence[tuple[Bools, RuleVerdict]],
    inputs: LaunchInputs,
    priors: Priors,
    guard: Guard,
    config: Launch,
    *,
    launched: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Give a verdict on each proposal.

    A proposal is refused for the first of these grounds that holds: a ground of the scope; another target of the group is better;
    leaving the request alone is better; a rule for everybody does the same; the target equals the source; the gain is unsure;
    the guardrail forbids it. Of the remaining proposals the largest set that keeps the budget of losses is launched.

    Args:
        proposals: m of them.
        names: locale and state of the nodes, indexed by node.
        refusals: grounds of the scope, which come first: an array (m,) of where the ground holds, and its verdict.
        inputs: the data on which all rules are decided.
        priors: fitted on the whole log.
        guard: the guardrail.
        config: `min_users`, `min_p_gain` and `max_loss_share`.
        launched: launched rules for everybody; None while these rules themselves are assessed.

    Returns:
        Columns of `tables.RULES` without those of stages, one row for each proposal, in their order.
    """
    frame, m = proposals.frame(names), len(proposals.rows)
    beliefs = believe(priors, proposals.pairs, proposals.near, proposals.rows)
    surroundings = Surroundings(
        honest=_honest(inputs, frame, beliefs.p_fails()),
        understood=np.broadcast_to(proposals.understood, m).astype(np.float64),
        acts=np.broadcast_to(proposals.acts, m).astype(np.float64),
    )
    win, loss = expected(beliefs, surroundings)
    verdict, detail = np.full(m, "", dtype=object), np.full(m, "", dtype=object)

    def refuse(where: npt.ArrayLike, why: RuleVerdict) -> None:
        open_ = np.asarray(where, dtype=bool) & (verdict == "")
        verdict[open_] = why
        detail[open_] = str(config.min_users) if why in _NEEDS_USERS else ""

    for where, why in refusals:
        refuse(where, why)
    refuse(_outranked(proposals.group, verdict == ""), RuleVerdict.OUTRANKED)
    refuse(proposals.stays, RuleVerdict.STAYING_BETTER)
    if launched is not None:
        refuse(_does_the_same(frame, launched), RuleVerdict.SAME_AS_GLOBAL)
    refuse(frame["source"] == frame["target"], RuleVerdict.SAME_TEXT)
    evidence = (
        [EvidenceSource.VOTES] * m
        if proposals.own is None
        else [EvidenceSource.OWN if own else EvidenceSource.ONE_TURN for own in proposals.own]
    )
    left, gain = np.flatnonzero(verdict == ""), np.full(m, np.nan)
    gain[left] = p_gain(beliefs.take(left), surroundings.take(left))
    refuse(gain < config.min_p_gain, RuleVerdict.GAIN_UNSURE)
    for i in np.flatnonzero(verdict == ""):
        row = frame.iloc[i]
        if found := guard(row["locale"], row["source"], row["target"], evidence[i]):
            verdict[i], detail[i] = RuleVerdict.GUARDRAIL, found
    left = np.flatnonzero(verdict == "")
    traffic = proposals.pairs.traffic[proposals.rows[left]]
    kept = within_budget(traffic, win[left], loss[left], config.max_loss_share)
    verdict[left] = np.where(kept, RuleVerdict.LAUNCHED, RuleVerdict.OVER_BUDGET)
    figures = {"p_goal": beliefs.p_goal(), "p_gain": gain, "win": win, "loss": loss}
    return frame.assign(rule=ids(frame), **figures, verdict=verdict, detail=detail)


def ids(rules: pd.DataFrame) -> list[str]:
    """Return the id of each rule."""
    parts = (rules[name].to_numpy(dtype=object) for name in ("user_id", "context_value", "locale", "source", "target"))
    return [rule_id(user or context, *texts) for user, context, *texts in zip(*parts, strict=True)]  # one of the two is empty


def rule_id(owner: str, locale: str, source: str, target: str) -> str:
    """Return the id of a rule, which is the same in every run: 12 hex digits of BLAKE2b over its parts.

    Args:
        owner: keyed hash of the user of a personal rule, the context value of a rule for a context, or empty.
        locale: BCP 47.
        source: normalised text that is rewritten.
        target: text that is sent.

    Example:
        >>> rule_id("", "en", "turn of the lamp", "turn off the lamp")
        'e89ad101c55a'
    """
    return hashlib.blake2b("\0".join((owner, locale, source, target)).encode(), digest_size=6).hexdigest()


def nearness(names: pd.DataFrame, source: Ints, text: npt.NDArray[np.object_]) -> Floats:
    """Return text and sound similarity of each source to a text, (m, 2), 0..1.

    Args:
        names: locale and state of the nodes, indexed by node.
        source: (m,) nodes.
        text: (m,) the text with which each source is compared.
    """
    texts, locales = names["state"].reindex(source).to_numpy(), names["locale"].reindex(source).to_numpy()
    sound = np.zeros(len(source))
    for locale in np.unique(locales.astype(str)):
        of = np.flatnonzero(locales == locale)
        sound[of] = sound_similarity(texts[of].tolist(), text[of].tolist(), locale)
    return np.column_stack([text_similarity(texts.tolist(), text.tolist()), sound])


def values_at(matrix: sparse.csr_array, row: Ints, column: Ints) -> Floats:
    """Return the values at (row, column), 0 where nothing is stored."""
    return np.asarray(matrix[row, column], dtype=np.float64).reshape(-1) if len(row) else np.zeros(0)


def guard_of(queries: Path, nodes: Path, min_users: int, guardrails: Guardrails) -> Guard:
    """Return a function (`Guard`) that applies the guardrail with the words and names that the assistant of this log knows.

    A word is known if an utterance of `min_users` users holds it and was understood. A name is the value of a slot of such an
    utterance.
    """
    words: dict[str, set[str]] = defaultdict(set)
    names: dict[str, set[str]] = defaultdict(set)
    with connect(queries=queries, nodes=nodes) as con:
        for locale, word in con.execute(_WORDS, [min_users]).fetchall():
            words[locale].add(word)
        for locale, state in con.execute(_STATES, [min_users]).fetchall():
            names[locale].update(normalise(value, locale) for value in slots_of(state).values())
    known = {locale: frozenset(values) for locale, values in names.items()}

    def guard(locale: str, source: str, target: str, evidence: EvidenceSource) -> str | None:
        guardrail = guardrails.of(locale)
        finding = guardrail.verdict(
            source,
            target,
            names=known.get(locale, frozenset()),
            knows=words[locale].__contains__,
            personal=evidence is EvidenceSource.OWN,
        )
        if finding is None and evidence is EvidenceSource.ONE_TURN:
            finding = guardrail.crosses(source, target)
        return finding and finding.packed()

    return guard


def _outranked(group: Ints, open_: Bools) -> Bools:
    """Mark all but the first open proposal of each group, (m,)."""
    later, place = open_.copy(), np.flatnonzero(open_)
    _, first = np.unique(group[place], return_index=True)
    later[place[first]] = False
    return later


def _does_the_same(frame: pd.DataFrame, launched: pd.DataFrame) -> Bools:
    """Mark the proposals for which a launched rule for everybody already does the same, (m,)."""
    key = ["locale", "source", "target"]
    return np.asarray(pd.MultiIndex.from_frame(frame[key]).isin(pd.MultiIndex.from_frame(launched[key])), dtype=bool)


def _honest(inputs: LaunchInputs, frame: pd.DataFrame, p_fails: Floats) -> Floats:
    """Return P(the assistant says that it failed | the source fails), (m,). It is 1, the careful choice, without a status."""
    if not inputs.tells:
        return np.ones(len(frame))
    found = inputs.failed.reindex(pd.MultiIndex.from_frame(frame[["locale", "source"]]))
    share = (found["failed"] / found["turns"]).fillna(1.0).to_numpy(dtype=np.float64)
    return np.asarray(np.minimum(1.0, share / np.maximum(p_fails, 1e-9)), dtype=np.float64)
