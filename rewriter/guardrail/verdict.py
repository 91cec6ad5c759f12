"""`Guardrail`: decides whether a text may be rewritten to another one.

Three functions check by sound whether the content of a target was heard in the source. `unheard_news` is for any rewrite that
rests on similarity. `left_out` and `unheard` are for requests that may be fine as they are. Names, titles and places that the log
has never seen often differ in one word from a text that it has seen, such as "cancel the pasta timer" and "cancel the timer", or
"what is the time" and "what is the date".

A *content word* is one that is not light (`Lexicon.light`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import Indel

from rewriter.codes import FindingKind
from rewriter.config import GuardrailSettings as Settings
from rewriter.guardrail.compare import Finding, contradiction, foreign_contradiction
from rewriter.guardrail.contrasts import WordContrasts
from rewriter.guardrail.lexicon import Index, Lexicon, dangers, for_locale
from rewriter.guardrail.numbers import Mention
from rewriter.guardrail.reading import Reading, names_in, read
from rewriter.similarity import Change, changes, run_key
from rewriter.text import joined


def unheard_news(
    source: Reading, target: Reading, lexicon: Lexicon, names: Set[str], knows: Callable[[str], bool]
) -> Finding | None:
    """Find words of the target that do not sound like the words of the source that they replace.

    Only some words are tested: a new polarity, negation, number, value or name, and whatever replaces a word that the assistant
    has never understood.

    Args:
        source: reading of the source.
        target: reading of the target.
        lexicon: the word list that both were read with.
        names: normalised names that the assistant knows.
        knows: whether the assistant has ever understood a word.
    """
    new = {place for mention in _added(source, target, lexicon) for place in range(mention.start, mention.end)}
    for start, end in names_in(target, names):
        if not set(target.words[start:end]).issubset(source.words):
            new.update(range(start, end))
    for edit in changes(source.words, target.words):
        heard, sent = source.words[edit.start : edit.end], target.words[edit.new_start : edit.new_end]
        matters = not new.isdisjoint(range(edit.new_start, edit.new_end)) or not all(map(knows, heard))
        if sent and matters and not lexicon.sounds_alike(heard, sent) and not _misspelt(source, target, edit, lexicon):
            return Finding(FindingKind.UNHEARD, " ".join(heard), " ".join(sent))
    return None


def _added(source: Reading, target: Reading, lexicon: Lexicon) -> list[Mention]:
    """Return the words of the target in slots, other than units, in which the source has no value."""
    slots = [slot for slot in target.mentions if slot not in source.mentions and lexicon.kinds.get(slot) != "units"]
    return [mention for slot in slots for mention in target.mentions[slot] if not mention.weak]


class Edit(NamedTuple):
    """A stretch in which two texts differ: the content words that only one of them has, and whether both sound alike there."""

    lost: list[str]
    gained: list[str]
    alike: bool


def edits(source: Reading, target: Reading, lexicon: Lexicon) -> list[Edit]:
    """Return the stretches in which two texts differ."""
    said, meant = _alike(source, target, lexicon), _alike(target, source, lexicon)
    found, light = [], lexicon.light
    for edit in changes(source.words, target.words):
        heard, sent = source.words[edit.start : edit.end], target.words[edit.new_start : edit.new_end]
        if _misspelt(source, target, edit, lexicon):
            continue
        lost = [word for word in heard if word not in light and word not in target.words and word not in said]
        gained = [word for word in sent if word not in light and word not in source.words and word not in meant]
        alike = bool(gained and heard) and lexicon.sounds_alike(heard, sent)
        found.append(Edit(lost, gained, alike or (bool(lost and gained) and lexicon.sounds_alike(lost, gained))))
    return found


def left_out(differences: Sequence[Edit], lexicon: Lexicon) -> str | None:
    """Return the content words that the target leaves out, if the source contains the whole target; else None.

    The source contains the target if every content word of the target was heard in it.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> from rewriter.guardrail.reading import read
        >>> english = for_locale("en")
        >>> left_out(edits(read("cancel the pasta timer", english), read("cancel the timer", english), english), english)
        'pasta'
        >>> left_out(edits(read("cancel all timers", english), read("cancel my timer", english), english), english)
        'all'
        >>> garbled, meant = read("kettle on the key chain lamp", english), read("turn on the kitchen lamp", english)
        >>> left_out(edits(garbled, meant, english), english)
    """
    more: list[str] = []
    for lost, gained, alike in differences:
        if not gained:
            more += lost
        elif not alike:
            return None
        elif lost:
            more += _superfluous(lost, gained, lexicon)
    return " ".join(more) or None


def unheard(differences: Sequence[Edit]) -> str | None:
    """Return the content words of the target that replace content words of another sound; None if there are none.

    A content word of the target may replace nothing, or light words only. It then counts as spoken but not recorded. If other
    content words of the source are missing from the target, it counts as a replacement of those.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> from rewriter.guardrail.reading import read
        >>> english = for_locale("en")
        >>> unheard(edits(read("what is the time", english), read("what is the date", english), english))
        'date'
        >>> unheard(edits(read("turn on the lamb", english), read("turn on the lamp", english), english))
    """
    missing = False
    added: list[str] = []
    for lost, gained, alike in differences:
        if not gained:
            missing = missing or bool(lost)
        elif lost and not alike:
            return " ".join(gained)
        elif not alike:
            added += gained
    return " ".join(added) if missing and added else None


def _superfluous(lost: list[str], gained: list[str], lexicon: Lexicon) -> list[str]:
    """Return the lost words without which the other lost words sound more like the gained ones."""
    if len(lost) == 1:
        return []
    whole = lexicon.sound_distance(lost, gained)
    return [word for i, word in enumerate(lost) if lexicon.sound_distance(lost[:i] + lost[i + 1 :], gained) < whole]


def _misspelt(source: Reading, target: Reading, edit: Change, lexicon: Lexicon) -> bool:
    """Return whether letters of a script without blanks differ from the letters in their place by one sound only.

    In such a script each letter is a word of a reading (`rewriter.text.normalise`), and has too few sounds for a share of them to
    tell. A letter that is a word by itself ("not" in Chinese) has more than one sound, so it is not left out or put in.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> from rewriter.guardrail.reading import read
        >>> thai, heard, sent = for_locale("th"), "ห้ อ ง นั่ ง เว่ น", "ห้ อ ง นั่ ง เล่ น"
        >>> unheard(edits(read(heard, thai), read(sent, thai), thai))
    """
    heard, sent = source.words[edit.start : edit.end], target.words[edit.new_start : edit.new_end]
    if not all(joined(letter, letter) for letter in (*heard, *sent)):
        return False
    one, other = (run_key("".join(letters), lexicon.language) for letters in (heard, sent))
    return Indel.distance(one, other) <= (_EXCHANGED if one and other else _LEFT_OUT)


_EXCHANGED, _LEFT_OUT = 2, 1  # Indel distance of two texts that differ by one sound


def _alike(text: Reading, other: Reading, lexicon: Lexicon) -> set[str]:
    """Return the words of a text by which it says a number, value or unit that the other text says too: "percent" and "%"."""
    if text.mentions.keys().isdisjoint(other.mentions):
        return set()
    slots = [slot for slot in text.mentions if slot in other.mentions and lexicon.kinds.get(slot) in (None, "values", "units")]
    mentions = (said for slot in slots if text.values(slot) == other.values(slot) for said in text.mentions[slot])
    return {text.words[place] for said in mentions for place in range(said.start, said.end)}


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
"""Words in the names of intents that destroy, buy, send money or unlock. Intent names are English in every locale."""

_GROUPS = {"home": ("always", "order", "reset"), "shop": ("always", "reset"), "support": ("always",), "none": ()}
"""Profile -> the groups of destructive requests that count under it (`rewriter.guardrail.lexicon.DANGERS`)."""
NOTHING_SHOWN = WordContrasts()
HOME = Settings()
"""The default settings."""
_COMPLAINING = frozenset({"shop", "support"})
"""Profiles under which users describe what does not work."""


class _Destructive(NamedTuple):
    """What is destructive in a deployment: requests by their words, words in names of intents, and requests that are exempt."""

    requests: tuple[Index, ...]
    starts: frozenset[str]  # the words under which the requests stand
    intents: frozenset[str]
    harmless: frozenset[frozenset[str]]


def _knows_all(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Guardrail:
    """The checks of rewrites in one language. Safe to use from many threads; never raises, whatever the text is.

    Attributes:
        lexicon: the word list of the language.
        settings: what is destructive in this deployment.
        contrasts: what the texts of the log or catalog show about words. They take precedence over the checks by sound.

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
                source, unless it is destructive. A habit that is only similar is no such evidence.
            online: whether the rewrite rests on similarity. Then it may not cross a contrast, other new words must sound like the
                words that they replace, and the target may not destroy, buy or unlock anything that the source does not ask for.
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
        lexicon = self.lexicon
        after, (first, *others) = read(target, lexicon), [read(hearing, lexicon) for hearing in hearings]
        differences = edits(first, after, lexicon)
        if lost := left_out(differences, lexicon):
            return Finding(FindingKind.LEAVES_OUT, source=lost)
        news = unheard(differences)
        if not news:
            return None
        for other in others:
            if not left_out(edits(first, other, lexicon), lexicon) and not unheard(edits(other, after, lexicon)):
                return None
        return Finding(FindingKind.UNHEARD, target=news)

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
        """Read the source after its synonyms, by the log, were replaced by the words of the target."""
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
        """Return the requests to destroy, buy or unlock in the target, by its words or else by its intent."""
        destructive = _destructive(self.lexicon, self.settings)
        if intent is None and destructive.starts.isdisjoint(target.words):
            return []
        entries = (entry for index in destructive.requests for word in target.words for entry in index.get(word, ()))
        asked = [danger for _, danger in entries if danger.issubset(target.words) and danger not in destructive.harmless]
        if intent is None or asked:
            return asked
        return [frozenset([word]) for word in map(str.lower, _INTENT_WORD.findall(intent)) if word in destructive.intents]


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The guardrails of one artefact.

    Attributes:
        settings: what is destructive in this deployment.
        contrasts: by locale.
    """

    settings: Settings = HOME
    contrasts: Mapping[str, WordContrasts] = field(default_factory=dict)
    _opened: dict[str, Guardrail] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, locale: str) -> Guardrail:
        """Return the guardrail of a locale, one of the artefact's."""
        found = self._opened.get(locale)
        if found is None:
            lexicon = Guardrail.open(locale, self.settings).lexicon
            found = self._opened[locale] = Guardrail(lexicon, self.settings, self.contrasts.get(locale, NOTHING_SHOWN))
        return found

    def foreign(
        self, source: str, target: str, locale: str, locales: Iterable[str], knows: Callable[[str], bool]
    ) -> Finding | None:
        """Return what words of other languages negate or turn and the target does not, or None.

        Args:
            source: normalised utterance; its words may be of several languages.
            target: normalised utterance that would be sent instead.
            locale: of the target.
            locales: the others that are spoken here too.
            knows: whether a word is known in the locale of the target.

        Example:
            >>> said, meant = "nicht lock die front door", "lock the front door"
            >>> DEFAULT.foreign(said, meant, "en", ["de", "en"], meant.split().__contains__).packed()
            'drops_negation|nicht||'
            >>> DEFAULT.foreign("lock die front door", meant, "en", ["de", "en"], meant.split().__contains__)
        """
        own = self.of(locale).lexicon
        others = {lexicon.language: lexicon for lexicon in (self.of(other).lexicon for other in locales)}
        others.pop(own.language, None)
        if not others or all(map(knows, source.split())):
            return None
        before, after, complains = read(source, own), read(target, own), self.settings.profile in _COMPLAINING
        found = (
            foreign_contradiction(before, read(source, lexicon), after, lexicon, knows, complains=complains)
            for lexicon in others.values()
        )
        return next((finding for finding in found if finding), None)

    def held_out(self) -> "Guardrails":
        """Return the guardrails for held-out texts of the index. They have no contrasts, which are learned from those texts."""
        return Guardrails(self.settings)


