"""`Guardrail`: may this text be rewritten to that one?"""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from rewriter.codes import FindingKind
from rewriter.guardrail.compare import Finding, contradiction
from rewriter.guardrail.heard import left_out, unheard, unheard_news
from rewriter.guardrail.lexicon import Lexicon, for_locale
from rewriter.guardrail.reading import Reading, read

_INTENT_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # "LOCK_Unlock" -> LOCK, Unlock
_LOCALES_CACHED = 64

_DANGEROUS_INTENTS = frozenset({
    "buy", "checkout", "delete", "disarm", "donate", "emergency", "erase", "format", "order", "pay", "payment", "purchase",
    "remove", "reset", "sell", "shutdown", "subscribe", "transfer", "uninstall", "unlock", "unsubscribe", "wipe",
})  # fmt: skip
"""Words in the names of intents that destroy, buy, send money or unlock. Intents are named in English, whatever the locale."""


def _knows_all(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What a rewrite may never do, for one language. Safe to use from many threads; never raises on any text.

    Attributes:
        lexicon: the word list of the language.

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

    @classmethod
    def open(cls, locale: str) -> "Guardrail":
        """Return the guardrail of a locale's language; it is cached. A language without a word list gets digits, signs and names.

        Args:
            locale: BCP 47.
        """
        return _opened(locale)

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
            online: whether the rewrite rests on similarity. Then new words must sound like the words they stand for, and the
                target must not destroy, buy or unlock anything that the source does not ask for.
            intent: the intent of the target, if it is known.
        """
        if source == target:
            return None
        before, after = read(source, self.lexicon), read(target, self.lexicon)
        if online and (unasked := self._unasked(before, after, intent)):
            return Finding(FindingKind.DESTRUCTIVE, target=unasked)
        finding = contradiction(before, after, self.lexicon, names, knows)
        if finding and not (personal and not self._dangers(after, intent)):
            return finding
        return unheard_news(before, after, self.lexicon, names, knows) if online else None

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

    def _unasked(self, source: Reading, target: Reading, intent: str | None) -> str | None:
        """Return the words by which the target would destroy, buy or unlock something that the source does not ask for."""
        unasked = (danger for danger in self._dangers(target, intent) if not danger.issubset(source.words))
        return next((" ".join(sorted(danger)) for danger in unasked), None)

    def _dangers(self, target: Reading, intent: str | None) -> list[frozenset[str]]:
        """Return the requests to destroy, buy or unlock that the target makes, by its words or else by its intent."""
        entries = (entry for word in target.words for entry in self.lexicon.danger.get(word, ()))
        asked = [danger for _, danger in entries if danger.issubset(target.words)]
        if intent is None or asked:
            return asked
        return [frozenset([word]) for word in map(str.lower, _INTENT_WORD.findall(intent)) if word in _DANGEROUS_INTENTS]


@lru_cache(maxsize=_LOCALES_CACHED)
def _opened(locale: str) -> Guardrail:
    return Guardrail(for_locale(locale))
