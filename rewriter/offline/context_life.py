"""Rules for the context that do not keep what they promised are withdrawn.

Nothing of such a rule is left alone for comparison, so a drop retires it, as it does a rule for everybody where no arms are drawn
(`offline.life`): the same test, on the trials of that very rule. Elsewhere its source is answered as before.
"""

import numpy as np
import pandas as pd

from rewriter.config import Config
from rewriter.offline import life, lives, mine, trials
from rewriter.offline.decide import LAUNCHED
from rewriter.offline.mine import Mined

_REMEMBERED = 90  # days; a rule that was withdrawn may be tried again when nothing younger speaks against it


def withdraw(rules: pd.DataFrame, mined: Mined, config: Config) -> pd.DataFrame:
    """Refuse launched rules for the context whose own rewrites went wrong more often than was promised.

    Args:
        rules: columns of `tables.CONTEXT_RULES`.
        mined: its counts are read.
        config: sections launch and loop.

    Returns:
        The rules, the verdicts of some changed.
    """
    launched = rules[rules["verdict"] == LAUNCHED]
    keys = lives.numbered(launched.assign(user_id=""), mined)
    seen = trials.read(mined.counts, mined.row_days, mined.ages, keys["said"].to_numpy())
    place = {rule: n for n, rule in enumerate(launched["rule"])}
    young = seen.day > mine.last_day(mined) - _REMEMBERED
    seen = seen.take(np.flatnonzero(young & (seen.arm == 1) & np.isin(seen.rule, list(place))))
    if not len(seen):
        return rules
    whose = np.array([place[rule] for rule in seen.rule.tolist()], dtype=np.int64)
    m, promised = len(launched), launched["win"].to_numpy(dtype=np.float64)
    liars = np.full(m, config.launch.min_users - 1)
    since = np.zeros(m, dtype=np.int64)
    evidence = life.weigh(seen, whose, keys["sent"].to_numpy(), since, promised, liars=liars, config=config.loop)
    judged = life.judge(np.full(m, "live", dtype=object), np.full(m, True), evidence, config.loop)
    why = pd.Series(judged["why"].to_numpy(), index=launched.index)
    gone = why[(judged["life"] == "retired").to_numpy()]
    verdict = rules["verdict"].copy()
    verdict[gone.index] = lives.RETIRED + gone
    return rules.assign(verdict=verdict)
