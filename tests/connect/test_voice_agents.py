"""Pipecat and LiveKit Agents from request to request, in a pipeline and in sessions of theirs; texts stand for speech."""

import json
import subprocess
from pathlib import Path

import hosts
import pytest

from rewriter.connect.functions import Calls
from rewriter.operate.forget import forget

HERE = Path(__file__).parent
FRAMEWORKS = [pytest.param(name, marks=pytest.mark.hosts) for name in ("pipecat", "livekit")]


def talk(name, folder, *said):
    """What the agent understood of each request, and whether it could do it."""
    command = [hosts.python(name, hosts.pinned(name)), HERE / f"{name}_host.py", folder / "artefact", folder / "turns"]
    asked = json.dumps(said)
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=900, env=hosts.environment(), check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_request_fails_is_restated_learned_mended_undone_and_forgotten(name, tmp_path):
    answers = talk(name, tmp_path, *([text, user] for user, text in hosts.days()))
    assert answers == [[text, text in hosts.HEALTHY] for _, text in hosts.days()]
    hosts.learn_days(tmp_path)
    said = ([hosts.WRONG, "u1"], [hosts.COMPLAINT, "u1"], [hosts.WRONG, "u1"], [hosts.WRONG, "u2"])
    assert talk(name, tmp_path, *said) == [
        [hosts.RIGHT, True],
        [hosts.COMPLAINT, False],
        [hosts.WRONG, False],
        [hosts.RIGHT, True],
    ]
    (path,) = (path for path in (tmp_path / "turns").iterdir() if hosts.COMPLAINT in path.read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(row["utterance"], row.get("sent"), row["status"]) for row in rows] == [
        (hosts.WRONG, hosts.RIGHT, "ok"),
        (hosts.COMPLAINT, None, "failed"),
        (hosts.WRONG, None, "failed"),
        (hosts.WRONG, hosts.RIGHT, "ok"),
    ]
    assert [row.get("barge_in") for row in rows] == [None, True if name == "pipecat" else None, None, None]
    assert rows[0]["hypothesis"] == ("home|on=false" if name == "pipecat" else f"home|text={hosts.RIGHT}")
    forget("u2", tmp_path / "artefact", logs=[str(tmp_path / "turns")])
    kept = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "turns").iterdir())
    assert '"u2"' not in kept
    assert '"u1"' in kept


def test_calls_are_the_hypothesis_and_the_verdict():
    calls = Calls()
    assert calls.columns() == {"status": None, "hypothesis": None}
    calls.add("play", '{"what": ["a", "b"], "loud": null}', failed=False)
    calls.add("say", "no json", failed=True)
    assert calls.columns() == {"status": "failed", "hypothesis": 'play|what=["a", "b"] & say|arguments=no json'}
