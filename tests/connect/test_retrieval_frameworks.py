"""LangChain, LlamaIndex and Haystack from query to query, each with its own retriever over documents in memory."""

import json
import subprocess
from pathlib import Path

import hosts
import pytest

from rewriter.connect.dialogue import Dialogue
from rewriter.connect.retrieval import search
from rewriter.operate.forget import forget

DRIVER = Path(__file__).parent / "retrieval_host.py"
DAY = WRONG, RIGHT, *_ = "hedphones", "headphones", "laptop", "winter coat"
FRAMEWORKS = [pytest.param(name, marks=pytest.mark.hosts) for name in ("langchain", "llama_index", "haystack")]


def find(name, folder, *said):
    """The titles that each query found."""
    python = hosts.python("retrieval", hosts.pinned("retrieval"))
    command = [python, DRIVER, name, folder / "artefact", folder / "turns"]
    env = hosts.environment(HAYSTACK_TELEMETRY_ENABLED="False")
    done = subprocess.run(command, input=json.dumps(said), capture_output=True, text=True, timeout=900, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_query_fails_is_restated_learned_mended_undone_and_forgotten(name, tmp_path):
    found = find(name, tmp_path, *([text, user] for user, text in hosts.days(DAY)))
    assert found == [[] if text == WRONG else [text] for _, text in hosts.days(DAY)]
    hosts.learn_days(tmp_path, DAY)
    said = ([WRONG, "u1"], [hosts.COMPLAINT, "u1"], [WRONG, "u1"], [WRONG, "u2"], ["laptop", "u2"])
    assert find(name, tmp_path, *said) == [[RIGHT], [], [], [RIGHT], ["laptop"]]
    forget("u2", tmp_path / "artefact", logs=[str(tmp_path / "turns")])
    kept = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "turns").iterdir())
    assert '"u2"' not in kept
    assert '"u1"' in kept


def test_a_search_that_fails_is_kept_and_raised(tmp_path):
    def broken(text):
        raise ConnectionError(text)

    talk = Dialogue(tmp_path / "none", tmp_path / "turns")
    with pytest.raises(ConnectionError):
        search(talk, broken, "laptop", user_id="ann")
    talk.close()
    (path,) = (tmp_path / "turns").iterdir()
    assert json.loads(path.read_text(encoding="utf-8"))["status"] == "failed"
