"""Finds the numbers of a text, in digits or in words. Equal numbers give equal strings: "fifteen" and "15" are both "15"."""

import re
import unicodedata
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from rewriter.guardrail.lexicon import Index, Lexicon, Numbers

_NUMERIC = re.compile(r"-?\d[\d.,]*")
_FRACTIONS = {"1/2": "0.5", "1/4": "0.25", "3/4": "0.75"}
_SEPARATOR = re.compile(r"[.,]")
_LONGEST_GLUED = 80  # longer words, in letters, are not read as numbers, which bounds the recursion
_LONGEST_SCALED = 9  # most digits of a number before "thousand"; nobody says more, and the product stays small


class Mention(NamedTuple):
    """One value that a text mentions, and the words that mention it.

    Attributes:
        value: for example "off" or "15".
        start: place of its first word.
        end: one past its last word.
        weak: whether it counts only if nothing else is said in its slot, as for a preposition or a weak word.
    """

    value: str
    start: int
    end: int
    weak: bool = False


def numbers_in(words: Sequence[str], lexicon: Lexicon, idioms: Set[int] = frozenset()) -> list[Mention]:
    """Return the numbers of a text in the order of its words.

    Cardinals and ordinals give the same number. "twenty five" is 25, "half past seven" is 7 and 30, "an hour" is 1.

    Args:
        words: the words of a text, digits apart from letters.
        lexicon: the word list of its language.
        idioms: places of words that belong to an idiom and have no meaning.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> [n.value for n in numbers_in("two hundred and five at 07 30".split(), for_locale("en"))]
        ['205', '7', '30']
    """
    written = lexicon.numbers
    found: list[Mention] = []
    end = 0
    for i in [i for i, word in enumerate(words) if _may_start(word, written)]:
        if i < end or i in idioms:
            continue
        values, end = _at(words, i, lexicon)
        is_unit = words[i] in lexicon.units and bool(found) and found[-1].end == i
        if values and not is_unit:
            found.extend(Mention(value, i, end) for value in values)
    return found


def longest(index: Index, words: Sequence[str], i: int) -> tuple[Any, int]:
    """Return the meaning of the longest phrase at place `i` and where it ends; (None, i) if no phrase stands there."""
    for phrase, meaning in index.get(words[i], ()) if i < len(words) else ():
        end = i + len(phrase)
        if len(phrase) == 1 or tuple(words[i:end]) == phrase:
            return meaning, end
    return None, i


def _may_start(word: str, written: Numbers) -> bool:
    return word in written.starts or bool(written.glued) or word[-1].isdecimal()


def _at(words: Sequence[str], i: int, lexicon: Lexicon) -> tuple[list[str], int]:
    """Return the numbers that begin at `i` and where they end; an hour with its minutes is two."""
    written = lexicon.numbers
    minutes, hour_at = longest(written.clock_before, words, i)
    values, end = _plain_at(words, hour_at, written)
    if isinstance(minutes, int):
        return (_clock(values[0], minutes), end) if values and values[0].isdecimal() else _plain_at(words, i, written)
    if not values and words[i] in written.articles and words[i + 1 : i + 2] and words[i + 1] in lexicon.units:
        values, end = ["1"], i + 1
    minutes, after = longest(written.clock_after, words, end)
    if isinstance(minutes, int) and values and values[-1].isdecimal():
        return [*values[:-1], *_clock(values[-1], minutes)], after
    return values, end


def _plain_at(words: Sequence[str], i: int, written: Numbers) -> tuple[list[str], int]:
    """Return the numbers of one run of digits, or the one number of a run of number words."""
    if i < len(words) and words[i] in written.minus:
        values, end = _unsigned_at(words, i + 1, written)
        return ([f"-{values[0]}", *values[1:]], end) if values and values[0][0] != "-" else ([], i)
    return _unsigned_at(words, i, written)


def _unsigned_at(words: Sequence[str], i: int, written: Numbers) -> tuple[list[str], int]:
    if i < len(words) and words[i] in _FRACTIONS:
        return [_FRACTIONS[words[i]]], i + 1
    if i < len(words) and _NUMERIC.fullmatch(words[i]):
        return _digits_at(words, i, written)
    value, end = _scaled(words, i, written, len(written.scales))
    return ([], i) if value is None else ([str(value)], end)


