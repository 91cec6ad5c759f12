"""Why a text is rewritten, or why not: the decision, the evidence in the log, the rules and the candidates considered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import networkx as nx
from matplotlib.figure import Figure

from rewriter.artefact.versions import NO_LOG, Version, load_current
from rewriter.codes import Layer
from rewriter.config import Config
from rewriter.engines import connect
from rewriter.errors import ArtefactError, ConfigError, RequestError, running
from rewriter.guardrail.contrasts import Counts, open_contrasts
from rewriter.messages import candidate_standing, contrasted, rule_verdict
from rewriter.model.layer_slices import SLICES
from rewriter.model.spellings import Mend
from rewriter.offline.rules import chain
from rewriter.online.catalog_layer import CATALOG_RULES
from rewriter.online.request import Considered, LayerRequest, hashed_user, shown
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import Serving, lookup_order, open_online_layer
from rewriter.operate import drawing
from rewriter.operate.drawing import rephrase_graph
from rewriter.result import Rewrite
from rewriter.tables import RULES
from rewriter.text import normalise, unspaced

SHOWN = 3
"""Number of candidates whose features are shown."""
CANDIDATE_COLUMNS = ("#", "candidate", "of", "P(meant)", "score", "verdict")
CONTEXT_COLUMNS = ("where", "target", "users", "S_ij", "P(goal)", "verdict")
COLUMNS = ("target", "users", "S_ij", "P(goal)", "P(win)", "P(loss)", "verdict")
FIGURES = COLUMNS[1:6]

_COUNTS = """
SELECT locale, turns, users, success / 1000, failure / 1000 FROM nodes WHERE kind = 'u' AND state = ? ORDER BY turns DESC
"""
_NODE = """
SELECT node FROM nodes WHERE kind = 'u' AND state = ? AND (locale = ? OR ? IS NULL) ORDER BY turns DESC, node LIMIT 1
"""
_RIVALS = """
SELECT {columns} FROM rules WHERE source = ? AND context_value = '' AND user_id IN ('', ?)
ORDER BY scope DESC, locale, score DESC, target
"""

_FOR_CONTEXTS = """
SELECT {columns} FROM rules WHERE source = ? AND context_value <> ''
QUALIFY ROW_NUMBER() OVER (PARTITION BY context_value ORDER BY score DESC, target) = 1 ORDER BY turns DESC, context_value LIMIT 10
"""


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Counts of a source in the log: turns, users, and the turns that succeeded and failed (weights, so not whole numbers)."""

    locale: str
    turns: int
    users: int
    success: float
    failure: float


@dataclass(frozen=True, slots=True)
class Rival:
    """A rule that was considered: the main columns of `tables.RULES`; `verdict` is the reason of a refusal."""

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
    detail: str


