"""A log that the tests of catalogs beside a log share."""

import pytest


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Five users whose "lamp of" is refused and who then say "lamp off"."""
    path = tmp_path_factory.mktemp("log") / "log.csv"
    rows = ["user_id,timestamp,utterance,hypothesis,status"]
    for i in range(5):
        rows += [f"u{i},2026-01-0{i + 1}T08:00:00Z,lamp of,,failed", f"u{i},2026-01-0{i + 1}T08:00:10Z,lamp off,off,ok"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
