"""`Review`: what people decided about rewrites. The file is read again as soon as it changes."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rewriter.artefact.review import Line, read
from rewriter.errors import ArtefactError
from rewriter.model.rules import Rule

EDITED: Final = "review"
"""Id of all rules that people wrote."""

_log = logging.getLogger(__name__)
_NO_FILE = (0, 0, 0)


class Decisions:
    """The decisions of one state of the file.

    Attributes:
        blocks_any: whether any rewrite is blocked.
    """

    __slots__ = ("_blocked", "_edits", "blocks_any")

    def __init__(self, lines: Iterable[Line]) -> None:
        known = list(lines)
        self._blocked = frozenset(line.pair for line in known if line.choice == "block")
        self._edits = {line.pair[:2]: line.target for line in known if line.choice == "edit"}
        self.blocks_any = bool(self._blocked)

    def blocks(self, locale: str, source: str, target: str = "") -> bool:
        """Return whether people blocked this rewrite, all of this source, or all to this target.

        Args:
            locale: of the request, spelled as in the log.
            source: normalised.
            target: normalised; empty to ask about the source alone.
        """
        if not self._blocked:
            return False
        pairs = {(source, target), (source, ""), ("", target)} - {("", "")}
        return any((place, *pair) in self._blocked for place in (locale, "") for pair in pairs)

    def edit(self, source: str, locales: Sequence[str]) -> Rule | None:
        """Return the rule that people wrote for a normalised text, in the first of some locales that has one."""
        for locale in (*locales, "") if self._edits else ():
            if (target := self._edits.get((locale, source))) is not None:
                return Rule(EDITED, "", locale, source, target, 1.0)
        return None


class Review:
    """The review file of one artefact folder. Each call looks whether the file has changed, which takes microseconds.

    Args:
        path: the file; need not be there.

    Raises:
        ArtefactError: it cannot be read. Then nothing is served, because people may have blocked it.
    """

    __slots__ = ("_decided", "_path", "_seen")

    def __init__(self, path: Path) -> None:
        self._path = path
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
        return Decisions(found.lines)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, at every request
        except OSError:
            return _NO_FILE
        return found.st_ino, found.st_size, found.st_mtime_ns
