"""What there is to know about an artefact: what it holds (`info`), and every change of stage of its rules (`history`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rewriter.artefact.versions import NO_LOG, Version, load_current, version_ids
from rewriter.codes import Scope
from rewriter.engines import connect
from rewriter.errors import ArtefactError
from rewriter.guardrail import lexicon
from rewriter.guardrail.contrasts import Kind, WordContrasts, open_contrasts
from rewriter.locales import language_of, listed
from rewriter.messages import stage_reason
from rewriter.model.layer_slices import SLICES, Promise, open_promises
from rewriter.model.phrases import languages
from rewriter.model.pronouncer import TablePronouncer, pronouncer_of
from rewriter.model.rules import RuleBook
from rewriter.offline.lifecycle.evidence import slice_figures
from rewriter.online.request import hashed_user
from rewriter.online.serving import lookup_order
from rewriter.text import normalise

ONLINE = ("online layer", "threshold", "held-out wins", "losses", "decided by")
WORDS = ("words", "locale", "pairs", "commonest, with the number of texts that show it")
_MODES = {"before": "before the NLU", "after": "after a refusal"}
_NAMED = 5  # pairs of words that are named


@dataclass(frozen=True, slots=True)
class ArtefactInfo:
    """What the current version of an artefact holds.

    Attributes:
        id: the version that serves.
        created: when it was written, ISO 8601 in UTC.
        rules: rules by scope and locale.
        locales: users of the log by locale; for an artefact of a catalog alone, its texts by locale.
        counts: what `learn` counted.
        metrics: what `learn` measured.
        packages: versions of the packages that wrote it.
        sizes: bytes of each file, by its path below the version's folder.
        versions: ids of all versions that are kept, oldest first.
        words: what texts show about words, by locale (`rewriter.guardrail.contrasts`).
        promises: what held-out evidence promises of each slice of the online layer.
        learned: whether it was learned from a log; else it was made of a catalog alone.
    """

    id: str
    created: str
    rules: Mapping[Scope, Mapping[str, int]]
    locales: Mapping[str, int]
    counts: Mapping[str, int]
    metrics: Mapping[str, float | None]
    packages: Mapping[str, str]
    sizes: Mapping[str, int]
    versions: tuple[str, ...]
    words: Mapping[str, WordContrasts] = field(default_factory=dict)
    promises: Mapping[str, Promise] = field(default_factory=dict)
    learned: bool = True

    def rows(self) -> list[tuple[str, str]]:
        """Return what and how much, line by line, to be printed. What has a table of its own is left out."""
        by_locale = {f"{scope} rules" for scope in self.rules}
        by_slice = slice_figures(self.promises)
        return [
            ("version", self.id),
            ("created", self.created),
            *((what, f"{n:,}") for what, n in self.counts.items() if what not in by_locale),
            *((what, "none" if x is None else f"{x:.4g}") for what, x in self.metrics.items() if what not in by_slice),
            ("bytes", f"{sum(self.sizes.values()):,}"),
            ("versions kept", ", ".join(self.versions)),
        ]

    def locale_columns(self) -> tuple[str, ...]:
        """Return the columns of `locale_rows`."""
        counted = "users" if self.learned else "texts of the catalog"
        return ("locale", counted, *(f"{scope} rules" for scope in self._scopes()), "shipped for the language")

    def locale_rows(self) -> list[tuple[str, ...]]:
        """Return what there is of each locale."""
        rules = [self.rules[scope] for scope in self._scopes()]
        locales = sorted({*self.locales, *self.words, *(locale for counts in rules for locale in counts)})
        return [
            (
                locale,
                f"{self.locales[locale]:,}" if locale in self.locales else "too few",
                *(f"{counts.get(locale, 0):,}" for counts in rules),
                language_data(locale),
            )
            for locale in locales
        ]

    def _scopes(self) -> list[Scope]:
        return list(self.rules) if self.learned else []

    def online_rows(self) -> list[tuple[str, ...]]:
        """Return what is promised of the online layer as rows of a table with `ONLINE`; none where it was not fitted.

        Held-out wins and losses are those of the log alone.
        """
        found = {(SLICES[name].method, SLICES[name].mode): promise for name, promise in self.promises.items()}
        return [
            (
                f"{'habits, ' if method != 'online' else ''}{_MODES[mode]}",
                f"{promise.threshold:.2f}" if promise.keeps_budget() else "none",
                f"{promise.log_win:.0f}",
                f"{promise.log_loss:.0f}",
                "the shipped prior" if promise.by_prior else "the log" if promise.keeps_budget() else "nothing: it is off",
            )
            for (method, mode), promise in found.items()
        ]

    def word_rows(self) -> list[tuple[str, ...]]:
        """Return the pairs of words that mean different things or the same, as rows of a table with `WORDS`."""
        return [(f"{kind}s", locale, *_named(of, kind)) for locale, of in self.words.items() for kind in Kind]


def language_data(locale: str) -> str:
    """Return which data about the language of a locale this release ships. What it lacks is learned, or done by letters.

    Args:
        locale: BCP 47.

    Example:
        >>> language_data("en")
        'own word list, own keyboard, phones, phrases for teaching'
        >>> language_data("sv"), language_data("tlh")
        ('numbers and days, own keyboard', 'letters only')
    """
    language = language_of(locale)
    found = {
        "own word list": language in lexicon.shipped(),
        "numbers and days": language in lexicon.shipped("generated"),
        "own keyboard": language in listed(),
        "phones": isinstance(pronouncer_of(locale), TablePronouncer),
        "phrases for teaching": language in languages(),
    }
    return ", ".join(name for name, there in found.items() if there) or "letters only"


def info(path: str | Path) -> ArtefactInfo:
    """Describe the artefact in a folder.

    Raises:
        ArtefactError: it is missing, damaged or from a newer release; names the file.
    """
    return load_current(path, _describe)


def _describe(version: Version) -> ArtefactInfo:
    manifest = version.manifest
    return ArtefactInfo(
        id=version.id,
        created=manifest.created,
        rules=RuleBook.open(version.folder / "rules").counts,
        locales=manifest.locales,
        counts=manifest.counts,
        metrics=manifest.metrics,
        packages=manifest.packages,
        sizes=manifest.sizes,
        versions=tuple(version_ids(version.root / "versions")),
        words=open_contrasts(version.folder / "online"),
        promises=open_promises(version.folder / "online"),
        learned=version.learned,
    )


def _named(words: WordContrasts, kind: Kind) -> tuple[str, str]:
    """Return how many pairs of words are of a kind, and the commonest with the frames that show them."""
    pairs = [(one or "no word", other, counts) for one, other, counts in words.pairs() if counts.kind is kind]
    named = ", ".join(f"{one}/{other} {max(counts)}" for one, other, counts in pairs[:_NAMED])
    return f"{len(pairs):,}", named


_CHANGES = """
SELECT day, source, target, scope, context_value, stage_before, stage, share, reason, tried, tried_ok, left_alone, left_ok
FROM stage_changes WHERE {where} AND user_id IN ('', ?) ORDER BY day, scope, context_value, target
"""


@dataclass(frozen=True, slots=True)
class StageChange:
    """One change of a rule's stage.

    Attributes:
        day: first day in the new stage, ISO date; the evidence is of the days before.
        source: the text that is rewritten; for a slice of the online layer its name (`rewriter.model.layer_slices`).
        target: the text that is sent instead; empty for a slice of the online layer.
        scope: ``global``, ``personal``, ``context`` or ``online``.
        context_value: where the rule holds; empty for everywhere.
        stage_before: `codes.Stage` before; empty for a new rule.
        stage: `codes.Stage` after.
        share: probability with which the rule is applied in the new stage.
        reason: `codes.StageReason`.
        tried, tried_ok: effective number of trials of the rewrite (one user, one day), and of those that went well.
        left_alone, left_ok: the same for the source as spoken.
    """

    day: str
    source: str
    target: str
    scope: str
    context_value: str
    stage_before: str
    stage: str
    share: float
    reason: str
    tried: float
    tried_ok: float
    left_alone: float
    left_ok: float

    def row(self) -> tuple[str, ...]:
        """Return the change as a row of a table with `COLUMNS`."""
        sent, spoken = _share(self.tried_ok, self.tried), _share(self.left_ok, self.left_alone)
        went_well = ", ".join(f"{how} {of}" for how, of in (("rewritten", sent), ("as spoken", spoken)) if of)
        target = f"{self.target} ({self.context_value})" if self.context_value else self.target or self.source
        return (
            self.day,
            target,
            f"{self.stage_before or 'new'} → {self.stage}",
            f"{self.share:.0%}",
            went_well or "–",
            stage_reason(self.reason),
        )


COLUMNS = ("since", "target", "stage", "applied", "went well", "because")


def history(root: str | Path, text: str | None = None, *, user_id: str | int | None = None) -> Sequence[StageChange]:
    """Return every change of stage of the rules of a text, the oldest first.

    Args:
        root: the artefact folder.
        text: the request; None for the slices of the online layer.
        user_id: the user whose personal rules are included.

    Raises:
        ArtefactError: the artefact is missing or damaged, or its private state is not here.
        RequestError: the user id is none.
    """
    version = load_current(root, lambda found: found)
    path = version.state / "stage_changes.parquet"
    if not version.learned:
        raise ArtefactError(NO_LOG.format(root=root))
    if not path.exists():
        raise ArtefactError(
            f"{path} is missing: the history of rules is in the private state, which is not shipped; run this where you learn"
        )
    user = hashed_user(user_id, bytes.fromhex(version.manifest.user_key))
    spoken = next(iter(lookup_order(None, version.manifest.locales)), "")
    with connect(stage_changes=path) as con:
        where, value = ("scope = ?", "online") if text is None else ("scope <> 'online' AND source = ?", normalise(text, spoken))
        rows = con.execute(_CHANGES.format(where=where), [value, user]).fetchall()
    start = date(1970, 1, 1).toordinal()
    return [StageChange(date.fromordinal(start + day + 1).isoformat(), *rest) for day, *rest in rows]


def _share(ok: float, n: float) -> str:
    return f"{ok / n:.0%} of {n:.0f}" if n >= 1 else ""
