"""The same mining job in the usual style of pandas: whole columns in memory, group by, shift, merge. For `mining.py` only.

It leaves out what the synthetic log does not have: session ids, several locales, rewritten turns, feedback, engagement.
"""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.similarity import contained, sound_similarity, text_similarity
from rewriter.text import normalise

COLUMNS = "turn_id, user_id, ts_ms, utterance, hypothesis, status, response, barge_in, asr_confidence"


def mine_with_pandas(path: Path, config: Config) -> dict[str, int]:
    """Mine a log to transitions; return totals that must equal those of the real thing."""
    turns = _sessions(_read(path), config)
    candidates = _candidates(turns, config)
    candidates["p"] = RuleDetector().score({name: candidates[name].to_numpy() for name in RuleDetector().columns})
    _spend(turns, candidates)
    return _transitions(turns, candidates, config.chain.user_cap)


def _read(path: Path) -> pd.DataFrame:
    with duckdb.connect() as con:
        turns = con.execute(f"SELECT {COLUMNS} FROM read_parquet(?)", [str(path)]).df()
    said, texts = pd.factorize(turns["utterance"])
    forms, normal = pd.factorize(np.array([normalise(text) for text in texts], dtype=object))
    turns["said"] = forms[said]
    turns["text"] = normal[turns["said"]]
    turns["user"] = pd.factorize(turns["user_id"])[0]
    turns["state"] = turns["text"].where(turns["hypothesis"].isna(), "h:" + turns["hypothesis"].astype(object))
    turns["state"] = pd.factorize(pd.concat([turns["text"], turns["state"]]))[0][len(turns) :]
    turns["spoken"] = pd.factorize(turns["text"])[0]
    return turns.sort_values(["user", "ts_ms", "turn_id"], ignore_index=True)


def _sessions(turns: pd.DataFrame, config: Config) -> pd.DataFrame:
    gap = turns["ts_ms"].diff().where(turns["user"].eq(turns["user"].shift()))
    turns["session"] = (~(gap <= config.sessions.gap_ms)).cumsum()
    rules = config.friction
    heeded = turns["session"].eq(turns["session"].shift(-1)) & (turns["ts_ms"].shift(-1) - turns["ts_ms"] <= rules.window_ms)
    friction = np.where(heeded & turns["barge_in"].shift(-1).eq(1), rules.barge_in, rules.unknown)
    friction = np.maximum(friction, np.where(turns["asr_confidence"] < rules.confidence, rules.low_confidence, 0))
    turns["friction"] = np.maximum(friction, np.where(turns["status"] == "failed", rules.failed, 0))
    turns["day"] = turns["ts_ms"] // 86_400_000
    return turns


def _candidates(turns: pd.DataFrame, config: Config) -> pd.DataFrame:
    parts = []
    for ahead in range(1, config.rephrases.reach + 1):
        later = turns.shift(-ahead)
        gap = later["ts_ms"] - turns["ts_ms"]
        near = turns["session"].eq(later["session"]) & (gap <= config.rephrases.window_ms)
        one, other = turns[near], later[near]
        understood = one["hypothesis"].notna() & other["hypothesis"].notna()
        same = one["hypothesis"].eq(other["hypothesis"]).astype(float)
        parts.append(
            pd.DataFrame(
                {
                    "turn": one.index,
                    "next": one.index + ahead,
                    "ahead": ahead,
                    "gap_ms": gap[near],
                    "source": one["text"],
                    "target": other["text"],
                    "source_friction": one["friction"],
                    "source_failed": one["status"].eq("failed").astype(float),
                    "target_failed": other["status"].eq("failed").astype(float),
                    "source_engaged": np.nan,
                    "barge_in": other["barge_in"],
                    "same_hypothesis": same.where(understood),
                    "same_response": one["response"].eq(other["response"]).astype(float),
                }
            )
        )
    candidates = pd.concat(parts, ignore_index=True)
    pairs = candidates[["source", "target"]].drop_duplicates(ignore_index=True)
    source, target = pairs["source"].tolist(), pairs["target"].tolist()
    pairs["text_similarity"] = np.rint(1000 * text_similarity(source, target)).astype(int)
    pairs["sound_similarity"] = np.rint(1000 * sound_similarity(source, target)).astype(int)
    pairs["contained"] = [int(contained(one, other)) for one, other in zip(source, target, strict=True)]
    return candidates.merge(pairs, on=["source", "target"])


def _spend(turns: pd.DataFrame, candidates: pd.DataFrame) -> None:
    left = np.full(len(turns), 1000)
    candidates["mass"] = 0
    for _, part in candidates.groupby("ahead"):
        at = part["turn"].to_numpy()
        mass = (left[at] * part["p"].to_numpy() + 500) // 1000
        candidates.loc[part.index, "mass"] = mass
        left[at] -= mass
    turns["failure"] = (left * turns["friction"] + 500) // 1000
    turns["success"] = left - turns["failure"]


def _transitions(turns: pd.DataFrame, candidates: pd.DataFrame, cap: int) -> dict[str, int]:
    # The row of what was said, and the row of how it was understood; states of both kinds share one numbering here.
    h = turns[turns["hypothesis"].notna()]
    parts = [turns.assign(node=2 * turns["spoken"]), h.assign(node=2 * h["state"] + 1)]
    rows = pd.concat([part[["user", "node", "success", "failure", "day"]] for part in parts])
    mine = rows.groupby(["user", "node"]).agg(
        turns=("success", "size"),
        success=("success", "sum"),
        failure=("failure", "sum"),
        first=("day", "min"),
        last=("day", "max"),
    )
    scale = np.minimum(cap, mine["turns"])
    capped = mine.assign(success=mine["success"] * scale // mine["turns"], failure=mine["failure"] * scale // mine["turns"])
    nodes = capped.groupby("node").agg(success=("success", "sum"), failure=("failure", "sum"), turns=("turns", "sum"))

    moved = candidates[candidates["mass"] > 0]
    one, other = (turns.iloc[moved[name]].reset_index(drop=True) for name in ("turn", "next"))
    mass = moved["mass"].reset_index(drop=True)
    target = np.where(other["hypothesis"].notna(), 2 * other["state"] + 1, 2 * other["spoken"])
    again = one["said"] == other["said"]
    spoken = pd.DataFrame(
        {"user": one["user"], "source": 2 * one["spoken"], "target": np.where(again, 2 * one["spoken"], target), "mass": mass}
    )
    understood = pd.DataFrame({"user": one["user"], "source": 2 * one["state"] + 1, "target": target, "mass": mass})
    steps = pd.concat([spoken, understood[one["hypothesis"].notna()]]).groupby(["user", "source", "target"], as_index=False).sum()
    steps = steps.merge(mine["turns"], left_on=["user", "source"], right_index=True)
    steps["mass"] = steps["mass"] * np.minimum(cap, steps["turns"]) // steps["turns"]
    edges = steps[steps["mass"] > 0].groupby(["source", "target"])["mass"].sum()
    totals: dict[str, Any] = {
        "nodes": len(nodes),
        "success": nodes["success"].sum(),
        "failure": nodes["failure"].sum(),
        "turns": nodes["turns"].sum(),
        "edges": len(edges),
        "mass": edges.sum(),
    }
    return {name: int(value) for name, value in totals.items()}
