"""Publish, hold back, roll back: by hand, by kills at every step, and under processes and threads that never stop asking."""

import inspect
import itertools
import multiprocessing
import stat
import threading
import time

import pytest
from click.testing import CliRunner
from crash import count_steps, run_killed
from rich.console import Console

from rewriter.artefact.switch import listed, publish, rollback
from rewriter.artefact.versions import current_id, held, version_ids
from rewriter.artefact.writer import Writer
from rewriter.cli import main
from rewriter.config import Config
from rewriter.errors import ArtefactError
from rewriter.model.rules import Rule, write_rules
from rewriter.online import rewriter as module
from rewriter.online.rewriter import Rewriter


def write(root, tag, reasons=(), keep=5):
    with Writer(root, keep=keep) as writer:
        write_rules(writer.folder / "rules", [Rule("r", "", "en", f"sentence {n}", f"{tag} {n}", 0.9) for n in range(20)])
        (writer.state / "tag").write_text(tag)
        return writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={}, judge=lambda _: reasons)


def test_what_is_held_back_does_not_serve_and_learning_goes_on_from_it(tmp_path):
    first = write(tmp_path, "a", ["the first version serves whatever the judge says"])
    second = write(tmp_path, "b", ["too small", "too new"])
    assert current_id(tmp_path) == first
    assert (held(tmp_path).id, held(tmp_path).reasons) == (second, ("too small", "too new"))
    assert stat.S_IMODE((tmp_path / "state/held.json").stat().st_mode) == 0o600
    with Writer(tmp_path) as writer:
        assert (writer.previous_state / "tag").read_text() == "b"
    assert version_ids(tmp_path / "versions") == version_ids(tmp_path / "state") == [first, second]
    third = write(tmp_path, "c", ["still too small"])
    assert held(tmp_path).id == third
    assert version_ids(tmp_path / "versions") == [first, third], "only the newest one waits"
    fourth = write(tmp_path, "d")
    assert (current_id(tmp_path), held(tmp_path)) == (fourth, None)
    assert version_ids(tmp_path / "versions") == [first, fourth]


def test_publish_what_is_held_back(tmp_path):
    first, second = write(tmp_path, "a"), write(tmp_path, "b", ["too small"])
    with pytest.raises(ArtefactError, match="is held back: too small; publish it all the same with --force"):
        publish(tmp_path)
    with pytest.raises(ArtefactError, match="is held back"):
        publish(tmp_path, second)
    assert current_id(tmp_path) == first
    assert publish(tmp_path, force=True) == second == current_id(tmp_path)
    assert held(tmp_path) is None
    assert [(v.id, v.place) for v in listed(tmp_path)] == [(first, "older"), (second, "serves")]


def test_roll_back_and_forward_again(tmp_path):
    ids = [write(tmp_path, tag) for tag in "abc"]
    assert rollback(tmp_path) == ids[1] == current_id(tmp_path)
    assert [v.place for v in listed(tmp_path)] == ["older", "serves", "newer"]
    assert publish(tmp_path, ids[2][:6]) == ids[2]
    assert rollback(tmp_path, ids[0]) == ids[0]
    with pytest.raises(ArtefactError, match="no older version is kept"):
        rollback(tmp_path)
    with Writer(tmp_path) as writer:
        assert (writer.previous_state / "tag").read_text() == "a"
    assert version_ids(tmp_path / "versions") == ids[:1], "who goes back and learns forgets what came later"


def test_going_back_drops_what_was_held_back(tmp_path):
    first, _, _ = write(tmp_path, "a"), write(tmp_path, "b"), write(tmp_path, "c", ["too small"])
    (tmp_path / "CURRENT").write_text(first + "\n")  # by hand, or by a `rollback` killed just after that
    assert held(tmp_path) is None
    with Writer(tmp_path) as writer:
        assert (writer.previous_state / "tag").read_text() == "a"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root, ids: publish(root), "no version in .* is held back; name one of"),
        (lambda root, ids: publish(root, ids[1]), "serves already"),
        (lambda root, ids: publish(root, "0000"), "more than one version 0000"),
        (lambda root, ids: publish(root, "000009"), "no version 000009"),
        (lambda root, ids: rollback(root, ids[1]), "serves already"),
        (lambda root, ids: rollback(root / "none"), "no artefact here"),
        (lambda root, ids: publish(root / "none"), "no artefact here"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, change, words):
    ids = [write(tmp_path, "a"), write(tmp_path, "b")]
    with pytest.raises(ArtefactError, match=words):
        change(tmp_path, ids)
    assert current_id(tmp_path) == ids[1]


def test_a_damaged_version_never_serves(tmp_path):
    ids = [write(tmp_path, "a"), write(tmp_path, "b")]
    victim = tmp_path / "versions" / ids[0] / "rules" / "global.mdb"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # the size is right: only the sum tells
    with pytest.raises(ArtefactError, match=r"global\.mdb is damaged"):
        rollback(tmp_path)
    assert current_id(tmp_path) == ids[1]


