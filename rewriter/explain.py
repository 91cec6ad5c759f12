"""explain(): why a text is rewritten, or why not, from the artefact and the private state beside it."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import networkx as nx
from matplotlib.figure import Figure

from rewriter.artefact.versions import load_current
from rewriter.config import Config
from rewriter.errors import ArtefactError, ConfigError
from rewriter.model.users import hash_user
from rewriter.offline import chain, drawing
from rewriter.offline.graph import rephrase_graph
from rewriter.online.rewriter import Rewriter
from rewriter.result import Rewrite
from rewriter.tables import RULES, glob
from rewriter.text import normalise

_SAID = """
SELECT locale, turns, users, success / 1000, failure / 1000 FROM nodes WHERE kind = 'u' AND state = ? ORDER BY turns DESC
"""
_NODE = """
SELECT node FROM nodes WHERE kind = 'u' AND state = ? AND (locale = ? OR ? IS NULL) ORDER BY turns DESC, node LIMIT 1
"""
_RIVALS = "SELECT {columns} FROM rules WHERE source = ? AND user_id IN ('', ?) ORDER BY scope DESC, locale, score DESC, target"


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
class Explanation:
    """Why a text is rewritten, or why not.

    Attributes:
        source: the text, normalised.
        rewrite: what `Rewriter.rewrite` answers.
        said: what the log knows of the source, by locale.
        rivals: the rules that were considered, personal ones first, best first.
        state: whether the private state was there; without it only `rewrite` can be told.
    """

    source: str
    rewrite: Rewrite
    said: tuple[Said, ...]
    rivals: tuple[Rival, ...]
    state: bool

    def sentences(self) -> list[str]:
        """Return the decision and what the log knows of the source, a sentence each."""
        answer = self.rewrite
        told = [
            f"{self.source!r} is rewritten to {answer.text!r} ({answer.scope} rule {answer.rule}, P(success) {answer.score:.2f})"
            if answer.applied
            else f"{self.source!r} is left alone: {answer.reason}"
        ]
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
            told.append("the private state is not here: only the decision can be told")
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


COLUMNS = ("target", "users", "S_ij", "P(goal)", "win", "loss", "verdict")
FIGURES = COLUMNS[1:6]


def explain(root: str | Path, text: str, *, user_id: str | None = None, locale: str | None = None) -> Explanation:
    """Say why the artefact in `root` rewrites a text as it does.

    Args:
        root: the artefact folder.
        text: the request.
        user_id: whose personal rules are looked at too.
        locale: BCP 47; the commonest of the artefact if None.

    Raises:
        ArtefactError: the artefact is missing or damaged.
    """
    version = load_current(root, lambda found: found)
    rewrite = Rewriter.open(root).rewrite(text, user_id=user_id, locale=locale)
    source = normalise(text)
    if not (version.state / "rules.parquet").exists():
        return Explanation(source, rewrite, (), (), state=False)
    user = hash_user(user_id, bytes.fromhex(version.manifest.user_key)) if user_id else ""
    names = [name for name in Rival.__dataclass_fields__ if name in RULES.names]
    with duckdb.connect() as con:
        for table in ("rules", "nodes"):
            con.read_parquet(glob(version.state / f"{table}.parquet")).create_view(table)
        said = [Said(*row) for row in con.execute(_SAID, [source]).fetchall()]
        rivals = con.execute(_RIVALS.format(columns=", ".join(names)), [source, user]).fetchall()
    return Explanation(source, rewrite, tuple(said), tuple(Rival(*row) for row in rivals), state=True)


def graph(root: str | Path, text: str, *, locale: str | None = None) -> nx.DiGraph:
    """Return the rephrase graph around a text, see `offline.graph.rephrase_graph`; texts of few users are not named.

    Raises:
        ArtefactError: the artefact is missing or damaged, or its private state is not here, or the log never heard the text.
    """
    version = load_current(root, lambda found: found)
    config = Config.from_dict(dict(version.manifest.config))
    nodes, edges = version.state / "nodes.parquet", version.state / "edges.parquet"
    if not nodes.exists():
        raise ArtefactError(f"{version.state} is not here: the graph is drawn from the private state")
    with duckdb.connect() as con:
        con.read_parquet(glob(nodes)).create_view("nodes")
        found = con.execute(_NODE, [normalise(text), locale, locale]).fetchone()
    if found is None:
        raise ArtefactError(f"the log of {root} never heard {normalise(text)!r}, so there is nothing to draw")
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


def _day(days: int) -> str:
    """Return a day number as an ISO date."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + days).isoformat()
