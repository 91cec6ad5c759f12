"""The precomputed rules: what `learn` hands to the look-up that serves them."""

from typing import NamedTuple


class Rule(NamedTuple):
    """One launched rewrite.

    Attributes:
        rule: its id.
        user: keyed hash of the only user it serves; empty for everybody.
        locale: BCP 47 locale of the log it was learned from.
        source: normalised utterance that is rewritten.
        target: normalised utterance that is sent instead.
        score: probability that the rewritten request succeeds, 0..1.
    """

    rule: str
    user: str
    locale: str
    source: str
    target: str
    score: float
