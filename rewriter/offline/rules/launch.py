"""Decides which rules are launched: for everybody, for single users and, through `context`, for single context values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from rewriter.arrays import Floats, Ints
from rewriter.codes import RuleVerdict
from rewriter.config import Config, Launch
from rewriter.guardrail import Guardrails
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.model.context_rules import ContextRules
from rewriter.model.rules import Rule, save_suggested, write_rules
from rewriter.offline.mining.pipeline import Mined
from rewriter.offline.rules import exceptions, surface, votes
from rewriter.offline.rules.assess import GlobalRules, Guard, LaunchInputs, Proposals, assess, guard_of, nearness, values_at
from rewriter.offline.rules.chain import Absorption
from rewriter.offline.rules.exceptions import ContextDecision
from rewriter.offline.rules.priors import Priors, fit_priors
from rewriter.offline.rules.votes import Pairs, Votes
from rewriter.tables import RULES, write_table

_LEAST_VOTES = 1.0
"""Votes that a rule for everybody needs. The detector's probabilities must add up to one whole rephrase."""
_OWN_SHARE = 0.7
"""n rephrases of a user give at least this share of n votes. Even a sure rephrase counts for a little less than one vote."""
_TURNS_TO_CHANGE = 3
"""Turns of the user's own that a rule needs if it changes the meaning ("on" to "off"). One turn may be a change of mind."""
_CONTRARY = 0.5
"""In turns. If the user's own turns that ended well in another way add up to less, nothing contradicts the rule."""


@dataclass(frozen=True, slots=True)
class LaunchDecision:
    """The rules of a day, before stages are assigned to them.

    Attributes:
        inputs: the data on which they were decided.
        in_context: the rules for everybody, and those for single context values.
        rules: these and the rules for single users, with their verdicts; columns of `tables.RULES` without those of stages.
        guardrails: with the contrasts of the log.
    """

    inputs: LaunchInputs
    in_context: ContextDecision
    rules: pd.DataFrame
    guardrails: Guardrails


def decide(
    mined: Mined, solved: Absorption, config: Config, priors: Priors | None, contrasts: Mapping[str, WordContrasts]
) -> LaunchDecision:
    """Decide on the rules for everybody, for single context values, and for single users.

    Args:
        mined: the mined tables.
        solved: the solved chain.
        config: its sections launch and guardrail, and its seed.
        priors: the priors of the log that were fitted in an earlier run; None to fit them now.
        contrasts: what the log shows about words, by locale.
    """
    settings, seed = config.launch, config.seed
    inputs = LaunchInputs.of(mined, votes.read(mined, solved.scores, solved.absorbed), solved, settings)
    guardrails = Guardrails(config.guardrail, contrasts)
    guard = guard_of(mined.queries, mined.nodes, settings.min_users, guardrails)
    global_rules = everybody(inputs, guard, settings, seed, priors)
    in_context = exceptions.settle(inputs, solved.absorbed, global_rules, guard, config)
    rules = [in_context.global_rules.rules, in_context.rules]
    if settings.personal:
        personal = one_user(inputs, in_context.global_rules, guard, settings)
        rules.append(exceptions.explained(in_context, personal, mined))
    return LaunchDecision(inputs, in_context, pd.concat(rules, ignore_index=True), guardrails)


def everybody(inputs: LaunchInputs, guard: Guard, config: Launch, seed: int, priors: Priors | None = None) -> GlobalRules:
    """Decide on the rules that serve everybody. Source, target and the step between them need `min_users` users each.

    Args:
        inputs: the data on which all rules are decided.
        guard: the guardrail.
        config: settings.
        seed: of what is drawn for the priors.
        priors: the priors of the log that were fitted in an earlier run; None to fit them now.
    """
    pairs, k = votes.gather(inputs.votes, config.min_users - 1), config.min_users
    names = surface.states(inputs.mined.nodes, np.concatenate([pairs.source, pairs.target]))
    near = nearness(names, pairs.source, inputs.commonest.text[pairs.target])
    if priors is None:
        source, goal = votes.strays(pairs, seed=seed)
        priors = fit_priors(pairs, near, nearness(names, source, inputs.commonest.text[goal]), seed=seed)

    score = values_at(inputs.scores, pairs.source, pairs.target)
    rows = _best(pairs, score, config.rivals, k)
    source, target = pairs.source[rows], pairs.target[rows]
    proposals = Proposals(
        scope="global",
        pairs=pairs,
        near=near,
        rows=rows,
        group=source,
        source=source,
        target=target,
        text=inputs.surfaces.text[target],
        user_id="",
        context_value="",
        score=score[rows],
        stay=inputs.stay[source],
        stays=pairs.ok[rows] >= pairs.votes[rows],
        understood=inputs.surfaces.understood[target],
        acts=inputs.surfaces.acts[target],
    )
    refusals = [
        (pairs.said_by[rows] < k, RuleVerdict.FEW_SAY_SOURCE),
        (pairs.users[rows] < k, RuleVerdict.FEW_MEAN_TARGET),
        (pairs.votes[rows] < _LEAST_VOTES, RuleVerdict.GOAL_UNSURE),
        (proposals.text == "", RuleVerdict.NO_SURFACE),
    ]
    return GlobalRules(pairs, priors, assess(proposals, names, refusals, inputs, priors, guard, config))


