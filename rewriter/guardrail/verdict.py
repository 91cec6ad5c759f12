"""`Guardrail`: may this text be rewritten to that one?"""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from rewriter.guardrail.compare import contradiction
from rewriter.guardrail.heard import left_out, unheard, unheard_news
from rewriter.guardrail.lexicon import Lexicon, for_locale
from rewriter.guardrail.reading import Reading, read

_INTENT_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


_DANGEROUS_INTENTS = frozenset({
    "buy", "checkout", "delete", "disarm", "donate", "emergency", "erase", "format", "order", "pay", "payment", "purchase",
    "remove", "reset", "sell", "shutdown", "subscribe", "transfer", "uninstall", "unlock", "unsubscribe", "wipe",
})  # fmt: skip
"""Words in the names of intents that destroy, buy, send money or unlock. Intents are named in English, whatever the locale."""


def _knows_all(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What a rewrite may never do, for one language.

    Attributes:
        lexicon: the word list of the language.

    Example:
        >>> guardrail = Guardrail.open("en-US")
        >>> guardrail.verdict("turn of the lamp", "turn off the lamp")
        >>> guardrail.verdict("turn on the lamp", "turn off the lamp")
        'flips turn on to turn off'
        >>> guardrail.verdict("wake me at fifteen past", "wake me at 50 past")
        'changes number 15 to 50'
        >>> guardrail.verdict("call mary", "call john", names={"mary", "john"})
        'swaps name mary for john'
    """

    lexicon: Lexicon

    @classmethod
    def open(cls, locale: str) -> "Guardrail":
        """Return the guardrail of a locale's language, kept for the next call; one that knows only digits where none is shipped.

        Args:
            locale: BCP 47 locale.
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
    ) -> str | None:
        """Return why a rewrite is forbidden, in a few words; None where it is allowed. Never raises on any text.

        Args:
            source: normalised utterance.
            target: normalised utterance that would be sent instead.
            names: normalised names that the assistant knows (entities of successful hypotheses).
            knows: whether the assistant has ever understood a word.
            personal: whether this user's own turns led from this source to this target. Then it may contradict the source,
                unless that makes it destructive. A habit that is merely similar is no such evidence.
            online: whether the rewrite rests on similarity. Then what is new must sound like what it stands for, and
                nothing destructive, bought or unlocked may come of it that the source does not itself ask for.
            intent: the intent of the target, where it is known.
        """
        if source == target:
            return None
        before, after = read(source, self.lexicon), read(target, self.lexicon)
        if online and (unasked := self._unasked(before, after, intent)):
            return f"destructive by similarity: {unasked}"
        reason = contradiction(before, after, self.lexicon, names, knows)
        if reason and not (personal and not self._dangers(after, intent)):
            return reason
        news = unheard_news(before, after, self.lexicon, names, knows) if online else None
        return news and f"{news[0]} was not heard" + (f" in {news[1]}" if news[1] else "")

    def alters(self, hearings: Sequence[str], target: str) -> str | None:
        """Return how a rewrite by similarity alters a request that may be fine as it is, in a few words; None where it does not.

        The target may not leave out words of the utterance that tell something, and its own must have been heard, in one of the
        hearings: not in one that is the utterance less such words, for then nothing was heard in their place.

        Args:
            hearings: normalised; the utterance first.
            target: normalised utterance that would be sent instead.

        Example:
            >>> guardrail = Guardrail.open("en")
            >>> guardrail.alters(["cancel the pasta timer"], "cancel the timer")
            'leaves out pasta'
            >>> guardrail.alters(["what is the time"], "what is the date")
            'date was not heard'
            >>> guardrail.alters(["what is the time", "what is the day"], "what is the date")
            >>> guardrail.alters(["what's in the news", "what's in the"], "what is it")
            'what was not heard'
        """
        after = read(target, self.lexicon)
        heard = [read(hearing, self.lexicon) for hearing in hearings]
        if lost := left_out(heard[0], after, self.lexicon):
            return f"leaves out {lost}"
        others = [before for before in heard[1:] if not left_out(heard[0], before, self.lexicon)]
        told = [unheard(before, after, self.lexicon) for before in (heard[0], *others)]
        return f"{told[0]} was not heard" if all(told) else None

    def _unasked(self, source: Reading, target: Reading, intent: str | None) -> str | None:
        """Return what the target would destroy, buy or unlock without the source asking for it."""
        unasked = (danger for danger in self._dangers(target, intent) if not danger.issubset(source.words))
        return next((" ".join(sorted(danger)) for danger in unasked), None)

    def _dangers(self, target: Reading, intent: str | None) -> list[frozenset[str]]:
        """Return the requests to destroy, buy or unlock that the target makes, by its words or else by its intent."""
        entries = (entry for word in target.words for entry in self.lexicon.danger.get(word, ()))
        asked = [danger for _, danger in entries if danger.issubset(target.words)]
        if intent is None or asked:
            return asked
        return [frozenset([word]) for word in map(str.lower, _INTENT_WORD.findall(intent)) if word in _DANGEROUS_INTENTS]


@lru_cache(maxsize=64)
def _opened(locale: str) -> Guardrail:
    return Guardrail(for_locale(locale))
