"""`learn_catalog`: an artefact from a catalog alone, where there is no log."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd

from rewriter.artefact.writer import CATALOG_FILES, Writer
from rewriter.config import Config, Trigger
from rewriter.errors import ConfigError, LogError, reading_state
from rewriter.guardrail.contrasts import save_contrasts
from rewriter.model.contrasts import mine_words
from rewriter.model.habits import UserCounts, write_habits
from rewriter.model.hypothesis import quotes
from rewriter.model.index import build_index
from rewriter.model.prior import LEAST_AFTER
from rewriter.model.query_store import Queries, QueryBook, write_book
from rewriter.model.slots import Filled, write_slots
from rewriter.model.spellings import FOLDER as SPELLINGS
from rewriter.model.spellings import KINDS, Priors, Surface, save_spellings
from rewriter.offline.catalog import Catalog, CatalogReport, Sources, read_catalog
from rewriter.offline.fit.encoder import EncoderData, MinedRephrases, learn_encoder
from rewriter.offline.rules import launch
from rewriter.tables import RULES

HEADER, ROWS = CATALOG_FILES
MAX_TEXTS = 100_000
"""Texts that one artefact serves: what is compared is computed when it is opened, about 20 s and 1.5 GB for so many."""
CHANNELS = ("spoken", "typed")
_WEIGHT = 1000  # thousandths of a turn for a weight of 1, as the query book counts success


def read_shared(sources: Sources, config: Config) -> tuple[Catalog, CatalogReport]:
    """Read a catalog, and set the texts of single users aside: they are not served yet.

    Raises:
        LogError: the catalog cannot be read, holds no text for everybody, or holds more than `MAX_TEXTS`.
    """
    catalog, report = read_catalog(sources, locale=config.logs.locale, max_chars=config.logs.max_chars)
    for text, scope in zip(catalog.texts, catalog.scopes, strict=True):
        if scope:
            report.reject("a text of one user, which is not served yet", text)
    shared = catalog.keep([i for i, scope in enumerate(catalog.scopes) if not scope])
    report.kept = len(shared)
    if not len(shared):
        raise LogError(f"no row of the catalog can be served ({report}); write a text for everybody, such as turn on the lamp")
    if len(shared) > MAX_TEXTS:
        raise LogError(f"the catalog holds {len(shared):,} texts, and at most {MAX_TEXTS:,} can be served; leave out the rarest")
    return shared, report


@dataclass(frozen=True, slots=True)
class KeptCatalog:
    """A catalog as the private state keeps it, until the next one is given.

    Attributes:
        catalog: what the assistant understands, without texts of single users.
        channel: ``spoken`` or ``typed``: how requests reach the assistant.
        complete: whether the assistant understands nothing else.
        report: what became of the rows that were given; empty for a catalog that was kept.
    """

    catalog: Catalog
    channel: str
    complete: bool
    report: CatalogReport

    @classmethod
    def given(cls, sources: Sources, config: Config, *, channel: str, complete: bool) -> "KeptCatalog":
        """Read a catalog.

        Raises:
            LogError: it cannot be read, or cannot be served (`read_shared`).
            ConfigError: the channel is none.
        """
        if channel not in CHANNELS:
            raise ConfigError(f"a channel is {' or '.join(CHANNELS)}, not {channel!r}")
        catalog, report = read_shared(sources, config)
        return cls(catalog, channel, complete, report)

    @classmethod
    def open(cls, state: Path | None, config: Config) -> "KeptCatalog | None":
        """Return the catalog that a state keeps; None if it keeps none.

        Raises:
            ArtefactError: a file is damaged.
        """
        if state is None or not (state / HEADER).exists():
            return None
        with reading_state(state / HEADER):
            header = json.loads((state / HEADER).read_text(encoding="utf-8"))
            channel, complete = str(header["channel"]), bool(header["complete"])
        with reading_state(state / ROWS):
            catalog, report = read_catalog(state / ROWS, max_chars=config.logs.max_chars)
        return cls(catalog, channel, complete, report)

    def save(self, state: Path) -> None:
        """Write it into a state."""
        catalog = self.catalog
        columns = (catalog.texts, catalog.locales, catalog.hypotheses, catalog.weights.tolist())
        rows = (dict(zip(("text", "locale", "hypothesis", "weight"), row, strict=True)) for row in zip(*columns, strict=True))
        (state / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (state / HEADER).write_text(json.dumps({"channel": self.channel, "complete": self.complete}), encoding="utf-8")

    def write(self, folder: Path, config: Config) -> Mapping[str, int]:
        """Write the layer that serves it (`write_catalog_layer`)."""
        return write_catalog_layer(folder, self.catalog, config, channel=self.channel, complete=self.complete)


def write_catalog_layer(folder: Path, catalog: Catalog, config: Config, *, channel: str, complete: bool) -> Mapping[str, int]:
    """Write what `rewriter.online.catalog_layer.CatalogLayer` opens, and return the number of texts of each locale.

    Args:
        folder: where the files go.
        catalog: what the assistant understands, without texts of single users (`read_shared`).
        config: its sections encoder, launch and trigger are used.
        channel: ``spoken`` or ``typed``: how requests reach the assistant.
        complete: whether the assistant understands nothing else.
    """
    texts, locales = catalog.queries, catalog.locales
    nothing = np.zeros(len(catalog), dtype=np.int64)
    success = np.rint(catalog.weights * _WEIGHT).astype(np.int64)
    queries = Queries(texts, locales, catalog.interpretations(), success // _WEIGHT, success, nothing, nothing)
    data = EncoderData(texts, texts, MinedRephrases([], [], np.zeros(0, dtype=np.int64)), config.launch.min_users)
    encoder = learn_encoder(config.encoder, data, folder / "encoder", seed=config.seed)
    write_book(folder / "book", queries, encoder)
    book = QueryBook.open(folder / "book")
    build_index(folder / "index", book, np.zeros((0, encoder.dim), dtype=np.float32))
    has_hypothesis = np.array(catalog.hypotheses, dtype=object) != np.array(texts, dtype=object)
    quoting = np.array([quotes(*of) for of in zip(catalog.hypotheses, texts, strict=True)], dtype=bool)
    meant = np.where(has_hypothesis & ~quoting, queries.interpretations, -1)
    save_contrasts(folder, mine_words(locales, texts, meant.tolist()))
    rows = np.flatnonzero(has_hypothesis)
    at, named = ([column[i] for i in rows.tolist()] for column in (locales, catalog.hypotheses))
    write_slots(folder / "slots", Filled(rows, queries.interpretations[rows], at, named, success[rows].astype(np.float64)))
    empty = np.zeros(0, dtype=np.int64)
    none = Queries([], [], empty, empty, empty, empty, empty)
    write_habits(folder / "habits", UserCounts([], empty, empty, empty), [], none, len(book), encoder)
    limits = thresholds(config.trigger)
    # A text that is refused in another spelling is as likely to work as written here as what the catalog sends at all.
    surfaces = (Surface(*row) for row in zip(locales, catalog.texts, repeat(0), repeat(limits["apply"])))
    save_spellings(folder / SPELLINGS, surfaces, [], Priors(dict.fromkeys(KINDS, 1.0), LEAST_AFTER))
    header = {"channel": channel, "complete": complete} | limits
    (folder / HEADER).write_text(json.dumps(header), encoding="utf-8")
    return Counter(locales)


def thresholds(trigger: Trigger) -> dict[str, float]:
    """Return the P(meant) from which on a rewrite is sent, and from which on it is suggested.

    Where no log can tell how P is distributed, it is taken as uniform above a threshold t: then the share of losses is
    (1 - t) / 2, which keeps a budget q for t = 1 - 2 q. Nothing is sent below `LEAST_AFTER`, whatever the budget.

    Example:
        >>> thresholds(Trigger(max_loss_share=0.05, suggest_loss_share=0.3))
        {'apply': 0.9, 'suggest': 0.4}
    """
    return {
        "apply": max(LEAST_AFTER, 1 - 2 * trigger.max_loss_share),
        "suggest": max(0.0, 1 - 2 * trigger.suggest_loss_share),
    }


def learn_catalog(
    sources: Sources, *, out: str | Path, config: Config | None = None, channel: str = "spoken", complete: bool = False
) -> tuple[str, CatalogReport]:
    """Publish a version that answers refused requests from a catalog and the shipped prior (docs/prior.md).

    Args:
        sources: the catalog, see `rewriter.offline.catalog.read_catalog`.
        out: the artefact folder; made if it is missing. What a log has taught there before does not serve in this version; the
            next `learn` from a log begins anew, and keeps the catalog.
        config: settings; the defaults if None.
        channel: ``spoken`` or ``typed``: how requests reach the assistant.
        complete: whether the assistant understands nothing but the catalog.

    Returns:
        The id of the version, and what became of the rows.

    Raises:
        LogError: the catalog cannot be read, or holds no text for everybody.
        ConfigError, ArtefactError: one line with the cause and the cure.

    Example:
        >>> import tempfile
        >>> from rewriter import Rewriter
        >>> folder = tempfile.mkdtemp()
        >>> texts = ["turn on the kitchen lights", "turn off the kitchen lights", "set a timer for ten minutes"]
        >>> _ = learn_catalog([{"text": text} for text in texts], out=folder, complete=True)
        >>> Rewriter.open(folder).rewrite("turn off the kitchen light", after_failure=True).suggestion
        'turn off the kitchen lights'
    """
    config = config or Config()
    kept = KeptCatalog.given(sources, config, channel=channel, complete=complete)
    report = kept.report
    with Writer(out) as writer:
        locales = kept.write(writer.folder / "online", config)
        kept.save(writer.state)
        launch.write_served(pd.DataFrame({name: [] for name in RULES.names}), writer.folder)
        writer.finish_state([])
        counts = {"catalog texts": sum(locales.values()), "rejected catalog rows": report.rejected.total()}
        version = writer.publish(config=config, locales=locales, counts=counts, metrics={})
    return version, report
