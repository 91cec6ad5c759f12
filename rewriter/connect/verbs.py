"""The two verbs of hosts: `import_log` reads what a host has logged, `export` writes what a host can apply."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rewriter.artefact.disk import explained, replace
from rewriter.codes import LeftOut
from rewriter.connect.search_rules import WRITERS, synonym_set, text_file, unsafe_within
from rewriter.connect.sendable import sendable
from rewriter.connect.ubi import ACTIONS, ImportReport, import_ubi
from rewriter.errors import RequestError
from rewriter.messages import left_out

IMPORTS: Final = ("ubi",)
EXPORTS: Final = tuple(WRITERS)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written for a host, and what was not.

    Attributes:
        out: the file.
        version: of the artefact.
        written: rules in the file.
        left_out: rules by the reason why they are not in the file; `LeftOut.TRIAL` counts rules that are in it.
        within: sources of the rules that are left out for `LeftOut.WITHIN`, sorted.
    """

    out: Path
    version: str
    written: int
    left_out: Mapping[LeftOut, int]
    within: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return it line by line, to be printed."""
        told = [f"{self.written:,} rules of version {self.version} in {self.out}"]
        for why, n in self.left_out.items():
            told.append(f"{n:,} {left_out(why)}" + (f', such as "{self.within[0]}"' if why is LeftOut.WITHIN else ""))
        return told


def import_log(
    host: str,
    sources: Iterable[str | Path],
    out: str | Path,
    *,
    engaged: Mapping[str, float] | None = None,
    application: str | None = None,
) -> ImportReport:
    """Write the log of a host in the contract of docs/log.md, for `learn`.

    Args:
        host: ``ubi``, the schema User Behavior Insights of site search (docs/search.md).
        sources: files, folders or globs.
        out: Parquet file to write, readable by its owner only.
        engaged: action -> what it says of the search before it, 0..1; beside, or in place of, the known ones.
        application: the only application to read; None for all.

    Raises:
        LogError: nothing can be read; says why.
        RequestError: there is no such host.

    Example:
        >>> import_log("ubi", ["ubi_queries.jsonl", "ubi_events.jsonl"], "log.parquet")  # doctest: +SKIP
    """
    if host not in IMPORTS:
        raise RequestError(f"logs are read from {', '.join(IMPORTS)}, not from {host!r}")
    return import_ubi(sources, out, actions={**ACTIONS, **(engaged or {})}, application=application)


def export(host: str, root: str | Path, out: str | Path, *, locale: str | None = None) -> ExportReport:
    """Write the rules that an artefact serves to everybody as a file that a host applies.

    Args:
        host: ``solr``, ``elasticsearch`` or ``opensearch`` for synonyms with explicit mappings, ``querqy`` for its Replace
            Rewriter. For ``elasticsearch`` a file that ends in ``.json`` is the body of a request to its synonyms API.
        root: the artefact folder.
        out: the file.
        locale: of the requests; None for the commonest of the artefact.

    Returns:
        How many rules were written, and how many were not, by reason.

    Raises:
        ArtefactError: there is no artefact, or nothing of this language in it, or the disk refuses.
        RequestError: there is no such host.

    Example:
        >>> export("solr", "artefact", "synonyms.txt")  # doctest: +SKIP
    """
    if host not in EXPORTS:
        raise RequestError(f"rules are written for {', '.join(EXPORTS)}, not for {host!r}")
    path, found = Path(out), sendable(root, locale)
    within = unsafe_within(found.sent, found.healthy)
    left, lines = Counter(found.left_out), []
    for rule in found.sent:
        line = WRITERS[host](rule)
        if rule.source in within:
            left[LeftOut.WITHIN] += 1
        elif line is None:
            left[LeftOut.UNWRITABLE] += 1
        else:
            lines.append(line)
            left[LeftOut.TRIAL] += rule.on_trial
    if host == "elasticsearch" and path.suffix == ".json":
        content = synonym_set(lines)
    else:
        content = text_file(lines, [f"made by `rewriter export {host}` of version {found.version}, locale {found.locale}"])
    with explained(path):
        replace(path, content.encode("utf-8"))
    kinds = {why: left[why] for why in LeftOut if left[why]}
    return ExportReport(path, found.version, len(lines), kinds, tuple(sorted(within)))
