"""The parts of an artefact that serve, without one person: rules of context values and the online layer."""

import json
import shutil
from pathlib import Path

import numpy as np

from rewriter.guardrail.contrasts import WordContrasts, open_contrasts, save_contrasts
from rewriter.model.ambiguity import ambiguous_texts
from rewriter.model.columns import HashedNumbers, HashIndex, text_key
from rewriter.model.habits import Habits
from rewriter.model.index import build_index
from rewriter.model.query_store import QueryBook
from rewriter.model.risk import Risk
from rewriter.operate.scrub import Person, values_of


def context_rules_without(person: Person, old: Path, new: Path) -> None:
    """Write the rules of context values without those that name a text of fewer than k others."""
    if old.exists():
        rows = json.loads(old.read_bytes().decode("utf-8", "surrogatepass"))
        kept = [row for row in rows if not (person.texts | person.few).intersection(values_of(row))]
        new.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")


def online_without(person: Person, old: Path, new: Path) -> dict[str, int] | None:
    """Write the online layer without a person.

    Habits of the person go. Of the shared parts everything goes that fewer than k others said: rows of the query index, words
    and texts of the risk, names of the wording. Ambiguous texts wait for the next `learn` if the person said one of them, or if
    a row of the index has gone. Weights stay, for they rest on many.

    Args:
        person: who is forgotten.
        old: the folder of the online layer.
        new: folder to write to.

    Returns:
        Part -> how many of its entries were left out; None if no layer is left: there was none, or every row of its index rests
        on fewer than k others.
    """
    if not old.is_dir():
        return None
    book = QueryBook.open(old / "book")
    kept = np.array([text not in person.few for text in book.texts(np.arange(len(book)))], dtype=bool)
    if not kept.any():
        return None
    removed = int(np.count_nonzero(~kept))
    ambiguous = ambiguous_texts(old / "ambiguity")
    drops_ambiguity = bool(ambiguous) and (removed > 0 or not person.said.isdisjoint(ambiguous))
    anew = ["habits", *(["ambiguity"] if drops_ambiguity else []), *(["book", "index", "spoken.npy"] if removed else [])]
    shutil.copytree(old, new, ignore=lambda folder, names: [n for n in names if Path(folder) == old and n in anew])
    Habits.open(old / "habits").without([person.hashed], new / "habits", kept)
    if removed:
        book.keep(kept, new / "book")
        left = QueryBook.open(new / "book")
        build_index(new / "index", left, np.zeros((0, book.vectors.shape[1]), dtype=np.float32))
        if (old / "spoken.npy").exists():
            np.save(new / "spoken.npy", np.load(old / "spoken.npy")[kept])
    counts = {"rows of the query index": removed, "ambiguous texts": len(ambiguous) if drops_ambiguity else 0}
    counts["words of the risk"] = _risk_without(person, new)
    counts["names of the wording"] = sum(_names_without(person, path) for path in new.glob("wording/*/wording.json"))
    counts["pairs of words of the contrasts"] = _contrasts_without(person, new)
    return {part: n for part, n in counts.items() if n}


def _risk_without(person: Person, folder: Path) -> int:
    """Take the words and texts of fewer than k others out of the risk; return how many words."""
    if not (folder / "risk.json").exists():
        return 0
    risk = Risk.open(folder)
    words = {word: odds for word, odds in risk.words.items() if word not in person.words}
    texts = risk.texts if isinstance(risk.texts, HashedNumbers) else HashedNumbers.of(risk.texts)
    kept = ~np.isin(texts.index.keys, np.array([text_key(text) for text in person.few], dtype=np.uint64))
    texts = HashedNumbers(HashIndex(texts.index.keys[kept]), texts.numbers[kept])
    Risk(texts, words, risk.mean, risk.weigh, risk.rate, risk.a_day).save(folder)
    return len(risk.words) - len(words)


def _contrasts_without(person: Person, folder: Path) -> int:
    """Take the pairs with a word of fewer than k others out of the contrasts; return how many."""
    old = open_contrasts(folder)
    kept = {
        locale: WordContrasts.of({pair: counts for pair, counts in of.words.items() if person.words.isdisjoint(pair)})
        for locale, of in old.items()
    }
    left_out = sum(len(of.words) - len(kept[locale].words) for locale, of in old.items())
    if left_out:
        save_contrasts(folder, kept)
    return left_out


def _names_without(person: Person, path: Path) -> int:
    """Take the names with a word of fewer than k others out of a wording; return how many."""
    header = json.loads(path.read_text(encoding="utf-8"))
    names = {name: slot for name, slot in header["names"].items() if person.words.isdisjoint(name.split())}
    left_out = len(header["names"]) - len(names)
    if left_out:
        path.write_text(json.dumps(header | {"names": names}, ensure_ascii=False), encoding="utf-8")
    return left_out
