"""What the online layer finds is drawn by mode and scope, told in the answer, undone by one user, and not sent once withdrawn."""

import layered
import pytest

from rewriter.artefact.versions import current
from rewriter.errors import ArtefactError
from rewriter.model.decider import Threshold
from rewriter.model.layer_slices import SLICES, open_shares, save_shares
from rewriter.online.options import drawn
from rewriter.online.rewriter import Rewriter
from rewriter.text import hash_user

TEXTS = ["turn off the lamp", "turn on the lamp", "play some jazz"]
NAMES = [{"lamp": "name"}, {"lamp": "name"}, {}]
GARBLE, MEANT, DAY = "turn off the lamb", "turn off the lamp", 86_400.0
OWN = "put on my silly playlist"
GLOBAL, PERSONAL = "online-before-global", "online-before-personal"


@pytest.fixture
def root(tmp_path):
    def published(**shares):
        named = {part.replace("_", "-"): share for part, share in shares.items()}
        layered.publish(tmp_path, TEXTS, NAMES, private=[("ann", OWN)], shares=named)
        return tmp_path

    return published


def test_the_parts_are_named_like_rules():
    assert tuple(SLICES) == (
        "online-before-global", "online-before-personal", "ambiguity-before-personal",
        "online-after-global", "online-after-personal", "ambiguity-after-personal",
    )  # fmt: skip
    assert {name for name, of in SLICES.items() if of.is_drawn} == {name for name in SLICES if "-before-" in name}


def test_a_request_whose_rewrite_passed_the_bar_is_drawn_by_user_text_and_day(root):
    folder = root(online_before_global=0.6)
    rewriter, key = Rewriter.open(folder, now=lambda: 7 * DAY), bytes.fromhex(current(folder).manifest.user_key)
    arms = set()
    for i in range(60):
        answer = rewriter.rewrite(GARBLE, user_id=f"user{i}")
        assert answer.arm == drawn(0.6, hash_user(f"user{i}", key), GARBLE, 7, key)
        left = (GARBLE, False, None, "held_out", pytest.approx(0.4), None)
        sent = (MEANT, True, "online", "online", 0.6, answer.score)
        told = (answer.text, answer.applied, answer.layer, answer.reason, answer.propensity, answer.score)
        assert told == (left if answer.arm == "leave" else sent)
        assert (answer.rule, answer.scope, answer.suggestion, answer.ask) == (GLOBAL, "global", None, False)
        assert answer.candidates[0].text == MEANT
        arms.add(answer.arm)
    assert arms == {"rewrite", "leave"}


def test_only_what_is_eligible_is_drawn_and_after_a_refusal_nothing_is(root):
    rewriter = Rewriter.open(root(online_before_global=0.5, online_before_personal=0.5))
    for user in (f"user{i}" for i in range(20)):
        after = rewriter.rewrite(GARBLE, user_id=user, after_failure=True)
        assert (after.text, after.rule, after.arm, after.propensity) == (MEANT, "online-after-global", None, None)
        healthy = rewriter.rewrite("turn on the lamp", user_id=user)
        assert (healthy.reason, healthy.rule, healthy.arm) == ("healthy", None, None)


def test_what_is_sent_before_the_nlu_is_sent_after_its_refusal_too(tmp_path):
    layered.publish(tmp_path, TEXTS, NAMES, after=Threshold())
    rewriter = Rewriter.open(tmp_path)
    assert rewriter.rewrite(GARBLE).text == MEANT
    after = rewriter.rewrite(GARBLE, after_failure=True)
    assert (after.text, after.rule) == (MEANT, "online-after-global")
    refused = rewriter.rewrite("turn on the lamp", after_failure=True)
    assert not refused.applied, "nothing would have been sent for a text that is known to work"


def test_what_rests_on_a_users_own_texts_is_a_part_of_its_own(root):
    rewriter = Rewriter.open(root(online_before_global=0.0, online_before_personal=1.0))
    mine = rewriter.rewrite("put on my silly plailist", user_id="ann")
    assert (mine.text, mine.rule, mine.arm) == (OWN, PERSONAL, None)
    shared = rewriter.rewrite(GARBLE, user_id="ann")
    assert (shared.text, shared.reason, shared.applied, shared.rule) == (GARBLE, "withdrawn", False, None)
    assert rewriter.rewrite(GARBLE, user_id="ann", after_failure=True).text == MEANT


def test_where_nothing_is_said_of_it_all_is_sent(root):
    answer = Rewriter.open(root()).rewrite(GARBLE, user_id="ann")
    assert (answer.text, answer.rule, answer.arm, answer.propensity) == (MEANT, GLOBAL, None, None)


def test_an_undo_holds_at_once_for_this_user_and_not_for_what_was_not_sent(root):
    rewriter = Rewriter.open(root(online_before_global=0.5))
    answers = {user: rewriter.rewrite(GARBLE, user_id=user) for user in (f"user{i}" for i in range(30))}
    for user, answer in answers.items():
        rewriter.feedback(answer.id, -1, user)
        again = rewriter.rewrite(GARBLE, user_id=user)
        assert (again.reason, again.arm) == (("undone_by_user", None) if answer.applied else ("held_out", "leave"))
        after = rewriter.rewrite(GARBLE, user_id=user, after_failure=True)
        assert after.applied is not answer.applied
    assert {answer.applied for answer in answers.values()} == {True, False}


def test_shares_are_read_as_they_were_written(tmp_path):
    assert open_shares(tmp_path) == {}
    save_shares(tmp_path, {GLOBAL: 0.995})
    assert open_shares(tmp_path) == {GLOBAL: 0.995}
    (tmp_path / "online.json").write_text("[1]")
    with pytest.raises(ArtefactError, match=r"online\.json"):
        open_shares(tmp_path)
