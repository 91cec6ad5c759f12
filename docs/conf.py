"""Builds these pages as a site, without a network: ``sphinx-build -W --keep-going docs build/site``.

What the program itself knows is generated: verbs (sphinx-click) and docstrings (autodoc); reasons and tables by `generate.py`.
A page that no list of pages names is the page of a host: it is listed under "Hosts".
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import rewriter

DOCS = Path(__file__).parent

project = "rewriter"
version = release = rewriter.__version__
copyright = "the authors of rewriter; Apache-2.0"  # noqa: A001 - the name that Sphinx reads
root_doc = "index"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = "rewriter"
html_show_sphinx = False
html_copy_source = False
html_permalinks_icon = "#"
myst_heading_anchors = 4
myst_links_external_new_tab = False
default_role = "literal"  # in docstrings
autodoc_typehints = "description"
autodoc_member_order = "bysource"
suppress_warnings = ["myst.xref_ambiguous"]

HOSTS = "<!-- hosts -->"
"""Where the page of hosts names their pages for the menu of the site; its table shows them to readers."""
OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[\w/]+\.md)(?:#[\w-]+)?\)")
"""A link to a Markdown file beside the folder of these pages."""


def listed() -> set[str]:
    """Return the pages that a list of pages names."""
    lists = (
        m[1] for page in DOCS.glob("*.md") for m in re.finditer(r"```{toctree}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    )
    return {line.strip() for pages in lists for line in pages.splitlines() if line.strip() and not line.startswith(":")}


def hosts() -> list[str]:
    """Return the pages that no list of pages names."""
    return sorted({page.stem for page in DOCS.glob("*.md")} - listed() - {root_doc})


def adapt(app: Sphinx, page: str, source: list[str]) -> None:  # noqa: ARG001 - the signature of the event
    """List the pages of hosts where a page asks for it, and make links to Markdown outside of the site downloads."""
    text = source[0].replace(HOSTS, "\n".join(["```{toctree}", ":hidden:", "", *hosts(), "```"]))
    source[0] = OUTSIDE.sub(r"{download}`\1 <\2>`", text.replace("](../CONTRIBUTING.md)", "](contributing.md)"))


def examples(app: Sphinx, context: object, lines: list[str]) -> None:  # noqa: ARG001 - the signature of the event
    """Show the examples of a verb as a block of code."""
    block = [line.removeprefix("| ") for line in lines if line.startswith("| ")]
    prose = (line.replace("`", "``") for line in lines if not line.startswith("| "))
    lines[:] = [re.sub(r"\w+@\w+", r"``\g<0>``", line) for line in prose]  # else it is taken for an address
    if block:
        lines += ["", ".. code-block:: sh", "", *(f"    {line.strip()}" for line in block[1:]), ""]


def external(app: Sphinx, env: BuildEnvironment) -> None:
    """Write the links that lead out of the site, one a line: they are listed, not fetched."""
    found = {
        node["refuri"] for page in env.found_docs for node in env.get_doctree(page).findall(nodes.reference) if "refuri" in node
    }
    out = sorted(uri for uri in found if uri.startswith(("http:", "https:")))
    (Path(app.outdir) / "external_links.txt").write_text("".join(f"{uri}\n" for uri in out), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register what is above."""
    app.connect("source-read", adapt)
    app.connect("sphinx-click-process-description", examples)
    app.connect("env-check-consistency", external)
