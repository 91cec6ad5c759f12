"""The fit of the channel: its alignment by hand, and the profile of the channel beside that of the recordings."""

import importlib.util
from pathlib import Path

import pytest

from rewriter.simulation.channels import Rates

SLURP = Path("../shared/data/slurp")
_spec = importlib.util.spec_from_file_location("fit_channel", Path("benchmarks/fit_channel.py"))
fit_channel = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fit_channel)


@pytest.mark.parametrize(
    ("said", "heard", "became", "inserted"),
    [
        ("turn on the lamp", "turn on the lamp", [None] * 4, []),
        ("turn on the lamp", "turn off the lamp", [None, "off", None, None], []),
        ("turn on the lamp", "turn the lamp", [None, "", None, None], []),
        ("turn on the lamp", "uh turn on the lamp", [None] * 4, ["uh"]),
        ("the bedroom lamp", "the bed room lamp", [None, "bed room", None], []),
        ("play some jazz", "play chess", [None, "", "chess"], []),
        ("play jazz", "play the jess", [None, "jess"], ["the"]),
        ("stop", "", [""], []),
    ],
)
def test_what_became_of_each_word(said, heard, became, inserted):
    assert fit_channel.outcomes(fit_channel.Take("v", said.split(), heard.split())) == (became, inserted)


def test_words_are_folded_as_recogniser_and_transcript_write_them():
    assert fit_channel.fold("what 's the time") == fit_channel.fold("what's the time") == ["whats", "the", "time"]
    assert fit_channel.fold("do n't < unk >") == ["dont", "unk"]


@pytest.mark.skipif(not SLURP.exists(), reason="needs ../shared/data/slurp")
@pytest.mark.slow
def test_the_channel_shows_the_profile_of_the_recordings():
    takes = fit_channel.read_slurp(SLURP)
    domain = fit_channel.domain_of(takes)
    real = fit_channel.profile(takes, domain)
    shown = fit_channel.profile(fit_channel.simulate(takes, Rates.from_json(), seed=7), domain)
    near = {"wer": 0.02, "substituted": 0.03, "deleted": 0.03, "inserted": 0.005, "exact": 0.03, "fluent": 0.04, "close": 0.05}
    near |= {"close_score": 0.05, "known_close": 0.08, "same_voice": 0.08, "same_any": 0.15, "word_ratio": 0.3, "pair_ratio": 0.4}
    for figure, tolerance in near.items():
        assert shown[figure] == pytest.approx(real[figure], abs=tolerance), figure
