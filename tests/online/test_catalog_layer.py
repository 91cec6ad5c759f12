"""An artefact from a catalog alone: it answers refusals, by itself, and leaves alone what it does not know."""

import json

import lamp_log
import pytest

from rewriter import Rewriter, learn
from rewriter.artefact.versions import current
from rewriter.codes import Reason
from rewriter.config import Config, Trigger
from rewriter.errors import ArtefactError, ConfigError, LogError
from rewriter.guardrail.contrasts import WordContrasts, open_contrasts
from rewriter.model.detector import RuleDetector
from rewriter.model.prior import LEAST_AFTER
from rewriter.offline.catalog_layer import learn_catalog, thresholds
from rewriter.online.request import LayerRequest

ROOMS = ("kitchen", "bedroom", "bathroom", "garage")
WAYS = ("on", "off")
HOME = [{"text": f"Turn {way} the {room} lights", "intent": way, "slots": {"area": room}} for way in WAYS for room in ROOMS]
HOME += [{"text": f"set a timer for {n} minutes", "intent": "timer", "slots": {"n": n}} for n in (5, 15, 50)]
GERMAN = [{"text": f"schalte das licht in der küche {way}", "locale": "de"} for way in ("an", "aus")]


GENEROUS = Config(trigger=Trigger(max_loss_share=0.25))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("catalog")
    version, report = learn_catalog([*HOME, *GERMAN, {"text": ""}], out=out, config=GENEROUS, complete=True)
    assert (report.kept, dict(report.rejected)) == (13, {"no text": 1})
    assert version
    return out


@pytest.fixture(scope="module")
def rewriter(folder):
    return Rewriter.open(folder)


REFUSED = [
    ("turn off the kitchen light", "Turn off the kitchen lights"),
    ("turn on the bedroom light", "Turn on the bedroom lights"),
    ("set a timer for fifteen minute", None),
    ("book a table for two in paris", None),
    ("what is my balance", None),
]


@pytest.mark.parametrize(("heard", "sent"), REFUSED)
def test_after_a_refusal(rewriter, heard, sent):
    answer = rewriter.rewrite(heard, after_failure=True)
    assert (answer.text if answer.applied else None) == sent
    assert answer.reason in (Reason.ONLINE, Reason.UNSURE, Reason.NO_CANDIDATE, Reason.BLOCKED)


def test_an_intent_for_each_text_shows_nothing_about_its_words(tmp_path):
    asked = ["where is my order", "where is my order please", "where are my orders", "cancel my order", "cancel my order please"]
    for name, intent in (("quoted", "faq: {}"), ("named", "intent {}")):
        rows = [{"text": text, "intent": intent.format(text if name == "quoted" else i)} for i, text in enumerate(asked)]
        learn_catalog(rows, out=tmp_path / name)
        found = open_contrasts(current(tmp_path / name).folder / "online")
        assert bool(found.get("en", WordContrasts()).words) == (name == "named")


def test_before_the_nlu_nothing_is_sent(rewriter):
    for heard, _ in REFUSED:
        assert not rewriter.rewrite(heard).applied
    assert rewriter.rewrite("Turn on the garage lights").reason == Reason.HEALTHY


def test_a_number_is_never_changed(rewriter):
    for heard in ("set timer for 50 minutes", "set a timer for 20 minutes", "timer for 15"):
        answer = rewriter.rewrite(heard, after_failure=True)
        assert not answer.applied or set(heard.split()) & {"5", "15", "50"} <= set(answer.text.split())


def test_another_language(rewriter):
    assert rewriter.rewrite("schalte das licht in der küchen aus", locale="de-DE", after_failure=True).text == GERMAN[1]["text"]


def test_the_assistants_parser_is_asked(folder):
    strict = Rewriter.open(folder, understands=lambda text: "kitchen" not in text)
    assert strict.rewrite("turn off the kitchen light", after_failure=True).reason == Reason.BLOCKED


def test_candidates_are_explained(rewriter):
    layer = rewriter._serving.online_layer
    considered = layer.consider(LayerRequest(["turn off the kitchen light"], "en", "", True))
    assert considered[0].text == "turn off the kitchen lights"
    assert [c.standing for c in considered].count("sent") == 1
    assert considered[0].meant >= considered[1].meant
    flipped = next(c for c in considered if c.text == "turn on the kitchen lights")
    assert (flipped.standing, flipped.detail.split("|")[0]) == ("forbidden", "flips")


def test_a_text_of_one_user_is_sent_to_nobody_else(tmp_path):
    learn_catalog([{"text": "call aunt zoe", "scope": "ann"}, {"text": "stop the music"}], out=tmp_path)
    assert not Rewriter.open(tmp_path).rewrite("call aunt zo", after_failure=True).applied


@pytest.mark.parametrize("rows", [[], [{"text": "?"}], [{"text": "hi", "scope": " "}]])
def test_a_catalog_without_texts_is_one_clear_line(rows, tmp_path):
    with pytest.raises(LogError, match=r"the catalog is empty|no row of the catalog can be served"):
        learn_catalog(rows, out=tmp_path)


def test_an_unknown_channel_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="spoken or typed"):
        learn_catalog([{"text": "stop"}], out=tmp_path, channel="sung")


def test_a_damaged_header_is_one_clear_line(tmp_path):
    version, _ = learn_catalog([{"text": "stop"}], out=tmp_path)
    header = tmp_path / "versions" / version / "online" / "catalog.json"
    header.write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(ArtefactError):
        Rewriter.open(tmp_path)


def test_a_log_may_be_learned_into_the_folder_later(tmp_path):
    learn_catalog([{"text": "stop the music"}], out=tmp_path / "artefact")
    log = lamp_log.write(tmp_path / "log.jsonl")
    assert learn([log], out=tmp_path / "artefact", detector=RuleDetector()).rules["global"] > 0
    assert Rewriter.open(tmp_path / "artefact").rewrite("turn of the lamp").text == "turn off the lamp"


def test_a_smaller_budget_asks_for_a_higher_p(tmp_path):
    learn_catalog(HOME, out=tmp_path, complete=True)
    answer = Rewriter.open(tmp_path).rewrite("turn off the kitchen light", after_failure=True)
    assert (answer.applied, answer.suggestion) == (False, "Turn off the kitchen lights")
    assert thresholds(Trigger(max_loss_share=0.9))["apply"] == LEAST_AFTER


def test_too_many_texts_are_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("rewriter.offline.catalog_layer.MAX_TEXTS", 3)
    with pytest.raises(LogError, match="at most 3 can be served"):
        learn_catalog(HOME, out=tmp_path)
    assert not (tmp_path / "CURRENT").exists()