@dataclass(frozen=True, slots=True)
class ContextRival:
    """A rule that was considered for a context value: the main columns of `tables.RULES`."""

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
    detail: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text is rewritten, or why not.

    Attributes:
        source: the text, normalised.
        rewrite: the answer of `Rewriter.rewrite`.
        counts: counts of the source in the log, by locale.
        rivals: the rules that were considered, personal ones first, best first.
        context_rivals: the best rule that was considered for each context value, for the ten commonest values.
        candidates: candidates of the online layer, the likeliest first; empty if a rule answers.
        state: whether the private state is there; without it no rules can be shown.
        learned: whether the artefact was learned from a log; else it was made of a catalog alone, and there are no rules.
        mend: the spelling that works, where this one fails; None if nothing speaks for one.
        words: what the texts of the log or catalog show about words of the source: pairs with their counts, the commonest first.
    """

    source: str
    rewrite: Rewrite
    counts: tuple[SourceCounts, ...]
    rivals: tuple[Rival, ...]
    context_rivals: tuple[ContextRival, ...]
    candidates: tuple[Considered, ...]
    state: bool
    words: tuple[tuple[str, str, Counts], ...] = ()
    mend: Mend | None = None
    learned: bool = True

    def sentences(self) -> list[str]:
        """Return the decision and the counts of the source, one sentence each."""
        answer = self.rewrite
        asked = answer.source if answer.layer == Layer.SPELLING else self.source
        lines = [
            f"{asked!r} is rewritten to {answer.text!r} ({_by(answer)}, P(success) {answer.score:.2f})"
            if answer.applied
            else f"{self.source!r} is left alone: {answer.reason}. {answer.reason.meaning}"
        ]
        if answer.reason == "ambiguity":
            meanings = "; ".join(f"{c.text!r} {c.p_success:.2f}" for c in answer.candidates)
            lines.append(f"users mean different things by it; probabilities with the habits of this user: {meanings}")
        lines += [
            f"in the log ({s.locale}): {s.turns} turns of {s.users} users; {s.success:.1f} succeeded as spoken, {s.failure:.1f} "
            "failed, the rest was said again"
            for s in self.counts
        ]
        if self.mend is not None and self.mend.users:
            mend, when = self.mend, "" if self.mend.before else ", only after a refusal"
            lines.append(
                f"spelled {mend.spoken!r} it was said in {mend.turns} turns of {mend.users} users, and {mend.sent!r} works more "
                f"often{when}: expected wins {mend.win:.2f}, losses {mend.loss:.2f} per request"
            )
        if self.rivals:
            best = self.rivals[0]
            sure = "" if best.p_gain is None else f"; P(gain) of the best target {best.p_gain:.3f}"
            days = f"{_day(best.first_day)} to {_day(best.last_day)}"
            lines.append(f"in the log from {days}; the score of leaving it alone is S_ii = {best.stay:.2f}{sure}")
        lines += [contrasted(one, other, counts.changes, counts.keeps) for one, other, counts in self.words]
        if not self.learned:
            lines.append("the artefact was made of a catalog alone: there are no counts of a log, and no rules")
        elif not self.state:
            lines.append("the private state is missing, so only the decision can be shown")
        elif not self.counts:
            lines.append("the log does not contain this text")
        elif not self.rivals:
            lines.append("no user restated it")
        return [unspaced(line) for line in lines]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rules that were considered as rows of a table with `COLUMNS`."""
        return [
            (
                r.target or r.state,
                "you" if r.scope == "personal" else f"{r.users}",
                *(f"{x:.2f}" for x in (r.score, r.p_goal, r.win, r.loss)),
                rule_verdict(r.verdict, r.detail),
            )
            for r in self.rivals
        ]

    def context_rows(self) -> list[tuple[str, ...]]:
        """Return the rules for the context as rows of a table with `CONTEXT_COLUMNS`."""
        return [
            (
                h.context_value,
                h.target or h.state,
                f"{h.users}",
                *(f"{x:.2f}" for x in (h.score, h.p_goal)),
                rule_verdict(h.verdict, h.detail),
            )
            for h in self.context_rivals
        ]

    def candidate_rows(self) -> list[tuple[str, ...]]:
        """Return the candidates of the online layer as rows of a table with `CANDIDATE_COLUMNS`."""
        return [
            (f"{n}", c.text, "you" if c.scope == "personal" else "all", f"{c.meant:.2f}", f"{c.score:.2f}", _said(c))
            for n, c in enumerate(self.candidates, start=1)
        ]

    def feature_rows(self) -> list[tuple[str, ...]]:
        """Return the features of the likeliest candidates, a row for each feature with a weight in the ranker."""
        first = self.candidates[:SHOWN]
        weights = first[0].weights if first else {}
        return [
            (name, f"{weight:+.2f}", *(f"{c.features[name]:.2f}" for c in first))
            for name, weight in sorted(weights.items(), key=lambda of: -abs(of[1]))
            if weight
        ]


def _said(c: Considered) -> str:
    return candidate_standing(c.standing, c.threshold, c.detail)


def _by(answer: Rewrite) -> str:
    if answer.reason == "spelling":
        return f"the same words in the spelling that works, {answer.rule}"
    if answer.reason == "lesson":
        return f"a lesson of this {'household' if answer.scope == 'household' else 'user'}"
    return f"online, {answer.scope}" if answer.layer == "online" else f"{answer.scope} rule {answer.rule}"


