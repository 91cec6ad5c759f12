"""What the target says otherwise than the source: the one rule, slot by slot.

Where both speak in a slot they must say the same. Where only one of them does, something was dropped or added, which is no
contradiction; a negation alone may not be dropped.
"""

from collections.abc import Callable, Set

from rewriter.guardrail.lexicon import NUMBER, Lexicon
from rewriter.guardrail.names import swapped
from rewriter.guardrail.numbers import Said
from rewriter.guardrail.reading import Reading
from rewriter.guardrail.sound import alike, changes

_NEGATION = "negation"
_UNITS = "units"


def contradiction(
    source: Reading, target: Reading, lexicon: Lexicon, names: Set[str], knows: Callable[[str], bool]
) -> str | None:
    """Return what the target says otherwise than the source, in a few words; None where it says nothing otherwise.

    Args:
        source: what the source says.
        target: what the target says.
        lexicon: the word list both were read with.
        names: names that the assistant knows.
        knows: whether the assistant has ever understood a word.
    """
    return (
        _flipped(source, target, lexicon)
        or _renumbered(source, target, lexicon)
        or _revalued(source, target, lexicon)
        or _replaced(source, target, lexicon)
        or _negated(source, target, lexicon, knows)
        or swapped(source, target, lexicon, names)
    )


def added(source: Reading, target: Reading, lexicon: Lexicon) -> list[Said]:
    """Return the polarities, negations, numbers and values of the target in slots in which the source is silent."""
    slots = [slot for slot in target.said if slot not in source.said and lexicon.kinds.get(slot) != "units"]
    return [said for slot in slots for said in target.said[slot] if not said.faint]


def _flipped(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    for slot in source.said:
        if lexicon.kinds.get(slot) == "polarity" and slot in target.said and source.sides(slot) != target.sides(slot):
            return f"flips {source.text(slot)} to {target.text(slot)}"
    return None


def _renumbered(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    if NUMBER not in source.said or NUMBER not in target.said or _same_numbers(source, target, lexicon):
        return None
    return f"changes number {' '.join(source.values(NUMBER))} to {' '.join(target.values(NUMBER))}"


def _same_numbers(source: Reading, target: Reading, lexicon: Lexicon) -> bool:
    left, right = source.values(NUMBER), target.values(NUMBER)
    if left == right or _hours_parted(left) == _hours_parted(right):
        return True
    return _unmistaken(source, target, lexicon) == _unmistaken(target, source, lexicon)


def _hours_parted(values: list[str]) -> list[str]:
    """Return numbers with 730 as 7 and 30, so that it equals 7:30; whole hundreds stay."""
    parted: list[str] = []
    for value in values:
        hour, minutes = value[:-2], value[-2:]
        is_time = 3 <= len(value) <= 4 and value.isdecimal() and 1 <= int(hour) <= 24 and 1 <= int(minutes) < 60
        parted += [hour, str(int(minutes))] if is_time else [value]
    return parted


def _unmistaken(text: Reading, other: Reading, lexicon: Lexicon) -> list[str]:
    """Return the numbers of a text without those that the other text has as a word of the same sound: 2 for "to"."""
    return [value for value in text.values(NUMBER) if not _is_mistaken(value, text, other, lexicon)]


def _is_mistaken(value: str, text: Reading, other: Reading, lexicon: Lexicon) -> bool:
    return any(other.words.count(word) > text.words.count(word) for word in lexicon.mistaken.get(value, ()))


def _revalued(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    for slot in source.said:
        if slot not in target.said:
            continue
        left, right = source.values(slot), target.values(slot)
        kind = lexicon.kinds.get(slot)
        if (kind == "values" and left != right) or (kind == "units" and not (_within(left, right) or _within(right, left))):
            return f"changes {slot} {source.text(slot)} to {target.text(slot)}"
    return None


def _within(part: list[str], whole: list[str]) -> bool:
    """Whether the values of one list stand in the other in the same order."""
    rest = iter(whole)
    return all(value in rest for value in part)


def _replaced(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    """Tell a number or date that gave way to one of another slot: "at 7" to "tomorrow"."""
    lost, gained = _only_in(source, target, lexicon), _only_in(target, source, lexicon)
    return f"replaces {source.text(lost)} by {target.text(gained)}" if lost and gained else None


def _only_in(text: Reading, other: Reading, lexicon: Lexicon) -> str | None:
    """Return a slot of numbers or values in which only this text speaks."""
    for slot in text.said:
        if slot in other.said or (slot == NUMBER and not _unmistaken(text, other, lexicon)):
            continue
        if slot == NUMBER or lexicon.kinds[slot] == "values":
            return slot
    return None


def _negated(source: Reading, target: Reading, lexicon: Lexicon, knows: Callable[[str], bool]) -> str | None:
    left, right = source.sides(_NEGATION), target.sides(_NEGATION)
    if left == right:
        return None
    if left:
        change = f"changes {source.text(_NEGATION)} to {target.text(_NEGATION)}"
        return change if right else f"drops {source.text(_NEGATION)}"
    return None if _was_garbled(source, target, lexicon, knows) else f"adds {target.text(_NEGATION)}"


def _was_garbled(source: Reading, target: Reading, lexicon: Lexicon, knows: Callable[[str], bool]) -> bool:
    """Whether each new negation stands for words that sound the same or were never understood."""
    edits = changes(source.words, target.words)
    for said in target.said[_NEGATION]:
        for edit in (e for e in edits if e.new_start < said.end and said.start < e.new_end):
            heard = source.words[edit.start : edit.end]
            if all(map(knows, heard)) and not alike(heard, target.words[edit.new_start : edit.new_end], lexicon, within=0.0):
                return False
    return True
