"""Recordings: each is played once, and read from a table."""

from collections import Counter

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewriter.errors import LogError
from rewriter.simulation import Heard, Recording, RecordingChannel
from rewriter.simulation.channels import read_recordings

SPEAKERS, SAID = ("ann", "bob"), ("lamp on", "lamp off")
recordings = st.lists(st.tuples(st.sampled_from(SPEAKERS), st.sampled_from(SAID)), max_size=20)


@given(recordings, st.integers(0, 100))
def test_every_recording_is_played_exactly_once(pairs, seed):
    made = [Recording(speaker, said, Heard(f"take {i}", (f"take {i}",), 0.5)) for i, (speaker, said) in enumerate(pairs)]
    channel = RecordingChannel(made)
    rng = np.random.default_rng(seed)
    for speaker in SPEAKERS:
        for said in SAID:
            there = Counter(r.heard.text for r in made if (r.speaker, r.said) == (speaker, said))
            played = Counter(channel.hear(said, speaker, rng).text for _ in range(there.total()))
            assert played == there
            assert channel.hear(said, speaker, rng) is None


def test_recordings_may_be_played_again():
    made = [Recording("ann", "lamp on", Heard(f"take {i}", (f"take {i}",), 0.5)) for i in range(4)]
    channel, rng = RecordingChannel(made, again=True), np.random.default_rng(0)
    played = Counter(channel.hear("lamp on", "ann", rng).text for _ in range(400))
    assert set(played) == {f"take {i}" for i in range(4)}
    assert max(played.values()) < 150
    assert channel.hear("lamp off", "ann", rng) is None


def test_nothing_is_heard_of_a_stranger():
    assert RecordingChannel([]).hear("lamp on", "ann", np.random.default_rng(0)) is None


def test_which_recording_comes_follows_from_the_generator():
    made = [Recording("ann", "lamp on", Heard(str(i), (str(i),), 0.5)) for i in range(50)]
    drawn = [
        [RecordingChannel(made).hear("lamp on", "ann", np.random.default_rng(seed)).text for seed in range(20)] for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 5


@pytest.mark.parametrize("nbest", ['\'["lamp of", "lamp on"]\'', "['lamp of', 'lamp on']"])
def test_a_table_is_read(tmp_path, nbest):
    path = tmp_path / "recordings.parquet"
    columns = f"'ann' AS speaker, 'lamp on' AS said, h AS heard, {nbest} AS nbest, 0.25 AS confidence"
    duckdb.execute(f"COPY (SELECT {columns} FROM (VALUES ('lamp of'), ('')) t(h)) TO '{path}'")
    assert read_recordings(path) == [Recording("ann", "lamp on", Heard("lamp of", ("lamp of", "lamp on"), 0.25))]


def test_a_table_without_a_column(tmp_path):
    path = tmp_path / "recordings.parquet"
    duckdb.execute(f"COPY (SELECT 'ann' AS speaker) TO '{path}'")
    with pytest.raises(LogError, match=r"cannot read recordings .*not found"):
        read_recordings(path)
    with pytest.raises(LogError, match="cannot read recordings"):
        read_recordings(tmp_path / "missing.parquet")