def _day(days: int) -> str:
    """Return a day number as an ISO date."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + days).isoformat()


@running("explaining")
def explain(
    root: str | Path,
    text: str,
    *,
    user_id: str | int | None = None,
    locale: str | None = None,
    context: Mapping[str, Any] | None = None,
    after_failure: bool = False,
) -> Explanation:
    """Explain the answer of an artefact to a text.

    Args:
        root: the artefact folder.
        text: the request.
        user_id: the user, whose personal rules are shown too.
        locale: BCP 47; None for the commonest of the artefact.
        context: as for `Rewriter.rewrite`.
        after_failure: whether the NLU has already refused the text.

    Raises:
        ArtefactError: the artefact is missing or damaged.
        RequestError: the text is no text, or the user id is none.
    """
    if not isinstance(text, str):
        raise RequestError(f"text is one request, such as 'turn of the lamp', not {shown(text)}")
    version = load_current(root, lambda found: found)
    rewriter = Rewriter.open(root)
    answer = rewriter.rewrite(text, user_id=user_id, locale=locale, context=context, after_failure=after_failure)
    user, serving = hashed_user(user_id, bytes.fromhex(version.manifest.user_key)), Serving.load(version)
    if not locale and (said_so := normalise(text, serving.locale_of(None))):
        locale = serving.detect(said_so, user)
    source = normalise(text, serving.locale_of(locale))
    mend = serving.mend(text, source, locale, user) if source else None
    asked = source and answer.rule in (None, *CATALOG_RULES.values(), *SLICES)
    candidates = _considered(version, source, user, locale, after_failure) if asked else ()
    words = _words(version, source, locale)
    if not (version.state / "rules.parquet").exists():
        there = version.state.is_dir()
        return Explanation(source, answer, (), (), (), candidates, state=there, words=words, mend=mend, learned=version.learned)
    names = [name for name in Rival.__dataclass_fields__ if name in RULES.names]
    with connect(**{table: version.state / f"{table}.parquet" for table in ("rules", "nodes")}) as con:
        said = [SourceCounts(*row) for row in con.execute(_COUNTS, [source]).fetchall()]
        rivals = con.execute(_RIVALS.format(columns=", ".join(names)), [source, user]).fetchall()
        here = con.execute(_FOR_CONTEXTS.format(columns=", ".join(ContextRival.__dataclass_fields__)), [source]).fetchall()
    return Explanation(
        source,
        answer,
        tuple(said),
        tuple(Rival(*row) for row in rivals),
        tuple(ContextRival(*row) for row in here),
        candidates,
        state=True,
        words=words,
        mend=mend,
    )


def _considered(version: Version, source: str, user: str, locale: str | None, after_failure: bool) -> tuple[Considered, ...]:
    """Return the candidates of the online layer."""
    online_layer = open_online_layer(version)
    if online_layer is None:
        return ()
    users = dict.fromkeys(online_layer.locales, 0) | dict(version.manifest.locales)
    place = next((known for known in lookup_order(locale, users) if known in online_layer.locales), None)
    return () if place is None else online_layer.consider(LayerRequest([source], place, user, after_failure))


def _words(version: Version, source: str, locale: str | None) -> tuple[tuple[str, str, Counts], ...]:
    """Return the commonest contrasts and synonyms of the words of a source."""
    known = open_contrasts(version.folder / "online")
    place = next((name for name in lookup_order(locale, version.manifest.locales) if name in known), None)
    return tuple(known[place].pairs(source.split())[:SHOWN]) if place is not None else ()


def graph(root: str | Path, text: str, *, locale: str | None = None) -> nx.DiGraph:
    """Return the rephrase graph around a text (`drawing.rephrase_graph`). Texts of few users are not named.

    Raises:
        ArtefactError: the artefact is missing or damaged, its private state is missing, or the log does not contain the text.
    """
    version = load_current(root, lambda found: found)
    config = Config.from_dict(dict(version.manifest.config))
    nodes, edges = version.state / "nodes.parquet", version.state / "edges.parquet"
    if not version.learned:
        raise ArtefactError(NO_LOG.format(root=root))
    if not nodes.exists():
        raise ArtefactError(f"{version.state} is missing: the graph needs the private state")
    source = normalise(text, Rewriter.open(root).locale_of(locale))
    with connect(nodes=nodes) as con:
        found = con.execute(_NODE, [source, locale, locale]).fetchone()
    if found is None:
        raise ArtefactError(f"the log of {root} does not contain {source!r}, so there is nothing to draw")
    solved = chain.solve(*chain.load(nodes, edges), config.chain)
    return rephrase_graph(nodes, edges, solved, found[0], min_users=config.launch.min_users)


def draw(root: str | Path, text: str, path: Path, *, locale: str | None = None) -> None:
    """Draw the rephrase graph around a text as SVG or PNG, by the ending of `path`.

    Raises:
        ArtefactError: as `graph`.
        ConfigError: the ending is neither .svg nor .png.
    """
    if path.suffix not in (".svg", ".png"):
        raise ConfigError(f"cannot draw {path}: name a .svg or .png file")
    around = graph(root, text, locale=locale)
    if path.suffix == ".svg":
        path.write_text(drawing.svg(around), encoding="utf-8")
        return
    figure = Figure(figsize=drawing.figsize(around), layout="constrained")
    drawing.draw(around, figure.add_subplot())
    figure.savefig(path)
