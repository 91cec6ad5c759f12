"""Logs of a small shop in the schema UBI, whose right rewrites are known."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

CLIENTS = [f"browser-{i}" for i in range(12)]
TYPOS = {"runing shoes": "running shoes", "lapotp 15": "laptop 15", "wher is my ordr": "where is my order"}
"""Queries without a result -> what the same people type next, with results and a click."""
NARROWER = {"shoes": "running shoes"}
"""A query without a result that is also a part of longer queries that work."""
HEALTHY = ["running shoes", "red shoes", "laptop 15", "where is my order", "h & m"]
HEADER = {"index": {"_index": "ubi_queries"}}


def rows():
    """(queries, events) of twelve browsers over six days."""
    start, queries, events = datetime(2026, 1, 5, 8, tzinfo=UTC), [], []

    def search(client, text, when, hits, action=""):
        query = f"q{len(queries)}"
        stamp = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found = [f"sku-{text}-{i}" for i in range(hits)]
        asked = {"application": "shop", "query_id": query, "client_id": client, "user_query": text, "timestamp": stamp}
        queries.append(asked | {"query_response_hit_ids": found, "query_attributes": {}})
        if action:
            done = {"action_name": action, "query_id": query, "client_id": client, "session_id": f"{client}-{when:%d}"}
            later = (when + timedelta(seconds=3)).isoformat()
            attributes = {"object": {"object_id": found[0], "object_id_field": "sku"}, "position": {"ordinal": 1}}
            events.append(done | {"timestamp": later, "event_attributes": attributes})

    for day in range(6):
        for i, client in enumerate(CLIENTS):
            clock = start + timedelta(days=day, minutes=30 * i)
            for n, (wrong, right) in enumerate((TYPOS | NARROWER).items()):
                if (day + i + n) % 3 == 0:
                    search(client, wrong, clock, 0)
                    search(client, right, clock + timedelta(seconds=8), 5, "click" if i % 2 else "add_to_cart")
                    clock += timedelta(minutes=6)
            search(client, HEALTHY[(day + i) % len(HEALTHY)], clock, 4, "click")
    return queries, events


def write(folder: Path) -> tuple[Path, Path]:
    """Write both as JSON lines."""
    paths = folder / "ubi_queries.jsonl", folder / "ubi_events.jsonl"
    for path, found in zip(paths, rows(), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return paths
