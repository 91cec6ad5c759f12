"""The review of launched rules and mended spellings: list those that nobody has decided on, and record decisions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rewriter.artefact.review import FILE, Choice, Line, read, write
from rewriter.artefact.versions import current
from rewriter.engines import connect
from rewriter.errors import ArtefactError
from rewriter.model.spellings import FOLDER as SPELLINGS
from rewriter.model.spellings import Spellings
from rewriter.online.review import of_no_locale
from rewriter.online.serving import lookup_order
from rewriter.text import normalise

COLUMNS = ("rule", "source", "target", "turns", "users", "P(goal)", "P(win)", "P(loss)")
FIGURES = COLUMNS[3:]


@dataclass(frozen=True, slots=True)
class Learned:
    """A rule for everybody, with its evidence (`tables.RULES`), or a spelling that is mended (`rewriter.model.spellings.Mend`).

    Attributes:
        rule: its id.
        locale: of the log.
        source: what is rewritten; of a mended spelling as it is spelled.
        target: what is sent; the same.
        turns: of the source in the log, by which rules are ordered.
        users: who meant the target.
        p_goal: posterior mean of P(the target is meant); of a mended spelling P(it works as sent).
        win: expected wins per request.
        loss: expected losses per request.
    """

    rule: str
    locale: str
    source: str
    target: str
    turns: float
    users: int
    p_goal: float
    win: float
    loss: float

    @property
    def pair(self) -> tuple[str, str]:
        """Source and target, normalised, as lines of the review name them; equal for a mended spelling."""
        return normalise(self.source, self.locale), normalise(self.target, self.locale)

    def row(self) -> tuple[str, ...]:
        """Return it in the order of COLUMNS."""
        figures = (f"{value:.3f}" for value in (self.p_goal, self.win, self.loss))
        return self.rule, self.source, self.target, f"{self.turns:,.0f}", f"{self.users:,}", *figures


def pending(root: str | Path) -> list[Learned]:
    """Return the rules for everybody and the mended spellings that serve and that no line of the review names, the most
    frequent first.

    Args:
        root: the artefact folder.

    Raises:
        ArtefactError: there is no artefact, or the review cannot be read.
    """
    return [each.rule for each in decided(root) if each.line is None]


class Decided(NamedTuple):
    """A rule for everybody, and the line of the review that names it; None if nobody has decided about it."""

    rule: Learned
    line: Line | None


def decided(root: str | Path) -> list[Decided]:
    """Return the rules for everybody and the mended spellings that serve, each with what people decided about it, the most
    frequent first.

    Args:
        root: the artefact folder.

    Raises:
        ArtefactError: there is no artefact, or the review cannot be read.
    """
    learned = sorted([*rules(root), *spellings(root)], key=lambda rule: -rule.turns)
    lines = [_placed(line, learned) for line in read(Path(root) / FILE).lines]
    named = {line.pair: line for line in lines}
    edited = {line.pair[:2]: line for line in lines if line.choice == "edit"}

    def about(rule: Learned) -> Line | None:
        places = [(locale, *pair) for locale in (rule.locale, "") for pair in _pairs(rule)]
        found = [edited.get((locale, rule.pair[0])) for locale in (rule.locale, "")] + [named.get(place) for place in places]
        lines = [line for line in found if line is not None]
        return min(lines, key=lambda line: ("edit", "block", "approve").index(line.choice), default=None)

    return [Decided(rule, about(rule)) for rule in learned]


def _pairs(rule: Learned) -> tuple[tuple[str, str], ...]:
    """Return the pairs of texts by which a line of the review can name a rule."""
    source, target = rule.pair
    return (source, target), (source, ""), ("", target)


def _placed(line: Line, learned: Sequence[Learned]) -> Line:
    """Return a decision in the locale of the rules that it is about: people write EN or en-US where the log has en."""
    order = lookup_order(line.locale, dict.fromkeys((rule.locale for rule in learned), 0)) if line.locale else ()
    return replace(line, locale=order[0]) if order else line


def rules(root: str | Path) -> list[Learned]:
    """Return the rules for everybody that serve, the most frequent first.

    Raises:
        ArtefactError: there is no artefact.
    """
    with connect() as con:
        found = con.execute(
            """SELECT rule, locale, source, target, turns, users, p_goal, win, loss
               FROM read_parquet(?) ORDER BY turns DESC, locale, source""",
            [str(current(root).folder / "rules.parquet")],
        ).fetchall()
    return [Learned(*row) for row in found]


def spellings(root: str | Path) -> list[Learned]:
    """Return the spellings that are mended before the NLU, the most frequent first.

    Raises:
        ArtefactError: there is no artefact, or it is damaged.
    """
    folder = current(root).folder / "online" / SPELLINGS
    mends = Spellings.open(folder).mends if folder.is_dir() else ()
    return [
        Learned(one.rule, one.locale, one.spoken, one.sent, one.turns, one.users, one.p, one.win, one.loss)
        for one in mends
        if one.before
    ]


def decide(root: str | Path, choice: Choice, ids: Sequence[str], *, text: str = "", note: str = "") -> list[Line]:
    """Write down what a person decided about rules that serve; it counts from the next request on.

    It takes the place of what was decided about them before, except that a rule may be blocked and edited: then what was learned
    is not sent, and what was written is.

    Args:
        root: the artefact folder.
        choice: ``approve``, ``block`` or ``edit``.
        ids: of rules.
        text: what to send instead, for ``edit``.
        note: why, for people.

    Returns:
        The new lines.

    Raises:
        ArtefactError: there is no such rule, or no text to edit to, or the file cannot be read or written.
    """
    path, learned = Path(root) / FILE, [*rules(root), *spellings(root)]
    known = {rule.rule: rule for rule in learned}
    if missing := [rule for rule in ids if rule not in known]:
        raise ArtefactError(f"no rule {', '.join(missing)} serves everybody in {root}; `rewriter review {root}` lists them")
    if choice == "edit" and (spelled := [i for i in ids if known[i].pair[0] == known[i].pair[1]]):
        raise ArtefactError(f"{', '.join(spelled)} mends a spelling, which is approved or blocked, not edited")
    try:
        new = [Line(known[i].locale, *known[i].pair, choice, note) for i in ids]
        new = [replace(line, target=normalise(text, line.locale)) for line in new] if choice == "edit" else new
    except ValueError as error:
        raise ArtefactError(str(error)) from error
    replaced = {line.pair for line in new}
    edits = {line.pair[:2] for line in new if choice != "block"}  # what was learned may be blocked, and what was written sent
    approved = {(known[i].locale, *known[i].pair) for i in ids}
    found = read(path)
    kept = [
        line
        for line, (*pair, target) in ((line, _placed(line, learned).pair) for line in found.lines)
        if (*pair, target) not in replaced
        and not (line.choice == "edit" and tuple(pair) in edits)
        and not (line.choice == "approve" and (*pair, target) in approved)
    ]
    write(path, [*kept, *new], found.wrong)
    return new


def warnings(root: str | Path) -> list[str]:
    """Return one line of text for each line of the review that cannot be read, and for each locale that the artefact lacks."""
    path = Path(root) / FILE
    found = read(path)
    locales = {*current(root).manifest.locales, *(rule.locale for rule in rules(root))}
    return found.warnings(path) + of_no_locale(path, Counter(line.locale for line in found.lines), locales)
