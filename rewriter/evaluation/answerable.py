"""`answerable`: how many refused turns of a log a catalog could answer, before anything is learned."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb

from rewriter.config import Config
from rewriter.offline.catalog import Catalog
from rewriter.offline.catalog_layer import write_catalog_layer
from rewriter.online.catalog_layer import CatalogLayer
from rewriter.online.request import Request
from rewriter.online.serving import lookup_order
from rewriter.text import normalise

MOST_TEXTS: Final = 20_000
"""Refused texts that are asked about, the commonest first: one takes about a millisecond."""

_REFUSED = """
SELECT locale, utterance, COUNT(*), list(DISTINCT user_id) FROM read_parquet(?) WHERE status = 'failed'
GROUP BY locale, utterance ORDER BY COUNT(*) DESC, locale, utterance
"""


@dataclass(frozen=True, slots=True)
class Answerable:
    """What a catalog can do for the refused turns of a log.

    Attributes:
        turns: turns of the log whose status is ``failed``.
        texts: different texts among them, without the difference of case and punctuation.
        asked: the texts that were tried, the commonest first.
        answered_turns: turns whose text gets a rewrite.
        answered_texts: texts that get a rewrite.
        example: the commonest such text of k users or more, and its rewrite; None if there is none.
    """

    turns: int
    texts: int
    asked: int
    answered_turns: int
    answered_texts: int
    example: tuple[str, str] | None

    def __str__(self) -> str:
        """One line for people."""
        if not self.turns:
            return "catalog: no turn of the log has the status failed, so nothing tells what it could answer"
        share = self.answered_turns / self.turns
        found = (
            f"catalog: answers {self.answered_turns:,} of {self.turns:,} refused turns ({share:.0%}), "
            f"{self.answered_texts:,} of {self.texts:,} refused texts"
        )
        tried = f" (only the {self.asked:,} commonest were tried)" if self.asked < self.texts else ""
        return found + tried + (f', such as "{self.example[0]}" -> "{self.example[1]}"' if self.example else "")


def answerable(turns: Path, catalog: Catalog, config: Config, *, channel: str = "spoken", complete: bool = False) -> Answerable:
    """Ask the catalog layer for each refused text of a log whether it would send a rewrite.

    Only the shipped prior is used, and nothing is learned. Whether a rewrite is right, this does not tell.

    Args:
        turns: Parquet of `tables.TURNS`.
        catalog: what the assistant understands.
        config: its sections encoder, guardrail, launch and trigger are used.
        channel: ``spoken`` or ``typed``.
        complete: whether the assistant understands nothing but the catalog.
    """
    refused = _refused(turns)
    asked = sorted(refused.items(), key=lambda item: -item[1][0])[:MOST_TEXTS]
    answered_turns, answered_texts, example = 0, 0, None
    with TemporaryDirectory() as folder:
        locales = write_catalog_layer(Path(folder), catalog, config, channel=channel, complete=complete)
        layer = CatalogLayer.open(Path(folder), config.guardrail)
        for (locale, text), (n, users) in asked:
            place = next(iter(lookup_order(locale, locales)), None)
            if place is None:
                continue
            sent = layer.decide(Request([text], place, "", after_failure=True), late=lambda: False, sendable=None).text
            if sent is None:
                continue
            answered_turns, answered_texts = answered_turns + n, answered_texts + 1
            if example is None and len(users) >= config.launch.min_users:
                example = text, sent
    return Answerable(sum(n for n, _ in refused.values()), len(refused), len(asked), answered_turns, answered_texts, example)


def _refused(turns: Path) -> dict[tuple[str, str], tuple[int, set[str]]]:
    """Return (locale, normalised text) -> refused turns and their users."""
    found: dict[tuple[str, str], tuple[int, set[str]]] = {}
    with duckdb.connect() as con:
        for locale, utterance, n, users in con.execute(_REFUSED, [str(turns)]).fetchall():
            text = normalise(utterance)
            if text:
                before, known = found.get((locale, text), (0, set()))
                found[locale, text] = before + n, known | set(users)
    return found
