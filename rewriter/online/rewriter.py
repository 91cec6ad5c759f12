"""`Rewriter`: opens an artefact and answers requests."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewriter.artefact import review
from rewriter.artefact.versions import current_id, load_current, open_version
from rewriter.online.decide import answer
from rewriter.online.options import Asking
from rewriter.online.overlay import FILE, Overlay
from rewriter.online.request import Understands
from rewriter.online.review import Review
from rewriter.online.serving import Serving
from rewriter.result import LAYERS, Layer, Rewrite
from rewriter.text import hash_user

_log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0  # seconds between two looks at CURRENT


class Rewriter:
    """Answers requests from an artefact folder, and moves on to a new version within about a second of its publication.

    Safe to use from many threads and across `fork`; all processes share one copy of the files in memory.

    Example:
        >>> rewriter = Rewriter.open("artefact")  # doctest: +SKIP
        >>> rewriter.rewrite("turn of the lamp", user_id="ann").text  # doctest: +SKIP
        'turn off the lamp'
    """

    __slots__ = ("_asking", "_complaint", "_next_look", "_root", "_serving")

    def __init__(self, root: Path, serving: Serving, asking: Asking, *, stays: bool = False) -> None:
        self._root = root
        self._serving = serving
        self._asking = asking
        self._next_look = math.inf if stays else time.monotonic() + _LOOK_EVERY
        self._complaint = ""

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        understands: Understands | None = None,
        deadline_ms: float | None = None,
        layers: Iterable[Layer] = LAYERS,
        version: str | None = None,
        hashed: bool = False,
        feedback: str | Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> "Rewriter":
        """Open the current version of an artefact, or a certain one.

        Args:
            path: the artefact folder.
            understands: the assistant's own parser, where it is at hand: what it understands is left alone before the NLU
                unless a rule says otherwise, and what it does not understand is not sent by the online layer.
            deadline_ms: how long the online layer may take, milliseconds; looked at between its stages. None for no limit.
            layers: which of them are asked.
            version: id of a version to stay with; None for the current one, whichever that is at each time.
            hashed: whether user ids are given as the artefact stores them, as in what `learn` has read, and not as in the log.
            feedback: the file of what users said of rewrites, one for all processes; ``state/feedback.jsonl`` in the artefact
                folder if None.
            now: tells the time, seconds since 1970, for what is drawn by day; a simulation has its own.

        Raises:
            ArtefactError: it is missing, damaged or from a newer release; names the file.
        """
        root = Path(path)
        overlay = Overlay(Path(feedback) if feedback else root / "state" / FILE)
        asking = Asking(understands, deadline_ms, frozenset(layers), hashed, overlay, Review(root / review.FILE), now)
        if version is not None:
            return cls(root, Serving.load(open_version(root, version)), asking, stays=True)
        return cls(root, load_current(root, Serving.load), asking)

    def rewrite(
        self,
        utterance: str,
        *,
        user_id: str | None = None,
        locale: str | None = None,
        nbest: Sequence[str] = (),
        context: Mapping[str, Any] | None = None,
        after_failure: bool = False,
    ) -> Rewrite:
        """Return what to send to the NLU in place of an utterance. Never raises.

        Args:
            utterance: what the assistant heard.
            user_id: pseudonym of the person or household, as in the log; None serves what holds for everybody.
            locale: BCP 47; None for the commonest locale of the log. Falls back from en-US to en to any en-*.
            nbest: other hearings, best first.
            context: scalars such as ``hour``, ``room``, ``device_type``, ``previous_utterance``, as in the log.
            after_failure: whether the NLU has already refused this utterance.

        Returns:
            The rewritten text, or the utterance unchanged, whatever was given, and the reason why.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        return answer(self._serving, self._asking, utterance, user_id, locale, nbest, context, after_failure)

    def rewrite_batch(
        self,
        utterances: Iterable[str],
        *,
        user_ids: Iterable[str | None] | None = None,
        locales: Iterable[str | None] | None = None,
    ) -> list[Rewrite]:
        """Rewrite many utterances, all by the same version.

        Args:
            utterances: what the assistant heard.
            user_ids: one for each utterance; None for nobody's.
            locales: one for each utterance; None for the commonest.

        Raises:
            ValueError: there are more or fewer users or locales than utterances.
        """
        if time.monotonic() >= self._next_look:
            self._look()
        texts, serving = list(utterances), self._serving
        users = [None] * len(texts) if user_ids is None else user_ids
        places = [None] * len(texts) if locales is None else locales
        return [answer(serving, self._asking, *request, (), None, False) for request in zip(texts, users, places, strict=True)]

    def feedback(self, rewrite_id: str, value: int, user_id: str) -> None:
        """Say what became of a decision; from the next call on, in every process, a rewrite that was undone is not repeated.

        It holds for this user alone, and of one rewrite the last word counts. The next `learn` takes it for evidence.

        Args:
            rewrite_id: `Rewrite.id`.
            value: -1 for undone or wrong, 1 for right, 0 to take back what was said.
            user_id: who says so, as given to `rewrite`.

        Raises:
            ValueError: `value` is none of these, or nobody says so.
            ArtefactError: the disk refuses.
        """
        if value not in (-1, 0, 1):
            raise ValueError(f"feedback is -1, 0 or 1, not {value!r}")
        if not user_id:
            raise ValueError("feedback needs the user_id of the one who gives it")
        self._asking.overlay.add(hash_user(user_id, self._serving.user_key), rewrite_id, value)

    def _look(self) -> None:
        """Move on to the version that `CURRENT` names, if it is another and whole."""
        self._next_look = time.monotonic() + _LOOK_EVERY
        try:
            if current_id(self._root) != self._serving.id:
                self._serving = load_current(self._root, Serving.load)
            self._complaint = ""
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new version, the old one serves
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.warning("version %s goes on serving: %s", self._serving.id, error)
