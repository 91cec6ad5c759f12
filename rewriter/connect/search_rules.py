"""Rewrites as rule files of search engines: synonyms of Solr, Elasticsearch and OpenSearch, and Querqy's Replace Rewriter.

All of them apply a rule wherever its words stand in a query, once, the longest rule first. A rule of the artefact is for a whole
query. `unsafe_within` finds the rules for which that makes a difference to queries that work.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from rewriter.connect.sendable import Sent
from rewriter.text import unspaced

_WORD = re.compile(r"\w")
_QUERQY_SIGNS = re.compile(r"(?:^|\s)[+\-#*]|[:;*\t\"=>$]")
"""What Querqy's parser of rules and queries takes for an operator, a field, a comment or a wildcard; there is no escape."""


def synonym(rule: Sent) -> str | None:
    r"""Return a rule as a line in Solr's format, which Elasticsearch and OpenSearch read too; None if it cannot be said.

    The mapping is explicit, so the query is replaced and not widened. A backslash makes the next character literal: commas
    part alternatives, ``=>`` parts the sides, and ``#`` begins a comment. A side without letter and digit is nothing to the
    engine's tokeniser, which would refuse the whole file.

    Example:
        >>> print(synonym(Sent("1,5 l botle", "1,5 l bottle", False)))
        1\,5 l botle => 1\,5 l bottle
    """
    if not (_WORD.search(rule.source) and _WORD.search(rule.target)):
        return None
    return f"{escaped(unspaced(rule.source))} => {escaped(rule.target)}"


def escaped(text: str) -> str:
    """Return a text with what Solr's format takes for a sign marked as literal."""
    return re.sub(r"[\\,]|^#|=(?=>)", lambda found: "\\" + found[0], text)


def replacement(rule: Sent) -> str | None:
    """Return a rule as a line for Querqy's Replace Rewriter; None if it cannot be said, because the format has no escape.

    Example:
        >>> replacement(Sent("lapotp 15", "laptop 15", False)), replacement(Sent("-5 coat", "winter coat", False))
        ('lapotp 15 => laptop 15', None)
    """
    if _QUERQY_SIGNS.search(rule.source) or _QUERQY_SIGNS.search(rule.target):
        return None
    return f"{unspaced(rule.source)} => {rule.target}"


def synonym_set(lines: Iterable[str]) -> str:
    """Return lines in Solr's format as the body of a request to Elasticsearch's synonyms API; it has no place for comments."""
    return json.dumps({"synonyms_set": [{"synonyms": line} for line in lines]}, ensure_ascii=False, indent=1) + "\n"


def text_file(lines: Iterable[str], comments: Iterable[str]) -> str:
    """Return the lines as a text file, after comments."""
    return "".join(f"{line}\n" for line in (*(f"# {comment}" for comment in comments), *lines))


WRITERS: Final[Mapping[str, Callable[[Sent], str | None]]] = MappingProxyType(
    {"solr": synonym, "elasticsearch": synonym, "opensearch": synonym, "querqy": replacement}
)
"""Host -> what makes a line of a rule."""


def unsafe_within(sent: Collection[Sent], healthy: Iterable[str]) -> set[str]:
    """Return the sources that also stand inside texts that work, which the rules would change.

    A text with a rule of its own is not changed by another, because the longest rule wins.

    Args:
        sent: the rules.
        healthy: normalised texts that work as they are.

    Example:
        >>> unsafe_within([Sent("shoes", "running shoes", False)], ["running shoes", "red shoes", "hat"])
        {'shoes'}
    """
    by_length: dict[int, set[str]] = defaultdict(set)
    for rule in sent:
        by_length[len(rule.source.split())].add(rule.source)
    sources = {rule.source for rule in sent}
    return {source for text in healthy if text not in sources for source in _parts(text.split(), by_length)}


def _parts(words: list[str], wanted: Mapping[int, Collection[str]]) -> Iterator[str]:
    """Yield the runs of words of a text that are wanted, by their number of words."""
    for length, texts in wanted.items():
        for start in range(len(words) - length + 1):
            part = " ".join(words[start : start + length])
            if part in texts:
                yield part
