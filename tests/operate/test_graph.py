"""The graph that people look at: its figures by hand, what it leaves out, and that its picture can be read."""

import xml.etree.ElementTree as ET
from itertools import combinations

import duckdb
import networkx as nx
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rewriter.config import Chain
from rewriter.errors import EngineError
from rewriter.offline.rules.chain import load, solve
from rewriter.operate import drawing
from rewriter.operate.drawing import RARE, rephrase_graph

# node: text, success, failure, turns, users
STATES = [
    ("turn of the lamp", 60, 240, 40, 20),
    ("turn off the lamp", 900, 100, 200, 90),
    ("lamp of", 0, 400, 10, 4),
    ("my secret is anna", 0, 50, 2, 1),
    ("bernd's secret", 50, 0, 1, 2),
    ("stop", 10, 0, 9, 9),
]
# source, target, mass, users
STEPS = [
    (0, 1, 500, 15),
    (0, 2, 100, 3),
    (0, 3, 40, 2),
    (0, 4, 50, 1),
    (0, 5, 10, 3),
    (2, 1, 600, 4),
    (3, 1, 150, 1),
    (4, 3, 50, 2),
]


@pytest.fixture
def tables(tmp_path):
    def write(states=STATES, steps=STEPS):
        with duckdb.cursor() as con:
            con.execute(
                "CREATE TEMP TABLE nodes (node BIGINT, locale VARCHAR, kind VARCHAR, state VARCHAR, success BIGINT,"
                "failure BIGINT, turns BIGINT, users BIGINT, first_day BIGINT, last_day BIGINT)"
            )
            con.execute("CREATE TEMP TABLE edges (source BIGINT, target BIGINT, mass BIGINT, users BIGINT)")
            rows = [(i, "en", "u", text, *masses, 0, 1) for i, (text, *masses) in enumerate(states)]
            con.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            if steps:
                con.executemany("INSERT INTO edges VALUES (?, ?, ?, ?)", steps)
            for name in ("nodes", "edges"):
                con.execute(f"COPY {name} TO '{tmp_path / name}.parquet'")
        return tmp_path / "nodes.parquet", tmp_path / "edges.parquet"

    return write


def around(paths, source=0, **options) -> nx.DiGraph:
    return rephrase_graph(*paths, solve(*load(*paths), Chain()), source, **options)


def test_figures_by_hand(tables):
    graph = around(tables(), min_users=1)
    assert set(graph) == {0, 1, 2, 3, 4}  # "stop" is said by one in a hundred
    assert {j: graph[0][j]["p"] for j in graph[0]} == {1: 0.5, 2: 0.1, 3: 0.04, 4: 0.05}
    assert graph[0][1] == {"p": 0.5, "mass": 500, "users": 15}
    # To "turn off the lamp" lead 1/2; 1/10 * 6/10 over "lamp of"; (4/100 + 5/100 * 1/2) * 150/200 over the secrets. 90 % work.
    assert graph.nodes[1]["score"] == pytest.approx(0.9 * (0.5 + 0.06 + 0.065 * 0.75))
    assert graph.nodes[0] == {
        "text": "turn of the lamp", "locale": "en", "kind": "u", "turns": 40, "users": 20, "hop": 0,
        "success": 0.06, "failure": 0.24, "score": pytest.approx(0.06),
        "absorbed": pytest.approx(0.06 + 0.9 * (0.5 + 0.06 + 0.065 * 0.75) + 0.05 * 0.5 + 0.01),
    }  # fmt: skip
    assert [graph.nodes[i]["hop"] for i in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert (graph.graph["source"], graph.graph["best"]) == (0, 1)


def test_rare_texts_become_one_node_that_holds_their_sums(tables):
    open_, closed = around(tables(), min_users=1), around(tables(), min_users=3)
    rare = closed.nodes[RARE]
    assert set(closed) == {0, 1, 2, RARE}
    assert rare["text"] == "(2 rare texts)"
    assert (rare["turns"], rare["users"], rare["hop"]) == (3, 2, 1)
    assert closed[0][RARE] == {"p": pytest.approx(0.09), "mass": 90, "users": 2}
    assert closed[RARE][1]["p"] == pytest.approx(150 / 300)
    assert closed[RARE][RARE]["mass"] == 50
    assert (rare["success"], rare["failure"]) == (50 / 300, 50 / 300)
    assert rare["score"] == pytest.approx(open_.nodes[3]["score"] + open_.nodes[4]["score"])
    assert rare["absorbed"] == pytest.approx((200 * open_.nodes[3]["absorbed"] + 100 * open_.nodes[4]["absorbed"]) / 300)
    everything = repr(closed.nodes(data=True)) + drawing.svg(closed)
    assert "secret" not in everything and "anna" not in everything


def test_a_rare_source_stays_a_node_without_its_text(tables):
    graph = around(tables(), source=3)
    assert (graph.nodes[3]["text"], graph.nodes[1]["text"]) == ("(1 rare text)", "turn off the lamp")
    assert "secret" not in drawing.svg(graph)


def test_hops_and_least_cut_the_graph(tables):
    chain = tables([(f"text {i}", 100, 0, 5, 5) for i in range(5)], [(i, i + 1, 300, 5) for i in range(4)])
    assert [list(around(chain, hops=hops, least=0.0)) for hops in (1, 2, 9)] == [[0, 1], [0, 1, 2], [0, 1, 2, 3, 4]]
    assert list(around(chain, hops=9, least=0.5)) == [0, 1, 2]  # reached by 3/4, 9/16, 27/64, …
    assert nx.get_node_attributes(around(chain, hops=9, least=0.0), "hop") == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}


