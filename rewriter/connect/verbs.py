"""The two verbs of hosts: `import_log` reads what a host has logged, `export` writes what a host can apply."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rewriter.artefact.disk import explained, replace
from rewriter.codes import LeftOut
from rewriter.connect.log_file import TurnsReport
from rewriter.connect.ovos_log import corrections, import_ovos, near
from rewriter.connect.rasa_log import import_rasa
from rewriter.connect.search_rules import WRITERS, synonym_set, text_file, unsafe_within
from rewriter.connect.sendable import Sendable, sendable
from rewriter.connect.ubi import ACTIONS, ImportReport, import_ubi
from rewriter.errors import RequestError
from rewriter.messages import left_out

IMPORTS: Final = ("ubi", "ovos", "rasa")
EXPORTS: Final = (*WRITERS, "ovos")
_EXACT = "regex_corrections.json"  # the name of OVOS for rules that hold for single requests only


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written for a host, and what was not.

    Attributes:
        out: the file.
        version: of the artefact.
        written: rules in the file.
        left_out: rules by the reason why they are not in the file; `LeftOut.TRIAL` counts rules that are in it.
        within: sources of the rules that are left out for `LeftOut.WITHIN` or `LeftOut.NEAR`, sorted.
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
            told.append(
                f"{n:,} {left_out(why)}" + (f', such as "{self.within[0]}"' if why in (LeftOut.WITHIN, LeftOut.NEAR) else "")
            )
        return told


def import_log(
    host: str,
    sources: Iterable[str | Path],
    out: str | Path,
    *,
    engaged: Mapping[str, float] | None = None,
    application: str | None = None,
    user_id: str = "home",
) -> ImportReport | TurnsReport:
    """Write the log of a host in the contract of docs/log.md, for `learn`.

    Args:
        host: ``ubi``, the schema User Behavior Insights of site search (docs/site_search.md); ``ovos``, the log files of Open
            Voice OS (docs/ovos.md); ``rasa``, a tracker store of Rasa (docs/rasa.md).
        sources: files, or folders of them; of ``ubi`` also globs.
        out: Parquet file to write, readable by its owner only.
        engaged: of ``ubi``: action -> what it says of the search before it, 0..1; beside, or in place of, the known ones.
        application: of ``ubi``: the only application to read; None for all.
        user_id: of ``ovos``, whose log names no user: whose requests they are.

    Raises:
        LogError: nothing can be read; says why.
        RequestError: there is no such host.

    Example:
        >>> import_log("ubi", ["ubi_queries.jsonl", "ubi_events.jsonl"], "log.parquet")  # doctest: +SKIP
    """
    if host not in IMPORTS:
        raise RequestError(f"logs are read from {', '.join(IMPORTS)}, not from {host!r}")
    if host == "ovos":
        return import_ovos(sources, out, user_id=user_id)
    if host == "rasa":
        return import_rasa(sources, out)
    return import_ubi(sources, out, actions={**ACTIONS, **(engaged or {})}, application=application)


def export(host: str, root: str | Path, out: str | Path, *, locale: str | None = None) -> ExportReport:
    """Write the rules that an artefact serves to everybody as a file that a host applies.

    Args:
        host: ``solr``, ``elasticsearch`` or ``opensearch`` for synonyms with explicit mappings, ``querqy`` for its Replace
            Rewriter, ``ovos`` for its corrections plug-in. For ``elasticsearch`` a file that ends in ``.json`` is the body of a
            request to its synonyms API; for ``ovos`` a file named ``regex_corrections.json`` holds rules for exactly these texts.
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
    left = Counter(found.left_out)
    if host == "ovos":
        content, written, spared = _for_ovos(path, found, left)
    else:
        content, written, spared = _for_search(host, path, found, left)
    with explained(path):
        replace(path, content.encode("utf-8"))
    kinds = {why: left[why] for why in LeftOut if left[why]}
    return ExportReport(path, found.version, written, kinds, tuple(sorted(spared)))


def _for_ovos(path: Path, found: Sendable, left: Counter[LeftOut]) -> tuple[str, int, set[str]]:
    """Return content, number of rules and the sources that are left out, and count these."""
    exact = path.name == _EXACT
    spared = set() if exact else near(found.sent, found.healthy)
    rules = [rule for rule in found.sent if rule.source not in spared]
    left[LeftOut.NEAR] += len(spared)
    left[LeftOut.TRIAL] += sum(rule.on_trial for rule in rules)
    return corrections(rules, exact=exact), len(rules), spared


def _for_search(host: str, path: Path, found: Sendable, left: Counter[LeftOut]) -> tuple[str, int, set[str]]:
    """Return content, number of rules and the sources that are left out, and count these."""
    within, lines = unsafe_within(found.sent, found.healthy), []
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
        return synonym_set(lines), len(lines), within
    comment = f"made by `rewriter export {host}` of version {found.version}, locale {found.locale}"
    return text_file(lines, [comment]), len(lines), within
