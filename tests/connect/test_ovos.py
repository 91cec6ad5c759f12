"""Open Voice OS from request to request: its message bus, its intent service with the plug-in, and skills, each a process."""

import json
import os
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import hosts
import pytest
from click.testing import CliRunner

from rewriter import Rewriter, export, import_log
from rewriter.cli import main
from rewriter.codes import LeftOut
from rewriter.connect.ovos_log import corrections
from rewriter.connect.ovos_skills import REFUSALS
from rewriter.connect.sendable import Sent
from rewriter.errors import LogError
from rewriter.operate.forget import forget

PAGE = Path(__file__).parents[2] / "docs" / "ovos.md"
DRIVER = Path(__file__).parent / "ovos_host.py"
PIPELINE = ["ovos-padacioso-pipeline-plugin-high", "ovos-fallback-pipeline-plugin-low"]


@pytest.fixture(scope="module")
def python():
    return hosts.python("ovos", hosts.pinned("ovos"))


@contextmanager
def ovos(python, folder, plugins):
    """Run OVOS with plug-ins; yields a function that says texts as users and returns what was spoken."""
    uri, port = "", hosts.free_port()
    uri = f"tcp://127.0.0.1:{port}"
    settings = {
        "lang": "en-US",
        "websocket": {"host": "127.0.0.1", "port": port, "route": "/core", "ssl": False},
        "utterance_transformers": plugins,
        "intents": {"pipeline": PIPELINE},
    }
    (folder / "config" / "mycroft").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "mycroft" / "mycroft.conf").write_text(json.dumps(settings), encoding="utf-8")
    places = {f"XDG_{kind}": folder / kind.lower() for kind in ("STATE_HOME", "DATA_HOME", "CACHE_HOME", "CONFIG_DIRS")}
    places |= {"XDG_CONFIG_HOME": folder / "config", "HOME": folder, "PYTHONUNBUFFERED": "1"}

    def say(*said):
        command = [python, DRIVER, "talk"]
        env, asked = hosts.environment(**places), json.dumps(said)
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=600, env=env, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    with ExitStack() as running:
        running.enter_context(hosts.running([python, "-m", "ovos_messagebus"], uri, **places))
        service = [python, "-m", "ovos_core.intent_services.service"]
        running.enter_context(hosts.running(service, "IntentService is ready", **places))
        running.enter_context(hosts.running([python, DRIVER, "skills", folder / "skill"], "ready", **places))
        yield say


def done(spoken):
    """Whether a skill did it; an apology is drawn at random."""
    return spoken == ["done"]


def plugin(folder):
    """The settings of the page, with the folders of a test."""
    settings = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    return json.loads(settings.replace("/home/ovos/rewriter", str(folder)))["utterance_transformers"]


@pytest.fixture(scope="module")
def learned(python, tmp_path_factory):
    """A folder in which OVOS ran for three days with the plug-in, from nothing, and `learn` followed."""
    folder = tmp_path_factory.mktemp("ovos")
    with ovos(python, folder, plugin(folder)) as say:
        answers = say(*([text, user] for user, text in hosts.days()))
    assert [done(spoken) for spoken in answers] == [text in hosts.HEALTHY for _, text in hosts.days()]
    hosts.learn_days(folder)
    return folder


@pytest.mark.hosts
def test_the_next_such_request_is_mended_and_an_undo_teaches(python, learned):
    with ovos(python, learned, plugin(learned)) as say:
        mended, *_, undone, other = say([hosts.WRONG, "u1"], [hosts.COMPLAINT, "u1"], [hosts.WRONG, "u1"], [hosts.WRONG, "u2"])
    assert [done(spoken) for spoken in (mended, undone, other)] == [True, False, True]
    rows = [json.loads(line) for path in (learned / "turns").iterdir() for line in path.read_text(encoding="utf-8").splitlines()]
    (row,) = [row for row in rows if row.get("sent") and row["user_id"] == "u2"]
    assert row["utterance"] == hosts.WRONG
    assert (row["sent"], row["status"], row["hypothesis"], row["response"]) == (
        hosts.RIGHT,
        "ok",
        "home.tests:TurnOff.intent",
        "done",
    )


@pytest.mark.hosts
def test_what_no_skill_took_is_asked_again(python, tmp_path):
    """A catalog alone answers refusals only. Its texts are the sentences of the skills, read from their ``.intent`` files."""
    places = tmp_path / "locale" / "en-us"
    places.mkdir(parents=True)
    for name, text in (("TurnOff", "turn off the lamp"), ("TurnOn", "turn on the radio"), ("Play", "play music")):
        (places / f"{name}.intent").write_text(text + "\n", encoding="utf-8")
    learned = CliRunner().invoke(main, ["learn", "--catalog", str(places), "--out", str(tmp_path / "artefact")])
    assert learned.exit_code == 0, learned.output
    said = "turn off the lampp"
    assert Rewriter.open(tmp_path / "artefact").rewrite(said, after_failure=True).applied
    with ovos(python, tmp_path, plugin(tmp_path)) as say:
        (apology,) = say([said, "u1"])
        end = time.monotonic() + 120
        while not list((tmp_path / "turns").iterdir()) and time.monotonic() < end:
            time.sleep(0.2)  # what is asked again is answered after the apology
    assert not done(apology)
    (path,) = (tmp_path / "turns").iterdir()
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert (row["utterance"], row["sent"], row["status"]) == (said, hosts.RIGHT, "ok")


