"""Poisoned logs: below k accounts nothing gets through, whatever they do and however often; from k on something can."""

import shutil
from datetime import date

import duckdb
import pytest
from worlds.attack import poison, rejected, repeated

from rewriter.artefact.versions import current
from rewriter.config import Config
from rewriter.evaluation.loop import answer
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.online.rewriter import Rewriter
from rewriter.online.serving import lookup_order
from rewriter.simulation.dialogue import simulate_days
from rewriter.simulation.turn import write_log
from rewriter.simulation.worlds import phrase_world
from rewriter.text import normalise

START = date(2026, 1, 5)
DAYS = 5


@pytest.fixture(scope="module")
def home():
    world = phrase_world(3, n_users=40)
    honest = [turn for day in simulate_days(world, days=DAYS, start=START, seed=3) for turn in day]
    texts = sorted({normalise(t.utterance) for t in honest})
    means = {text: world.assistant.understand(text) for text in texts}
    goal = next(text for text in texts if means[text] and sum(normalise(t.utterance) == text for t in honest) > 5)
    pretences = [(text, goal) for text in texts[::7] if means[text] != means[goal]] + [(goal[:-1], goal)]
    return world, honest, texts, goal, pretences


def answers(folder, turns, texts, *, online=False):
    config = Config.from_dict({"loop": {"refit_days": 7 if online else 0}})
    write_log(turns, folder / "log.parquet")
    learn([folder / "log.parquet"], out=folder / "artefact", config=config, detector=RuleDetector())
    return answers_of(folder / "artefact", texts)


def answers_of(artefact, texts):
    rewriter = Rewriter.open(artefact)
    return {(text, late): rewriter.rewrite(text, user_id="honest", after_failure=late).text for text in texts for late in (0, 1)}


def fakes(world, pretences, accounts, rounds):
    return [t for day in poison(world, pretences, accounts=accounts, rounds=rounds, days=DAYS, start=START) for t in day]


def test_what_the_fakes_say_is_true_of_the_assistant(home):
    world, _, _, goal, pretences = home
    turns = fakes(world, pretences, 2, 3)
    assert len(turns) == DAYS * 2 * 3 * 2 * len(pretences)
    assert len({t.turn_id for t in turns}) == len(turns)
    assert {t.user_id for t in turns} == {"fake0", "fake1"}
    first, second = turns[0], turns[1]
    assert (first.utterance, second.utterance) == (pretences[0][0], goal)
    assert (first.feedback, second.feedback, second.barge_in, second.ts_ms - first.ts_ms) == (-1, 1, True, 3000)
    assert all(t.hypothesis == world.assistant.understand(t.utterance) for t in turns)
    assert all((t.status == "failed") == (t.hypothesis is None) for t in turns)


def test_fakes_reject_what_is_rewritten_and_praise_what_is_left_alone(home):
    world, _, _, goal, _ = home
    asked = []

    def rewrite(text, *, user_id, **_):
        asked.append((text, user_id))
        return answer(text, goal if user_id == "fake0" else None)

    turns = rejected(world, ["lamp of", "fan of"], rewrite, accounts=2, day=START)
    assert asked == [(text, user) for user in ("fake0", "fake1") for text in ("lamp of", "fan of")]
    assert [(t.utterance, t.sent, t.feedback, t.hypothesis) for t in turns[::2]] == [
        ("lamp of", goal, -1, world.assistant.understand(goal)),
        ("lamp of", None, 1, world.assistant.understand("lamp of")),
    ]
    assert len({t.turn_id for t in turns}) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("accounts", "rounds"), [(1, 20), (2, 20)])
def test_below_k_nothing_gets_through(home, clean, tmp_path, accounts, rounds):
    """Among all that honest users said, no text is sent as what the attackers want that was not sent so without them."""
    world, honest, texts, goal, pretences = home
    before = answers_of(clean, texts)
    poisoned = [*honest, *fakes(world, pretences, accounts, rounds)]
    found = answers(tmp_path, poisoned, [*texts, goal[:-1]])
    understand = world.assistant.understand
    wanted = {case for case, text in found.items() if text != case[0] and understand(text) == understand(goal)}
    assert wanted <= {case for case, text in before.items() if understand(text) == understand(goal)}
    assert found[goal[:-1], 0] == goal[:-1], "nobody else ever said it"


