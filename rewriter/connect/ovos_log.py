"""Open Voice OS by files: `import_ovos` reads its logs, `corrections` writes what its corrections plug-in reads."""

import ast
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rapidfuzz.distance import DamerauLevenshtein

from rewriter.connect.log_file import TurnsReport, write
from rewriter.connect.ovos_skills import REFUSALS
from rewriter.connect.sendable import Sent
from rewriter.errors import LogError
from rewriter.model.hypothesis import Scalar, hypothesis
from rewriter.text import unspaced

_NEAR: Final = 0.85
"""Similarity from which on the plug-in takes a request for a text of ``corrections.json`` (`thresh` in its settings)."""
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) - \S+ - \S+ - INFO - (.*)")
_SAID = "Parsing utterance: "
_MATCH = re.compile(r"\S+ match \(([\w-]+)\): IntentHandlerMatch\(match_type='([^']*)', match_data=(.*?), skill_id=")
_FALLBACK = "ovos.skills.fallback."
_UNREADABLE = "requests that cannot be read"


def import_ovos(sources: Iterable[str | Path], out: str | Path, *, user_id: str = "home") -> TurnsReport:
    """Write the log of an OVOS as a log of the contract, from its ``intents.log`` or ``skills.log``.

    A request is a line "Parsing utterance", and the line of its match says what was understood. Without such a line, or if the
    match is a fallback skill that only says so, nothing was. The log names no user, so all requests are one user's. Its times are
    local, and read as this machine's.

    Args:
        sources: log files, or folders that hold them; rotated files (``.log.1``) too.
        out: Parquet file to write, readable by its owner only.
        user_id: whose requests they are.

    Raises:
        LogError: a file is missing, or none holds a request.
    """
    left = Counter({_UNREADABLE: 0})
    return write((row for path in _files(sources) for row in _turns(path, user_id, left)), out, left)


def _files(sources: Iterable[str | Path]) -> list[Path]:
    found: list[Path] = []
    for source in map(Path, sources):
        if not source.exists():
            raise LogError(f"there is no {source}; OVOS writes ~/.local/state/mycroft/skills.log")
        found += sorted(source.rglob("*.log*")) if source.is_dir() else [source]
    return found


def _turns(path: Path, user_id: str, left: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield the requests of a file; one is done where the next begins."""
    row: dict[str, Any] | None = None
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file):
            if not (found := _LINE.match(line)):
                continue
            if found[2].startswith(_SAID):
                if row:
                    yield row
                row = _begun(found[1], found[2].removeprefix(_SAID), user_id, f"{path.name}:{found[1]}:{number}")
                left[_UNREADABLE] += row is None
            elif row and (match := _MATCH.match(found[2])):
                row |= _understood(*match.groups())
    if row:
        yield row


def _begun(stamp: str, said: str, user_id: str, turn_id: str) -> dict[str, Any] | None:
    try:
        hearings: Sequence[str] = [str(each) for each in ast.literal_eval(said)]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not hearings:
        return None
    when = datetime.fromisoformat(stamp).astimezone(UTC).isoformat()
    words = {"utterance": hearings[0], "nbest": list(hearings[1:]) or None}
    return {"turn_id": turn_id, "user_id": user_id, "timestamp": when, "status": "failed"} | words


def _understood(locale: str, intent: str, data: str) -> dict[str, Any]:
    """Return what a match says of its request."""
    if intent.startswith(_FALLBACK):
        skill = intent.removeprefix(_FALLBACK).removesuffix(".request")
        return {"locale": locale, "status": "failed" if skill in REFUSALS else "ok"}
    try:
        slots: dict[str, Scalar | None] = {k: v for k, v in ast.literal_eval(data).items() if isinstance(v, str | int | float)}
    except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError):
        slots = {}
    return {"locale": locale, "status": "ok", "hypothesis": hypothesis(intent, slots)}


def corrections(rules: Iterable[Sent], *, exact: bool) -> str:
    r"""Return rules as a JSON file of the plug-in ``ovos-utterance-corrections-plugin``.

    Args:
        rules: the rules.
        exact: for ``regex_corrections.json``, which changes these requests alone; else for ``corrections.json``, which changes
            requests that are similar, too.

    Example:
        >>> print(corrections([Sent("set 1.5", "set it to 1.5", False)], exact=True), end="")
        {
         "^set 1\\.5$": "set it to 1.5"
        }
    """
    said = ((unspaced(rule.source), rule.target) for rule in rules)
    lines = {_exactly(source) if exact else source: _literally(target, exact) for source, target in said}
    return json.dumps(lines, ensure_ascii=False, indent=1) + "\n"


def _exactly(text: str) -> str:
    return "^" + re.escape(text).replace(r"\ ", " ") + "$"


def _literally(text: str, exact: bool) -> str:
    return text.replace("\\", r"\\") if exact else text


def near(rules: Sequence[Sent], healthy: Collection[str]) -> set[str]:
    """Return the sources that ``corrections.json`` would also apply to other requests that work.

    It compares by similarity: a request is changed by the source that is most similar to it. A target that is similar to its own
    source stays as it is.

    Example:
        >>> near([Sent("turn of the lamp", "turn off the lamp", False)], ["turn on the lamp", "turn off the lamp"])
        {'turn of the lamp'}
    """
    found = set()
    for text in map(unspaced, healthy):
        alike = [(DamerauLevenshtein.normalized_similarity(text, unspaced(rule.source)), rule) for rule in rules]
        found |= {rule.source for share, rule in alike if share >= _NEAR and text not in (unspaced(rule.source), rule.target)}
    return found
