"""Fits the table of letters to phones that ships for English, from the dictionary of Carnegie Mellon University.

    python benchmarks/fit_pronouncer.py [--dictionary FILE] [--out rewriter/model/prior/en.phones.tsv] [--seed 0]

The dictionary is the one in the package ``pocketsphinx`` (BSD-2-Clause, Carnegie Mellon University), which is needed for
this script only. Letters are aligned with phones by Viterbi counting: each letter gives none, one or two phones. The table is
an IGTree (Daelemans and van den Bosch 1997, "Language-independent data-oriented grapheme-to-phoneme conversion"): for each letter
contexts of growing width. A context is kept only if, in enough words, its phones differ from those of the next narrower context.
A tenth of the words is held out; the share of their phones that the table gets right is printed.
"""

import importlib.util
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein
from script import options

from rewriter.model.pronouncer import TablePronouncer, contexts

OUT = Path(__file__).parents[1] / "rewriter" / "model" / "prior" / "en.phones.tsv"
ARPABET = dict(zip(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split(),  # noqa: SIM905
    "ɑæʌɔWIbCdðɛɝefghɪiJklmnŋoYprsʃtθʊuvwjzʒ", strict=True,
))  # fmt: skip
"""The names of the dictionary -> one character each: that of the IPA, capitals for diphthongs and affricates."""
ROUNDS = 4
SAMPLE = 15_000  # words for all but the last round of alignment
Word = tuple[str, str]


def main() -> None:
    """Fit, print the accuracy on held-out words, write the table."""
    parser = options(__doc__, out=OUT, seed=0)
    parser.add_argument("--dictionary", type=Path, default=None)
    parser.add_argument("--support", type=int, default=3, help="words that a wider context must speak for")
    args = parser.parse_args()
    words = read(args.dictionary or packaged())
    order = np.random.default_rng(args.seed).permutation(len(words)).tolist()
    held, kept = ([words[i] for i in part] for part in (order[: len(order) // 10], order[len(order) // 10 :]))
    costs = learn_costs(kept[:SAMPLE])
    rules = table(aligned(kept, costs), args.support)
    pronouncer = TablePronouncer(rules)
    errors = sum(Levenshtein.distance(pronouncer.phones(word), phones) for word, phones in held)
    print(f"{len(rules):,} contexts; held out: {1 - errors / sum(len(p) for _, p in held):.3f} of the phones right", end=", ")
    print(f"{sum(pronouncer.phones(w) == p for w, p in held) / len(held):.3f} of the words")
    args.out.write_text("".join(f"{key}\t{value}\n" for key, value in sorted(rules.items())), encoding="utf-8")


def packaged() -> Path:
    """Return the dictionary inside the package ``pocketsphinx``."""
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise SystemExit("no dictionary: pip install pocketsphinx, or name a file with --dictionary")
    return Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"


def read(path: Path) -> list[Word]:
    """Read words and their first pronunciation; what has anything but letters and apostrophes is left out."""
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [
        (w, "".join(ARPABET[p.rstrip("012")] for p in phones)) for w, *phones in lines if re.fullmatch(r"[a-z]+('[a-z]+)*", w)
    ]


def learn_costs(words: Sequence[Word]) -> dict[tuple[str, str], float]:
    """Return the cost -log P(phones | letter) of each letter and 0, 1 or 2 phones, by Viterbi counting."""
    costs: dict[tuple[str, str], float] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for word, phones in words:  # a first guess: what stands at about the same place
        for i, letter in enumerate(word):
            for n in (0, 1, 2):
                start = round(i * len(phones) / len(word))
                for shift in (-1, 0, 1):
                    seen[letter, phones[max(0, start + shift) : max(0, start + shift) + n]] += 1
    for _ in range(ROUNDS):
        total: Counter[str] = Counter()
        for (letter, _), n in seen.items():
            total[letter] += n
        costs = {key: -math.log((n + 0.1) / (total[key[0]] + 50)) for key, n in seen.items()}
        seen = Counter(pair for steps in aligned(words, costs) for pair in steps)
    return costs


def aligned(words: Iterable[Word], costs: dict[tuple[str, str], float]) -> Iterable[list[tuple[str, str]]]:
    """Yield the cheapest alignment of each word: (letter, its phones), letter by letter."""
    for word, phones in words:
        best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
        for letter in word:
            row: dict[int, tuple[float, int]] = {}
            for j, (cost, _) in best[-1].items():
                for n in (0, 1, 2):
                    step = cost + costs.get((letter, phones[j : j + n]), 12.0 + 4.0 * (n == 2))
                    if j + n <= len(phones) and step < row.get(j + n, (math.inf, 0))[0]:
                        row[j + n] = step, n
            best.append(row)
        if len(phones) not in best[-1]:
            continue
        steps, j = [], len(phones)
        for i in range(len(word), 0, -1):
            n = best[i][j][1]
            steps.append((word[i - 1], phones[j - n : j]))
            j -= n
        yield steps[::-1]


def table(alignments: Iterable[Sequence[tuple[str, str]]], support: int) -> dict[str, str]:
    """Return context -> phones: each context that disagrees with the next narrower one that stays, in at least so many words."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for steps in alignments:
        word = "".join(letter for letter, _ in steps)
        for i, (_, phones) in enumerate(steps):
            for key in contexts(word, i):
                found[key][phones] += 1
    kept: dict[str, str] = {}
    for key in sorted(found, key=len):
        (value, n), *_ = found[key].most_common(1)
        if n >= support and value != (kept[narrow] if (narrow := narrower(key, kept)) else None):
            kept[key] = value
    return kept


def narrower(key: str, kept: dict[str, str]) -> str:
    """Return the widest context inside this one that stays; empty where there is none."""
    left, letter, right = key.split("|")
    while left or right:
        left, right = (left[1:], right) if len(left) >= len(right) else (left, right[:-1])
        if (inner := f"{left}|{letter}|{right}") in kept:
            return inner
    return ""


if __name__ == "__main__":
    main()
