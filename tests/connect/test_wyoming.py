"""Wyoming from request to request: a client of the protocol speaks over TCP to the proxy, which stands before a service."""

import json
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import hosts
import pytest

from rewriter.operate.forget import forget

pytestmark = pytest.mark.hosts
PAGE = Path(__file__).parents[2] / "docs" / "wyoming.md"
DRIVER = Path(__file__).parent / "wyoming_host.py"


@pytest.fixture(scope="module")
def python():
    return hosts.python("wyoming", hosts.pinned("wyoming"))


@pytest.fixture(scope="module")
def service(python):
    uri = f"tcp://127.0.0.1:{hosts.free_port()}"
    with hosts.running([python, DRIVER, "service", uri], uri):
        yield uri


@contextmanager
def proxy(python, folder, service, *more):
    """The command as the page has it; yields a function that asks [kind, text, user] and returns the answers."""
    uri = f"tcp://127.0.0.1:{hosts.free_port()}"
    places = {"artefact": folder / "artefact", "turns": folder / "turns"}
    places |= {"tcp://127.0.0.1:10500": service, "tcp://127.0.0.1:10390": uri}
    line = re.search(r"^rewriter (wyoming .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)[1]
    command = [python, "-m", "rewriter.cli", *(places.get(word, word) for word in line.split()), *more]
    with hosts.running(command, uri):
        yield lambda *requests: talk(python, uri, *requests)


def talk(python, uri, *requests):
    done = subprocess.run(
        [python, DRIVER, "talk", uri], input=json.dumps(requests), capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def learned(python, service, tmp_path_factory):
    """A folder in which the proxy ran for three days before an NLU, from nothing, and `learn` followed."""
    folder = tmp_path_factory.mktemp("wyoming")
    with proxy(python, folder, service) as ask:
        answers = ask(*(["intent", text, user] for user, text in hosts.days()))
    assert [kind for kind, _ in answers] == ["intent" if text in hosts.HEALTHY else "not-recognized" for _, text in hosts.days()]
    hosts.learn_days(folder)
    return folder


def test_a_refused_request_is_asked_again_and_an_undo_teaches(python, service, learned):
    with proxy(python, learned, service) as ask:
        said = hosts.WRONG, hosts.RIGHT, "good morning", hosts.COMPLAINT, hosts.WRONG
        mended, right, unknown, _, again = ask(*(["intent", text, "u1"] for text in said))
        (other,) = ask(["handle", hosts.WRONG, "u2"])
    assert mended == right == ["intent", {"name": "TurnOff", "entities": [{"name": "name", "value": "lamp"}], "text": "done"}]
    assert unknown == ["not-recognized", {"text": "sorry"}]
    assert again[0] == "intent", "the last rewrite was not just before the complaint"
    assert other == ["handled", {"text": "done"}]
    with proxy(python, learned, service) as ask:
        *_, undone = ask(*(["intent", text, "u1"] for text in (hosts.WRONG, hosts.COMPLAINT, hosts.WRONG)))
        (other,) = ask(["intent", hosts.WRONG, "u2"])
    assert undone[0] == "not-recognized"
    assert other[0] == "intent"


def test_what_was_heard_is_rewritten_and_all_else_passes(python, service, learned):
    with proxy(python, learned, service, "--user", "guests") as ask:
        (info,), heard = ask(["describe", "", ""]), ask(["asr", hosts.WRONG, "u3"], ["asr", "good morning", "u3"])
    assert info[0] == "info"
    assert info[1]["asr"][0]["name"] == "echo"
    assert [(kind, data["text"]) for kind, data in heard] == [("transcript", hosts.RIGHT), ("transcript", "good morning")]


def test_a_service_that_is_away_is_an_error_and_no_crash(python, learned):
    with proxy(python, learned, f"tcp://127.0.0.1:{hosts.free_port()}") as ask:
        for _ in range(2):
            assert ask(["intent", hosts.WRONG, "u1"])[0][0] == "error"


def test_a_person_is_forgotten(learned):
    """Last in this file: it writes into the folder."""
    forget("u4", learned / "artefact", logs=[str(learned / "turns")])
    kept = "".join(path.read_text(encoding="utf-8") for path in (learned / "turns").iterdir())
    assert '"u4"' not in kept
    assert '"u5"' in kept