def test_a_state_that_nothing_beats_is_its_own_best(tables):
    assert around(tables(), source=1).graph["best"] == 1
    alone = around(tables([("mute", 0, 0, 1, 9)], []))
    assert (list(alone), alone.graph["best"], alone.nodes[0]["absorbed"]) == ([0], 0, 0)


def test_an_unknown_node_is_refused(tables):
    paths = tables()
    for source in (-1, 6):
        with pytest.raises(EngineError, match=f"no node {source}, only 0..5"):
            around(paths, source=source)


def test_unreadable_tables_are_named(tables, tmp_path):
    nodes, edges = tables()
    solved = solve(*load(nodes, edges), Chain())
    with pytest.raises(EngineError, match="cannot read"):
        rephrase_graph(tmp_path / "none.parquet", edges, solved, 0)


def random_graph(seed: int, n: int) -> nx.DiGraph:
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(n, 0.3, seed=seed, directed=True)
    graph.graph |= {"source": 0, "best": n - 1}
    for i in graph:
        works, fails = rng.dirichlet([1, 1, 1])[:2]
        text = " ".join(["wwwwww"] * int(rng.integers(1, 9)))
        attributes = {"text": text, "hop": 0 if i == 0 else 1 + i % 3, "turns": int(rng.pareto(1) * 30), "score": rng.random()}
        graph.nodes[i].update(attributes, success=works, failure=fails)
    nx.set_edge_attributes(graph, {edge: float(rng.random()) for edge in graph.edges}, "p")
    return graph


@pytest.mark.parametrize("n", range(3, 11))
def test_no_name_meets_another_or_a_ring(n):
    graph = random_graph(n, n)
    figure = Figure(figsize=drawing.figsize(graph))
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    drawing.draw(graph, ax)
    canvas.draw()
    names = [text.get_window_extent() for text in ax.texts if "www" in text.get_text()]
    rings = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, drawing.Circle)]
    assert (len(names), len(rings)) == (n, n + 1)  # the best has a second ring
    page = figure.bbox
    assert not any(a.overlaps(b) for a, b in combinations(names, 2))
    assert not any(a.overlaps(b) for a in names for b in rings)
    assert all(page.contains(*corner) for box in names + rings for corner in (box.p0, box.p1))


def test_svg_is_the_same_every_time_and_holds_any_text(tables):
    hard = (
        ('turn <off> & $x_1$ "the" lamp\'s', 500, 0, 5, 5),
        ("電気を消して 🙂" + "あ" * 14, 500, 500, 5, 5),
    )
    paths = tables(list(hard), [(0, 1, 500, 5)])
    first = drawing.svg(around(paths))
    assert first == drawing.svg(around(paths))
    # Letters that are twice as wide are wrapped at half the number.
    words = " ".join("".join(ET.fromstring(first).itertext()).split())
    assert "turn <off> & $x_1$" in words
    assert "電気を消して" in words and "あ" * 10 in words and "あ" * 13 not in words
