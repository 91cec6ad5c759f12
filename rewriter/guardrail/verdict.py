"""`Guardrail`: may this text be rewritten to that one?"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from rewriter.codes import FindingKind
from rewriter.config import Guardrail as Settings
from rewriter.guardrail.compare import Finding, contradiction
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.guardrail.heard import left_out, unheard, unheard_news
from rewriter.guardrail.lexicon import Index, Lexicon, dangers, for_locale
from rewriter.guardrail.reading import Reading, read

_INTENT_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # "LOCK_Unlock" -> LOCK, Unlock
_LOCALES_CACHED = 64

_DANGEROUS_INTENTS = {
    "always": frozenset({
        "buy", "delete", "disarm", "donate", "emergency", "erase", "format", "pay", "purchase", "remove", "sell", "shutdown",
        "uninstall", "unlock", "wipe",
    }),
    "order": frozenset({"checkout", "order", "payment", "subscribe", "transfer"}),
    "reset": frozenset({"reset", "unsubscribe"}),
}  # fmt: skip
"""Words in the names of intents that destroy, buy, send money or unlock. Intents are named in English, whatever the locale."""

_GROUPS = {"home": ("always", "order", "reset"), "shop": ("always", "reset"), "support": ("always",), "none": ()}
"""Profile -> the groups of destructive requests that it heeds (`rewriter.guardrail.lexicon.DANGERS`)."""
NOTHING_SHOWN = WordContrasts()
HOME = Settings()
"""The settings where nothing else is said."""
_COMPLAINING = frozenset({"shop", "support"})
"""Profiles under which people tell what does not work."""


class _Heeded(NamedTuple):
    """What is destructive in a deployment: requests by their words, words in names of intents, and requests that are not."""

    requests: tuple[Index, ...]
    intents: frozenset[str]
    harmless: frozenset[frozenset[str]]


def _knows_all(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What a rewrite may never do, for one language. Safe to use from many threads; never raises on any text.

    Attributes:
        lexicon: the word list of the language.
        settings: what is destructive in this deployment.
        contrasts: what the texts of the log or catalog show about words. Where they speak, they overrule what was heard.

    Example:
        >>> guardrail = Guardrail.open("en-US")
        >>> guardrail.verdict("turn of the lamp", "turn off the lamp")
        >>> guardrail.verdict("turn on the lamp", "turn off the lamp").packed()
        'flips|turn on|turn off|'
        >>> guardrail.verdict("wake me at fifteen past", "wake me at 50 past").packed()
        'changes_number|15|50|'
        >>> guardrail.verdict("call mary", "call john", names={"mary", "john"}).packed()
        'swaps_name|mary|john|'
    """

    lexicon: Lexicon
    settings: Settings = HOME
    contrasts: WordContrasts = NOTHING_SHOWN

    @classmethod
    def open(cls, locale: str, settings: Settings = HOME) -> "Guardrail":
        """Return the guardrail of a locale's language; it is cached. A language without a word list gets digits, signs and names.

        Args:
            locale: BCP 47.
            settings: what is destructive in this deployment.

        Example:
            >>> source, target = "where is my ordr", "where is my order"
            >>> Guardrail.open("en").verdict(source, target, online=True).packed()
            'destructive||order|'
            >>> Guardrail.open("en", Settings("shop")).verdict(source, target, online=True)
        """
        return _opened(locale, settings)

    def verdict(
        self,
        source: str,
        target: str,
        *,
        names: Set[str] = frozenset(),
        knows: Callable[[str], bool] = _knows_all,
        personal: bool = False,
        online: bool = False,
        intent: str | None = None,
    ) -> Finding | None:
        """Return why a rewrite is forbidden, or None if it is allowed.

        Args:
            source: normalised utterance.
            target: normalised utterance that would be sent instead.
            names: normalised names that the assistant knows (slot values of successful hypotheses).
            knows: whether the assistant has ever understood a word.
            personal: whether this user's own turns led from this source to this target. Then the target may contradict the
                source, unless it is destructive. A habit that is merely similar is no such evidence.
            online: whether the rewrite rests on similarity. Then it crosses no contrast, other new words must sound like the
                words they stand for, and the target must not destroy, buy or unlock anything that the source does not ask for.
            intent: the intent of the target, if it is known.
        """
        if source == target:
            return None
        before, after = read(source, self.lexicon), read(target, self.lexicon)
        if online and (unasked := self._unasked(before, after, intent)):
            return unasked
        finding = contradiction(before, after, self.lexicon, names, knows, complains=self.settings.profile in _COMPLAINING)
        if finding and not (personal and not self._dangers(after, intent)):
            return finding
        if not online:
            return None
        return self.crosses(source, target) or unheard_news(self._as_said(source, target), after, self.lexicon, names, knows)

    def alters(self, hearings: Sequence[str], target: str) -> Finding | None:
        """Return how a rewrite by similarity alters a request that may be fine as it is, or None if it does not.

        The target may not leave out content words of the utterance. Its own content words must have been heard in one of the
        hearings. A hearing that is only the utterance with words left out does not count, because nothing was heard in their
        place.

        Args:
            hearings: normalised; the utterance first.
            target: normalised utterance that would be sent instead.

        Example:
            >>> guardrail = Guardrail.open("en")
            >>> guardrail.alters(["cancel the pasta timer"], "cancel the timer").packed()
            'leaves_out|pasta||'
            >>> guardrail.alters(["what is the time"], "what is the date").packed()
            'unheard||date|'
            >>> guardrail.alters(["what is the time", "what is the day"], "what is the date")
            >>> guardrail.alters(["what's in the news", "what's in the"], "what is it").packed()
            'unheard||what|'
        """
        after = read(target, self.lexicon)
        heard = [read(hearing, self.lexicon) for hearing in hearings]
        if lost := left_out(heard[0], after, self.lexicon):
            return Finding(FindingKind.LEAVES_OUT, source=lost)
        others = [before for before in heard[1:] if not left_out(heard[0], before, self.lexicon)]
        news = [unheard(before, after, self.lexicon) for before in (heard[0], *others)]
        return Finding(FindingKind.UNHEARD, target=news[0]) if news[0] and all(news) else None

    def crosses(self, source: str, target: str) -> Finding | None:
        """Return a contrast of the log or catalog that a rewrite crosses, or None.

        Args:
            source: normalised utterance.
            target: normalised utterance that would be sent instead.
        """
        shown = self.contrasts.crossed(source.split(), target.split()) if self.settings.contrasts else None
        if shown is None:
            return None
        return Finding(FindingKind.CROSSES, shown.source, shown.target, f"{shown.counts.changes}:{shown.counts.keeps}")

    def _as_said(self, source: str, target: str) -> Reading:
        """Read the source with the words of the target in place of what the log shows to mean the same."""
        known = self.settings.contrasts and self.contrasts.words
        return read(self.contrasts.as_said(source.split(), target.split()) if known else source, self.lexicon)

    def destroys(self, source: str, target: str) -> Finding | None:
        """Return what the target would destroy, buy or unlock though the source does not ask for it, or None.

        Args:
            source: normalised utterance.
            target: normalised utterance that would be sent instead.
        """
        return self._unasked(read(source, self.lexicon), read(target, self.lexicon), None)

    def _unasked(self, source: Reading, target: Reading, intent: str | None) -> Finding | None:
        unasked = (danger for danger in self._dangers(target, intent) if not danger.issubset(source.words))
        return next((Finding(FindingKind.DESTRUCTIVE, target=" ".join(sorted(danger))) for danger in unasked), None)

    def _dangers(self, target: Reading, intent: str | None) -> list[frozenset[str]]:
        """Return the requests to destroy, buy or unlock that the target makes, by its words or else by its intent."""
        heeded = _heeded(self.lexicon, self.settings)
        entries = (entry for index in heeded.requests for word in target.words for entry in index.get(word, ()))
        asked = [danger for _, danger in entries if danger.issubset(target.words) and danger not in heeded.harmless]
        if intent is None or asked:
            return asked
        return [frozenset([word]) for word in map(str.lower, _INTENT_WORD.findall(intent)) if word in heeded.intents]


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The guardrails of one artefact.

    Attributes:
        settings: what is destructive in this deployment.
        contrasts: by locale.
    """

    settings: Settings = HOME
    contrasts: Mapping[str, WordContrasts] = field(default_factory=dict)

    def of(self, locale: str) -> Guardrail:
        """Return the guardrail of a locale."""
        opened = Guardrail.open(locale, self.settings)
        return Guardrail(opened.lexicon, opened.settings, self.contrasts.get(locale, NOTHING_SHOWN))

    def held_out(self) -> "Guardrails":
        """Return the guardrails for held-out texts of the index: without contrasts, for these come from such texts themselves."""
        return Guardrails(self.settings)


DEFAULT = Guardrails()
"""The guardrails where nothing is set and nothing was learned."""


@lru_cache(maxsize=_LOCALES_CACHED)
def _opened(locale: str, settings: Settings) -> Guardrail:
    return Guardrail(for_locale(locale), settings)


@lru_cache(maxsize=_LOCALES_CACHED)
def _heeded(lexicon: Lexicon, settings: Settings) -> _Heeded:
    """Return what is destructive under some settings; the lists of the deployment overrule those of the profile."""
    groups = _GROUPS[settings.profile]
    own = dangers(settings.destructive)
    destructive, harmless = _sets(own), _sets(dangers(settings.harmless)) - _sets(own)
    intents = {word for group in groups for word in _DANGEROUS_INTENTS[group]} | {
        word for (word, *more) in destructive if not more
    }
    return _Heeded(
        (*(lexicon.danger[group] for group in groups if group in lexicon.danger), own),
        frozenset(intents - _single(harmless)),
        harmless,
    )


def _sets(requests: Index) -> frozenset[frozenset[str]]:
    return frozenset(danger for entries in requests.values() for _, danger in entries)


def _single(phrases: Set[frozenset[str]]) -> set[str]:
    return {word for words in phrases if len(words) == 1 for word in words}
