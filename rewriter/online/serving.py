"""`Serving`: one version of an artefact, opened.

`lookup_order`: in which locales of the log a request is looked up.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rewriter.artefact.versions import Version
from rewriter.config import Config, GuardrailSettings, Teaching
from rewriter.locales import language_of
from rewriter.model.context_rules import ContextRules
from rewriter.model.layer_slices import open_shares
from rewriter.model.rules import Rule, RuleBook, open_moments, open_suggested
from rewriter.text import unspaced

if TYPE_CHECKING:
    from rewriter.guardrail import Guardrails
    from rewriter.model.risk import Risk
    from rewriter.model.spellings import Mend, Spellings
    from rewriter.online.catalog_layer import CatalogLayer, LogThenCatalog
    from rewriter.online.layer import OnlineLayer

_SPELLINGS = "spellings"
"""`rewriter.model.spellings.FOLDER`, which is not imported where only rules are served."""


def lookup_order(locale: str | None, users: Mapping[str, int]) -> tuple[str, ...]:
    """Return the locales in which a request is looked up, best first.

    First the locale itself, then without its last subtag and so on (RFC 4647, section 3.4), then all others of the same
    language, the commonest first. Case, ``de_DE`` for ``de-DE`` and a POSIX ending such as ``.UTF-8`` make no difference.

    Args:
        locale: locale of the request; None or empty for the commonest of the log.
        users: users of the log by locale, spelled as in the rules.

    Example:
        >>> lookup_order("en_US.UTF-8", {"de": 9, "en-GB": 5, "en": 1, "en-US": 2})
        ('en-US', 'en', 'en-GB')
        >>> lookup_order(None, {"de-AT": 1, "en-GB": 5})
        ('en-GB',)
    """

    def commonest_first(known: str) -> tuple[int, str]:
        return -users[known], known

    def distance(known: str) -> int:
        tags = _subtags(known)
        return len(wanted) - len(tags) if tags == wanted[: len(tags)] else len(wanted)

    wanted = _subtags(locale or min(users, key=commonest_first, default=""))
    alike = [known for known in users if _subtags(known)[0] == wanted[0]]
    return tuple(sorted(alike, key=lambda known: (distance(known), commonest_first(known))))


def _one_of_each_language(users: Mapping[str, int]) -> tuple[str, ...]:
    """Return the commonest locale of each language, the commonest first."""
    found: dict[str, str] = {}
    for locale in sorted(users, key=lambda locale: (-users[locale], locale)):
        found.setdefault(language_of(locale), locale)
    return tuple(found.values())


def _subtags(locale: str) -> list[str]:
    return re.split("[-_]", re.split("[.@]", locale, maxsplit=1)[0].lower())


class Places(NamedTuple):
    """Where a request of one locale is looked up.

    Attributes:
        rules: the locales of the log in which there are rules for it, best first.
        online: the locale in which the online layer answers it; None if there is none.
        known: whether the artefact has anything in its language.
        all: all locales of the log in its language, best first.
    """

    rules: tuple[str, ...]
    online: str | None
    known: bool
    all: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """One version of an artefact, opened; a call works on one of these from beginning to end.

    Attributes:
        id: of the version.
        rules: the user's own rules and those for everybody.
        contextual: the rules that hold in a context.
        suggested: (locale, source) -> a rule that is suggested and never sent.
        user_key: secret under which user ids are hashed.
        max_chars: longer utterances are left alone.
        places: locale of a request -> where it is looked up; answers for 256 locales are kept.
        locales: of the log, and all others that have rules.
        online_layer: the online layer; None if `learn` made none.
        shares: slice of the online layer (`rewriter.model.layer_slices`) -> the probability with which it is applied.
        settings: those of the guardrail.
        teaching: how stated preferences are weighed, and how often a user is asked to teach.
        moments: (normalised text, locale, keyed hash) -> what this user restates again and again.
        spellings: those of the log, then those of the catalog.
        spoken: the commonest locale of each language of the online layer, the commonest language first.
    """

    id: str
    rules: RuleBook
    contextual: ContextRules
    suggested: Mapping[tuple[str, str], Rule]
    user_key: bytes
    max_chars: int
    places: Callable[[str | None], Places]
    locales: frozenset[str]
    online_layer: "OnlineLayer | CatalogLayer | LogThenCatalog | None"
    shares: Mapping[str, float]
    settings: GuardrailSettings
    teaching: Teaching
    moments: Callable[[str, str, str], Rule | None]
    spellings: "tuple[Spellings, ...]"
    spoken: tuple[str, ...] = ()

    @classmethod
    def load(cls, version: Version) -> "Serving":
        """Open the files of a version.

        Raises:
            ArtefactError: a file is missing or damaged; names it.
        """
        manifest, rules = version.manifest, RuleBook.open(version.folder / "rules")
        contextual = ContextRules.open(version.folder / "rules")
        online_layer = open_online_layer(version)
        answered = frozenset() if online_layer is None else online_layer.locales
        suggested = open_suggested(version.folder / "rules")
        known = dict.fromkeys(contextual.locales, 0) | {locale: 0 for locale, _ in suggested}
        ruled = known | {locale: 0 for counts in rules.counts.values() for locale in counts}
        users = dict.fromkeys(answered, 0) | ruled | dict(manifest.locales)

        @functools.lru_cache(maxsize=256)
        def places(locale: str | None) -> Places:
            order = lookup_order(locale, users)
            online = next((known for known in order if known in answered), None)
            return Places(tuple(known for known in order if known in ruled), online, bool(order) or not users, order)

        key, shares = bytes.fromhex(manifest.user_key), open_shares(version.folder / "rules")
        locales, limit = frozenset(users), manifest.max_chars
        settings, teaching = _guardrail_of(version), _teaching_of(version)
        return cls(
            version.id, rules, contextual, suggested, key, limit, places, locales, online_layer, shares, settings, teaching,
            open_moments(version.folder / "rules"), open_spellings(version),
            _one_of_each_language({at: users[at] for at in users if at in answered}),
        )  # fmt: skip

    @property
    def risk(self) -> "Risk | None":
        """P(a request goes wrong); None if there is no online layer."""
        return None if self.online_layer is None else self.online_layer.student

    def guardrails(self) -> "Guardrails":
        """Return the guardrails of this version; what they need is imported only here."""
        from rewriter.guardrail import Guardrails  # noqa: PLC0415

        return Guardrails(self.settings) if self.online_layer is None else self.online_layer.guardrails

    def rule(self, query: str, locale: str | None, user: str, context: object) -> tuple[Rule | None, bool]:
        """Return the user's own rule, else one for this context, else one for everybody; and whether it is none for everybody.

        Args:
            query: normalised utterance.
            locale: of the request.
            user: keyed hash; empty for nobody.
            context: scalars by name.
        """
        locales = self.places(locale).rules
        found = self.rules.find(query, locales, user)
        special = found if found is not None and found.user else self.contextual.find(query, locales, context)
        return (found, False) if special is None else (special, True)

    def surface(self, text: str, locale: str | None, user: str) -> str:
        """Return a normalised text as it is spelled when it is sent.

        Args:
            text: normalised.
            locale: of the request.
            user: keyed hash; empty for nobody.
        """
        places = self.places(locale).all
        found = (each.surface(text, place) for each in self.spellings for place in places)
        return next((one for one in found if one is not None), None) or self._own_surface(text, locale, user) or unspaced(text)

    def _own_surface(self, text: str, locale: str | None, user: str) -> str | None:
        """Return how a text that the operator listed for this user alone is spelled; None if it is none."""
        layer = self.online_layer
        found = (layer.surface(text, at, user) for at in self.places(locale).all) if layer and user else iter(())
        return next((one for one in found if one is not None), None)

    def mend(self, spoken: str, text: str, locale: str | None, user: str) -> "Mend | None":
        """Return what is known about an utterance that may only be spelled wrongly; None if it is nothing.

        Args:
            spoken: the utterance.
            text: its normal form.
            locale: of the request.
            user: keyed hash; empty for nobody.
        """
        if not self.spellings:
            return None
        places = self.places(locale).all
        found = (each.mend(spoken, text, place) for each in self.spellings for place in places)
        mend = next((one for one in found if one is not None), None)
        if mend is not None or (own := self._own_surface(text, locale, user)) is None:
            return mend
        return self.spellings[-1].by_operator(spoken, own, places[0])

    def detect(self, query: str, user: str) -> str | None:
        """Return the locale of a request that names none, where the artefact has several languages; else None.

        A rule for this very text decides, else the language of the most similar text that is known to work. So no model of
        languages is needed, which would be unsure about a few words, and a mixed request goes where it is understood best.

        Args:
            query: normalised.
            user: keyed hash; empty for nobody.
        """
        if self.online_layer is None or len(self.spoken) < 2:
            return None
        ruled = (at for at in self.spoken if self.rules.find(query, self.places(at).rules, user) is not None)
        return next(ruled, None) or self.online_layer.nearest_locale(query, self.spoken, user)[1]

    def commonest(self) -> str:
        """Return the commonest locale of the log; empty where it has none."""
        return next(iter(self.places(None).all), "")

    def locale_of(self, asked: str | None) -> str:
        """Return the locale of a request; the commonest of the log where it names none."""
        return asked or self.commonest()

    def holds(self, asked: str | None, answered: str) -> Callable[[str], bool]:
        """Return whether a decision of the review that people wrote for a locale holds for a request.

        It does where that locale is the one of the request, or one above it (``en`` for ``en-US``), or the one in which the
        request is answered, or where it falls back to that one as a request would (``en-US`` to ``en``).

        Args:
            asked: locale of the request.
            answered: locale of the rule or of the online layer that answers it.
        """

        def decided_for(written: str) -> bool:
            tags = _subtags(written)
            above = _subtags(self.locale_of(asked))[: len(tags)] == tags
            return above or tags == _subtags(answered) or self.places(written).all[:1] == (answered,)

        return decided_for

    def suggestion(self, query: str, locale: str | None) -> Rule | None:
        """Return the rule that is suggested for a normalised utterance; None if there is none."""
        if not self.suggested:
            return None
        found = (self.suggested.get((known, query)) for known in self.places(locale).rules)
        return next((rule for rule in found if rule is not None), None)


def open_online_layer(version: Version) -> "OnlineLayer | CatalogLayer | LogThenCatalog | None":
    """Open the online layer of a version if there is one. Its libraries are imported only then."""
    folder, beside = version.folder / "online", version.folder / "catalog"
    if not folder.is_dir() and not beside.is_dir():
        return None
    guardrail = _guardrail_of(version)
    of_log = folder.is_dir() and not (folder / "catalog.json").exists()
    if of_log and not beside.is_dir():
        return _open_layer_of_log(folder, guardrail)
    from rewriter.online.catalog_layer import CatalogLayer, LogThenCatalog  # noqa: PLC0415

    if not beside.is_dir():
        return CatalogLayer.open(folder, guardrail)
    own = _open_layer_of_log(folder, guardrail) if of_log else None
    return LogThenCatalog(own, CatalogLayer.open(beside, guardrail), lookup_order)


def open_spellings(version: Version) -> "tuple[Spellings, ...]":
    """Open the spellings of a version: those of its log, then those of its catalog."""
    folders = [version.folder / kind / _SPELLINGS for kind in ("online", "catalog")]
    folders = [folder for folder in folders if folder.is_dir()]
    if not folders:
        return ()
    from rewriter.model.spellings import Spellings  # noqa: PLC0415 - a process that serves rules only needs no numpy

    return tuple(map(Spellings.open, folders))


def _guardrail_of(version: Version) -> GuardrailSettings:
    return Config.from_dict({"guardrail": version.manifest.config.get("guardrail", {})}).guardrail


def _teaching_of(version: Version) -> Teaching:
    return Config.from_dict({"teaching": version.manifest.config.get("teaching", {})}).teaching


def _open_layer_of_log(folder: Path, guardrail: GuardrailSettings) -> "OnlineLayer":
    from rewriter.online.layer import OnlineLayer  # noqa: PLC0415

    return OnlineLayer.open(folder, guardrail)
