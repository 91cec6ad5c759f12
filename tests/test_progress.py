"""How far a job is: by a clock that the test sets, worked by hand."""

import io

import pytest
from rich.console import Console

from rewriter import terminal
from rewriter.progress import Cost, Follows, Pace, Telling

COSTS = {"log": Cost(1.0, 1.0), "mine": Cost(0.0, 6.0), "fit": Cost(2.0, 0.0)}


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def pace(time):
    return Pace(COSTS, time)


def test_the_rest_is_what_the_steps_cost_times_how_much_slower_it_has_been(pace, time):
    assert pace.line() == ""
    pace.start("log")
    time.now += 20
    assert pace.line() == "1/3 log, 0:20 elapsed"  # nobody knows what is left before the turns are counted
    pace.size(1_000_000)  # log 2, mine 6, fit 2
    pace.start("mine")
    assert pace.line() == "2/3 mine, about 80 s left, 0:20 elapsed, 1,000,000 turns"  # ten times as slow, 8 are left
    time.now += 30
    pace.advance(19, 38, "tables")  # 2 + 3 of 10 are done in 50 s
    assert pace.line() == "2/3 mine, about 50 s left, 0:50 elapsed, 19 of 38 tables, 38.0 a minute, 1,000,000 turns"
    time.now += 10
    pace.start("fit")  # 8 of 10 in 60 s
    assert pace.line() == "3/3 fit, about 15 s left, 1:00 elapsed, 1,000,000 turns"
    time.now += 5  # a third of its 15 s
    assert pace.line() == "3/3 fit, about 10 s left, 1:05 elapsed, 1,000,000 turns"
    time.now += 10_000  # never done before it ends
    assert pace.done(time.now) == pytest.approx((8 + 0.95 * 2) / 10)


def test_a_step_that_goes_on_is_not_counted_twice(pace, time):
    for step in ("log", "mine", "fit"):
        pace.start(step)
        time.now += 10
    pace.start("mine")
    assert pace.done(time.now) == 1.0


def test_only_names_say_nothing_of_the_time(time):
    pace = Pace(("read", "judge"), time)
    pace.start("read")
    assert (pace.line(), pace.done(time.now)) == ("1/2 read", 0.0)
    pace.start("judge")
    assert (pace.line(), pace.done(time.now)) == ("2/2 judge", 0.5)
    pace.start("something else")
    assert pace.line() == "0/2 something else"


def test_in_a_log_there_is_a_line_for_each_step_and_at_most_one_in_ten_seconds(capsys, time):
    with terminal.steps(COSTS, plain=True, now=time) as show:
        show("log")
        show.size(2_000_000)
        show("mine")
        for done in range(38):
            show.advance(done, 38, "tables")
            time.now += 3
        show("fit")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and lines[-1].startswith("3/3 fit, ") and " 1:54 elapsed" in lines[-1]
    shown = [line.partition(" elapsed, ")[2] for line in lines[:-1]]  # at 12, 24 … 108 s
    assert shown == [f"{done} of 38 tables, 20.0 a minute, 2,000,000 turns" for done in range(4, 38, 4)]


def test_nothing_is_written_where_no_lines_are_asked_for(capsys, time):
    with terminal.steps(COSTS, now=time) as show:
        show("log")
        show.advance(1, 2, "files")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_one_line_and_leaves_nothing(monkeypatch, time):
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "Console", lambda **_: Console(file=shown, force_terminal=True, width=120))
    with terminal.steps(COSTS, plain=True, now=time) as show:
        show("log")
        time.now += 2
        show("mine")
        show.advance(1, 38, "tables")
    text = shown.getvalue()
    assert "2/3 mine" in text and "1 of 38 tables" in text
    assert text.endswith("\x1b[2K") or "\x1b[2K" in text.split("1 of 38 tables")[-1]  # the line is wiped at the end


def test_a_plain_function_is_told_names_and_a_follower_counts():
    class Kept:
        def __init__(self):
            self.told = []

        def __call__(self, step):
            self.told.append(step)

        def size(self, turns):
            self.told.append(turns)

        def advance(self, done, total, unit):
            self.told.append((done, total, unit))

    kept, names = Kept(), []
    assert isinstance(kept, Follows)
    for progress in (kept, names.append, None):
        telling = Telling(progress)
        telling("mine")
        telling.size(7)
        begins = telling.counting(2, "tables")
        for name in ("users", "texts", "sessions"):
            begins(name)
    assert kept.told == ["mine", 7, (0, 2, "tables"), (1, 2, "tables"), (2, 3, "tables")]
    assert names == ["mine"]
