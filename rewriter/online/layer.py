"""What the online layer answers: found, not blocked or undone, and drawn or left alone like a rule."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rewriter.model.parts import part_of
from rewriter.model.rules import Rule
from rewriter.online.arms import drawn
from rewriter.online.asking import Asking
from rewriter.online.ids import decision_id
from rewriter.online.overlay import mark_of
from rewriter.online.reviewed import Decided
from rewriter.online.serving import Serving
from rewriter.online.verdict import Request, Verdict

if TYPE_CHECKING:
    from rewriter.online.star import Star


def tasted(serving: Serving, asking: Asking, request: Request, rule: Rule | None, decided: Decided) -> Verdict | None:
    """Ask the user's habits; None where they have nothing to say, or what people blocked."""
    star = serving.star
    verdict = star.taste(request, None if rule is None else rule.target) if star is not None and request.locale else None
    if verdict is None or verdict.text is None:
        return verdict
    query = request.hearings[0]
    return None if decided.blocks(request.locale, query, verdict.text) else _found(serving, asking, request, verdict)


def retrieved(serving: Serving, star: "Star", asking: Asking, request: Request, late: Callable[[], bool]) -> Verdict:
    """Ask the online layer; it may send nothing that people blocked or that this user has undone."""
    query, locale, decided = request.hearings[0], request.locale, asking.review.decided()
    if decided.blocks(locale, query):
        return Verdict(None, "vetoed")

    def sendable(candidate: str) -> bool:
        return not decided.blocks(locale, query, candidate) and (asking.understands is None or asking.understands(candidate))

    verdict = star.decide(request, late=late, understands=sendable if decided.blocks_any else asking.understands)
    return verdict if verdict.text is None else _found(serving, asking, request, verdict)


def _found(serving: Serving, asking: Asking, request: Request, verdict: Verdict) -> Verdict:
    """Say what becomes of a rewrite that the online layer found; as with rules, after a refusal nothing is drawn."""
    query, scope = request.hearings[0], verdict.scope
    if verdict.text is None or scope is None:
        return verdict
    mark = mark_of(query, verdict.text)
    if asking.overlay.refuses(request.user, mark):
        return Verdict(None, "unwanted")
    part = part_of(verdict.reason, scope, after_failure=request.after_failure)
    share = serving.shares.get(part, 1.0)
    if share <= 0.0:
        return Verdict(None, "withdrawn", candidates=verdict.candidates)
    if share >= 1.0:
        return verdict._replace(mark=mark, part=part)
    arm = drawn(share, request.user or decision_id(), query, asking.today(), serving.user_key)
    if arm == "rewrite":
        return verdict._replace(mark=mark, part=part, arm=arm, propensity=share)
    return Verdict(None, "held_out", scope=scope, candidates=verdict.candidates, part=part, arm=arm, propensity=1.0 - share)
