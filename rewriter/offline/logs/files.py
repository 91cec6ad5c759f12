"""The files of a log: found, checked by their first bytes, and told apart by the checksum of their content."""

import difflib
import gzip
import hashlib
import json
import re
import shlex
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

import duckdb

from rewriter.engines import first_line
from rewriter.errors import LogError

Format = Literal["parquet", "jsonl", "json", "csv", "text"]

FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
    ".log": "text",
}
"""Ending -> how the file is read. A file of JSON lines that turns out to be one JSON value has the format ``json``."""
_IN_FOLDERS = {end for end, kind in FORMATS.items() if kind != "text"}
"""Endings that are looked for in folders: a text in a folder is more often a note than a log, so it must be named."""
SELECTED = "select.parquet"
"""Name of the file with the rows of a SELECT."""
_BOM = b"\xef\xbb\xbf"
_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "CTE_NODE", "RECURSIVE_CTE_NODE"}
_NODE = re.compile(r'"type":"(\w+_NODE)"')  # quotes inside the texts of a statement are escaped in its JSON


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the log.

    Attributes:
        path: where it lies.
        shown: how people know it: the path as given, or the SQL file that made it.
        format: how it is read.
        checksum: sha256 of its content (unpacked, where it is a .gz), 64 hex digits.
        size: bytes of its content, where it is one JSON value.
    """

    path: Path
    shown: str
    format: Format
    checksum: str
    size: int = 0

    @property
    def quotable(self) -> bool:
        """Whether a message may quote the file. A symbolic link may lead to a file that is nobody's log."""
        return not self.path.is_symlink()

    @property
    def cure(self) -> str:
        """What finds out how the file is laid out; nothing for the rows of a SELECT, which names its columns itself."""
        is_select = self.path.name == SELECTED
        return "" if is_select else f"`rewriter learn {shlex.quote(self.shown)} --check` finds out how the file is laid out"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read, and why."""

    file: str
    reason: str


def find(sources: Iterable[str | Path]) -> list[Path]:
    """Return the files behind paths, folders and globs, in order, each path once.

    Raises:
        LogError: nothing is there, or a file's ending is not known.
    """
    return list(dict.fromkeys(path for source in sources for path in _expand(source)))


def require_apart(sources: Iterable[str | Path], outputs: Iterable[Path]) -> None:
    """Stop before any work if a result would take the place of a log, of a folder or of another result.

    Args:
        sources: paths, folders and globs of logs.
        outputs: the files that are to be written.

    Raises:
        LogError: it would; or there is no log.
    """
    read, written = {path.resolve() for path in find(sources)}, set[Path]()
    for output in outputs:
        path = output.resolve()
        if path.is_dir():
            raise LogError(f"{output} is a folder; name a file in it, such as {output / 'results.parquet'}")
        if path in read:
            raise LogError(f"{output} is one of the logs and would be lost; write to another file")
        if path in written:
            raise LogError(f"two results would be written to {output}; give each a file of its own")
        written.add(path)


def require_outside(sources: Iterable[str | Path], folder: Path) -> None:
    """Stop before any work if a folder of tables lies in a folder of logs, where the next run would read the tables as logs.

    Args:
        sources: paths, folders and globs of logs.
        folder: the folder that is to be written.

    Raises:
        LogError: it does.
    """
    path = folder.resolve()
    for source in map(Path, sources):
        if source.is_dir() and path.is_relative_to(source.resolve()):
            raise LogError(f"{folder} lies in the folder of logs {source}, which is read whole; write to a folder outside it")


def _expand(source: str | Path) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        inside = (p for p in path.rglob("*") if p.is_file() and ending(p) in _IN_FOLDERS)
        found = sorted(p for p in inside if not any(part.startswith((".", "_")) for part in p.relative_to(path).parts))
        if not found:
            raise LogError(f"folder {path} holds no log: no file there ends in {_endings()}")
        return found
    if path.is_file():
        if ending(path) not in FORMATS:
            raise LogError(f"cannot tell how to read {path}: its name must end in {_endings()}")
        return [path]
    root = Path(path.anchor)
    try:
        found = sorted(p for p in root.glob(str(path.relative_to(root))) if p.is_file() and ending(p) in FORMATS)
    except ValueError as error:
        raise LogError(f"no log at {path}: {error}") from error
    if not found:
        raise LogError(f"no log at {path}{_nearest(path)}")
    return found


def ending(path: Path) -> str:
    """Return the ending that tells the format: `.csv` of `log.csv.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _endings() -> str:
    return ", ".join(FORMATS) + " (text also .gz)"


def _nearest(path: Path) -> str:
    try:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    except OSError:
        near = []
    return f"; did you mean {path.parent / near[0]}?" if near else ""


def identify(paths: Sequence[tuple[Path, str]], seen: frozenset[str]) -> tuple[list[Source], list[Skipped]]:
    """Read the checksum of every file; leave out content that came before, in this log or in an earlier one.

    Args:
        paths: each file, and the name under which people know it.
        seen: checksums of what was learned before.

    Raises:
        LogError: a file is empty, damaged, or not what its name says.
    """
    sources: dict[str, Source] = {}
    skipped = []
    for path, shown in paths:
        source = _identify(path, shown)
        if source.checksum in seen:
            skipped.append(Skipped(source.shown, "learned before"))
        elif source.checksum in sources:
            skipped.append(Skipped(source.shown, f"same content as {sources[source.checksum].shown}"))
        else:
            sources[source.checksum] = source
    return list(sources.values()), skipped


def _identify(path: Path, shown: str) -> Source:
    kind = FORMATS[ending(path)]
    try:
        with open_text(path) as file:
            head = file.read(64)
        content = checksum(path)
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(f"cannot read {shown}: {error}; write it again, or leave it out") from error
    if not head:
        raise LogError(f"{shown} is empty; write it again, or leave it out")
    if kind != "parquet" and (encoding := _utf16(head)):
        raise LogError(f"{shown} is UTF-16: convert it first (iconv -f {encoding} -t utf-8)")
    if kind == "parquet" and head[:4] != b"PAR1":
        raise LogError(f"{shown} is not a Parquet file")
    size = _json_value(path) if kind == "jsonl" else 0
    return Source(path, shown, "json" if size else kind, content, size)


def _json_value(path: Path) -> int:
    """Return the bytes of a file that is one JSON value, a list or an object of several lines; 0 for JSON lines."""
    with open_text(path) as file:
        first = next((line for line in file if line.removeprefix(_BOM).strip()), b"").removeprefix(_BOM).strip()
        if first[:1] == b"[" or (first[:1] == b"{" and not _is_json(first)):
            if first[:1] == b"[":
                return len(first) + sum(map(len, file))
            text = first + file.read()
            return len(text) if _is_json(text) else 0
        return 0


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _utf16(head: bytes) -> str:
    """Return the name of the UTF-16 in which a file begins; empty for any other encoding.

    Without a byte order mark it is told by its NULs: one beside most ASCII characters, on the same side of each.

    Example:
        >>> _utf16("user_id".encode("utf-16-le")), _utf16("user_id".encode("utf-16")), _utf16(b"user_id")
        ('utf-16le', 'utf-16', '')
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    first, second = head[::2].count(0), head[1::2].count(0)
    if not first and 4 * second > len(head):
        return "utf-16le"
    return "utf-16be" if not second and 4 * first > len(head) else ""


def checksum(path: Path) -> str:
    """Return the sha256 of what a file holds, unpacked where it is a .gz, in hex."""
    with open_text(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_text(path: Path) -> gzip.GzipFile | BufferedReader:
    """Open a file for reading, unpacked where it is a .gz."""
    return gzip.GzipFile(path) if packed(path) else path.open("rb")


def packed(path: Path) -> bool:
    """Return whether the name of a file says that it is packed with gzip."""
    return path.name.lower().endswith(".gz")


def select(sql: Path, target: Path) -> Path:
    """Run the one SELECT of a SQL file and keep its rows as Parquet in `target`.

    Raises:
        LogError: the file holds anything but one SELECT, or DuckDB cannot run it.
    """
    try:
        text = sql.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"cannot read {sql}: {error}") from error
    with duckdb.connect() as con:
        try:
            _require_select(con, text, sql)
            for setting in (
                "TimeZone = 'UTC'",
                "python_enable_replacements = false",
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                "lock_configuration = true",
            ):
                con.execute(f"SET {setting}")
            con.sql(text).write_parquet(str(target))
        except duckdb.Error as error:
            detail = "" if sql.is_symlink() else f": {first_line(error)}"
            raise LogError(f"the SELECT of {sql} failed{detail}; run it in DuckDB and mend it") from error
    return target


def _require_select(con: duckdb.DuckDBPyConnection, text: str, sql: Path) -> None:
    parsed = con.execute(
        "SELECT tree, tree ->> 'error_type', tree ->> 'error_message', json_array_length(tree -> 'statements')"
        " FROM (SELECT json_serialize_sql(?) AS tree)",
        [text],
    ).fetchall()
    tree, error, message, statements = parsed[0]
    if error == "parser":
        detail = "" if sql.is_symlink() else f": {message.splitlines()[0]}"
        raise LogError(f"{sql} is not valid SQL{detail}; write one SELECT")
    if error or statements != 1 or not set(_NODE.findall(tree)) <= _QUERIES:
        raise LogError(f"{sql} must hold one SELECT and nothing else")
