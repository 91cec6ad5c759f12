"""Measures the structure of the package: files, lines, importers, floors, and the files that a log and a request pass through.

    python benchmarks/house.py [--root TREE ...] [--log data/sample.parquet] [--out benchmarks/results/house.json]

TREE is a checkout of this repository; give several to compare them. Each tree learns from the log in a process of its own, and
answers one request that the online layer rewrites. Definitions:

- *code lines* hold code; *docstring lines* belong to a string that stands alone; comments and blank lines are neither.
- *imported by one*: modules that exactly one other module of the package imports; a file like that may belong inside the other.
- *floors* of a room: modules on its longest chain of imports, cycles counted as one.
- *files on a walk*: files of the package in which a function runs, for `learn` and for one `rewrite`.
- *switches*: how often the running file changes within one `rewrite`, at calls and at returns.
"""

import ast
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import networkx as nx
from script import RESULTS, options, write_result

PACKAGE = "rewriter"
LONG = 40
"""Lines of a function above which it is counted as long."""

WALK = """
import json, sys, threading
from pathlib import Path
import duckdb
import rewriter
from rewriter import Rewriter, learn

log, out = sys.argv[1:]
home = str(Path(rewriter.__file__).parent)
files, running, switches = set(), [], 0

def seen(frame, event, _):
    if event == "call" and frame.f_code.co_filename.startswith(home):
        files.add(frame.f_code.co_filename)

def followed(frame, event, _):
    global switches
    if event in ("call", "return") and frame.f_code.co_filename.startswith(home):
        before = running[-1] if running else None
        if event == "call":
            running.append(frame.f_code.co_filename)
            files.add(running[-1])
        elif running:
            running.pop()
        after = running[-1] if running else None
        switches += before is not None and after is not None and before != after

threading.setprofile(seen)
sys.setprofile(seen)
learn([log], out=out)
sys.setprofile(None)
threading.setprofile(None)
learned = len(files)
opened = Rewriter.open(out)
said = duckdb.sql(f"SELECT DISTINCT utterance, user_id FROM read_parquet('{log}') ORDER BY ALL").fetchall()
asked = next((text, user) for text, user in said if str(opened.rewrite(text, user_id=user).layer or "") == "online")
files.clear()
sys.setprofile(followed)
opened.rewrite(asked[0], user_id=asked[1])
sys.setprofile(None)
print(json.dumps({"files on the walk of a log": learned, "files on the walk of a request": len(files),
                  "switches of file in a request": switches}))
"""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file, by what they hold."""

    all: int
    code: int
    docstring: int


def lines_of(text: str, tree: ast.Module) -> Lines:
    """Count the lines of a module."""
    strings: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            strings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    nothing = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in nothing:
            held.update(range(token.start[0], token.end[0] + 1))
    return Lines(len(text.splitlines()), len(held - strings), len(strings))


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the name and the length in lines of each function, decorators and docstring included."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield node.name, (node.end_lineno or node.lineno) - first + 1


def imports(trees: dict[str, ast.Module]) -> "nx.DiGraph[str]":
    """Return who imports whom among the modules; ``from room import module`` is an import of the module."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(trees)
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
                found = [w if w in trees else node.module for w in wanted]
            elif isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            else:
                continue
            graph.add_edges_from((name, other) for other in found if other in trees and other != name)
    return graph


def floors(graph: "nx.DiGraph[str]", room: str) -> int:
    """Return the number of modules on the longest chain of imports inside a room."""
    inside = graph.subgraph(name for name in graph if name.startswith(f"{PACKAGE}.{room}."))
    return len(nx.dag_longest_path(nx.condensation(inside))) if inside else 0


def shape(root: Path) -> dict[str, Any]:
    """Return the figures that the source alone gives."""
    paths = {".".join(path.relative_to(root).with_suffix("").parts): path for path in sorted((root / PACKAGE).rglob("*.py"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    counted = {name: lines_of(texts[name], trees[name]) for name in paths}
    modules = {name for name in paths if not name.endswith("__init__")}
    graph = imports({name: trees[name] for name in modules})
    rooms = sorted({name.split(".")[1] for name in modules if name.count(".") > 1})
    longest, length = max(
        ((f"{name}.{function}", n) for name, tree in trees.items() for function, n in functions(tree)), key=lambda found: found[1]
    )
    return {
        "files": len(paths),
        "files without __init__": len(modules),
        **{f"{kind} lines": sum(asdict(lines)[kind] for lines in counted.values()) for kind in ("all", "code", "docstring")},
        "median lines of a file": median(counted[name].all for name in modules),
        "imported by one": sum(graph.in_degree(name) == 1 for name in modules),
        "floors": {room: floors(graph, room) for room in rooms},
        "files by room": dict(sorted(Counter(name.split(".")[1] for name in modules).items())),
        "longest function": {"name": longest, "lines": length},
        f"functions over {LONG} lines": sum(n > LONG for tree in trees.values() for _, n in functions(tree)),
    }


def walks(root: Path, log: Path) -> dict[str, int]:
    """Return the figures of one `learn` and one request, in a process that runs in a tree and so imports its package."""
    with tempfile.TemporaryDirectory() as folder:
        code = [sys.executable, "-c", WALK, str(log.resolve()), f"{folder}/artefact"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        done = subprocess.run(code, cwd=root, env=environment, capture_output=True, text=True, check=True)
    figures: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure the trees, print the figures side by side and write them."""
    parser = options(__doc__, out=RESULTS / "house.json")
    parser.add_argument("--root", type=Path, nargs="+", default=[Path()], help="checkouts, the older first")
    parser.add_argument("--log", type=Path, default=Path("data/sample.parquet"), help="log to learn from")
    parser.add_argument("--no-walks", action="store_true", help="only what the source gives, in a second")
    args = parser.parse_args()
    found = {}
    for root in args.root:
        commit = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip()
        found[commit or root.name] = shape(root) | ({} if args.no_walks else walks(root, args.log))
    for figure in next(iter(found.values())):
        print(f"{figure}: {'  ->  '.join(json.dumps(of[figure]) for of in found.values())}")
    write_result({"command": shlex.join(["python", *sys.argv]), "trees": found}, args.out)


if __name__ == "__main__":
    main()
