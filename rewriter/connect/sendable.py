"""What an artefact sends for everybody, rule by rule, for hosts that cannot ask it: `sendable`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rewriter.artefact.review import FILE, read
from rewriter.artefact.versions import current
from rewriter.codes import Layer, LeftOut, Reason, Scope
from rewriter.errors import ArtefactError
from rewriter.evaluation.evaluate import healthy_texts
from rewriter.model.context_rules import ContextRules
from rewriter.model.rules import RuleBook
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import lookup_order
from rewriter.operate.review import rules
from rewriter.text import normalise


class Sent(NamedTuple):
    """A normalised request, and what is sent in its place; on trial if some of these requests are left alone to compare."""

    source: str
    target: str
    on_trial: bool


@dataclass(frozen=True, slots=True)
class Sendable:
    """The rewrites of one language that hold for everybody, whatever the context.

    Attributes:
        version: id of the version that serves.
        locale: of the requests that are rewritten so.
        sent: the rewrites, in the order of their sources.
        left_out: how many others the artefact has, by reason.
        healthy: normalised texts that work as they are: the targets, and, if the private state is there, the texts that succeeded
            in most turns of the log.
    """

    version: str
    locale: str
    sent: tuple[Sent, ...]
    left_out: Mapping[LeftOut, int]
    healthy: frozenset[str]


def sendable(root: str | Path, locale: str | None = None) -> Sendable:
    """Return what `Rewriter.rewrite` sends for everybody: the rules that serve, as people have blocked and edited them.

    Each text is asked of `Rewriter.rewrite` itself, so both say the same. What depends on more than the text is not in it: the
    online layer, lessons, preferences, rules for one user or one context.

    Args:
        root: the artefact folder.
        locale: of the requests; None for the commonest of the artefact. Falls back as in `Rewriter.rewrite`.

    Raises:
        ArtefactError: there is no artefact, it is damaged, or it has nothing in this language.
    """
    version, learned = current(root), rules(root)
    rewriter = Rewriter.open(root, layers=(Layer.LESSON, Layer.PRECOMPUTED))
    book, contextual = RuleBook.open(version.folder / "rules"), ContextRules.open(version.folder / "rules")
    users = dict.fromkeys((rule.locale for rule in learned), 0) | dict(version.manifest.locales)
    order = lookup_order(locale, users)
    if not order:
        raise ArtefactError(f"{root} has nothing for the locale {locale!r}; it has {', '.join(sorted(users)) or 'no locale'}")
    asked = locale or order[0]
    edited = {line.source for line in read(Path(root) / FILE).lines if line.choice == "edit"}
    left = Counter(
        {
            LeftOut.PERSONAL: sum(book.counts[Scope.PERSONAL].values()),
            LeftOut.CONTEXT: len(contextual),
            LeftOut.LOCALE: sum(rule.locale not in order for rule in learned),
        }
    )
    sent = []
    for source in sorted({rule.source for rule in learned if rule.locale in order} | edited):
        answer = rewriter.rewrite(source, locale=asked, after_failure=True)  # after a refusal nothing is held out
        rule = book.find(source, order)
        if answer.reason == Reason.RULE:
            sent.append(
                Sent(source, answer.text, rule is not None and rule.target == normalise(answer.text, asked) and rule.share < 1)
            )
        left[LeftOut.REVIEW] += answer.reason == Reason.BLOCKED_BY_REVIEW
    healthy = frozenset(normalise(each.target, asked) for each in sent) | (healthy_texts(version) or frozenset())
    return Sendable(version.id, asked, tuple(sent), left, healthy)
