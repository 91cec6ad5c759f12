"""The charts of time against size show the figures of the results, on logarithmic axes."""

import json

import pytest
import sizes

RESULTS = {
    "scale": {"rows": [{"engine": "duckdb", "turns": t, "cpu_seconds": s} for t, s in ((1000, 3.0), (100, 0.5))]},
    "learn_cost": {
        "command": "python",
        "10 turns": {"turns": 10, "cpu_seconds": 5.0, "steps": {"mine": {"cpu_seconds": 4.0}, "chain": {"cpu_seconds": 0.0}}},
        "20 turns": {"turns": 20, "cpu_seconds": 6.0, "steps": {"mine": {"cpu_seconds": 5.0}, "chain": {"cpu_seconds": 0.5}}},
    },
    "request_cost": {
        "10 rows, static encoder": {"ways": {"raw": {"p50_us": 2.0}}},
        "20 rows, static encoder": {"ways": {"raw": {"p50_us": 3.0}, "online": {"p50_us": 9.0}}},
        "10 rows, transformer": {"ways": {"raw": {"p50_us": 8.0}}},
    },
}
SHOWN = {
    "scale": {"duckdb": [(100, 0.5), (1000, 3.0)], "in proportion": [(100, 0.3), (1000, 3.0)]},
    "learn_cost": {
        "learn": [(10, 5.0), (20, 6.0)],
        "mine": [(10, 4.0), (20, 5.0)],
        "chain": [(20, 0.5)],  # 0 has no logarithm
        "in proportion": [(10, 3.0), (20, 6.0)],
    },
    "request_cost": {"raw": [(10, 2.0), (20, 3.0)], "online": [(20, 9.0)]},
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_chart_shows_its_result(name, tmp_path):
    (axes,) = sizes.FIGURES[name](RESULTS[name]).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines} == SHOWN[name]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(RESULTS[name]))
    sizes.draw(path)
    assert "<svg" in path.with_suffix(".svg").read_text()
