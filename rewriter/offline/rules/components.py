"""The weakly connected components of the chain, in SQL: for graphs that one machine does not hold.

The algorithm is that of Kiveris, Lattanzi, Mirrokni, Rastogi and Vassilvitskii, "Connected components in MapReduce and beyond"
(SoCC 2014), with large-star and small-star in turn. An edge hangs its larger end, the child, on its smaller one, the parent. A
round (``sql/starred.sql``) hangs

- each child on the smallest parent of its parent, where that has one (large-star),
- then a child, and all its other parents, on the smallest of them (small-star).

Neither joins or parts components, and there are never more edges than at first. In the end each node hangs on the smallest node
of its component. The paper proves O(log² n) rounds. A path is halved by each round. No step collects the neighbours of a node, so
one that has millions is a row of an aggregate like any other.
"""

from importlib import resources
from pathlib import Path
from typing import Final

from rewriter.engines import Engine, connect

_SQL: Final = resources.files("rewriter.offline") / "sql"


def find_components(engine: Engine, edges: Path) -> Path:
    """Hang each node on the smallest node of its component, and make that available as the table ``stars``.

    Args:
        engine: runs the rounds.
        edges: Parquet with ``source`` and ``target``, such as `tables.EDGES`; an edge joins both, whichever way it points.

    Returns:
        Parquet of two columns: ``child``, each node that is not the smallest of its component, and ``parent``, which is.

    Raises:
        EngineError: a step failed.

    Example:
        >>> import tempfile
        >>> from rewriter.engines import DuckDB, save
        >>> engine = DuckDB(Path(tempfile.mkdtemp()))
        >>> with connect() as con:
        ...     save(con, "SELECT * FROM (VALUES (3, 2), (1, 2), (5, 7)) AS e(source, target)", engine.work / "edges.parquet")
        >>> with connect(stars=find_components(engine, engine.work / "edges.parquet")) as con:
        ...     con.execute("SELECT child, parent FROM stars ORDER BY child").fetchall()
        [(2, 1), (3, 1), (7, 5)]
        >>> engine.close()
    """
    engine.read("edges", edges)
    stars, n = engine.run("stars_0", sql("linked")), 0
    engine.read("stars", stars)
    while _fetched(engine.run("unsettled", sql("unsettled"))):
        n += 1
        stars = engine.run(f"stars_{n % 2}", sql("starred"))  # an engine cannot replace what it reads
        engine.read("stars", stars)
    return stars


def sql(name: str) -> str:
    """Return the text of a step."""
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def _fetched(path: Path) -> int:
    with connect(one=path) as con:
        return int(con.execute("SELECT nodes FROM one").fetchall()[0][0])
