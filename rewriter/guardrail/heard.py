"""Whether a request keeps what was said: words that are left out, and words that stand for others that sound otherwise.

These rules are for requests that may be fine as they are. Names, wishes and places that the log has never heard are often one
word away from what it has: "cancel the pasta timer" from "cancel the timer", "what is the time" from "what is the date".
"""

from collections.abc import Iterator, Sequence

from rewriter.guardrail.lexicon import Lexicon
from rewriter.guardrail.reading import Reading
from rewriter.guardrail.sound import alike, changes, unlike


def left_out(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    """Return the words that tell, where the source is the target and more; None where it is not.

    The source is the target and more where everything that tells in the target was heard in it.

    Example:
        >>> from rewriter.guardrail.reading import read
        >>> from rewriter.guardrail.wordlist import for_locale
        >>> english = for_locale("en")
        >>> left_out(read("cancel the pasta timer", english), read("cancel the timer", english), english)
        'pasta'
        >>> left_out(read("cancel all timers", english), read("cancel my timer", english), english)
        'all'
        >>> left_out(read("kettle on the key chain lamp", english), read("turn on the kitchen lamp", english), english)
    """
    more: list[str] = []
    for heard, sent, lost, gained in _edits(source, target, lexicon):
        if not gained:
            more += lost
        elif lost and (alike(heard, sent, lexicon) or alike(lost, gained, lexicon)):
            more += _besides(lost, gained, lexicon)
        elif not (heard and alike(heard, sent, lexicon)):
            return None
    return " ".join(more) or None


def unheard(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    """Return the words of the target that tell, and stand for others that tell and sound otherwise; None where none does.

    What stands for nothing, or for light words only, was swallowed by the microphone. Where something else is missing at the
    same time, it stands for that.

    Example:
        >>> from rewriter.guardrail.reading import read
        >>> from rewriter.guardrail.wordlist import for_locale
        >>> english = for_locale("en")
        >>> unheard(read("what is the time", english), read("what is the date", english), english)
        'date'
        >>> unheard(read("turn on the lamb", english), read("turn on the lamp", english), english)
    """
    missing = False
    added: list[str] = []
    for heard, sent, lost, gained in _edits(source, target, lexicon):
        if not gained:
            missing = missing or bool(lost)
        elif lost and not alike(heard, sent, lexicon) and not alike(lost, gained, lexicon):
            return " ".join(gained)
        elif not lost and not (heard and alike(heard, sent, lexicon)):
            added += gained
    return " ".join(added) if missing and added else None


def _besides(lost: list[str], gained: list[str], lexicon: Lexicon) -> list[str]:
    """Return the words without which the others sound more like what stands for them."""
    if len(lost) == 1:
        return []
    whole = unlike(lost, gained, lexicon)
    return [word for i, word in enumerate(lost) if unlike(lost[:i] + lost[i + 1 :], gained, lexicon) < whole]


def _edits(
    source: Reading, target: Reading, lexicon: Lexicon
) -> Iterator[tuple[Sequence[str], Sequence[str], list[str], list[str]]]:
    """Yield each stretch in which two texts differ: what was heard, what is sent, and what of either tells and is only there."""
    for edit in changes(source.words, target.words):
        heard, sent = source.words[edit.start : edit.end], target.words[edit.new_start : edit.new_end]
        lost = [word for word in heard if word not in lexicon.light and word not in target.words]
        gained = [word for word in sent if word not in lexicon.light and word not in source.words]
        yield heard, sent, lost, gained
