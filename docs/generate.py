"""Write what pages take from the code: ``python docs/generate.py``. A test checks that the pages are as written."""

import ast
import itertools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from rewriter import tables
from rewriter.codes import Reason

DOCS: Final = Path(__file__).parent
MARKED: Final = re.compile(r"(<!-- generated -->\n).*(<!-- /generated -->\n)", re.DOTALL)
HOLDS: Final = {
    "": "", "user": "keyed hash of a user id", "user_no": "number of a user", "text": "text of a user, or what follows from it",
    "text_id": "number of a text", "name": "name from the log", "code": "code",
}  # fmt: skip


def reasons() -> Iterable[str]:
    """Return the reasons of a decision as a table."""
    yield "| reason | meaning |"
    yield "|---|---|"
    for reason in Reason:
        yield f"| `{reason}` | {reason.meaning} |"


def schema() -> Iterable[str]:
    """Return every declared table with its columns and what the source says of it."""
    for name, said in _described(Path(tables.__file__)).items():
        table = getattr(tables, name, None)
        if isinstance(table, tables.Table):
            yield from (f"## {table.name}", "", re.sub(r"``([^`]*)``", r"`\1`", " ".join(said.split())), "")
            yield from ("| column | type | may be empty | holds |", "|---|---|---|---|")
            for column in table.columns:
                yield f"| `{column.name}` | {column.type} | {'' if column.required else 'yes'} | {HOLDS[column.holds]} |"
            yield ""


def _described(path: Path) -> dict[str, str]:
    """Return the names that a module assigns, each with the text that follows it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    found = {}
    for assigned, said in itertools.pairwise(body):
        if isinstance(assigned, ast.Assign) and isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            found |= {name.id: str(said.value.value) for name in assigned.targets if isinstance(name, ast.Name)}
    return found


PAGES: Final[dict[str, Callable[[], Iterable[str]]]] = {"reasons": reasons, "tables": schema}


def page(name: str) -> str:
    """Return a page as it should be."""
    text = "\n".join(["", *PAGES[name](), ""])
    return MARKED.sub(lambda found: f"{found[1]}{text}{found[2]}", (DOCS / f"{name}.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    for each in PAGES:
        (DOCS / f"{each}.md").write_text(page(each), encoding="utf-8")
