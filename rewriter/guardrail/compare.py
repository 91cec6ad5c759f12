"""`Finding`: a reason to forbid a rewrite. `contradiction`: finds where source and target differ in meaning, slot by slot.

If both texts have a value in a slot, the values must be equal. If only one text has a value, something was dropped or added. That
is allowed, except for a negation. A known name may not be replaced by another one.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from itertools import pairwise
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein, Prefix

from rewriter.codes import FindingKind
from rewriter.guardrail.lexicon import NUMBER, Lexicon
from rewriter.guardrail.numbers import longest
from rewriter.guardrail.reading import Reading, names_in
from rewriter.similarity import changes

_NEGATION = "negation"
_RUN, _OFF = "run", "off"  # slot and value that every word list has for requests to stop something
_SHORTEST_NAME, _LONGEST_ENDING = 3, 2  # least letters of a name that may have an ending, and most letters of the ending
_SAME_STEM = 4  # least number of letters that two forms of one verb share


class Finding(NamedTuple):
    """Why the guardrail forbids a rewrite. `rewriter.messages.guardrail_finding` says it in English.

    Attributes:
        kind: the code.
        source: the words of the source that it is about; may be empty.
        target: the words of the target that it is about; may be empty.
        slot: the slot of the word list, for `FindingKind.CHANGES_VALUE`; else empty.

    Example:
        >>> Finding(FindingKind.FLIPS, "turn on", "turn off").packed()
        'flips|turn on|turn off|'
    """

    kind: FindingKind
    source: str = ""
    target: str = ""
    slot: str = ""

    def packed(self) -> str:
        """Return the four fields in one text, as tables and answers hold it. No normalised word contains ``|``."""
        return "|".join(self)


def contradiction(
    source: Reading,
    target: Reading,
    lexicon: Lexicon,
    names: Set[str],
    knows: Callable[[str], bool],
    *,
    complains: bool = False,
) -> Finding | None:
    """Return the first contradiction between two texts, or None if there is none.

    Args:
        source: reading of the source.
        target: reading of the target.
        lexicon: the word list that both were read with.
        names: normalised names that the assistant knows.
        knows: whether the assistant has ever understood a word.
        complains: whether users describe what does not work ("i cant log in"). Such a negation may then be dropped.
    """
    return (
        _flipped(source, target, lexicon)
        or _renumbered(source, target, lexicon)
        or _revalued(source, target, lexicon)
        or _replaced(source, target, lexicon)
        or _negated(source, target, lexicon, knows, complains=complains)
        or _resumed(source, target)
        or _swapped(source, target, lexicon, names)
        or _exchanged(source, target)
        or _inflected(source, target, names)
    )


def foreign_contradiction(
    source: Reading, heard: Reading, target: Reading, lexicon: Lexicon, knows: Callable[[str], bool], *, complains: bool = False
) -> Finding | None:
    """Return what words of another language negate or turn, and the target does not; None if there is nothing.

    Only words count that are unknown in the language of the target, and that say nothing by its word list.

    Args:
        source: the utterance, read with the word list of the target's language.
        heard: the utterance, read with the word list of the other language.
        target: reading of the target, with the word list of its language.
        lexicon: the word list of the other language.
        knows: whether a word is known in the language of the target.
        complains: as for `contradiction`.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> from rewriter.guardrail.reading import read
        >>> english, german = for_locale("en"), for_locale("de")
        >>> said, meant = "nicht lock die front door", "lock the front door"
        >>> knows = meant.split().__contains__
        >>> foreign_contradiction(read(said, english), read(said, german), read(meant, english), german, knows).packed()
        'drops_negation|nicht||'
    """
    understood = {source.words[place] for place in source.covered}
    for slot in heard.mentions:
        kind = lexicon.kinds.get(slot)
        if kind not in ("negation", "polarity"):
            continue
        for mention in heard.mentions[slot]:
            words = heard.words[mention.start : mention.end]
            if mention.weak or all(knows(word) or word in understood for word in words) or mention.value in target.values(slot):
                continue
            if slot in target.mentions:
                turned = FindingKind.FLIPS if kind == "polarity" else FindingKind.CHANGES_NEGATION
                return Finding(turned, " ".join(words), target.text(slot))
            if kind == "negation" and not (complains and words in lexicon.complaints):
                return Finding(FindingKind.DROPS_NEGATION, " ".join(words))
    return None


def _flipped(source: Reading, target: Reading, lexicon: Lexicon) -> Finding | None:
    for slot in source.mentions:
        if lexicon.kinds.get(slot) == "polarity" and slot in target.mentions and source.sides(slot) != target.sides(slot):
            return Finding(FindingKind.FLIPS, source.text(slot), target.text(slot))
    return None


def _renumbered(source: Reading, target: Reading, lexicon: Lexicon) -> Finding | None:
    if NUMBER not in source.mentions or NUMBER not in target.mentions or _same_numbers(source, target, lexicon):
        return None
    return Finding(FindingKind.CHANGES_NUMBER, " ".join(source.values(NUMBER)), " ".join(target.values(NUMBER)))


def _same_numbers(source: Reading, target: Reading, lexicon: Lexicon) -> bool:
    left, right = source.values(NUMBER), target.values(NUMBER)
    if left == right or _split_hours(left) == _split_hours(right):
        return True
    return _not_misheard(source, target, lexicon) == _not_misheard(target, source, lexicon)


def _split_hours(values: list[str]) -> list[str]:
    """Return numbers with 730 as 7 and 30, so that it equals 7:30; whole hundreds stay."""
    split: list[str] = []
    for value in values:
        hour, minutes = value[:-2], value[-2:]
        is_time = 3 <= len(value) <= 4 and value.isdecimal() and 1 <= int(hour) <= 24 and 1 <= int(minutes) < 60
        split += [hour, str(int(minutes))] if is_time else [value]
    return split


def _not_misheard(text: Reading, other: Reading, lexicon: Lexicon) -> list[str]:
    """Return the numbers of a text without those for which the other text has a word of the same sound: 2 for "to"."""
    return [value for value in text.values(NUMBER) if not _is_misheard(value, text, other, lexicon)]


def _is_misheard(value: str, text: Reading, other: Reading, lexicon: Lexicon) -> bool:
    return any(other.words.count(word) > text.words.count(word) for word in lexicon.mistaken.get(value, ()))


def _revalued(source: Reading, target: Reading, lexicon: Lexicon) -> Finding | None:
    for slot in source.mentions:
        if slot not in target.mentions:
            continue
        left, right = source.values(slot), target.values(slot)
        kind = lexicon.kinds.get(slot)
        if (kind == "values" and left != right) or (kind == "units" and not (_within(left, right) or _within(right, left))):
            return Finding(FindingKind.CHANGES_VALUE, source.text(slot), target.text(slot), slot)
    return None


def _within(part: list[str], whole: list[str]) -> bool:
    """Return whether the values of one list are found in the other in the same order."""
    rest = iter(whole)
    return all(value in rest for value in part)


def _replaced(source: Reading, target: Reading, lexicon: Lexicon) -> Finding | None:
    """Find a number or date that was replaced by one of another slot: "at 7" by "tomorrow"."""
    lost, gained = _only_in(source, target, lexicon), _only_in(target, source, lexicon)
    return Finding(FindingKind.REPLACES, source.text(lost), target.text(gained)) if lost and gained else None


def _only_in(text: Reading, other: Reading, lexicon: Lexicon) -> str | None:
    """Return a slot of numbers or values in which only this text says something."""
    for slot in text.mentions:
        if slot in other.mentions or (slot == NUMBER and not _not_misheard(text, other, lexicon)):
            continue
        if slot == NUMBER or lexicon.kinds[slot] == "values":
            return slot
    return None


def _negated(
    source: Reading, target: Reading, lexicon: Lexicon, knows: Callable[[str], bool], *, complains: bool
) -> Finding | None:
    left, right = source.sides(_NEGATION), target.sides(_NEGATION)
    if left == right or (complains and not right and _only_complains(source, lexicon)):
        return None
    if not left and _was_garbled(source, target, lexicon, knows):
        return None
    kind = FindingKind.ADDS_NEGATION if not left else FindingKind.CHANGES_NEGATION if right else FindingKind.DROPS_NEGATION
    return Finding(kind, source.text(_NEGATION), target.text(_NEGATION))


def _resumed(source: Reading, target: Reading) -> Finding | None:
    """Find a request to stop something whose target asks for that thing: "stop reminding me", "remind me"."""
    said = [mention for mention in source.mentions.get(_RUN, ()) if mention.value == _OFF]
    rest = [word for i, word in enumerate(source.words) if not any(m.start <= i < m.end for m in said)]
    if not said or _RUN in target.mentions or len(rest) != len(target.words) or rest == list(target.words):
        return None
    if all(one == other or Prefix.similarity(one, other) >= _SAME_STEM for one, other in zip(rest, target.words, strict=True)):
        return Finding(FindingKind.DROPS_NEGATION, source.text(_RUN))
    return None


def _only_complains(text: Reading, lexicon: Lexicon) -> bool:
    """Return whether each negation of a text describes something that does not work."""
    return all(text.words[said.start : said.end] in lexicon.complaints for said in text.mentions[_NEGATION])


def _was_garbled(source: Reading, target: Reading, lexicon: Lexicon, knows: Callable[[str], bool]) -> bool:
    """Return whether each new negation replaces words that sound the same or were never understood."""
    edits = changes(source.words, target.words)
    for mention in target.mentions[_NEGATION]:
        for edit in (e for e in edits if e.new_start < mention.end and mention.start < e.new_end):
            heard = source.words[edit.start : edit.end]
            if all(map(knows, heard)) and not lexicon.sounds_alike(
                heard, target.words[edit.new_start : edit.new_end], within=0.0
            ):
                return False
    return True


def _swapped(source: Reading, target: Reading, lexicon: Lexicon, names: Set[str]) -> Finding | None:
    """Find a name of the source that is missing from the target while the target has another one.

    A name counts as missing if not all its words are there. So names may change places: "the lamp in the kitchen" is "the
    kitchen lamp". Two names that change places in an otherwise equal sentence are still reported as swapped.
    """
    before, after = names_in(source, names), names_in(target, names)
    if not before or not after:
        return None
    whole = (0, len(source.words), 0, len(target.words))
    edits = changes(source.words, target.words, Levenshtein.opcodes) if len(before) > 1 else []
    for start, end, new_start, new_end in (whole, *edits):
        lost = _missing_name(source, before, (start, end), target.words[new_start:new_end], lexicon)
        gained = _missing_name(target, after, (new_start, new_end), source.words[start:end], lexicon)
        if lost and gained:
            return Finding(FindingKind.SWAPS_NAME, lost, gained)
    return None


def _exchanged(source: Reading, target: Reading) -> Finding | None:
    """Find two words that swap their places while all others stay: "from berlin to paris", "from paris to berlin".

    Neighbours may swap their places, because "the kitchen light on" and "the kitchen on light" mean the same.
    """
    if len(source.words) != len(target.words):
        return None
    places = [i for i, pair in enumerate(zip(source.words, target.words, strict=True)) if pair[0] != pair[1]]
    if len(places) != 2 or places[1] == places[0] + 1:
        return None
    first, last = places
    if (source.words[first], source.words[last]) != (target.words[last], target.words[first]):
        return None
    return Finding(FindingKind.SWAPS_NAME, source.words[first], source.words[last])


def _inflected(source: Reading, target: Reading, names: Set[str]) -> Finding | None:
    """Find a name that is replaced by another name with the same ending: "mary's phone", "john's phone"; "ayşe'yi", "ali'yi"."""
    for edit in changes(source.words, target.words) if names else ():
        for word in source.words[edit.start : edit.end]:
            for other in target.words[edit.new_start : edit.new_end]:
                one, another = _parted_name(word, names), _parted_name(other, names)
                alike = one is not None and another is not None and one[0] != another[0] and one[1] == another[1]
                if alike and word not in target.words and other not in source.words:
                    return Finding(FindingKind.SWAPS_NAME, word, other)
    return None


def _parted_name(word: str, names: Set[str]) -> tuple[str, str] | None:
    """Return a name and its ending: an apostrophe, or up to `_LONGEST_ENDING` letters; None if it is no name."""
    head, apostrophe, _ = word.partition("'")
    if apostrophe and head in names:
        return head, apostrophe
    parts = ((word[:-n], word[-n:]) for n in range(1, _LONGEST_ENDING + 1))
    return next((part for part in parts if len(part[0]) >= _SHORTEST_NAME and part[0] in names), None)


def _missing_name(
    text: Reading, names: Sequence[tuple[int, int]], stretch: tuple[int, int], other: Sequence[str], lexicon: Lexicon
) -> str | None:
    """Return a name within a stretch of a text that is not among the other words, in any order, as one word or as two."""
    there = set(_with_digits(other, lexicon))
    there.update(first + second for first, second in pairwise(other))
    for start, end in names:
        name = text.words[start:end]
        within = stretch[0] <= start and end <= stretch[1]
        if within and "".join(name) not in there and not there.issuperset(_with_digits(name, lexicon)):
            return " ".join(name)
    return None


def _with_digits(words: Sequence[str], lexicon: Lexicon) -> Iterator[str]:
    """Yield words, number words as digits."""
    for i, word in enumerate(words):
        value, end = longest(lexicon.numbers.words, words, i)
        yield str(value) if end == i + 1 else word
