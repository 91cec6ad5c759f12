"""Home commands heard by a real recogniser, as a log: what `learn` makes of it, and how well mining finds restatements.

    python benchmarks/home_spoken.py [--seeds 0 1 2] [--data ../shared/data/home_spoken] [--log FILE]

The recordings have speaker conditions (voice, speaking rate, noise) but no users, so users are invented. Each condition is
assigned to many users, and every recording is played at most once, for one of the users with its condition. So the data allow no
conclusion about k users. The assistant understands the 380 phrases word by word and refuses everything else. A user who is
refused says the same or another phrase of the goal, gives up, or wants something else, by `rewriter.simulation.Behaviour`.
Nothing is withheld from the log, because only its mining is judged here.

The recogniser's confidence is left out. Its values order the hearings well, but 99 % of them are below 0.3, whether right or
wrong, so they are not the probabilities that the contract asks for. Columns `goal` and `said` hold the truth and are not in the
contract.

The turns in which the goal was missed are judged. An event is such a turn with the first later turn of that user, within three
turns and a minute, that reached the same goal. It is strict if the two were heard in different words.
"""

import platform
import tempfile
from dataclasses import replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from pairs import Pair, TextRatio, average_precision, best_f1, interval, judge, mined_pairs
from script import options, write_result
from worlds.recorded import recorded_world

from rewriter.config import Config
from rewriter.model.detector import Detector, RuleDetector
from rewriter.offline.learn import learn
from rewriter.offline.logs import reader
from rewriter.simulation.channels import RecordingChannel, read_recordings
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.world import Withheld

DATA = Path("../shared/data/home_spoken")
OUT = Path("benchmarks/results/home_spoken_mining.json")
START = date(2026, 1, 5)
DAYS = 60
USERS = 240
REACH = 3
WINDOW_MS = 60_000


def log(out: Path, seed: int, *, data: Path = DATA) -> int:
    """Write a log of people whose requests are recordings, in the contract and with the truth beside it.

    Args:
        out: Parquet file to write.
        seed: of the people and of what they do.
        data: folder of recordings.parquet and phrases.csv.

    Returns:
        The number of rows.
    """
    recordings = data / "recordings.parquet"
    world = replace(
        recorded_world(recordings, data / "phrases.csv", seed=seed, n_users=USERS),
        channel=RecordingChannel(read_recordings(recordings)),
        split=Withheld(frozenset(), frozenset(), frozenset()),
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        whole = Path(folder) / "log.parquet"
        rows = write_log((turn for day in simulate_days(world, days=DAYS, start=START, seed=seed) for turn in day), whole)
        con.read_parquet(str(whole)).project("* EXCLUDE (asr_confidence)").write_parquet(str(out))
    return rows


def truth(path: Path) -> tuple[dict[str, str], dict[Pair, bool]]:
    """Return turn that missed its goal -> user, and (failing, restating) -> whether heard in other words, of a log."""
    with duckdb.connect() as con:
        turns = con.execute(
            """SELECT turn_id, user_id, epoch_ms(timestamp), utterance, goal, hypothesis IS NOT DISTINCT FROM goal
            FROM read_parquet(?) ORDER BY user_id, timestamp, turn_id""",
            [str(path)],
        ).fetchall()
    failed, events = {}, {}
    for i, (turn, user, ts_ms, heard, goal, right) in enumerate(turns):
        if right:
            continue
        failed[turn] = user
        for later, other, then_ms, text, wanted, reached in turns[i + 1 : i + 1 + REACH]:
            if other == user and then_ms - ts_ms <= WINDOW_MS and wanted == goal and reached:
                events[turn, later] = text != heard
                break
    return failed, events


def evaluate_detector(path: Path, detector: Detector, seed: int) -> dict[str, Any]:
    """Return how well a detector finds the restatements of a log, each figure with its interval over users."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        reader.read([path], out=work, key=bytes(16), config=Config().logs)
        found = mined_pairs(work / "turns.parquet", detector, work / "mined", Config())
    judged = judge(found, *truth(path))
    return {
        "average_precision": interval(judged, average_precision, seed),
        "best_f1": interval(judged, best_f1, seed),
        "events": len(judged.event_user),
        "events_in_other_words": int(judged.strict.sum()),
    }


def one_seed(seed: int, path: Path, data: Path) -> dict[str, Any]:
    """Write a log, learn from it and judge the detectors on it."""
    log(path, seed, data=data)
    failed, events = truth(path)
    with tempfile.TemporaryDirectory() as folder:
        report = learn([path], out=Path(folder) / "artefact")
    detectors: dict[str, Detector] = {"rule": RuleDetector(), "text ratio": TextRatio()}
    return {
        "seed": seed,
        "turns": report.log.turns,
        "users": report.log.users,
        "failed_turns": len(failed),
        "restated": len(events),
        "rules": dict(report.rules),
        "refused": dict(report.refused),
        "expected_win": report.win,
        "expected_loss": report.loss,
        "pairs": {name: evaluate_detector(path, detector, seed) for name, detector in detectors.items()},
    }


def main() -> None:
    """Run all seeds, print a table and write the JSON."""
    parser = options(__doc__, seeds=[0, 1, 2], out=OUT)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--log", type=Path, help="keep the log of the last seed here")
    args = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in args.seeds:
            run = one_seed(seed, args.log or Path(folder) / "log.parquet", args.data)
            runs.append(run)
            print(
                f"seed {seed}: {run['turns']:,} turns, {run['failed_turns']:,} missed, {run['restated']:,} of them restated",
                end="; ",
            )
            print(f"rules {run['rules']}, refused {run['refused']}")
            for name, row in run["pairs"].items():
                cells = (row[figure] for figure in ("average_precision", "best_f1"))
                shown = "".join(f"{c['value']:>8.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells)
                print(f"  {name:<12} AP, best F1 {shown}")
    result = {
        "command": f"python benchmarks/home_spoken.py --seeds {' '.join(map(str, args.seeds))}",
        "seeds": args.seeds,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in ("rewriter", "duckdb", "scikit-learn")},
        "runs": runs,
    }
    write_result(result, args.out)


if __name__ == "__main__":
    main()
