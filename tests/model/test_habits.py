import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from user_views import ENCODER, queries, user

from rewriter.errors import ArtefactError
from rewriter.model.habits import Habits, UserCounts, write_habits

SHARED = 50
HABIT = st.tuples(st.integers(0, 6), st.integers(0, SHARED - 1))
# A few users; their hashes differ in the low half alone, in the high half alone, or in the last bit.
NUMBERS = [0, 1, 2, 1 << 64, (1 << 64) + 1, (1 << 127) + 5, (1 << 128) - 1]


def write(folder, said, private):
    said = sorted(set(said))
    columns = [np.array([f(s) for s in said], dtype=np.int64) for f in (lambda s: s[1], lambda s: s[1] + 1, lambda s: s[1] + 2)]
    mine = queries([f"{u} says {i};" for i, u in enumerate(private)])
    write_habits(
        folder,
        UserCounts([user(NUMBERS[u]) for u, _ in said], *columns),
        [user(NUMBERS[u]) for u in private],
        mine,
        SHARED,
        ENCODER,
    )
    return Habits.open(folder)


def seen_by(habits, number):
    """Everything a user's slice shows: (row, turns, last day) of shared rows, and the private texts with theirs."""
    habit = habits.of(user(number))
    assert (np.diff(habit.rows) > 0).all()
    columns = list(zip(*(column.tolist() for column in habit), strict=True))
    texts = habits.private.texts(habit.rows[habit.rows >= SHARED] - SHARED)
    private = [c[1:] for c in columns if c[0] >= SHARED]
    return {c for c in columns if c[0] < SHARED}, sorted(zip(texts, private, strict=True))


def expected(said, private, u):
    shared = {(row, row + 1, row + 2) for v, row in said if v == u}
    return shared, sorted((f"{v} says {i};", (i + 1, i + 20_000)) for i, v in enumerate(private) if v == u)


@settings(max_examples=60)
@given(st.lists(HABIT, max_size=25), st.lists(st.integers(0, 6), max_size=12))
def test_each_user_sees_their_own_and_nothing_else(tmp_path_factory, said, private):
    habits = write(tmp_path_factory.mktemp("habits"), said, private)
    assert len(habits) == len({u for u, _ in said} | set(private))
    for u, number in enumerate(NUMBERS):
        assert seen_by(habits, number) == expected(said, private, u)
    assert seen_by(habits, 77) == (set(), [])


@settings(max_examples=40)
@given(st.lists(HABIT, max_size=25), st.lists(st.integers(0, 6), max_size=12), st.sets(st.integers(0, 6)))
def test_the_forgotten_are_gone_and_the_others_keep_theirs(tmp_path_factory, said, private, gone):
    folder = tmp_path_factory.mktemp("habits")
    habits = write(folder / "before", said, private)
    habits.without([user(NUMBERS[u]) for u in gone] + [user(77)], folder / "after")
    after = Habits.open(folder / "after")
    for u, number in enumerate(NUMBERS):
        assert seen_by(after, number) == ((set(), []) if u in gone else expected(said, private, u))
    left = b"".join(path.read_bytes() for path in (folder / "after").rglob("texts.npy"))
    for i, u in enumerate(private):
        assert (f"{u} says {i};".encode() in left) == (u not in gone)
    assert len(after.private) == sum(u not in gone for u in private)


def test_vectors_follow_their_private_texts(tmp_path):
    habits = write(tmp_path, [(0, 3)], [5, 0, 5, 1])
    texts = habits.private.texts(np.arange(4))
    assert habits.private.vectors == pytest.approx(ENCODER.encode(texts), abs=1e-3)


@pytest.mark.parametrize("name", ["a" * 31, "a" * 33, "", "g" * 32])
def test_a_hash_of_another_shape_is_refused(tmp_path, name):
    one = np.ones(1, dtype=np.int64)
    with pytest.raises(ValueError, match=r"hex|non-hexadecimal"):
        write_habits(tmp_path, UserCounts([name], one, one, one), [], queries([]), SHARED, ENCODER)


def test_rows_outside_the_book_are_refused(tmp_path):
    one = np.ones(1, dtype=np.int64)
    with pytest.raises(ValueError, match="outside the global book of 50 rows"):
        write_habits(tmp_path, UserCounts([user(1)], 50 * one, one, one), [], queries([]), SHARED, ENCODER)


def test_columns_of_different_length_are_refused(tmp_path):
    one = np.ones(1, dtype=np.int64)
    with pytest.raises(ValueError, match="differ in length"):
        write_habits(tmp_path, UserCounts([user(1)], one, one, np.ones(2, dtype=np.int64)), [], queries([]), SHARED, ENCODER)
    with pytest.raises(ValueError, match="differ in length"):
        write_habits(tmp_path, UserCounts([user(1)], one, one, one), [user(1)], queries([]), SHARED, ENCODER)


@pytest.mark.parametrize("name", ["habits.json", "high.npy", "low.npy", "starts.npy", "rows.npy", "private/book.json"])
def test_a_missing_file_is_named(tmp_path, name):
    write(tmp_path, [(0, 3)], [1])
    (tmp_path / name).unlink()
    with pytest.raises(ArtefactError, match=name.rpartition("/")[2]):
        Habits.open(tmp_path)
