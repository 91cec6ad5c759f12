"""explain(), graph() and draw(): from the artefact and the private state beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import networkx as nx
from matplotlib.figure import Figure

from rewriter.artefact.versions import Version, load_current
from rewriter.config import Config
from rewriter.engines.duckdb import glob
from rewriter.errors import ArtefactError, ConfigError
from rewriter.explanation import drawing
from rewriter.explanation.explanation import Explanation, Here, Rival, Said
from rewriter.explanation.graph import rephrase_graph
from rewriter.model.layer_slices import PARTS
from rewriter.offline.rules import chain
from rewriter.online.layer import OnlineLayer
from rewriter.online.request import Considered, Request
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import lookup_order
from rewriter.tables import RULES
from rewriter.text import hash_user, normalise

_SAID = """
SELECT locale, turns, users, success / 1000, failure / 1000 FROM nodes WHERE kind = 'u' AND state = ? ORDER BY turns DESC
"""
_NODE = """
SELECT node FROM nodes WHERE kind = 'u' AND state = ? AND (locale = ? OR ? IS NULL) ORDER BY turns DESC, node LIMIT 1
"""
_RIVALS = """
SELECT {columns} FROM rules WHERE source = ? AND context_value = '' AND user_id IN ('', ?)
ORDER BY scope DESC, locale, score DESC, target
"""

_HERE = """
SELECT {columns} FROM rules WHERE source = ? AND context_value <> ''
QUALIFY ROW_NUMBER() OVER (PARTITION BY context_value ORDER BY score DESC, target) = 1 ORDER BY turns DESC, context_value LIMIT 10
"""


def explain(
    root: str | Path,
    text: str,
    *,
    user_id: str | None = None,
    locale: str | None = None,
    context: Mapping[str, Any] | None = None,
    after_failure: bool = False,
) -> Explanation:
    """Say why the artefact in `root` rewrites a text as it does.

    Args:
        root: the artefact folder.
        text: the request.
        user_id: whose personal rules are looked at too.
        locale: BCP 47; the commonest of the artefact if None.
        context: as for `Rewriter.rewrite`.
        after_failure: whether the NLU has already refused the text.

    Raises:
        ArtefactError: the artefact is missing or damaged.
    """
    version = load_current(root, lambda found: found)
    answer = Rewriter.open(root).rewrite(text, user_id=user_id, locale=locale, context=context, after_failure=after_failure)
    source = normalise(text)
    user = hash_user(user_id, bytes.fromhex(version.manifest.user_key)) if user_id else ""
    asked = source and answer.rule in (None, *PARTS)
    candidates = _considered(version, source, user, locale, after_failure) if asked else ()
    if not (version.state / "rules.parquet").exists():
        return Explanation(source, answer, (), (), (), candidates, state=False)
    names = [name for name in Rival.__dataclass_fields__ if name in RULES.names]
    with duckdb.connect() as con:
        for table in ("rules", "nodes"):
            con.read_parquet(glob(version.state / f"{table}.parquet")).create_view(table)
        said = [Said(*row) for row in con.execute(_SAID, [source]).fetchall()]
        rivals = con.execute(_RIVALS.format(columns=", ".join(names)), [source, user]).fetchall()
        here = con.execute(_HERE.format(columns=", ".join(Here.__dataclass_fields__)), [source]).fetchall()
    return Explanation(
        source,
        answer,
        tuple(said),
        tuple(Rival(*row) for row in rivals),
        tuple(Here(*row) for row in here),
        candidates,
        state=True,
    )


def _considered(version: Version, source: str, user: str, locale: str | None, after_failure: bool) -> tuple[Considered, ...]:
    """Ask the online layer what it considers."""
    if not (version.folder / "online").is_dir():
        return ()
    online_layer = OnlineLayer.open(version.folder / "online")
    place = next((known for known in lookup_order(locale, version.manifest.locales) if known in online_layer.locales), None)
    return () if place is None else online_layer.consider(Request([source], place, user, after_failure))


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
