"""A module imports only from floors below its own, or from its own room; the rooms `offline` and `online` never meet."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = [
    {"codes"},
    {"errors", "text", "result", "arrays", "locks", "recent", "messages", "locales", "progress"},
    {"engines", "similarity"},
    {"tables", "config"},
    {"guardrail"},
    {"artefact"},
    {"model"},
    {"simulation", "detect"},
    {"offline", "online"},
    {"evaluation"},
    {"operate"},
    {"connect"},
    {"terminal", "service"},
    {"cli"},
]
FLOOR = {name: n for n, names in enumerate(FLOORS) for name in names}
INSIDE = {
    "offline": [
        {"trials", "catalog_formats"},
        {"logs", "catalog"},
        {"mining"},
        {"memory"},
        {"rules"},
        {"fit", "lifecycle"},
        {"catalog_layer", "verdict"},
        {"run"},
        {"learn"},
    ]
}
"""The floors inside a room, lowest first."""
MODULES = [p for p in (ROOT / "rewriter").rglob("*.py") if p != ROOT / "rewriter/__init__.py" and p.name != "__main__.py"]


def imports(tree):
    """The dotted names that a module imports; ``from rewriter import explanation`` is ``rewriter.explanation``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "rewriter":
            yield from (f"rewriter.{alias.name}" for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(dotted):
    return dotted.split(".")[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    me = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if name.startswith("rewriter."):
            assert room(name) == me or FLOOR[room(name)] < FLOOR[me], f"{path.name} imports {name}"
        else:
            assert name != "rewriter", f"{path.name} imports the package root"


@pytest.mark.parametrize(("outer", "floors"), INSIDE.items())
def test_imports_point_down_inside_a_room(outer, floors):
    floor = {name: n for n, names in enumerate(floors) for name in names}
    wrong = []
    for path in sorted((ROOT / "rewriter" / outer).rglob("*.py")):
        parts = path.relative_to(ROOT / "rewriter" / outer).with_suffix("").parts
        if parts == ("__init__",):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = []
            if isinstance(node, ast.ImportFrom) and node.module == f"rewriter.{outer}":
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"rewriter.{outer}."):
                named = [node.module.split(".")[2]]
            wrong += [f"{path.name} imports {name}" for name in named if name != parts[0] and floor[name] >= floor[parts[0]]]
    assert not wrong
