"""`trial`: reads an A/B experiment out of a log."""

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np

from rewriter.config import Logs
from rewriter.errors import LogError
from rewriter.evaluation.compare import opened
from rewriter.evaluation.experiment import Reading, Split, families, readings
from rewriter.evaluation.recorded import firsts, load, restatements, troubles
from rewriter.offline.logs import reader
from rewriter.text import normalise

_DAY_MS = 86_400_000


def trial(
    sources: Sequence[str | Path],
    split: Split,
    *,
    detect: float,
    releases: Sequence[str | Path] = (),
    mapping: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[Reading]:
    """Read an experiment at the end of each day of its log.

    Who had which arm follows from the split. A request is a turn that does not follow soon after a failure of the same user, and
    ends badly if it is refused, disliked, interrupted or restated (`rewriter.evaluation.recorded`).

    Args:
        sources: files, folders or globs of the log of the experiment.
        split: as it was served.
        detect: difference of the defect rates that the experiment is made to see.
        releases: both of them, where the split was by families of texts (DIR or DIR@VERSION); none where it was by user.
        mapping: contract column -> column of the log, where they differ.
        seed: of the bootstrap.

    Raises:
        ArtefactError: a release is missing or damaged.
        LogError: the log cannot be read, or has no requests.
    """
    names = dict(mapping or {})
    borrowed = {"device_id": names.get("user_id", "user_id")}  # the split knows user ids as the log gives them
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        reader.read(sources, out=work, key=secrets.token_bytes(32), config=Logs(), mapping=names | borrowed)
        turns = load(work / "turns.parquet", speaker="device_id")
    bad = [a or b for a, b in zip(troubles(turns), restatements(turns), strict=True)]
    kept = [i for i, first in enumerate(firsts(turns)) if first]
    if not kept:
        raise LogError("the log holds no request to read an experiment from")
    named = families(rule for release in releases for rule in _rules(release))

    def unit(i: int) -> str:
        if not releases:
            return turns[i].speaker
        text = normalise(turns[i].utterance)
        return named.get((turns[i].locale, text), text)

    units = [unit(i) for i in kept]
    return readings(
        cluster=np.unique(np.array(units, dtype=object), return_inverse=True)[1].astype(np.int64),
        in_b=np.array([split.arm(u) == "B" for u in units], dtype=bool),
        bad=np.array([bad[i] for i in kept], dtype=np.float64),
        day=np.array([turns[i].ts_ms // _DAY_MS for i in kept], dtype=np.int64),
        detect=detect,
        seed=seed,
    )


def _rules(release: str | Path) -> list[tuple[str, str, str]]:
    with duckdb.connect() as con:
        path = opened(release).folder / "rules.parquet"
        return con.execute("SELECT locale, source, target FROM read_parquet(?)", [str(path)]).fetchall()
