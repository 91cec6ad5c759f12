"""How often `rewriter learn --check` finds out how a log is laid out, and whether it is as sure as it should be.

Each layout is drawn: names of columns (words that the reader knows, words that it does not know, or letters), their order,
rows that are flat or elements of a list, answers in rows of their own or in a column, a session or none, and junk.
"""

import json
import random
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import duckdb
from script import RESULTS, options, write_result

from rewriter.offline.logs.guess import propose

NAMES = {
    "known": {
        "user_id": ["user", "customerId", "caller", "uid", "client_id", "member"],
        "timestamp": ["ts", "createdAt", "time", "sent_at", "when"],
        "utterance": ["text", "message", "query", "content", "transcript"],
        "role": ["from", "sender", "author", "direction", "role"],
        "session_id": ["conversationId", "session", "chat_id", "thread"],
        "response": ["answer", "reply", "bot_response"],
    },
    "unknown": {
        "user_id": ["Kunde", "abonnent", "cliente", "handle"],
        "timestamp": ["Zeitpunkt", "fecha", "moment", "stamp"],
        "utterance": ["Anfrage", "frase", "line", "words"],
        "role": ["Art", "quien", "part", "party"],
        "session_id": ["Gespraech", "sesion", "visit", "episode"],
        "response": ["Antwort", "respuesta", "comeback", "result"],
    },
}
"""Names that columns are given; with ``letters`` they are a, b, c and so on, in random order."""
SAMPLE = Path(__file__).parent.parent / "data" / "sample.parquet"
ANSWER = "CASE status WHEN 'failed' THEN 'Sorry, I did not get that.' ELSE 'Okay, ' || split_part(hypothesis, '|', 1) END"
WORDS = [("user", "bot"), ("customer", "agent"), ("incoming", "outgoing"), ("human", "assistant")]
BINS = (0.0, 0.5, 0.8, 0.95, 1.01)


def junk(rng: random.Random) -> dict[str, Callable[[int], object]]:
    """Return columns that mean nothing to the reader: name -> the value of row n."""
    made: dict[str, Callable[[int], object]] = {
        "row_number": lambda n: n,
        "channel": lambda _: "app",
        "version": lambda n: f"2.{n % 3}.1",
        "latency_ms": lambda n: (n * 37) % 900 + 20,
        "page": lambda n: f"https://example.org/p/{n % 9}",
        "request_hash": lambda n: f"{(n * 2654435761) % 2**32:08x}",
        "country": lambda n: ["DE", "FR", "US"][n % 3],
        "cost": lambda n: round((n * 13 % 100) / 1000, 4),
    }
    return {name: made[name] for name in rng.sample(sorted(made), rng.randint(0, 5))}


def layout(
    rng: random.Random, kind: str, turns: list[tuple[str, str, str, str]]
) -> tuple[list[dict[str, object]], dict[str, str]]:
    """Return the records of one drawn layout, and the right names of its columns."""
    columns = list(NAMES["known"])
    letters = iter(rng.sample("abcdefghijkl", len(columns)))
    names = {ours: next(letters) if kind == "letters" else rng.choice(NAMES[kind][ours]) for ours in columns}
    has_role, has_session, is_nested = rng.random() < 0.5, rng.random() < 0.6, rng.random() < 0.4
    more, (one, two) = junk(rng), rng.choice(WORDS)
    rows: list[dict[str, object]] = []
    for user, at, said, answer in turns:
        base: dict[str, object] = {"user_id": user, "timestamp": at, "session_id": f"{user}-{at[:10]}"}
        if has_role:
            rows += [base | {"utterance": said, "role": one}, base | {"utterance": answer, "role": two}]
        else:
            rows.append(base | {"utterance": said, "response": answer})
    kept = [ours for ours in columns if ours in rows[0] and (has_session or ours != "session_id")]
    order = rng.sample([*kept, *more], len(kept) + len(more))
    flat = [{names.get(key, key): row[key] if key in names else more[key](n) for key in order} for n, row in enumerate(rows)]
    right = {ours: names[ours] for ours in kept}
    if not is_nested:
        return flat, right
    outer = [key for key in ("user_id", "session_id") if key in kept]
    groups: dict[tuple[object, ...], list[dict[str, object]]] = defaultdict(list)
    for row, named in zip(rows, flat, strict=True):
        groups[row["user_id"], row["session_id"]].append(named)
    of_record = {names[key] for key in outer}
    records = [
        {
            **{name: of[0][name] for name in of_record},
            "items": [{k: v for k, v in row.items() if k not in of_record} for row in of],
        }
        for of in groups.values()
    ]
    return records, {ours: theirs if ours in outer else f"items.{theirs}" for ours, theirs in right.items()}


def main() -> None:
    """Draw layouts, ask for their proposals, and write how many were right."""
    parser = options(__doc__, out=RESULTS / "log_shapes.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--layouts", type=int, default=40, help="layouts of each seed and kind of names")
    args = parser.parse_args()
    turns = duckdb.execute(
        f"SELECT user_id, strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ'), utterance, {ANSWER} FROM '{SAMPLE}' WHERE user_id IN"
        f" (SELECT DISTINCT user_id FROM '{SAMPLE}' ORDER BY user_id LIMIT 15) ORDER BY timestamp LIMIT 400"
    ).fetchall()
    by_kind: dict[str, list[bool]] = defaultdict(list)
    by_bin: dict[str, list[bool]] = defaultdict(list)
    for seed in args.seeds:
        rng = random.Random(seed)
        for kind in ("known", "unknown", "letters"):
            for _ in range(args.layouts):
                records, right = layout(rng, kind, turns)
                found = propose(records, {})
                needed = [ours for ours in ("user_id", "timestamp", "utterance", "role") if ours in right]
                by_kind[kind].append(all(found.mapping.get(ours) == right[ours] for ours in needed))
                for guess in found.guesses:
                    if guess.ours in needed or guess.ours == "session_id":
                        at = next(i for i, top in enumerate(BINS[1:]) if guess.confidence < top)
                        by_bin[f"{BINS[at]:.2f}-{min(BINS[at + 1], 1.0):.2f}"].append(right.get(guess.ours) == guess.theirs)
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "all of user, time, request and role right": {
            k: {"share": sum(v) / len(v), "layouts": len(v)} for k, v in by_kind.items()
        },
        "right by confidence": {k: {"share": sum(v) / len(v), "columns": len(v)} for k, v in sorted(by_bin.items())},
    }
    print(json.dumps(result, indent=1))
    write_result(result, Path(args.out))


if __name__ == "__main__":
    main()
