"""Builds an artefact of a large vendor's size: a million texts, 100,000 users, with rules, habits, wordings and risks."""

import json
import random
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from query_artefacts import columns
from spoken import sentences

from rewriter import learn
from rewriter.artefact.versions import current
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.model.encoder import SavedEncoder
from rewriter.model.fluency import Wording
from rewriter.model.habits import UserCounts, write_habits
from rewriter.model.index import build_index
from rewriter.model.query_store import QueryBook, write_book
from rewriter.model.risk import Risk
from rewriter.model.rules import Rule, write_rules
from rewriter.similarity import changes
from rewriter.text import hash_user, normalise

USERS, HABITS, PRIVATE, RULES = 100_000, 10, 2, 100_000
SAMPLE = Path(__file__).parents[1] / "data" / "sample.parquet"


Requests = dict[str, list[tuple[str, str | None]]]
"""Utterance and user, by kind of request."""


def exchanged(n: int, draw: random.Random) -> dict[str, dict[str, str]]:
    """Draw n different sentences of SLURP with other fillers, each with the names that it holds."""
    fillers: dict[str, list[str]] = {}
    templates = []
    for sentence in sentences():
        parts = re.split(r"\[\s*(\w+)\s*:\s*([^\]]*)\]", sentence["sentence_annotation"])
        for kind, filler in zip(parts[1::3], parts[2::3], strict=True):
            fillers.setdefault(kind, []).append(normalise(filler))
        templates.append(([normalise(part) for part in parts[0::3]], parts[1::3]))
    found: dict[str, dict[str, str]] = {}
    while len(found) < n:
        words, kinds = draw.choice(templates)
        drawn = [draw.choice(fillers[kind]) for kind in kinds]
        text = " ".join(part for pair in zip(words, [*drawn, ""], strict=True) for part in pair if part)
        found[text] = dict(zip(drawn, kinds, strict=True))
    return found


def misheard_anew(texts: Sequence[str], rephrases: Iterable[tuple[str, str]], n: int, draw: random.Random) -> list[str]:
    """Draw n different requests: texts in which one or two words are what recordings have in the place of these words.

    Args:
        texts: of the index; none of the requests is one of them.
        rephrases: heard and meant text of each recording.
        n: how many.
        draw: the random numbers.
    """
    heard: dict[str, list[str]] = {}
    for said, meant in rephrases:
        words, others = said.split(), meant.split()
        for edit in changes(tuple(words), tuple(others)):
            if edit.end > edit.start and edit.new_end == edit.new_start + 1:
                heard.setdefault(others[edit.new_start], []).append(" ".join(words[edit.start : edit.end]))
    known, found = set(texts), dict[str, None]()
    while len(found) < n:
        words = draw.choice(texts).split()
        places = [i for i, word in enumerate(words) if word in heard]
        for i in draw.sample(places, min(len(places), draw.choice((1, 1, 2)))):
            words[i] = draw.choice(heard[words[i]])
        text = " ".join(words)
        if text not in known:
            found[text] = None
    return list(found)


@contextmanager
def learned() -> Iterator[Path]:
    """The online folder of what `learn` makes of the sample log: its ranker, risks and bars serve the large one."""
    with tempfile.TemporaryDirectory() as name:
        learn([SAMPLE], out=name)
        yield current(Path(name)).folder / "online"


def write(
    root: Path, named: Mapping[str, Mapping[str, str]], encoder: SavedEncoder, misheard: Sequence[str], seed: int
) -> tuple[dict[str, Any], Requests, list[str]]:
    """Write an artefact of these texts; return what that took, requests that are known to it, and users of it.

    Args:
        root: where it goes.
        named: text -> the names that it holds, and their slots.
        encoder: of the texts.
        misheard: heard texts that tune the index.
        seed: of habits and requests.
    """
    texts, draw = list(named), random.Random(seed)
    with Writer(root) as writer, learned() as small:
        folder, begin = writer.folder / "online", time.perf_counter()
        encoder.save(folder / "encoder")
        write_book(folder / "book", columns(texts, range(len(texts))), encoder)
        encoded = time.perf_counter()
        build_index(folder / "index", QueryBook.open(folder / "book"), encoder.encode(misheard[:500]))
        indexed = time.perf_counter()
        people = range(min(USERS, len(texts) // HABITS))
        users = {f"user{u}": hash_user(f"user{u}", writer.user_key) for u in people}
        write_personal(folder / "habits", texts, list(users.values()), encoder, seed)
        Wording.of(named.items()).save(folder / "wording" / "en")
        shutil.copy(small / "decider.json", folder)
        words = {word: -3.0 for text in texts[::10] for word in text.split()}
        replace(Risk.open(small), texts=dict.fromkeys(texts, -3.0), words=words).save(folder)
        some = draw.sample(list(users), min(len(users), 400))
        sources = [f"{text} i said" for text in draw.sample(texts, min(len(texts), RULES))]
        owners = ["" if i % 3 else users[some[i % len(some)]] for i in range(len(sources))]
        rules = [Rule(f"r{i}", owners[i], "en", source, texts[i], 0.9) for i, source in enumerate(sources)]
        write_rules(writer.folder / "rules", rules)
        writer.publish(config=Config(), locales={"en": len(texts)}, counts={"queries": len(texts)}, metrics={})
    figures = {
        "encode_s": encoded - begin,
        "index_s": indexed - encoded,
        "write_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "index": json.loads((current(root).folder / "online" / "index" / "index.json").read_text())["en"],
        "mb": sum(current(root).manifest.sizes.values()) / 1e6,
    }
    healthy = draw.sample(texts, len(some))
    return (
        figures,
        {
            "healthy text of the log, no user": [(text, None) for text in healthy],
            "healthy text of the log, a user": list(zip(healthy, some, strict=True)),
            "rule of everybody": [(sources[i], some[i % len(some)]) for i in range(1, len(some), 3)],
            "rule of one's own": [(sources[i], some[i % len(some)]) for i in range(0, len(some), 3)],
        },
        list(users),
    )


def write_personal(folder: Path, texts: Sequence[str], users: Sequence[str], encoder: SavedEncoder, seed: int) -> None:
    """Give each user ten habits among the texts and two private texts."""
    n = len(users) * HABITS
    drawn, ones = np.random.default_rng(seed).integers(len(texts), size=n), np.ones(n, dtype=np.int64)
    said = UserCounts([user for user in users for _ in range(HABITS)], drawn, ones, ones)
    owners = [user for user in users for _ in range(PRIVATE)]
    private = [f"{texts[i % len(texts)]} for user {i}" for i in range(len(owners))]
    interpretations = range(len(texts), len(texts) + len(private))
    write_habits(folder, said, owners, columns(private, interpretations), len(texts), encoder)
