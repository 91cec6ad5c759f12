"""The text channel against the rates that it is given: errors by class, recurrence, n-best, confidence."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rewriter.errors import ConfigError
from rewriter.simulation import Household, TextChannel
from rewriter.simulation.channels import Rates, word_class
from rewriter.simulation.textchannel import FILLERS, SETTINGS

PHRASES = [phrase.text for phrase in Household.of("en").phrases()][::3]
RATES = Rates.from_json()
PLAIN = replace(RATES, inserted=0.0, filler=0.0)


def hear(channel, phrases, speakers, seed=0):
    rng = np.random.default_rng(seed)
    return [(said, channel.hear(said, f"s{i}", rng)) for i in range(speakers) for said in phrases]


@pytest.fixture(scope="module")
def noisy():
    return hear(TextChannel(PHRASES, setting="noisy"), PHRASES, 12)


def test_without_errors_everything_is_heard_as_said():
    for said, heard in hear(TextChannel(PHRASES, multiplier=0.0), PHRASES[:50], 3):
        assert heard.text == said == heard.nbest[0]


def test_words_go_wrong_at_the_rates_of_their_class():
    """Words are told apart by marks that only survive where the word does, so nothing has to be aligned."""
    rates = replace(PLAIN, speaker_habit=0.0, take_shape=50.0, word_shape=50.0, pair_shape=50.0)
    flat = {name: replace(r, hazard=-np.log(1 - r.total)) for name, r in rates.classes.items()}
    words = sorted({w for p in PHRASES for w in p.split()})
    channel = TextChannel(words, multiplier=1.0, rates=replace(rates, classes=flat))
    rng = np.random.default_rng(3)
    counts = {}
    for i in range(60):
        for word in words:
            text = channel.hear(f"{word} {word}", f"s{i}", rng).text.split()
            kept = min(text.count(word), 2)
            n, wrong = counts.get(word_class(word), (0, 0))
            counts[word_class(word)] = n + 2, wrong + 2 - kept
    assert len(counts) >= 7
    for name, (n, wrong) in counts.items():
        expected = RATES.classes[name].total
        assert wrong / n == pytest.approx(expected, abs=0.01 + 3 * (expected / n) ** 0.5)


def test_settings_are_multiples_and_in_order(noisy):
    right = {"noisy": np.mean([h.text == said for said, h in noisy])}
    for setting in ("quiet", "normal"):
        right[setting] = np.mean([h.text == said for said, h in hear(TextChannel(PHRASES, setting=setting), PHRASES, 4)])
    assert 0.40 < right["noisy"] < right["normal"] - 0.05 < right["quiet"] - 0.10 < 0.85
    assert SETTINGS["noisy"] == 1.0


@pytest.mark.parametrize(("shared", "between"), [(0.0, 0.1), (1.0, 0.81)])
def test_errors_recur_by_speaker_and_as_far_as_said_between_speakers(shared, between):
    """Two errors agree where both take the form of a favourite, 0.9 * 0.9, of the speaker's own or of everybody's."""
    classes = {n: replace(r, substituted=r.total, deleted=0.0, split=0.0, hazard=1e9) for n, r in RATES.classes.items()}
    rates = replace(PLAIN, classes=classes, speaker_habit=0.9, shared_habit=shared)
    channel = TextChannel(PHRASES, rates=rates)
    rng = np.random.default_rng(1)
    takes = [[channel.hear("thermostat", f"s{i}", rng).text for i in range(1500)] for _ in range(2)]
    own = np.mean([a == b for a, b in zip(*takes, strict=True)])
    others = np.mean([a == b for a, b in pairwise(takes[0])])
    assert own == pytest.approx(0.81 + 0.01, abs=0.04)
    assert others == pytest.approx(between, abs=0.08)


def test_the_truth_is_further_down_at_its_rate(noisy):
    wrong = [(said, heard) for said, heard in noisy if heard.text != said]
    assert np.mean([said in heard.nbest for said, heard in wrong]) == pytest.approx(RATES.nbest_truth, abs=0.03)


def test_nbest_lists_begin_with_the_text_and_repeat_nothing(noisy):
    for _, heard in noisy:
        assert heard.nbest[0] == heard.text
        assert len(set(heard.nbest)) == len(heard.nbest) <= 4
        assert all(text == " ".join(text.split()) != "" for text in heard.nbest)


def test_confidence_has_its_mean_and_spread(noisy):
    for right, (mean, sd) in ((True, RATES.confidence_right), (False, RATES.confidence_wrong)):
        found = [heard.confidence for said, heard in noisy if (heard.text == said) == right]
        assert np.mean(found) == pytest.approx(mean, abs=0.02)
        assert np.std(found) == pytest.approx(sd, abs=0.02)
        assert 0 <= min(found) <= max(found) <= 1


def test_fillers_and_insertions():
    sure = replace(RATES, filler=1.0, inserted=50.0, inserted_function=1.0, take_shape=100.0)
    heard = TextChannel(["lamp"], multiplier=1.0, rates=sure).hear("lamp", "s", np.random.default_rng(0))
    assert heard.text.split()[0] in FILLERS
    assert len(heard.text.split()) >= 3


def test_the_same_seeds_hear_the_same_and_others_otherwise():
    once, again = (hear(TextChannel(PHRASES, seed=4), PHRASES[:40], 3, seed=9) for _ in range(2))
    assert once == again
    assert once != hear(TextChannel(PHRASES, seed=5), PHRASES[:40], 3, seed=9)
    assert once != hear(TextChannel(PHRASES, seed=4), PHRASES[:40], 3, seed=8)


def test_something_is_always_heard():
    silent = replace(PLAIN, classes={n: replace(r, substituted=0.0, split=0.0, hazard=1e9) for n, r in RATES.classes.items()})
    assert TextChannel(["lamp on"], rates=silent).hear("lamp on", "s", np.random.default_rng(0)).text == "lamp on"


@pytest.mark.parametrize("bad", [{"setting": "loud"}, {"multiplier": -0.1}])
def test_bad_settings(bad):
    with pytest.raises(ConfigError, match="channel"):
        TextChannel(["lamp"], **bad)