@pytest.mark.slow
def test_below_k_the_online_layer_learns_no_text(home, tmp_path):
    """Two accounts make a phrase succeed that nobody else says: it is never sent for anybody else."""
    world, honest, texts, *_ = home
    said = {t.said for t in honest} | set(texts)
    unsaid = next(p for phrases in world.goals.values() for p in phrases if p not in said and world.assistant.understand(p))
    garbles = [unsaid[:-1], unsaid.replace("a", "", 1), unsaid + " please"]
    poisoned = [*honest, *fakes(world, [(garble, unsaid) for garble in garbles], 2, 10)]
    found = answers(tmp_path, poisoned, [*garbles, *texts], online=True)
    assert unsaid not in found.values()


@pytest.mark.slow
def test_with_enough_accounts_something_gets_through(home, tmp_path):
    """The tests above would find it: ten accounts teach a garble that nobody else says."""
    world, honest, _, goal, _ = home
    poisoned = [*honest, *fakes(world, [(goal[:-1], goal)], 10, 2)]
    found = answers(tmp_path, poisoned, [goal[:-1]])
    assert world.assistant.understand(found[goal[:-1], 0]) == world.assistant.understand(goal)


EXACT = Config.from_dict({"loop": {"refit_days": 0}})
LAYERED = Config.from_dict({"loop": {"refit_days": 7}})
_UNSURE = 0.02
"""Share of the answers that rest on so little that any further user of the text can change them."""


@pytest.fixture(scope="module")
def clean(home, tmp_path_factory):
    _, honest, *_ = home
    folder = tmp_path_factory.mktemp("clean")
    write_log(honest, folder / "honest.parquet")
    learn([folder / "honest.parquet"], out=folder / "artefact", config=EXACT, detector=RuleDetector())
    return folder / "artefact"


def everybodys(artefact):
    """The rules that serve everybody or one context value, by what they mean."""
    path = max(artefact.glob("state/*/rules.parquet"))  # of the newest version
    served = "verdict IN ('launched', 'keep_source', 'rare_here') AND scope IN ('global', 'context')"
    return set(duckdb.sql(f"SELECT context_value, source, state FROM '{path}' WHERE {served}").fetchall())


def answered(artefact, world, honest):
    """(user, text) -> what the assistant makes of the answer, for every text of every honest user."""
    rewriter, understand = Rewriter.open(artefact), world.assistant.understand
    said = sorted({(turn.user_id, normalise(turn.utterance)) for turn in honest})
    answers = {(user, text): rewriter.rewrite(text, user_id=user, after_failure=True).text for user, text in said}
    return {case: understand(text) for case, text in answers.items()}


def changed(found, clean, world, honest):
    """The rules that serve others, and the answers to honest users, that mean something else."""
    before, after = answered(clean, world, honest), answered(found, world, honest)
    return everybodys(found) ^ everybodys(clean), {case: after[case] for case, meant in before.items() if after[case] != meant}


ATTACKS = {  # what the accounts say, how often on each day, and what they do besides
    "praise of what fails": ("failing", 1, {"feedback": 1}),
    "praise of what fails, flooding": ("failing", 20, {"feedback": 1}),
    "silence": ("failing", 20, {}),
    "a context": ("failing", 20, {"context": {"room": "attic", "state.x": 1}, "feedback": 1}),
    "other hearings": ("failing", 20, {"nbest": ("my pin is four seven one one",)}),
    "a later day": ("failing", 1, {"start": date(2026, 3, 1)}),
    # texts that work, one right after the other, as if each restated the one before
    "praise of what works": ("working", 20, {"feedback": 1}),
    "blame of what works": ("working", 20, {"feedback": -1}),
    "silence after what works": ("working", 20, {}),
}


