"""What the readers of JSON and CSV share: broken rows, and where columns stand."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from rewriter.offline.logs.contract import CONTRACT
from rewriter.offline.logs.files import packed
from rewriter.offline.logs.paths import Steps, Tree, steps, to_value

BOM = b"\xef\xbb\xbf"
FIRST = 1_000
"""Records in which the names of a file are looked for."""

Hash = Callable[[str], str]
Hide = Callable[[str], tuple[str, str]]
"""A broken line -> the line with the hash of its user in place of the user, and that hash; it is empty if no user can be told."""


class Broken(NamedTuple):
    """A row that cannot be read: its number, the reason, its text without the user, and the hash of the user, or nothing."""

    row: int
    reason: str
    content: str
    user: str


def is_dotted(names: Iterable[str]) -> bool:
    """Return whether a name may be a path, or two names."""
    return any("." in name or "+" in name for name in names)


def whole(ours: str, path: Steps, tree: Tree) -> Steps:
    """Return the path of a column; of one value a row, where a list stands, to its first element."""
    return path if CONTRACT.get(ours, "text") in ("list", "object", "slots") else to_value(path, tree)


def split_name(ours: str, theirs: str, tree: Tree) -> list[str]:
    """Return the names whose values make up a column: a date and a time may stand in two, ``date+time``."""
    parts = theirs.split("+")
    if ours != "timestamp" or len(parts) == 1 or steps(theirs, tree) is not None:
        return [theirs]
    return [part.strip() for part in parts]


def given_twice(line: str) -> list[tuple[str, object]]:
    """Return the keys and values of a JSON object that gives a key twice; nothing of any other line."""
    last: list[tuple[str, object]] = []

    def keep(pairs: list[tuple[str, object]]) -> dict[str, object]:
        last[:] = pairs  # the outermost object comes last
        return dict(pairs)

    try:
        found = json.loads(line, object_pairs_hook=keep)
    except (ValueError, RecursionError):
        return []
    return last if isinstance(found, dict) and len(found) < len(last) else []


def decoded(raw: bytes) -> tuple[str, str]:
    """Return the reason why a row is broken, and its readable text."""
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
        return "key given twice" if given_twice(text.removeprefix("\ufeff")) else "broken line", text
    except UnicodeDecodeError:
        return "not UTF-8", raw.decode("utf-8", "replace").rstrip("\r\n")


def keep_broken(broken: Iterable[Broken], path: Path) -> int:
    """Write broken rows and return how many they are."""
    with path.open("w", encoding="utf-8") as file:
        return sum(file.write(json.dumps(row._asdict()) + "\n") > 0 for row in broken)


def compression(path: Path) -> str:
    """Return the option of DuckDB that says how a text file is packed."""
    return f"compression = '{'gzip' if packed(path) else 'uncompressed'}'"
