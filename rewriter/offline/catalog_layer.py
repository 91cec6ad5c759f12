"""`learn_catalog`: an artefact from a catalog alone, where there is no log."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd

from rewriter.arrays import Bools, Ints
from rewriter.artefact.writer import CATALOG_FILES, Writer
from rewriter.config import Config, Trigger
from rewriter.errors import ConfigError, LogError, reading_state
from rewriter.guardrail.contrasts import save_contrasts
from rewriter.model.contrasts import mine_words
from rewriter.model.habits import SHOWS, Listed, UserCounts, write_habits
from rewriter.model.hypothesis import quotes
from rewriter.model.prior import LEAST_AFTER
from rewriter.model.query_store import Queries, QueryBook, write_book
from rewriter.model.slots import Filled, write_slots
from rewriter.model.spellings import FOLDER as SPELLINGS
from rewriter.model.spellings import KINDS, Priors, Surface, save_spellings
from rewriter.model.translations import mine_translations, save_translations
from rewriter.offline.catalog import OF_ONE_USER, Catalog, CatalogReport, Sources, read_catalog
from rewriter.offline.rules import launch
from rewriter.tables import RULES
from rewriter.text import hash_user

HEADER, ROWS = CATALOG_FILES
MAX_TEXTS = 100_000
"""Texts that one artefact serves: what is compared is computed when it is opened, about 20 s and 1.5 GB for so many."""
MAX_OWN = 1_000
"""Texts of a single user that are served to this user; what a request costs grows with them, to about 1 ms for so many."""
ALL_TEXTS, OWN_TEXTS = "catalog texts", "private catalog texts"
"""Counts of the manifest."""
CHANNELS = ("spoken", "typed")
_WEIGHT = 1000  # thousandths of a turn for a weight of 1, as the query book counts success


def read_served(sources: Sources, config: Config) -> tuple[Catalog, CatalogReport]:
    """Read a catalog, and set aside what is more than can be served: of each user the `MAX_OWN` texts of most weight are kept.

    Raises:
        LogError: the catalog cannot be read, holds no text that can be served, or holds more than `MAX_TEXTS` for everybody.
    """
    catalog, report = read_catalog(sources, locale=config.logs.locale, max_chars=config.logs.max_chars)
    of_user, kept = Counter[str](), list[int]()
    for i in np.argsort(-catalog.weights, kind="stable").tolist():
        scope = catalog.scopes[i]
        of_user[scope] += 1
        if scope and of_user[scope] > MAX_OWN:
            report.reject(f"more than {MAX_OWN:,} texts of one user", OF_ONE_USER)
        else:
            kept.append(i)
    catalog, shared = catalog.keep(sorted(kept)), of_user.pop("", 0)
    report.kept, report.own, report.owners = len(catalog), len(catalog) - shared, len(of_user)
    if not len(catalog):
        raise LogError(f"no row of the catalog can be served ({report}); write a text for everybody, such as turn on the lamp")
    if shared > MAX_TEXTS:
        raise LogError(f"the catalog holds {shared:,} texts, and at most {MAX_TEXTS:,} can be served; leave out the rarest")
    return catalog, report


@dataclass(frozen=True, slots=True)
class KeptCatalog:
    """A catalog as the private state keeps it, until the next one is given.

    Attributes:
        catalog: what the assistant understands. The scopes are user ids where it was just read (`given`), else keyed hashes.
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
            LogError: it cannot be read, or cannot be served (`read_served`).
            ConfigError: the channel is none.
        """
        if channel not in CHANNELS:
            raise ConfigError(f"a channel is {' or '.join(CHANNELS)}, not {channel!r}")
        catalog, report = read_served(sources, config)
        return cls(catalog, channel, complete, report)

    def hashed(self, key: bytes) -> "KeptCatalog":
        """Return a catalog that was just read with keyed hashes in place of the user ids."""
        hashes = {scope: hash_user(scope, key) if scope else "" for scope in self.catalog.scopes}
        return replace(self, catalog=replace(self.catalog, scopes=[hashes[scope] for scope in self.catalog.scopes]))

    def unknown(self, users: Iterable[str]) -> int:
        """Return how many users have texts of their own and are none of these, all as keyed hashes."""
        return len({scope for scope in self.catalog.scopes if scope}.difference(users))

    def counts(self) -> dict[str, int]:
        """Return the number of texts for everybody, and of those of single users if there are any, by kind."""
        own = sum(map(bool, self.catalog.scopes))
        return {ALL_TEXTS: len(self.catalog) - own} | ({OWN_TEXTS: own} if own else {})

    @classmethod
    def open(cls, state: Path | None, config: Config) -> "KeptCatalog | None":
        """Return the catalog that a state keeps; None if it keeps none.

        Raises:
            ArtefactError: a file is damaged.
        """
        if state is None or not (state / HEADER).exists() or not (state / ROWS).stat().st_size:
            return None  # none was given, or the only users who had texts were forgotten
        with reading_state(state / HEADER):
            header = json.loads((state / HEADER).read_text(encoding="utf-8"))
            channel, complete = str(header["channel"]), bool(header["complete"])
        with reading_state(state / ROWS):
            catalog, report = read_catalog(state / ROWS, max_chars=config.logs.max_chars)
        return cls(catalog, channel, complete, report)

    def save(self, state: Path) -> None:
        """Write it into a state."""
        catalog = self.catalog
        columns = (catalog.texts, catalog.locales, catalog.hypotheses, catalog.weights.tolist(), catalog.scopes)
        names = ("text", "locale", "hypothesis", "weight", "scope")
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        (state / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (state / HEADER).write_text(json.dumps({"channel": self.channel, "complete": self.complete}), encoding="utf-8")

    def write(self, folder: Path, config: Config) -> Mapping[str, int]:
        """Write the layer that serves it (`write_catalog_layer`)."""
        return write_catalog_layer(folder, self.catalog, config, channel=self.channel, complete=self.complete)


def write_catalog_layer(folder: Path, catalog: Catalog, config: Config, *, channel: str, complete: bool) -> Mapping[str, int]:
    """Write what `rewriter.online.catalog_layer.CatalogLayer` opens, and return the number of texts of each locale.

    Args:
        folder: where the files go.
        catalog: what the assistant understands. The scopes are keyed hashes of users; texts of single users are written as
            private rows, and nothing that serves others is learned from them.
        config: its sections encoder, launch and trigger are used.
        channel: ``spoken`` or ``typed``: how requests reach the assistant.
        complete: whether the assistant understands nothing else.
    """
    from rewriter.model.index import build_index  # noqa: PLC0415 - few runs are given a catalog
    from rewriter.offline.fit.encoder import EncoderData, MinedRephrases, learn_encoder  # noqa: PLC0415

    order = sorted(range(len(catalog)), key=lambda i: bool(catalog.scopes[i]))  # so private texts do not change the numbers
    numbers, private = catalog.keep(order).interpretations(), catalog.keep([i for i in order if catalog.scopes[i]])
    catalog = catalog.shared()
    texts, locales = catalog.queries, catalog.locales
    queries = _queries(catalog, numbers[: len(catalog)])
    data = EncoderData(texts, texts, MinedRephrases([], [], np.zeros(0, dtype=np.int64)), config.launch.min_users)
    encoder = learn_encoder(config.encoder, data, folder / "encoder", seed=config.seed)
    write_book(folder / "book", queries, encoder)
    book = QueryBook.open(folder / "book")
    build_index(folder / "index", book, np.zeros((0, encoder.dim), dtype=np.float32))
    shows = _shows(catalog)
    save_contrasts(folder, mine_words(locales, texts, np.where(shows, queries.interpretations, -1).tolist()))
    np.save(folder / f"{SHOWS}.npy", shows)
    known = [[column[i] for i in np.flatnonzero(shows).tolist()] for column in (locales, texts, catalog.hypotheses)]
    save_translations(folder, mine_translations(*known))
    rows = np.flatnonzero([meant != text for meant, text in zip(catalog.hypotheses, texts, strict=True)])
    at, named = ([column[i] for i in rows.tolist()] for column in (locales, catalog.hypotheses))
    success = queries.success[rows].astype(np.float64)
    write_slots(folder / "slots", Filled(rows, queries.interpretations[rows], at, named, success))
    none = np.zeros(0, dtype=np.int64)
    write_habits(
        folder / "habits", UserCounts([], none, none, none), private.scopes, _queries(private, numbers[len(catalog) :]),
        len(book), encoder, Listed(private.texts, _shows(private)),
    )  # fmt: skip
    limits = thresholds(config.trigger)
    # A text that is refused in another spelling is as likely to work as written here as what the catalog sends at all.
    surfaces = (Surface(*row) for row in zip(locales, catalog.texts, repeat(0), repeat(limits["apply"])))
    save_spellings(folder / SPELLINGS, surfaces, [], Priors(dict.fromkeys(KINDS, 1.0), LEAST_AFTER))
    header = {"channel": channel, "complete": complete} | limits
    (folder / HEADER).write_text(json.dumps(header), encoding="utf-8")
    return Counter(locales)


def _queries(catalog: Catalog, interpretations: Ints) -> Queries:
    """Return the texts of a catalog as rows of a book. A weight counts as success, and not as turns of anybody."""
    success = np.rint(catalog.weights * _WEIGHT).astype(np.int64)
    nothing = np.zeros(len(catalog), dtype=np.int64)
    turns = nothing if any(catalog.scopes) else success // _WEIGHT
    return Queries(catalog.queries, catalog.locales, interpretations, turns, success, nothing, nothing)


def _shows(catalog: Catalog) -> Bools:
    """Return of which texts the interpretation is known, so that they show which words change it, (n,) bool."""
    rows = zip(catalog.hypotheses, catalog.queries, strict=True)
    return np.array([meant != text and not quotes(meant, text) for meant, text in rows], dtype=bool)


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
        LogError: the catalog cannot be read, or holds no text that can be served.
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
        kept = kept.hashed(writer.user_key)
        locales = kept.write(writer.folder / "online", config)
        kept.save(writer.state)
        launch.write_served(pd.DataFrame({name: [] for name in RULES.names}), writer.folder)
        writer.finish_state([])
        counts = kept.counts() | {"rejected catalog rows": report.rejected.total()}
        version = writer.publish(config=config, locales=locales, counts=counts, metrics={})
    return version, report