def one_user(inputs: LaunchInputs, global_rules: GlobalRules, guard: Guard, config: Launch) -> pd.DataFrame:
    """Decide on the rules for single users, by their own rephrases and everybody's votes on the same source.

    Args:
        inputs: the data on which all rules are decided.
        global_rules: the rules for everybody.
        guard: the guardrail.
        config: settings.
    """
    user_votes, least = inputs.votes, _OWN_SHARE * config.personal_turns
    entries, pairs = votes.of_users(user_votes, global_rules.pairs, least, config.min_users - 1)
    names = surface.states(inputs.mined.nodes, np.concatenate([user_votes.source[entries], pairs.target]))
    own_turns = values_at(user_votes.goals, entries, pairs.target)
    rows = np.flatnonzero((own_turns >= least) & (user_votes.source[entries] != pairs.target))
    rows = rows[np.lexsort((-pairs.votes[rows], entries[rows]))]  # the best target of each user first
    row, target = entries[rows], pairs.target[rows]
    turns = np.maximum(user_votes.turns[row], votes.TINY)
    proposals = Proposals(
        scope="personal",
        pairs=pairs,
        near=nearness(names, user_votes.source[entries], inputs.commonest.text[pairs.target]),
        rows=rows,
        group=row,
        source=user_votes.source[row],
        target=target,
        text=surface.of_users(inputs.mined.counts, inputs.mined.texts, user_votes.user[row], target),
        user_id=surface.hashes(inputs.mined.users, user_votes.user[row]),
        context_value="",
        score=own_turns[rows] / turns,
        stay=user_votes.success[row] / turns,
        stays=user_votes.success[row] >= own_turns[rows],
        understood=1.0,
        acts=1.0,
        own=_may_change_meaning(user_votes, row, own_turns[rows]),
    )
    refusals = [(proposals.text == "", RuleVerdict.NO_OWN_SURFACE)]
    launched, priors = global_rules.launched(), global_rules.priors
    return assess(proposals, names, refusals, inputs, priors, guard, config, launched=launched)


def _may_change_meaning(user_votes: Votes, row: Ints, own_turns: Floats) -> npt.NDArray[np.bool_]:
    """Return whether a user's own turns are enough evidence to change the meaning, (m,).

    That takes three turns on two days, and no turn that contradicts them.

    Args:
        user_votes: rows of (source, user).
        row: (m,) of each proposal.
        own_turns: (m,) of the user that led to the target.
    """
    contrary = np.maximum(user_votes.resolved[row] - own_turns, 0.0) + user_votes.success[row]
    days = user_votes.last_day[row] > user_votes.first_day[row]
    return np.asarray((own_turns >= _OWN_SHARE * _TURNS_TO_CHANGE) & days & (contrary < _CONTRARY), dtype=bool)


def write_served(rules: pd.DataFrame, folder: Path, suggest_loss_share: float = 0.0) -> tuple[pd.DataFrame, int]:
    """Write the rules that serve, and those that are suggested, into the folder of a version.

    Args:
        rules: columns of `tables.RULES`.
        folder: of the version.
        suggest_loss_share: share of losses up to which a rule for everybody that is over the budget is suggested.

    Returns:
        The launched rules for everybody and for single users, and the number of those for a context value.
    """
    launched = rules[(rules["verdict"] == RuleVerdict.LAUNCHED) & rules["scope"].isin(["global", "personal"])]
    in_context = exceptions.serving(rules)
    columns = (launched[name] for name in ("rule", "user_id", "locale", "source", "target", "win", "share"))
    write_rules(folder / "rules", (Rule(*row) for row in zip(*columns, strict=True)))
    save_suggested(folder / "rules", _suggested(rules, launched, suggest_loss_share))
    ContextRules(in_context).save(folder / "rules")
    write(launched[launched["scope"] == "global"], folder / "rules.parquet")
    return launched, len(in_context)


def _suggested(rules: pd.DataFrame, launched: pd.DataFrame, loss_share: float) -> list[Rule]:
    """Return the rules for everybody that are only over the budget, have a small loss share of their own, and no rival rule."""
    over = rules[(rules["verdict"] == RuleVerdict.OVER_BUDGET) & (rules["scope"] == "global")]
    over = over[over["loss"] <= loss_share * (over["win"] + over["loss"])]
    served = launched[launched["scope"] == "global"]
    key = ["locale", "source"]
    over = over[~pd.MultiIndex.from_frame(over[key]).isin(pd.MultiIndex.from_frame(served[key]))]
    columns = (over[name] for name in ("rule", "locale", "source", "target", "win"))
    return [
        Rule(rule, "", locale, source, target, float(win)) for rule, locale, source, target, win in zip(*columns, strict=True)
    ]


def write(rules: pd.DataFrame, path: Path) -> None:
    """Write rules as Parquet of `tables.RULES`."""
    write_table(RULES, rules, "user_id, context_value, locale, source, score DESC, target", path)


def _best(pairs: Pairs, score: Floats, rivals: int, min_users: int) -> Ints:
    """Return the pairs of the `rivals` best goals of each source. The source itself is left out.

    Goals of `min_users` users come first, then the best by S_ij, so that goals of a few accounts do not displace others.
    """
    order = np.lexsort((pairs.target, -score, pairs.users < min_users, pairs.source))
    order = order[(pairs.source != pairs.target)[order]]
    source = pairs.source[order]
    best: Ints = order[np.arange(len(order)) - np.searchsorted(source, source) < rivals]
    return best
