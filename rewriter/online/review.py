"""`Review`: what people decided about rewrites. The file is read again as soon as it changes."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from rewriter.artefact.review import Line, read
from rewriter.errors import ArtefactError
from rewriter.model.rules import Rule
from rewriter.online.serving import lookup_order

EDITED: Final = "review"
"""Id of all rules that people wrote."""

_log = logging.getLogger(__name__)
_NO_FILE = (0, 0, 0)


class Decisions:
    """The decisions of one state of the file.

    Attributes:
        blocks_any: whether any rewrite is blocked.
        lines_of: locale, as people wrote it -> lines of the file.
    """

    __slots__ = ("_blocked", "_edits", "blocks_any", "lines_of")

    def __init__(self, lines: Iterable[Line]) -> None:
        self._blocked: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._edits: dict[str, dict[str, str]] = defaultdict(dict)
        self.lines_of: Counter[str] = Counter()
        for line in lines:
            self.lines_of[line.locale] += 1
            if line.choice == "block":
                self._blocked[line.source, line.target].add(line.locale)
            elif line.choice == "edit":
                self._edits[line.source][line.locale] = line.target
        self.blocks_any = bool(self._blocked)

    def blocks(self, holds: Callable[[str], bool], source: str, target: str = "") -> bool:
        """Return whether people blocked this rewrite, all of this source, or all to this target.

        Args:
            holds: whether a decision for a locale holds for this request (`Serving.holds`).
            source: normalised.
            target: normalised; empty to ask about the source alone.
        """
        if not self._blocked:
            return False
        pairs = {(source, target), (source, ""), ("", target)} - {("", "")}
        return any(not locale or holds(locale) for pair in pairs for locale in self._blocked.get(pair, ()))

    def edit(self, source: str, locale: str) -> Rule | None:
        """Return the rule that people wrote for a normalised text, in the locale that is nearest to that of the request."""
        edits = self._edits.get(source)
        if edits is None:
            return None
        for written in (*lookup_order(locale, dict.fromkeys(filter(None, edits), 0)), ""):
            if written in edits:
                return Rule(EDITED, "", written, source, edits[written], 1.0)
        return None


class Review:
    """The review file of one artefact folder. Each call looks whether the file has changed, which takes microseconds.

    Args:
        path: the file; need not be there.
        locales: of the version that was opened; a line of another language is warned of.

    Raises:
        ArtefactError: it cannot be read. Then nothing is served, because people may have blocked it.
    """

    __slots__ = ("_decided", "_locales", "_path", "_seen")

    def __init__(self, path: Path, locales: Collection[str]) -> None:
        self._path = path
        self._locales = locales
        self._seen = self._look()
        self._decided = self._read()

    def decided(self) -> Decisions:
        """Return the decisions of the file as it is now; if it has become unreadable, those before."""
        if (found := self._look()) != self._seen:
            self._seen = found  # so that the warning comes once, until the file changes again
            try:
                self._decided = self._read()
            except ArtefactError as error:
                _log.warning("the decisions of the last readable review stay in force: %s", error)
        return self._decided

    def _read(self) -> Decisions:
        """Return the decisions of the file; a line that cannot be read is warned of once and passed over."""
        found = read(self._path)
        for warning in found.warnings(self._path):
            _log.warning("%s", warning)
        decided = Decisions(found.lines)
        for warning in of_no_locale(self._path, decided.lines_of, self._locales):
            _log.warning("%s", warning)
        return decided

    def _look(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, at every request
        except OSError:
            return _NO_FILE
        return found.st_ino, found.st_size, found.st_mtime_ns


def of_no_locale(path: Path, lines_of: Mapping[str, int], locales: Collection[str]) -> list[str]:
    """Return one line of text for each locale of a review whose language the artefact does not have.

    Args:
        path: the review, for the message.
        lines_of: lines of the review by locale.
        locales: of the artefact; where it has none, nothing is wrong.

    Example:
        >>> of_no_locale(Path("review.csv"), {"EN": 2, "fr": 1, "": 1}, ["en", "de"])
        ["review.csv: 1 line is for the locale 'fr', and the artefact has de, en; write one of these, or none for all locales"]
    """
    known, users = ", ".join(sorted(locales)), dict.fromkeys(locales, 0)
    lacking = [locale for locale in sorted(lines_of) if locale and users and not lookup_order(locale, users)]
    return [
        f"{path}: {'1 line is' if lines_of[locale] == 1 else f'{lines_of[locale]} lines are'} for the locale {locale!r},"
        f" and the artefact has {known}; write one of these, or none for all locales"
        for locale in lacking
    ]
