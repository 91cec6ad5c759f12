"""What do stated preferences change where requests leave something open?

    python benchmarks/preferences.py [--seeds 11 12 13] [--users 40] [--days 10] [--share 0.5]

A simulated assistant understands open requests ("find a restaurant") and full ones ("find a thai restaurant"). Each user has a
favourite in each of two slots and wants it in four of five cases. She leaves it open in three of five of these, and in one of
ten of the others. What was open is restated in full. A log is learned; then a week is asked, before the NLU, without preferences
and after a random share of the users has stated the favourites. A request ends well if what is understood is what the user
wanted. An open request that wanted something else than the favourite is a *contrary* one: filling it in is wrong. The answers of
users who state nothing must not change (*leaked*).
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from script import RESULTS, made_with, options, write_result

from rewriter.model.hypothesis import hypothesis
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
VALUES: Mapping[str, tuple[str, Sequence[str]]] = {
    "cuisine": ("find {a} restaurant", ("italian", "thai", "greek", "indian", "french", "mexican")),
    "genre": ("play {a} song", ("jazz", "rock", "folk", "soul", "punk", "blues")),
}
INTENTS = {"cuisine": "Find", "genre": "Play"}
_A_DAY, _LIKED, _OPEN, _OPEN_CONTRARY = 6, 0.8, 0.6, 0.1


class Asked(NamedTuple):
    """One request: who, when (seconds), what was said, what was wanted, and whether that is another value than the favourite."""

    user: int
    at: float
    text: str
    goal: str
    contrary: bool


def main() -> None:
    """Measure all seeds, and write them."""
    parser = options(__doc__, seeds=[11, 12, 13], users=40, days=10, out=RESULTS / "preferences.json")
    parser.add_argument("--share", type=float, default=0.5, help="share of the users who state preferences")
    args = parser.parse_args()
    result = made_with(("rewriter", "numpy")) | {"share": args.share, "seeds": {}}
    for seed in args.seeds:
        result["seeds"][str(seed)] = one(seed, args)
        print(seed, result["seeds"][str(seed)], flush=True)
    write_result(result, args.out)


def said(slot: str, value: str) -> tuple[str, str]:
    """Return text and hypothesis of a request with a value, or of the open one."""
    words = f"{'an' if value[:1] in 'aeiou' and value else 'a'} {value}".strip()
    return VALUES[slot][0].format(a=words), hypothesis(INTENTS[slot], {slot: value} if value else {})


def requests(favourite: Sequence[Mapping[str, str]], days: range, rng: np.random.Generator) -> Iterator[Asked]:
    """Yield what the users ask for, day by day."""
    for day in days:
        for user, of in enumerate(favourite):
            for at in np.sort(rng.random(rng.poisson(_A_DAY))) * 12 * 3600:
                slot = str(rng.choice(list(VALUES)))
                liked = rng.random() < _LIKED
                value = of[slot] if liked else str(rng.choice([v for v in VALUES[slot][1] if v != of[slot]]))
                is_open = rng.random() < (_OPEN if liked else _OPEN_CONTRARY)
                yield Asked(
                    user, day * 86_400 + float(at), said(slot, "" if is_open else value)[0], said(slot, value)[1], not liked
                )


def one(seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Simulate, learn, and ask a week without and with preferences."""
    rng = np.random.default_rng(seed)
    favourite = [{slot: str(rng.choice(of)) for slot, (_, of) in VALUES.items()} for _ in range(args.users)]
    table = dict(said(slot, value) for slot, (_, of) in VALUES.items() for value in ("", *of))
    full = {goal: text for text, goal in table.items()}
    asked = list(requests(favourite, range(args.days, args.days + 7), rng))
    telling = set(rng.permutation(args.users)[: round(args.share * args.users)].tolist())
    with tempfile.TemporaryDirectory() as folder:
        log, root = Path(folder) / "log.jsonl", Path(folder) / "artefact"
        with log.open("w", encoding="utf-8") as file:
            for request in requests(favourite, range(args.days), rng):
                turns = [request.text] if table[request.text] == request.goal else [request.text, full[request.goal]]
                for n, text in enumerate(turns):
                    when = START + timedelta(seconds=request.at + 7 * n)
                    row = {
                        "user_id": f"u{request.user}",
                        "timestamp": when.isoformat(),
                        "utterance": text,
                        "hypothesis": table[text],
                    }
                    file.write(json.dumps(row) + "\n")
        learn([log], out=root)
        plain = [Rewriter.open(root).rewrite(r.text, user_id=f"u{r.user}").text for r in asked]
        rewriter = Rewriter.open(root)
        for user in telling:
            for slot, value in favourite[user].items():
                rewriter.prefer(slot, value, user_id=f"u{user}")
        after = [rewriter.rewrite(r.text, user_id=f"u{r.user}").text for r in asked]
    return judged(asked, plain, after, table, telling)


def judged(
    asked: Sequence[Asked], plain: Sequence[str], after: Sequence[str], table: Mapping[str, str], telling: set[int]
) -> dict[str, Any]:
    """Count how many requests end well, of those who state preferences, open and full."""
    found: Counter[str] = Counter()
    for request, one_text, other in zip(asked, plain, after, strict=True):
        if request.user not in telling:
            found["leaked"] += one_text != other
            continue
        is_open = table[request.text] != request.goal
        kind = ("open, contrary" if request.contrary else "open") if is_open else "full"
        found[kind] += 1
        found[f"{kind}: well before"] += table.get(one_text) == request.goal
        found[f"{kind}: well after"] += table.get(other) == request.goal
        found[f"{kind}: filled in after"] += other != request.text
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
