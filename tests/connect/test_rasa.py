"""Rasa 3.6 from message to message: its server, its action server and `rewriter serve`, each a process, as docs/rasa.md has them.

Rasa is 2 GB with its TensorFlow and takes minutes to install, so CI does not run this: set ``REWRITER_RASA=1``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hosts
import pytest

from rewriter import import_log
from rewriter.connect.rasa import FILES, lay_out
from rewriter.operate.forget import forget

PAGE = Path(__file__).parents[2] / "docs" / "rasa.md"
NLU = """\
version: "3.1"
nlu:
  - intent: turn_off
    examples: |
      - turn off the lamp
  - intent: turn_on
    examples: |
      - turn on the lamp
  - intent: play
    examples: |
      - play music
  - intent: not_meant
    examples: |
      - that's not what i meant
"""
DOMAIN = """\
version: "3.1"
intents: [turn_off, turn_on, play, not_meant]
actions: [action_rewrite, action_undo_rewrite]
responses:
  utter_done: [{text: done}]
  utter_default: [{text: sorry}]
"""
RULES = """\
version: "3.1"
rules:
  - rule: off
    steps: [{intent: turn_off}, {action: utter_done}]
  - rule: on
    steps: [{intent: turn_on}, {action: utter_done}]
  - rule: play
    steps: [{intent: play}, {action: utter_done}]
"""


def test_the_files_are_laid_out(tmp_path):
    told = lay_out(tmp_path / "project").lines()
    assert len(told) == 3
    assert "from rewriter." not in "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "project").iterdir())


ASK = """
import rewriter_client, sys
near, away = rewriter_client.RewriterClient(sys.argv[1], timeout=30), rewriter_client.RewriterClient("http://127.0.0.1:1")
found = near.rewrite("turn of the lamp", user_id="ann", locale=None)
print(found["text"], found["applied"], near.undo(found["id"], "ann"), near.rewrite("turn of the lamp", user_id="ann")["text"])
print(near.undo("none", "ann"), away.rewrite("turn of the lamp"), away.undo(found["id"], "ann"))
"""


@pytest.mark.hosts
@pytest.mark.parametrize("version", ["3.8", "3.10"])
def test_the_client_runs_in_the_pythons_of_rasa(version, small, tmp_path):
    python = hosts.interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    shutil.copytree(small, tmp_path / "artefact")
    lay_out(tmp_path / "project")
    port = hosts.free_port()
    command = [sys.executable, "-m", "rewriter.cli", "serve", tmp_path / "artefact", "--port", str(port)]
    with hosts.running(command, f"tcp://127.0.0.1:{port}", cwd=hosts.ROOT):
        ask = [python, "-c", ASK, f"http://127.0.0.1:{port}"]
        done = subprocess.run(ask, cwd=tmp_path / "project", capture_output=True, text=True, check=True)
    assert done.stdout == "turn off the lamp True True turn of the lamp\nFalse {} False\n"
    for name in FILES:
        subprocess.run([python, "-m", "py_compile", tmp_path / "project" / name], check=True)


@pytest.fixture(scope="module")
def python():
    if not os.environ.get("REWRITER_RASA"):
        pytest.skip("Rasa is 2 GB: set REWRITER_RASA=1 to install and run it")
    return hosts.python("rasa", hosts.pinned("rasa"), "3.10", rewriter=False)


@contextmanager
def rasa(python, project, url):
    """Run both servers of Rasa; yields a function that says texts as users and returns what the bot answers."""
    rasa, actions = hosts.free_port(), hosts.free_port()
    endpoints = (project / "endpoints.yml").read_text(encoding="utf-8")
    (project / "endpoints.yml").write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{actions}", endpoints), encoding="utf-8")
    where = {
        "REWRITER_URL": url,
        "RASA_URL": f"http://127.0.0.1:{rasa}",
        "PYTHONPATH": project,
        "RASA_TELEMETRY_ENABLED": "false",
    }
    where |= {"SQLALCHEMY_SILENCE_UBER_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": project}

    def say(text, user):
        body = json.dumps({"sender": user, "message": text}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{rasa}/webhooks/rest/webhook", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return [each["text"] for each in json.loads(answer.read())]

    with ExitStack() as stack:
        command = [python, "-m", "rasa_sdk", "--actions", "rewriter_actions", "--port", str(actions)]
        stack.enter_context(hosts.running(command, f"tcp://127.0.0.1:{actions}", cwd=project, **where))
        command = [python, "-m", "rasa", "run", "--enable-api", "-i", "127.0.0.1", "--port", str(rasa)]
        stack.enter_context(hosts.running(command, "Rasa server is up and running", 600, cwd=project, **where))
        yield say


@pytest.mark.hosts
def test_a_request_fails_is_restated_learned_mended_undone_and_forgotten(python, tmp_path):
    project = tmp_path / "project"
    lay_out(project)
    (project / "data").mkdir()
    port = hosts.free_port()
    url = f"http://127.0.0.1:{port}"
    for name, content in re.findall(r"```yaml title=(\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        where = f"rewriter_rasa.QueryRewriter\n    url: {url}\n    timeout: 5.0\n"
        (project / name).write_text(content.replace("rewriter_rasa.QueryRewriter\n", where), encoding="utf-8")
    for name, content in (("data/nlu.yml", NLU), ("domain.yml", DOMAIN), ("data/rules.yml", RULES)):
        (project / name).write_text(content, encoding="utf-8")
    train = [python, "-m", "rasa", "train"]
    env = hosts.environment(PYTHONPATH=project, RASA_TELEMETRY_ENABLED="false", HOME=project)
    done = subprocess.run(train, cwd=project, capture_output=True, text=True, env=env, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    learn = [
        sys.executable,
        "-m",
        "rewriter.cli",
        "learn",
        "--catalog",
        project / "data" / "nlu.yml",
        "--out",
        tmp_path / "catalog",
    ]
    subprocess.run(learn, check=True, capture_output=True, cwd=hosts.ROOT)

    def serve(artefact):
        command = [sys.executable, "-m", "rewriter.cli", "serve", artefact, "--port", str(port)]
        return hosts.running(command, f"tcp://127.0.0.1:{port}", cwd=hosts.ROOT)

    with rasa(python, project, url) as say:
        answers = [say(text, user) for user, text in hosts.days()]
        assert answers == [["done"] if text in hosts.HEALTHY else ["sorry"] for _, text in hosts.days()]
        with serve(tmp_path / "catalog"):
            assert say("play musik", "zoe") == ["done"], "after the refusal, from the catalog"
    report = import_log("rasa", [project / "rasa.db"], tmp_path / "log.parquet")
    assert (report.turns, report.users, report.failed) == (len(hosts.days()) + 1, len(hosts.USERS) + 1, 3 * len(hosts.USERS))
    hosts.learn_moved(tmp_path)
    with rasa(python, project, url) as say, serve(tmp_path / "artefact"):
        assert say(hosts.WRONG, "u1") == ["done"]
        say("that's not what i meant", "u1")
        assert say(hosts.WRONG, "u1") == ["sorry"]
        assert say(hosts.WRONG, "u2") == ["done"]
    forget("u4", tmp_path / "artefact", logs=[str(tmp_path / "log.parquet")])
    assert b"u4" not in (tmp_path / "log.parquet").read_bytes()