DEFAULT = Guardrails()
"""The guardrails with default settings, without anything learned."""


@lru_cache(maxsize=_LOCALES_CACHED)
def _opened(locale: str, settings: Settings) -> Guardrail:
    return Guardrail(for_locale(locale), settings)


@lru_cache(maxsize=_LOCALES_CACHED)
def _destructive(lexicon: Lexicon, settings: Settings) -> _Destructive:
    """Return what is destructive under some settings. The lists of the deployment take precedence over those of the profile."""
    groups = _GROUPS[settings.profile]
    own = dangers(settings.destructive)
    destructive, harmless = _sets(own), _sets(dangers(settings.harmless)) - _sets(own)
    intents = {word for group in groups for word in _DANGEROUS_INTENTS[group]} | {
        word for (word, *more) in destructive if not more
    }
    requests = (*(lexicon.danger[group] for group in groups if group in lexicon.danger), own)
    return _Destructive(
        requests,
        frozenset().union(*requests),
        frozenset(intents - _single(harmless)),
        harmless,
    )


def _sets(requests: Index) -> frozenset[frozenset[str]]:
    return frozenset(danger for entries in requests.values() for _, danger in entries)


def _single(phrases: Set[frozenset[str]]) -> set[str]:
    return {word for words in phrases if len(words) == 1 for word in words}
