"""explain(): the decision, what it rests on, and why not, from a log whose numbers are known."""

import shutil
import xml.etree.ElementTree as ET
from collections import Counter

import lamp_log
import pytest
import room_log

from rewriter.artefact.versions import current
from rewriter.errors import ArtefactError, ConfigError
from rewriter.operate.drawing import RARE
from rewriter.operate.explain import CANDIDATE_COLUMNS, COLUMNS, CONTEXT_COLUMNS, SHOWN, draw, explain, graph

SAID = Counter(row["utterance"].lower() for row in lamp_log.rows())


@pytest.fixture
def artefact(lamp):
    return lamp[0]


@pytest.mark.parametrize("text", ["turn of the lamp", "switch on lamb", "turn on the lamp", lamp_log.RARE])
def test_what_the_log_knows_is_counted(artefact, text):
    users = {row["user_id"] for row in lamp_log.rows() if row["utterance"].lower() == text}
    (said,) = explain(artefact, text.upper()).counts
    assert (said.locale, said.turns, said.users) == ("en", SAID[text], len(users))
    assert 0 <= said.success + said.failure <= said.turns


def test_a_healthy_text_has_no_rivals(artefact):
    why = explain(artefact, "turn on the lamp")
    assert not why.rewrite.applied
    assert why.rivals == ()
    assert why.sentences()[-1] == "no user restated it"


def test_a_launched_rule_shows_its_evidence(artefact):
    why = explain(artefact, "Turn of the lamp")
    (rival,) = why.rivals
    assert (why.rewrite.text, rival.target, rival.state, rival.users) == (
        "turn off the lamp",
        "turn off the lamp",
        lamp_log.OFF,
        10,
    )
    assert rival.score > rival.stay
    assert rival.win > rival.loss
    assert why.sentences()[2].startswith("in the log from 2026-01-05 to 2026-01-13; ")
    assert why.rows() == [("turn off the lamp", "10", *why.rows()[0][2:6], "launched")]
    assert len(why.rows()[0]) == len(COLUMNS)


def test_personal_rules_are_shown_to_their_user_only(artefact):
    own = explain(artefact, lamp_log.OWN, user_id="ann")
    assert (own.rewrite.text, own.rewrite.scope) == ("play my mix", "personal")
    assert own.rivals[0].scope == "personal"
    assert own.rows()[0][1] == "you"
    for other in ("ben", None):
        why = explain(artefact, lamp_log.OWN, user_id=other)
        assert not why.rewrite.applied
        assert {rival.scope for rival in why.rivals} <= {"global"}


def test_another_locale_has_said_nothing(artefact):
    why = explain(artefact, "turn of the lamp", locale="de")
    assert not why.rewrite.applied


def test_without_the_state_only_the_decision_is_told(artefact, tmp_path):
    shipped = tmp_path / "shipped"
    shutil.copytree(artefact, shipped, ignore=shutil.ignore_patterns("state"))
    why = explain(shipped, "turn of the lamp")
    assert (why.rewrite.text, why.state, why.counts, why.rivals) == ("turn off the lamp", False, (), ())
    assert why.sentences()[-1] == "the private state is missing, so only the decision can be shown"
    with pytest.raises(ArtefactError):
        graph(shipped, "turn of the lamp")


def test_rules_for_the_context_are_shown_where_they_hold(rooms):
    kitchen, nowhere = (explain(rooms, room_log.SAID, context=c) for c in ({"room": "kitchen"}, None))
    assert kitchen.rewrite.text == room_log.TARGETS["kitchen"]
    assert not nowhere.rewrite.applied
    launched = {(h.context_value, h.target) for h in kitchen.context_rivals if h.verdict == "launched"}
    assert launched == {(f"room={room}", target) for room, target in room_log.TARGETS.items()}
    assert kitchen.context_rivals == nowhere.context_rivals
    assert kitchen.candidates == ()
    assert kitchen.context_rows()[0] == ("room=kitchen", room_log.TARGETS["kitchen"], "16", *kitchen.context_rows()[0][3:])
    assert all(len(row) == len(CONTEXT_COLUMNS) for row in kitchen.context_rows())


def test_candidates_are_shown_with_what_was_measured(artefact):
    why = explain(artefact, "turn off the lamb", after_failure=True)
    assert [c.text for c in why.candidates] == [c.text for c in why.rewrite.candidates] or why.rewrite.applied
    assert why.candidates
    assert [row[:2] for row in why.candidate_rows()] == [(f"{n}", c.text) for n, c in enumerate(why.candidates, start=1)]
    assert all(len(row) == len(CANDIDATE_COLUMNS) for row in why.candidate_rows())
    shown = min(SHOWN, len(why.candidates))
    assert all(len(row) == 2 + shown for row in why.feature_rows())
    heeded = {name for name, weight in why.candidates[0].weights.items() if weight}
    assert {row[0] for row in why.feature_rows()} == heeded
    assert explain(artefact, "turn of the lamp").candidates == ()


def test_the_graph_hides_texts_of_fewer_people(artefact):
    around = graph(artefact, "turn of the lamp")
    assert around.nodes[around.graph["source"]]["text"] == "turn of the lamp"
    assert around.nodes[around.graph["best"]]["text"] == lamp_log.OFF
    rare = graph(artefact, lamp_log.RARE)
    assert lamp_log.RARE not in {text for node, text in rare.nodes(data="text") if node != RARE}
    with pytest.raises(ArtefactError, match="does not contain 'hello'"):
        graph(artefact, "Hello!")


def test_the_picture_is_the_same_again(artefact, tmp_path):
    for name in ("a.svg", "b.svg"):
        draw(artefact, "turn of the lamp", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "turn of the lamp" in "".join(ET.parse(tmp_path / "a.svg").getroot().itertext())
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        draw(artefact, "turn of the lamp", tmp_path / "lamp.jpeg")


def test_a_damaged_artefact_is_no_explanation(artefact, tmp_path):
    root = tmp_path / "damaged"
    shutil.copytree(artefact, root)
    (current(root).folder / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"manifest\.json"):
        explain(root, "turn of the lamp")