@pytest.mark.hosts
def test_without_the_plug_in_its_log_is_read_and_corrections_are_written(python, learned, tmp_path):
    with ovos(python, tmp_path, {}) as say:
        say(*([text, "default"] for text in (hosts.WRONG, "order pizza", hosts.RIGHT)))
    report = import_log("ovos", [tmp_path / "state_home" / "mycroft" / "intents.log"], tmp_path / "log.parquet", user_id="ann")
    assert (report.turns, report.users, report.failed, report.unknown) == (3, 1, 1, 0)
    found = export("ovos", learned / "artefact", tmp_path / "corrections.json")
    assert found.left_out == {LeftOut.NEAR: 1}, '"turn on the lamp" is similar, and works'
    exact = tmp_path / "data_home" / "mycroft" / "regex_corrections.json"
    exact.parent.mkdir(parents=True, exist_ok=True)
    assert export("ovos", learned / "artefact", exact).written == 1
    with ovos(python, tmp_path, {"ovos-utterance-corrections-plugin": {}}) as say:
        spoken = say([hosts.WRONG, "u1"], ["turn on the lamp", "u1"], [hosts.WRONG + " now", "u1"])
    assert [done(each) for each in spoken] == [True, True, False]


@pytest.mark.hosts
def test_a_person_is_forgotten(learned, tmp_path):
    shutil.copytree(learned, tmp_path / "copy")
    folder = tmp_path / "copy"
    forget("u4", folder / "artefact", logs=[str(folder / "turns")])
    kept = "".join(path.read_text(encoding="utf-8") for path in (folder / "turns").iterdir())
    assert '"u4"' not in kept
    assert '"u5"' in kept


WHERE = "skills - ovos_core.intent_services.service:handle_utterance:450 - INFO"
REST = "utterance='x', updated_session=None)"
LOG = f"""\
2026-01-05 08:00:00.000 - {WHERE} - Parsing utterance: ['turn of the lamp', 'turn up']
2026-01-05 08:00:01.000 - skills - x:y:1 - WARNING - Parsing utterance: ['no']
2026-01-05 08:00:06.500 - {WHERE} - Parsing utterance: ["what's up"]
2026-01-05 08:00:06.600 - {WHERE} - padacioso-high match (de-DE): IntentHandlerMatch(match_type='home:TurnOff.intent', \
match_data={{'room': 'bath', 'conf': 1.0, 'x': [1]}}, skill_id='home', {REST}
torn - line
2026-01-05 08:01:00.000 - {WHERE} - Parsing utterance: __import__('os')
2026-01-05 08:02:00.000 - {WHERE} - Parsing utterance: ['tell a joke']
2026-01-05 08:02:00.100 - {WHERE} - fallback match (en-US): IntentHandlerMatch(match_type='ovos.skills.fallback.chat.request', \
match_data={{'skill_id': 'chat'}}, skill_id=None, {REST}
2026-01-05 08:03:00.000 - {WHERE} - Parsing utterance: ['blah']
2026-01-05 08:03:00.100 - {WHERE} - x match (en-US): IntentHandlerMatch(match_type='ovos.skills.fallback.{REFUSALS[0]}.request', \
match_data={{}}, skill_id=None, {REST}
"""


def test_a_log_is_read_line_by_line(tmp_path):
    import duckdb

    (tmp_path / "skills.log.1").write_text(LOG, encoding="utf-8")
    os.utime(tmp_path)
    report = import_log("ovos", [tmp_path], tmp_path / "log.parquet")
    assert report.lines()[0].startswith("4 turns of 1 users")
    assert report.lines()[2] == "1 left out: requests that cannot be read"
    rows = duckdb.sql(
        f"SELECT utterance, nbest, status, hypothesis, locale, user_id FROM '{tmp_path / 'log.parquet'}'"
    ).fetchall()
    assert rows == [
        ("turn of the lamp", ["turn up"], "failed", None, None, "home"),
        ("what's up", None, "ok", "home:TurnOff.intent|conf=1|room=bath", "de-DE", "home"),
        ("tell a joke", None, "ok", None, "en-US", "home"),
        ("blah", None, "failed", None, "en-US", "home"),
    ]
    assert (tmp_path / "log.parquet").stat().st_mode & 0o777 == 0o600
    with pytest.raises(LogError, match="no turn was found"):
        (tmp_path / "empty.log").write_text("x\n", encoding="utf-8")
        import_log("ovos", [tmp_path / "empty.log"], tmp_path / "none.parquet")


def test_exact_corrections_are_literal():
    ((pattern, text),) = json.loads(corrections([Sent(r"a.b\d (x)", r"c\1 \g<0>", False)], exact=True)).items()
    assert re.sub(pattern, text, r"a.b\d (x)") == r"c\1 \g<0>"
    assert re.sub(pattern, text, r"a!b\d (x)") == r"a!b\d (x)"
