"""Whether what a target says was heard in the source, by its sound.

`unheard_news` is for any rewrite that rests on similarity. `left_out` and `unheard` are for requests that may be fine as they
are: names, titles and places that the log has never seen are often one word away from something it has seen, such as "cancel
the pasta timer" and "cancel the timer", or "what is the time" and "what is the date".

A *content word* is one that is not light (`Lexicon.light`).
"""

from collections.abc import Callable, Iterator, Sequence, Set

from rewriter.codes import FindingKind
from rewriter.guardrail.compare import Finding
from rewriter.guardrail.lexicon import Lexicon
from rewriter.guardrail.numbers import Mention
from rewriter.guardrail.reading import Reading, names_in
from rewriter.similarity import changes


def unheard_news(
    source: Reading, target: Reading, lexicon: Lexicon, names: Set[str], knows: Callable[[str], bool]
) -> Finding | None:
    """Find words of the target that do not sound like the words of the source that they stand for.

    Only words that matter are tested: a new polarity, negation, number, value or name, and whatever stands for a word that the
    assistant has never understood.

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
        if sent and matters and not lexicon.sounds_alike(heard, sent):
            return Finding(FindingKind.UNHEARD, " ".join(heard), " ".join(sent))
    return None


def _added(source: Reading, target: Reading, lexicon: Lexicon) -> list[Mention]:
    """Return what the target says in slots, other than units, in which the source says nothing."""
    slots = [slot for slot in target.mentions if slot not in source.mentions and lexicon.kinds.get(slot) != "units"]
    return [mention for slot in slots for mention in target.mentions[slot] if not mention.weak]


def left_out(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    """Return the content words that the target leaves out, if the source is the target and more; else None.

    The source is the target and more if every content word of the target was heard in it.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> from rewriter.guardrail.reading import read
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
        elif lost and (lexicon.sounds_alike(heard, sent) or lexicon.sounds_alike(lost, gained)):
            more += _superfluous(lost, gained, lexicon)
        elif not (heard and lexicon.sounds_alike(heard, sent)):
            return None
    return " ".join(more) or None


def unheard(source: Reading, target: Reading, lexicon: Lexicon) -> str | None:
    """Return the content words of the target that replace content words of another sound; None if there are none.

    Content words of the target that replace nothing, or light words only, are taken for swallowed by the microphone. If other
    content words are missing at the same time, they are taken for a replacement of those.

    Example:
        >>> from rewriter.guardrail.lexicon import for_locale
        >>> from rewriter.guardrail.reading import read
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
        elif lost and not lexicon.sounds_alike(heard, sent) and not lexicon.sounds_alike(lost, gained):
            return " ".join(gained)
        elif not lost and not (heard and lexicon.sounds_alike(heard, sent)):
            added += gained
    return " ".join(added) if missing and added else None


def _superfluous(lost: list[str], gained: list[str], lexicon: Lexicon) -> list[str]:
    """Return the words without which the other lost words sound more like the gained ones."""
    if len(lost) == 1:
        return []
    whole = lexicon.sound_distance(lost, gained)
    return [word for i, word in enumerate(lost) if lexicon.sound_distance(lost[:i] + lost[i + 1 :], gained) < whole]


def _edits(
    source: Reading, target: Reading, lexicon: Lexicon
) -> Iterator[tuple[Sequence[str], Sequence[str], list[str], list[str]]]:
    """Yield each stretch in which two texts differ: its words in either, and the content words that only either of them has."""
    said, meant = _alike(source, target, lexicon), _alike(target, source, lexicon)
    for edit in changes(source.words, target.words):
        heard, sent = source.words[edit.start : edit.end], target.words[edit.new_start : edit.new_end]
        lost = [word for word in heard if word not in lexicon.light and word not in target.words and word not in said]
        gained = [word for word in sent if word not in lexicon.light and word not in source.words and word not in meant]
        yield heard, sent, lost, gained


def _alike(text: Reading, other: Reading, lexicon: Lexicon) -> set[str]:
    """Return the words of a text by which it says a number, value or unit that the other text says too: "percent" and "%"."""
    slots = [slot for slot in text.mentions if slot in other.mentions and lexicon.kinds.get(slot) in (None, "values", "units")]
    mentions = (said for slot in slots if text.values(slot) == other.values(slot) for said in text.mentions[slot])
    return {text.words[place] for said in mentions for place in range(said.start, said.end)}
