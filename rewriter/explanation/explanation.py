"""`Explanation`: why a text is rewritten, or why not, in sentences and tables."""

from dataclasses import dataclass
from datetime import date

from rewriter.online.request import Considered
from rewriter.result import Rewrite


@dataclass(frozen=True, slots=True)
class Said:
    """What the log knows of a source: in how many turns, by how many users, how often it went well (turns, may be fractions)."""

    locale: str
    turns: int
    users: int
    success: float
    failure: float


@dataclass(frozen=True, slots=True)
class Rival:
    """A rule under consideration: the columns of `tables.RULES` that people ask for; `verdict` says why it was refused."""

    scope: str
    locale: str
    target: str
    state: str
    users: int
    turns: float
    first_day: int
    last_day: int
    score: float
    stay: float
    p_goal: float
    p_gain: float | None
    win: float
    loss: float
    similarity: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Here:
    """A rule under consideration for a context value: the columns of `tables.RULES` that people ask for."""

    context_value: str
    target: str
    state: str
    users: int
    turns: float
    score: float
    stay: float
    p_goal: float
    win: float
    loss: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text is rewritten, or why not.

    Attributes:
        source: the text, normalised.
        rewrite: what `Rewriter.rewrite` answers.
        said: what the log knows of the source, by locale.
        rivals: the rules that were considered, personal ones first, best first.
        here: the rules that were considered for a context value of the context, the best of each, for the ten commonest ones.
        candidates: what the online layer considered, the likeliest first; empty where a rule answers.
        state: whether the private state was there; without it rules cannot be told.
    """

    source: str
    rewrite: Rewrite
    said: tuple[Said, ...]
    rivals: tuple[Rival, ...]
    here: tuple[Here, ...]
    candidates: tuple[Considered, ...]
    state: bool

    def sentences(self) -> list[str]:
        """Return the decision and what the log knows of the source, a sentence each."""
        answer = self.rewrite
        told = [
            f"{self.source!r} is rewritten to {answer.text!r} ({_by(answer)}, P(success) {answer.score:.2f})"
            if answer.applied
            else f"{self.source!r} is left alone: {answer.reason}"
        ]
        if answer.reason == "ambiguity":
            meanings = "; ".join(f"{c.text!r} {c.p_success:.2f}" for c in answer.candidates)
            told.append(f"people mean different things by it; weighed by this user's habits: {meanings}")
        told += [
            f"in the log ({s.locale}): {s.turns} turns of {s.users} users; {s.success:.1f} ended well as spoken, {s.failure:.1f} "
            "failed, the rest was said again"
            for s in self.said
        ]
        if self.rivals:
            best = self.rivals[0]
            sure = "" if best.p_gain is None else f"; P(gain) of the best target {best.p_gain:.3f}"
            days = f"{_day(best.first_day)} to {_day(best.last_day)}"
            told.append(f"heard from {days}; leaving it alone scores S_ii = {best.stay:.2f}{sure}")
        if not self.state:
            told.append("the private state is not here: of rules only the decision can be told")
        elif not self.said:
            told.append("the log never heard this text")
        elif not self.rivals:
            told.append("nobody ever restated it")
        return told

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rules that were considered as rows of a table with `COLUMNS`."""
        return [
            (
                r.target or r.state,
                "you" if r.scope == "personal" else f"{r.users}",
                *(f"{x:.2f}" for x in (r.score, r.p_goal, r.win, r.loss)),
                r.verdict,
            )
            for r in self.rivals
        ]

    def context_rows(self) -> list[tuple[str, ...]]:
        """Return the rules for the context as rows of a table with `CONTEXT_COLUMNS`."""
        return [
            (h.context_value, h.target or h.state, f"{h.users}", *(f"{x:.2f}" for x in (h.score, h.p_goal)), h.verdict)
            for h in self.here
        ]

    def candidate_rows(self) -> list[tuple[str, ...]]:
        """Return the candidates of the online layer as rows of a table with `CANDIDATE_COLUMNS`."""
        return [
            (f"{n}", c.text, "you" if c.scope == "personal" else "all", f"{c.meant:.2f}", f"{c.score:.2f}", c.verdict)
            for n, c in enumerate(self.candidates, start=1)
        ]

    def feature_rows(self) -> list[tuple[str, ...]]:
        """Return what was measured of the likeliest candidates, a row for each column that the ranker heeds."""
        first = self.candidates[:SHOWN]
        weights = first[0].weights if first else {}
        return [
            (name, f"{weight:+.2f}", *(f"{c.features[name]:.2f}" for c in first))
            for name, weight in sorted(weights.items(), key=lambda of: -abs(of[1]))
            if weight
        ]


SHOWN = 3
"""Candidates of which the features are shown."""
CANDIDATE_COLUMNS = ("#", "candidate", "of", "P(meant)", "score", "verdict")
CONTEXT_COLUMNS = ("where", "target", "users", "S_ij", "P(goal)", "verdict")
COLUMNS = ("target", "users", "S_ij", "P(goal)", "win", "loss", "verdict")
FIGURES = COLUMNS[1:6]


def _by(answer: Rewrite) -> str:
    return f"online, {answer.scope}" if answer.layer == "online" else f"{answer.scope} rule {answer.rule}"


def _day(days: int) -> str:
    """Return a day number as an ISO date."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + days).isoformat()