def _digits_at(words: Sequence[str], i: int, written: Numbers) -> tuple[list[str], int]:
    values = _digits(words[i], written.decimal)
    scale = next((size for scale, size in written.scales if i + 1 < len(words) and words[i + 1] in scale), None)
    if scale is None or not values[-1].isdecimal() or len(values[-1]) > _LONGEST_SCALED:
        return values, i + 1
    return [*values[:-1], str(int(values[-1]) * scale)], i + 2


def _digits(token: str, decimal: str) -> list[str]:
    """Return the numbers of a token of digits, points and commas, without needless zeros."""
    ascii_token = token if token.isascii() else "".join(str(unicodedata.digit(c, c)) for c in token)
    sign = "-" if ascii_token[0] == "-" else ""
    whole, _, fraction = ascii_token.lstrip("-").rstrip(".,").partition(decimal)
    groups = _SEPARATOR.split(whole)
    if fraction and not fraction.isdecimal():
        parts = [*groups, *_SEPARATOR.split(fraction)]
    elif all(len(group) == 3 for group in groups[1:]):
        fraction = fraction.rstrip("0")
        return [sign + _bare("".join(groups)) + (f".{fraction}" if fraction else "")]
    else:
        parts = [*groups, *([fraction] if fraction else [])]
    return [sign + _bare(part) if n == 0 else _bare(part) for n, part in enumerate(parts)]


def _bare(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _scaled(words: Sequence[str], i: int, written: Numbers, scales: int) -> tuple[int | float | None, int]:
    """Return the number made of words with the first `scales` scales: "two" "hundred" "and" "five"."""
    if not scales:
        return _below_hundred(words, i, written)
    scale, size = written.scales[scales - 1]
    value, end = _scaled(words, i, written, scales - 1)
    if end >= len(words) or words[end] not in scale or (value is not None and not 0 < value < size):
        return value, end
    total = size if value is None else value * size
    rest, rest_end = _scaled(words, _joined(words, end + 1, written), written, scales - 1)
    return (total + rest, rest_end) if rest else (total, end + 1)


def _below_hundred(words: Sequence[str], i: int, written: Numbers) -> tuple[int | float | None, int]:
    """Return the number of one phrase, with a smaller one behind it: "twenty" "five", "doscientos" "cincuenta" "y" "dos"."""
    value, end = _phrase_at(words, i, written)
    while value:
        part, part_end = _phrase_at(words, _joined(words, end, written), written)
        if not part or not _takes(value, part):
            break
        value, end = value + part, part_end
    return value, end


def _takes(value: float, part: float) -> bool:
    """Whether a part can stand behind a value in one number: 20 takes 5, 200 takes 50, 5 takes nothing."""
    return (value >= 100 and value % 100 == 0 and 1 <= part < 100) or (value % 10 == 0 and value % 100 >= 20 and 1 <= part < 10)


def _joined(words: Sequence[str], i: int, written: Numbers) -> int:
    return i + 1 if i < len(words) and words[i] in written.joiners else i


def _phrase_at(words: Sequence[str], i: int, written: Numbers) -> tuple[int | float | None, int]:
    value, end = longest(written.words, words, i)
    if isinstance(value, int | float):
        return value, end
    if written.glued and i < len(words) and len(words[i]) <= _LONGEST_GLUED and (glued := _glued(words[i], written)) is not None:
        return glued, i + 1
    return None, i


def _glued(word: str, written: Numbers) -> int | None:
    """Return the number of one long word, "zweihundertfünf"; None where it is no number."""
    for scale, size in reversed(written.scales):
        for name in scale:
            head, found, tail = word.partition(name)
            if not found or not (head or tail):
                continue
            count, rest = _part(head, 1, written), _part(tail, 0, written)
            if count is not None and rest is not None:
                return count * size + rest
    return None


def _part(word: str, empty: int, written: Numbers) -> int | None:
    """Return the number of a part of a long word, `empty` for no letters."""
    if not word:
        return empty
    joiner = next((j for j in written.joiners if word.startswith(j) and len(word) > len(j)), "")
    for form in (word, word[len(joiner) :]):
        value = written.glued.get(form) or longest(written.words, [form], 0)[0]
        if isinstance(value, int):
            return value
    whole = next((size for scale, size in written.scales if word in scale), None)
    return whole or _glued(word, written)


def _clock(hour: str, minutes: int) -> list[str]:
    """Return hour and minutes; minutes before the hour belong to the one before it."""
    if minutes >= 0 or len(hour) > 2:
        return [hour, str(minutes)]
    return [str((int(hour) + 11) % 12 or 12 if int(hour) <= 12 else int(hour) - 1), str(60 + minutes)]