def attack(home, name, accounts, texts=None):
    """The turns of an attack. Each account says all texts that fail, or that work, or only as many as are asked for."""
    world, honest, *_ = home
    kind, rounds, more = ATTACKS[name]
    works = {normalise(turn.utterance): turn.hypothesis is not None for turn in honest}
    said = sorted(text for text, well in works.items() if well == (kind == "working"))
    step = 1 if texts is None else len(said) // texts
    return repeated(world, said[::step][:texts], accounts=accounts, rounds=rounds, days=2, **{"start": START} | more)


def learned_with(clean, turns, folder, *, additive=False, config=EXACT):
    """The artefact of the honest log and of turns of accounts, which come later where it is additive."""
    if additive:
        shutil.copytree(clean, folder / "artefact", symlinks=True)
    write_log(turns, folder / "log.parquet")
    learn([folder / "log.parquet"], out=folder / "artefact", config=config, detector=RuleDetector())
    return folder / "artefact"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "accounts"), [*((name, 2) for name in ATTACKS), ("blame of what works", 1)])
def test_below_k_a_flood_changes_nothing_at_all_for_others(home, clean, tmp_path, name, accounts):
    """Who says far more than anybody else does not count: all rules and all answers of honest users are the same."""
    world, honest, *_ = home
    found = learned_with(clean, [*honest, *attack(home, name, accounts)], tmp_path)
    assert changed(found, clean, world, honest) == (set(), {})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["praise of what fails, flooding", "blame of what works", "a later day"])
def test_below_k_nothing_changes_on_the_next_day_either(home, clean, tmp_path, name):
    """The same where the honest log was learned before and the accounts speak afterwards."""
    world, honest, *_ = home
    found = learned_with(clean, attack(home, name, 2), tmp_path, additive=True)
    assert changed(found, clean, world, honest) == (set(), {})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["praise of what fails", "blame of what works"])
def test_below_k_who_says_no_more_than_others_moves_only_what_is_at_a_limit(home, clean, tmp_path, name):
    """Two accounts of forty texts each take no rule of everybody's from the log, and hardly an answer."""
    world, honest, *_ = home
    rules, answers = changed(learned_with(clean, [*honest, *attack(home, name, 2, 40)], tmp_path), clean, world, honest)
    assert len(rules) <= 1, rules
    assert len(answers) <= _UNSURE * len(answered(clean, world, honest)), answers


@pytest.mark.slow
def test_below_k_a_flood_sends_no_other_text(home, tmp_path):
    """After a refusal no text changes. Before the NLU the threshold of a small log may be the prior's or its own, and a flood may
    turn the scale: then texts are sent or not, but none becomes another one."""
    _, honest, texts, *_ = home
    found = []
    for name, turns in (("clean", []), ("attacked", attack(home, "blame of what works", 2))):
        (tmp_path / name).mkdir()
        artefact = learned_with(None, [*honest, *turns], tmp_path / name, config=LAYERED)
        rewriter = Rewriter.open(artefact)
        users = {normalise(turn.utterance): turn.user_id for turn in honest}
        found.append(
            {(t, late): rewriter.rewrite(t, user_id=users[t], after_failure=late) for t in texts for late in (False, True)}
        )
    clean, attacked = found
    assert any(answer.reason == "online" for answer in clean.values())
    for (text, late), of in clean.items():
        sent = {normalise(of.text), normalise(attacked[text, late].text)}
        assert len(sent) == 1 or (text in sent and not late), (text, late, sent)


def test_one_account_does_not_decide_the_default_locale(home, tmp_path):
    world, honest, *_ = home
    loud = repeated(world, ["lampe an"], accounts=1, rounds=len(honest), days=1, start=START, locale="de")
    quiet = repeated(world, ["lampe an"], accounts=4, rounds=1, days=1, start=START, locale="de")
    write_log([*honest, *loud, *quiet], tmp_path / "log.parquet")
    learn([tmp_path / "log.parquet"], out=tmp_path / "artefact", config=EXACT, detector=RuleDetector())
    locales = current(tmp_path / "artefact").manifest.locales
    assert locales == {"en": len({turn.user_id for turn in honest}), "de": 4}
    assert lookup_order(None, locales) == ("en",)
