"""Runs inside Home Assistant's own Python (`test_home_assistant.py` starts it): the component in a real home."""

import json
import os
import shutil
import stat
from pathlib import Path

import custom_components  # noqa: F401 - before the plugin puts a folder of this name of its own on the path
import pytest
from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import area_registry, entity_registry, intent
from homeassistant.setup import async_setup_component

COMMAND = os.environ["REWRITER_COMMAND"]
"""How rewriter is called in the Python that learns."""
LIGHTS = {"kitchen_lamp": "Kitchen lamp", "bedroom_lamp": "Bedroom lamp"}
SAID, MEANT = "turn of the bedroom lamp", "turn off the bedroom lamp"
AGENT = "conversation.rewriter"
REFUSALS = (intent.IntentResponseErrorCode.NO_INTENT_MATCH, intent.IntentResponseErrorCode.NO_VALID_TARGETS)


@pytest.fixture(autouse=True)
def _custom(enable_custom_integrations):
    yield


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Where the first test leaves what was learned of the catalog, for the others."""
    return tmp_path_factory.mktemp("learned") / "rewriter"


@pytest.fixture
async def home(hass, tmp_path, learned):
    """A home of two template lights that are switched by helpers."""
    hass.config.config_dir = str(tmp_path)
    if learned.exists():
        shutil.copytree(learned, tmp_path / "rewriter")
    for component in ("homeassistant", "conversation", "intent"):
        assert await async_setup_component(hass, component, {})
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": dict.fromkeys(LIGHTS)})
    lights = {
        key: {
            "friendly_name": name,
            "unique_id": key,
            "value_template": f"{{{{ is_state('input_boolean.{key}', 'on') }}}}",
            "turn_on": {"action": "input_boolean.turn_on", "target": {"entity_id": f"input_boolean.{key}"}},
            "turn_off": {"action": "input_boolean.turn_off", "target": {"entity_id": f"input_boolean.{key}"}},
        }
        for key, name in LIGHTS.items()
    }
    assert await async_setup_component(hass, "light", {"light": {"platform": "template", "lights": lights}})
    await hass.async_block_till_done()
    areas, entities = area_registry.async_get(hass), entity_registry.async_get(hass)
    entities.async_update_entity("light.bedroom_lamp", area_id=areas.async_create("Bedroom").id, aliases={"Nightlight"})
    for key in LIGHTS:
        async_expose_entity(hass, "conversation", f"light.{key}", True)
    return hass


async def set_up(hass, learned, **options):
    """Go through the config flow, and wait for the first learn, which nobody has to ask for."""
    flow = await hass.config_entries.flow.async_init("rewriter", context={"source": "user"})
    assert flow["type"] is FlowResultType.FORM, flow
    entered = {"agent": conversation.HOME_ASSISTANT_AGENT, "before": False, "ask": True, "nightly": True, "keep_days": 28}
    made = await hass.config_entries.flow.async_configure(flow["flow_id"], entered | {"learn_command": COMMAND} | options)
    assert made["type"] is FlowResultType.CREATE_ENTRY, made
    await hass.async_block_till_done(wait_background_tasks=True)
    folder = Path(hass.config.path("rewriter"))
    assert (folder / "artefact" / "CURRENT").exists()
    if not learned.exists():
        shutil.copytree(folder, learned)
    return made["result"]


def speaker(hass):
    """What says things to the agent as one user, or as nobody."""

    async def say(text, user=None, agent=AGENT, language="en"):
        context = Context(user_id=user.id if user else None)
        result = await conversation.async_converse(hass, text, None, context, language, agent)
        await hass.async_block_till_done()
        return result

    return say


async def light(hass, key):
    """Switch a lamp on by hand."""
    await hass.services.async_call("light", "turn_on", {"entity_id": f"light.{key}"}, blocking=True)
    await hass.async_block_till_done()
    assert hass.states.get(f"light.{key}").state == "on"


def speech(result):
    return result.response.speech["plain"]["speech"]


def logged(hass):
    folder = Path(hass.config.path("rewriter", "turns"))
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


async def learn(hass):
    return await hass.services.async_call("rewriter", "learn", {}, blocking=True, return_response=True)


async def test_a_refusal_is_restated_learned_mended_undone_and_forgotten(home, learned):
    hass = home
    await set_up(hass, learned)
    say = speaker(hass)
    users = [await hass.auth.async_create_user(f"user {i}", group_ids=[GROUP_ID_USER]) for i in range(5)]
    for user in users[:4]:
        await light(hass, "bedroom_lamp")
        assert (await say(SAID, user)).response.error_code in REFUSALS
        assert hass.states.get("light.bedroom_lamp").state == "on"
        assert (await say(MEANT, user)).response.error_code is None
        assert hass.states.get("light.bedroom_lamp").state == "off"

    told = await learn(hass)
    assert not told["held_back"], told

    ann, eve = users[0], users[4]
    await light(hass, "bedroom_lamp")
    mended = await say(SAID, eve)
    assert mended.response.error_code is None, told
    assert hass.states.get("light.bedroom_lamp").state == "off"
    turn = logged(hass)[-1]
    assert (turn["utterance"], turn["sent"], turn["status"], turn["intent"]) == (SAID, MEANT, "ok", "HassTurnOff")
    assert turn["slots"]["name"] == "bedroom lamp"

    undone = await say("That's not what I meant!", eve)
    assert SAID in speech(undone)
    assert undone.continue_conversation
    assert (await say(SAID, eve)).response.error_code is not None
    assert (await say(SAID, ann)).response.error_code is None

    await hass.services.async_call("rewriter", "forget", {"user_id": eve.id}, blocking=True)
    left = [
        path for path in Path(hass.config.path("rewriter")).rglob("*") if path.is_file() and eve.id.encode() in path.read_bytes()
    ]
    assert left == []
    assert (await say(SAID, eve)).response.error_code is None
    assert ann.id in {turn["user_id"] for turn in logged(hass)}


async def test_the_catalog_answers_on_the_first_day_and_unsure_texts_are_asked_about(home, learned):
    hass = home
    await set_up(hass, learned)
    say = speaker(hass)
    await light(hass, "kitchen_lamp")
    result = await say("turn of the kitchen lamp")
    if result.continue_conversation:
        assert "turn off kitchen lamp" in speech(result).lower().replace("the ", "")
        assert hass.states.get("light.kitchen_lamp").state == "on"
        result = await say("yes")
        await light(hass, "kitchen_lamp")
        result = await say("turn of the kitchen lamp")  # the yes was a lesson
    assert result.response.error_code is None
    assert hass.states.get("light.kitchen_lamp").state == "off"
    assert {turn["user_id"] for turn in logged(hass)} == {"home"}
    rows = [json.loads(line) for line in Path(hass.config.path("rewriter", "catalog.jsonl")).read_text().splitlines()]
    assert any(json.loads(row["slots"]).get("name") == "nightlight" for row in rows)


async def test_a_lesson_holds_at_once_for_who_taught_it(home, learned):
    hass = home
    await set_up(hass, learned)
    say = speaker(hass)
    ann, ben = [await hass.auth.async_create_user(name, group_ids=[GROUP_ID_USER]) for name in ("ann", "ben")]
    asked = await say("when I say movie time I mean turn on the bedroom lamp", ann)
    assert asked.continue_conversation
    assert "movie time" in speech(asked)
    assert not (await say("yes", ann)).continue_conversation
    await say("Movie time", ann)
    assert hass.states.get("light.bedroom_lamp").state == "on"
    assert (await say("movie time", ben)).response.error_code is not None
    await say("forget that", ann)
    assert (await say("movie time", ann)).response.error_code in REFUSALS


@pytest.mark.parametrize("before", [False, True])
async def test_a_lesson_goes_before_what_the_agent_understands(home, learned, before):
    hass = home
    await set_up(hass, learned, before=before)
    say = speaker(hass)
    assert (await say("hello")).response.error_code is None
    await say("when I say hello I mean turn on the bedroom lamp")
    await say("yes")
    assert (await say("hello")).response.error_code is None
    assert hass.states.get("light.bedroom_lamp").state == "on"
    assert (await say("turn off the bedroom lamp")).response.error_code is None
    assert hass.states.get("light.bedroom_lamp").state == "off"
    turns = [(turn["utterance"], turn.get("sent"), turn["status"]) for turn in logged(hass)]
    assert turns == [("hello", None, "ok"), ("hello", MEANT.replace("off", "on"), "ok"), (MEANT, None, "ok")]


async def test_only_administrators_learn_and_erase_others(home, learned):
    await set_up(home, learned)
    await home.auth.async_create_user("the first one is the owner")
    ann, ben = [await home.auth.async_create_user(name, group_ids=[GROUP_ID_USER]) for name in ("ann", "ben")]
    as_ann = {"blocking": True, "context": Context(user_id=ann.id)}
    with pytest.raises(Unauthorized):
        await home.services.async_call("rewriter", "learn", {}, **as_ann)
    with pytest.raises(Unauthorized):
        await home.services.async_call("rewriter", "forget", {"user_id": ben.id}, **as_ann)
    await home.services.async_call("rewriter", "forget", {}, **as_ann)


async def test_an_undo_may_come_as_an_intent(home, learned):
    """Here by a custom sentence, in the same way by the tools of a language model."""
    folder = Path(home.config.path("custom_sentences", "en"))
    folder.mkdir(parents=True)
    sentence = {"language": "en", "intents": {"RewriterUndo": {"data": [{"sentences": ["oh dear"]}]}}}
    (folder / "undo.yaml").write_text(json.dumps(sentence))
    entry = await set_up(home, learned)
    say = speaker(home)
    await say("when I say movie time I mean turn on the bedroom lamp")
    await say("yes")
    assert (await say("movie time")).response.error_code is None
    assert "movie time" in speech(await say("oh dear"))
    assert (await say("movie time")).response.error_code in REFUSALS
    rows = await entry.runtime_data.learner.catalog_rows(["en"])
    assert "oh dear" in {row["text"] for row in rows}


async def test_files_are_private(home, learned):
    await set_up(home, learned)
    await speaker(home)("turn on the bedroom lamp")
    folder = Path(home.config.path("rewriter"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in [folder / "catalog.jsonl", *folder.glob("turns/*.jsonl")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_whatever_fails_the_agent_answers(home, learned, monkeypatch):
    hass = home
    entry = await set_up(hass, learned)
    say, engine, turns = speaker(hass), entry.runtime_data.engine, entry.runtime_data.turns

    def broken(*_):
        raise OSError("no space left on device")

    for thing, name in ((engine, "before"), (engine, "after"), (engine, "teaches"), (turns, "append")):
        monkeypatch.setattr(type(thing), name, broken)
    assert (await say("turn on the bedroom lamp")).response.error_code is None
    assert hass.states.get("light.bedroom_lamp").state == "on"
    assert (await say(SAID)).response.error_code in REFUSALS
