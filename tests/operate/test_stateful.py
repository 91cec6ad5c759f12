"""Learn, feedback, forget, review, kills and swaps in any order, against a model of a few lines of plain Python."""

import json
import os
import shutil
import signal
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import lamp_log
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import rewriter.online.rewriter as online
from rewriter import Config, Rewriter
from rewriter.artefact import review
from rewriter.artefact.switch import publish, rollback
from rewriter.artefact.versions import current, current_id, verify, version_ids
from rewriter.artefact.writer import Writer
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.operate.forget import forget

EXAMPLES, STEPS = (int(n) for n in os.environ.get("REWRITER_LIVES", "4x8").split("x"))
"""Lives and steps of each; 40x20 by hand."""
SOURCE, TARGET = "turn of the lamp", "turn off the lamp"
USERS = ["ann", "ben", "cem", "somebody new"]
RULES_ONLY = Config.from_dict({"loop": {"refit_days": 0}})


def day(number):
    """A day on which everybody fails and says it again, as in `lamp_log`; they undo too little for the rule to fall."""
    start = datetime(2026, 1, 16, 8) + timedelta(days=number)
    for i, user in enumerate(lamp_log.USERS[3:]):
        for seconds, text, hypothesis in ((0, SOURCE, None), (6, TARGET, lamp_log.OFF)):
            when = (start + timedelta(minutes=i, seconds=seconds)).isoformat()
            status = "ok" if hypothesis else "failed"
            yield {"user_id": user, "timestamp": when, "utterance": text, "hypothesis": hypothesis, "status": status}


class Life(RuleBasedStateMachine):
    """The folder of an artefact, one process that serves it all the time, and what both must answer."""

    begun: Path
    """A learned artefact to start from."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.root = shutil.copytree(self.begun, self.folder / "a")
        self.served = Rewriter.open(self.root)
        self.versions, self.days = [current_id(self.root)], 0  # those that are kept and serve or have served, oldest first
        self.serving, self.undone, self.blocked, self.forgotten = 0, set(), False, set()

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def published(self, version_id, keep):
        self.versions = [*self.versions[: self.serving + 1], version_id][-keep:]
        self.serving = len(self.versions) - 1

    @rule()
    def learn(self):
        log = self.folder / f"{self.days}.jsonl"
        log.write_text("".join(json.dumps(row) + "\n" for row in day(self.days) if row["user_id"] not in self.forgotten))
        self.days += 1
        self.published(learn([log], out=self.root, config=RULES_ONLY, detector=RuleDetector()).version, 3)

    @rule(user=st.sampled_from(USERS), value=st.sampled_from([-1, 1]))
    def feedback(self, user, value):
        if self.blocked:
            return  # nothing is rewritten, so nobody can say anything of it
        self.served.feedback(online.Rewriter.open(self.root).rewrite(SOURCE).id, value, user)
        self.undone = self.undone | {user} if value < 0 else self.undone - {user}

    @precondition(lambda self: len(self.forgotten) < 2)
    @rule(user=st.sampled_from(["ann", "ben"]))
    def forget(self, user):
        if user in self.forgotten:
            return
        version_id = forget(user, self.root).version
        self.versions, self.serving = [version_id], 0
        self.undone, self.forgotten = self.undone - {user}, self.forgotten | {user}

    @rule()
    def review(self):
        self.blocked = not self.blocked
        review.write(self.root / review.FILE, [review.Line("en", SOURCE, "", "block")] if self.blocked else [])

    @rule(late=st.booleans())
    def kill(self, late):
        """A writer dies by SIGKILL with some of its files written."""
        child = os.fork()
        if child == 0:
            writer = Writer(self.root).__enter__()
            (writer.state / "half").write_text("x")
            if late:
                (writer.folder / "half").write_text("x")
                writer.folder.rename(writer.folder.with_name("000999-0123abcd"))
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        self.versions, self.serving = self.versions[: self.serving + 1], self.serving  # a writer forgets what is newer
        shutil.rmtree(self.root / "versions/000999-0123abcd", ignore_errors=True)

    @precondition(lambda self: self.serving > 0)
    @rule()
    def go_back(self):
        self.serving -= 1
        assert rollback(self.root) == self.versions[self.serving]

    @precondition(lambda self: self.serving < len(self.versions) - 1)
    @rule()
    def go_forward(self):
        self.serving += 1
        assert publish(self.root, self.versions[self.serving]) == self.versions[self.serving]

    @invariant()
    def every_process_answers_as_the_model(self):
        assert current_id(self.root) == self.versions[self.serving]
        assert set(self.versions) <= set(version_ids(self.root / "versions"))
        verify(current(self.root))
        for process in (self.served, Rewriter.open(self.root)):
            for user in USERS:
                answer = process.rewrite(SOURCE, user_id=user)
                held = self.blocked or user in self.undone
                assert answer.text == (SOURCE if held else TARGET), (user, answer)
                assert answer.artefact == self.versions[self.serving]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_any_order_of_what_people_do(tmp_path, monkeypatch):
    monkeypatch.setattr(online, "_LOOK_EVERY", 0.0)
    learn([lamp_log.write(tmp_path / "log.jsonl")], out=tmp_path / "a", config=RULES_ONLY, detector=RuleDetector())
    machine = type("Machine", (Life,), {"begun": tmp_path / "a"})
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    limits = settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True, suppress_health_check=checks
    )
    run_state_machine_as_test(machine, settings=limits)
