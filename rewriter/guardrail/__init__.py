"""What a rewrite may never do: flip a polarity, change a number, drop a negation, swap one name for another.

lexicon   a word list, made ready
wordlist  the file `words/<language>.json` -> lexicon, checked
numbers   text -> the numbers it names
reading   text -> all that it says in each slot of the word list
compare   what the target says otherwise than the source
names     which known names stand in a text, and whether one gave way to another
sound     whether what is new was heard in the source
verdict   `Guardrail`, which asks them in turn
"""

from rewriter.guardrail.verdict import Guardrail

__all__ = ["Guardrail"]
