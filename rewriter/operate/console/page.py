"""`console`: writes the console of an artefact as one HTML file. `html` renders it, for the file and for the service.

The page needs no network. Its script is allowed by its hash and nothing else is (Content-Security-Policy), so that no text of a
log can become one. Texts of users are escaped and carry a writing direction of their own.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined

from rewriter.artefact.disk import explained, replace
from rewriter.errors import ArtefactError
from rewriter.evaluation.report import ReportTable
from rewriter.operate import drawing
from rewriter.operate.console.content import Content, content
from rewriter.operate.explain import CANDIDATE_COLUMNS as OF_CANDIDATES
from rewriter.operate.explain import COLUMNS as OF_RULES
from rewriter.operate.explain import Explanation, graph
from rewriter.operate.review import Decided
from rewriter.text import unspaced

GRAPHS: Final = 12
"""Rules whose graph is drawn into a file, the busiest first; each takes a tenth of a second and 20 kB."""


def console(root: str | Path, out: str | Path = "console.html") -> Content:
    """Write the console of an artefact as one page that only shows. With `rewriter serve` it also lets people decide.

    It holds no text of fewer than k users. It needs the private state of the artefact; without it, only the rules are shown.

    Args:
        root: the artefact folder.
        out: file to write.

    Returns:
        What the page shows.

    Raises:
        ArtefactError: the artefact is missing or damaged, or the file cannot be written.

    Example:
        >>> from rewriter import console
        >>> console("artefact", out="console.html").version.id  # doctest: +SKIP
        '000001-5a1f3c7e'
    """
    found = content(root)
    busiest = [each.decided.rule for each in found.rules[:GRAPHS]]
    graphs = {rule.rule: drawn(root, rule.source, rule.locale) for rule in busiest}
    with explained(Path(out)):
        replace(Path(out), html(found, graphs=graphs).encode())
    return found


def html(found: Content, *, graphs: Mapping[str, str] | None = None, asks: bool = False, acts: bool = False) -> str:
    """Return the page.

    Args:
        found: what it shows.
        graphs: rule -> its graph, an <svg> element of this package.
        asks: whether a service stands behind it, which answers requests and draws graphs.
        acts: whether that service takes decisions.
    """
    script = _file("console.js")
    rules = [_short(each.decided) for each in found.rules]
    return (
        _environment()
        .get_template("console.html.j2")
        .render(
            found=found,
            graphs=graphs or {},
            asks=asks,
            acts=acts,
            style=_file("console.css"),
            script=script,
            policy=policy(script),
            data=_embedded({"rules": rules, "asks": asks}),
            is_table=lambda part: isinstance(part, ReportTable),
        )
    )


def policy(script: str) -> str:
    """Return the Content-Security-Policy under which nothing but this script runs, and nothing is fetched from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'"
    )


def drawn(root: str | Path, source: str, locale: str | None) -> str:
    """Return the graph around a text as <svg>; empty where there is nothing to draw."""
    try:
        return drawing.svg(graph(root, source, locale=locale))
    except ArtefactError:  # no private state, or the text has left the log
        return ""


def answer(found: Explanation) -> dict[str, Any]:
    """Return an explanation as the page shows it: sentences, and tables with their columns and rows."""
    tables = [
        {"title": "Rules considered", "columns": OF_RULES, "rows": found.rows()},
        {"title": "Candidates of the online layer", "columns": OF_CANDIDATES, "rows": found.candidate_rows()},
    ]
    return {
        "text": found.rewrite.text,
        "applied": found.rewrite.applied,
        "suggestion": found.rewrite.suggestion,
        "meaning": found.rewrite.reason.meaning,
        "sentences": found.sentences(),
        "tables": [table for table in tables if table["rows"]],
    }


def _short(of: Decided) -> dict[str, str]:
    """Return what the script of the page knows of a rule."""
    rule, line = of
    choice = line.choice if line is not None else ""
    edit = line.target if line is not None and line.choice == "edit" else ""
    return {"id": rule.rule, "source": rule.source, "target": rule.target, "choice": choice, "edit": edit}


def _embedded(data: object) -> str:
    """Return JSON that may stand inside a <script> element: no text can end it."""
    return json.dumps(data).replace("<", "\\u003c").replace("&", "\\u0026")


def _file(name: str) -> str:
    return resources.files("rewriter.operate.console").joinpath(name).read_text(encoding="utf-8")


def _environment() -> Environment:
    loader = DictLoader({"console.html.j2": _file("console.html.j2")})
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["share"] = lambda x: f"{100 * x:.3g} %"
    environment.filters["whole"] = lambda x: f"{x:,.0f}"
    environment.filters["unspaced"] = lambda cell: unspaced(str(cell))
    environment.filters["two"] = lambda x: f"{x:.2f}"
    return environment
