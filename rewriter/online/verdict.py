"""What the online layer is asked, and what it says."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rewriter.result import Candidate, Reason, Scope

Understands = Callable[[str], bool]
"""The assistant's own parser: whether it understands a text."""


class Request(NamedTuple):
    """What is asked of the online layer.

    Attributes:
        hearings: normalised, the utterance first, none twice, none empty.
        locale: one of the artefact's.
        user: keyed hash; empty for nobody.
        after_failure: whether the NLU has already refused the utterance.
    """

    hearings: Sequence[str]
    locale: str
    user: str
    after_failure: bool


class Verdict(NamedTuple):
    """What the online layer says.

    Attributes:
        text: to be sent; None where the request is left alone.
        reason: why.
        score: expected share of wins; None where the request is left alone.
        suggestion: worth asking about, where nothing is sent.
        candidates: what was considered, best first.
        scope: whether this user has said the text with success; None where the request is left alone.
        mark: of the rewrite to `text` (`overlay.mark_of`).
    """

    text: str | None
    reason: Reason
    score: float | None = None
    suggestion: str | None = None
    candidates: tuple[Candidate, ...] = ()
    scope: Scope | None = None
    mark: str = ""