def test_a_damaged_note_is_told(tmp_path):
    write(tmp_path, "a")
    (tmp_path / "state" / "held.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"held\.json is damaged"):
        held(tmp_path)


def test_nobody_switches_while_another_writes(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "b")
    with Writer(tmp_path), pytest.raises(ArtefactError, match="another process is writing"):
        rollback(tmp_path)


def test_a_copy_without_state_can_be_rolled_back(tmp_path):
    import shutil

    ids = [write(tmp_path / "a", "a"), write(tmp_path / "a", "b")]
    shutil.copytree(tmp_path / "a" / "versions", tmp_path / "b" / "versions")
    shutil.copy(tmp_path / "a" / "CURRENT", tmp_path / "b" / "CURRENT")
    assert rollback(tmp_path / "b") == ids[0]


HOLD = f"""
import sys
from rewriter.artefact.writer import Writer
from rewriter.cli import main
from rewriter.config import Config
from rewriter.model.rules import Rule, write_rules

{inspect.getsource(write)}
write(sys.argv[1], sys.argv[2], ["too small"])
"""
FORCE = "import sys\nfrom rewriter.artefact.switch import publish\npublish(sys.argv[1], force=True)"


@pytest.mark.slow
def test_a_kill_while_holding_back_or_publishing_leaves_one_of_the_two(tmp_path, record_property):
    """At every step: either nothing has happened, or all of it; what serves is whole, and the next writer works."""
    for script, before, after in ((HOLD, "a", "a"), (FORCE, "a", "b")):
        for n in itertools.count(1):
            root = tmp_path / f"{len(script)}-{n}"
            write(root, "a")
            if script is FORCE:
                write(root, "b", ["too small"])
            killed = run_killed(script, n, root, "b")
            waiting = held(root)
            text = Rewriter.open(root).rewrite("sentence 1").text
            assert text in (f"{before} 1", f"{after} 1")
            if script is FORCE:
                assert (waiting is None) == (text == "b 1")
            with Writer(root) as writer:
                newest = "b" if waiting or text == "b 1" else "a"
                assert (writer.previous_state / "tag").read_text() == newest
            if not killed:
                break
            record_property("writers killed", 1)
    assert count_steps(FORCE, _two(tmp_path / "count"), "b") > 5


def _two(root):
    write(root, "a")
    write(root, "b", ["too small"])
    return root


def _ask(root, ready, stop, queue):
    """Four threads that ask as fast as they can, and what they saw: wrong answers, calls, versions in their order."""
    module._LOOK_EVERY = 0.1
    rewriter, wrong, calls, seen = Rewriter.open(root), [], [0] * 4, [[] for _ in range(4)]

    def call(mine):
        for n in itertools.count():
            answer = rewriter.rewrite(f"sentence {n % 20}")
            calls[mine] += 1
            tag, _, number = answer.text.rpartition(" ")
            if not answer.applied or number != str(n % 20):
                wrong.append(answer)
            if seen[mine][-1:] != [(answer.artefact, tag)]:
                seen[mine].append((answer.artefact, tag))
            if stop.is_set():
                return

    threads = [threading.Thread(target=call, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    ready.wait(60)
    for thread in threads:
        thread.join()
    queue.put((wrong, calls, seen))


@pytest.mark.slow
def test_serving_processes_follow_without_dropping_a_call(tmp_path):
    """Publish, hold back, force, roll back, while two processes with four threads each ask without a pause."""
    served = [(write(tmp_path, "a"), "a")]
    context = multiprocessing.get_context("spawn")
    ready, stop, queue = context.Barrier(3), context.Event(), context.Queue()
    children = [context.Process(target=_ask, args=(tmp_path, ready, stop, queue), daemon=True) for _ in range(2)]
    for child in children:
        child.start()
    ready.wait(60)

    def pause():
        time.sleep(0.4)

    pause()
    served.append((write(tmp_path, "b"), "b"))
    pause()
    waiting = write(tmp_path, "c", ["too small"])
    pause()
    served.append((publish(tmp_path, force=True), "c"))
    assert served[-1][0] == waiting
    pause()
    served.append((rollback(tmp_path), "b"))
    pause()
    stop.set()
    for _ in children:
        wrong, calls, seen = queue.get(timeout=60)
        assert wrong == []
        assert min(calls) > 100
        assert seen == [served] * 4
    for child in children:
        child.join(60)


def test_the_list_of_versions_breaks_no_id_and_no_time_at_80_columns(lamp, monkeypatch):
    monkeypatch.setattr("rewriter.terminal.console", Console(width=80))
    result = CliRunner().invoke(main, ["versions", str(lamp[0])])
    (version,) = [line for line in result.output.splitlines() if listed(lamp[0])[0].id in line]
    assert listed(lamp[0])[0].manifest.created[:16].replace("T", " ") in version
