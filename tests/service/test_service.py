"""The HTTP service as its clients meet it: a real process on a free port, asked over real connections."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from click.testing import CliRunner

import rewriter
from rewriter import Rewrite, Rewriter
from rewriter.artefact.switch import listed, publish
from rewriter.artefact.versions import current
from rewriter.cli import main
from rewriter.config import Config
from rewriter.errors import ConfigError
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.result import Lesson, Preference, Taught, Teachable
from rewriter.service.doorkeeper import MAX_BODY, TOKEN, is_loopback, token_for
from rewriter.service.serve import PORT

SECRET = "correct-horse-battery-staple"
BEARER = {"authorization": f"Bearer {SECRET}"}
HEARD = {"utterance": "Turn of the lamp", "user_id": "ann"}


class Server:
    """A service in a process of its own."""

    def __init__(self, root, *args, token=SECRET):
        environment = {name: value for name, value in os.environ.items() if name != TOKEN} | ({TOKEN: token} if token else {})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rewriter.cli", "serve", str(root), "--port", "0", *map(str, args)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+);", self.said)
        assert found, self.said + self.process.stderr.read()
        self.port = int(found[1])

    def ask(self, method, path, body=None, headers=BEARER):
        """(status, what the JSON says, or the text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, raw, ({"content-type": "application/json"} if raw is not None else {}) | headers)
            response = connection.getresponse()
            text = response.read().decode()
            return response.status, json.loads(text) if response.headers.get_content_subtype() == "json" else text
        finally:
            connection.close()

    def rewrite(self, **body):
        status, answer = self.ask("POST", "/v1/rewrite", body)
        assert status == 200, answer
        return answer

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        out, error = self.process.communicate(timeout=20)
        return self.process.returncode, out, error


@pytest.fixture(scope="module")
def root(small, tmp_path_factory):
    root = tmp_path_factory.mktemp("served") / "artefact"
    shutil.copytree(small, root)
    return root


@pytest.fixture(scope="module")
def server(root):
    server = Server(root)
    yield server
    server.process.kill()
    server.process.communicate()


def test_it_answers_what_the_rewriter_answers(server, root):
    rewriter = Rewriter.open(root)
    asked = [
        HEARD,
        {"utterance": "Turn of the lamp", "after_failure": True, "locale": "en", "context": {"hour": 8}, "nbest": ["lamp"]},
        {"utterance": "play my mess", "user_id": "ann"},
        {"utterance": "hello"},
        {"utterance": ""},
        {"utterance": "half a \ud800 character", "user_id": 7},
    ]  # fmt: skip
    for body in asked:
        mine, yours = asdict(rewriter.rewrite(**body)), server.rewrite(**body)
        assert yours.pop("id")
        mine.pop("id")
        assert yours == json.loads(json.dumps(mine))
    assert server.rewrite(**HEARD)["text"] == "turn off the lamp"


def test_an_undo_is_heeded_and_odd_feedback_is_one_line(server):
    mine = {"utterance": "turn of the lamp", "user_id": "cem"}
    told = {"rewrite_id": server.rewrite(**mine)["id"], "user_id": "cem"}
    assert server.ask("POST", "/v1/feedback", {**told, "value": -1}) == (204, "")
    assert server.rewrite(**mine)["reason"] == "undone_by_user"
    assert server.ask("POST", "/v1/feedback", {**told, "value": 0}) == (204, "")
    assert server.rewrite(**mine)["applied"]
    status, answer = server.ask("POST", "/v1/feedback", {**told, "rewrite_id": "nosuch", "value": 1})
    assert status == 400
    assert "not on 'nosuch'" in answer["error"]


def test_what_is_taught_holds_at_once(server):
    said = {"utterance": "movie time", "user_id": "eva"}
    lesson = {"said": "Movie time!", "meant": ["dim the lights", "turn on the tv"], "joined_by": " and ", "user_id": "eva"}
    status, preview = server.ask("POST", "/v1/teach", lesson | {"preview": True})
    assert (status, preview["stored"]) == (200, False)
    assert not server.rewrite(**said)["applied"]
    status, taught = server.ask("POST", "/v1/teach", lesson)
    assert (status, taught["stored"], taught["lesson"]["said"]) == (200, True, "movie time")
    answer = server.rewrite(**said)
    assert (answer["text"], answer["reason"]) == ("dim the lights and turn on the tv", "lesson")
    assert answer["steps"] == ["dim the lights", "turn on the tv"]
    assert not server.rewrite(utterance="movie time", user_id="fay")["applied"]
    status, again = server.ask("POST", "/v1/teach", lesson | {"meant": "turn on the radio", "joined_by": None})
    assert again["cautions"][0]["code"] == "conflict"
    assert again["cautions"][0]["text"].startswith("it takes the place of an older lesson")
    assert again["replaced"] == taught["lesson"]
    status, mine = server.ask("POST", "/v1/lessons", {"user_id": "eva"})
    assert mine == [again["lesson"]]
    assert server.ask("POST", "/v1/lessons", {"user_id": "fay"}) == (200, [])
    assert server.ask("POST", "/v1/unteach", {"lesson_id": mine[0]["id"]}) == (200, {"removed": True})
    assert not server.rewrite(**said)["applied"]
    status, fault = server.ask("POST", "/v1/teach", {"said": "x", "meant": "y"})
    assert status == 400
    assert "user" in fault["error"]


def test_a_question_is_answered_and_a_preference_kept(server):
    asked = {
        "moment": "restated", "said": "movie night", "meant": "turn off the lamp", "question": "?", "turns": 3,
        "days": 2, "p": 0.9, "locale": "en",
    }  # fmt: skip
    status, taught = server.ask("POST", "/v1/answer", {"asked": asked, "answer": True, "user_id": "ida"})
    assert (status, taught["stored"], taught["lesson"]["said"]) == (200, True, "movie night")
    assert server.rewrite(utterance="movie night", user_id="ida")["text"] == "turn off the lamp"
    assert server.ask("POST", "/v1/answer", {"asked": asked, "answer": False, "user_id": "jon"}) == (200, None)
    status, fault = server.ask("POST", "/v1/prefer", {"slot": "nosuch", "value": "x", "user_id": "ida"})
    assert (status, "nosuch" in fault["error"]) == (400, True)
    status, kept = server.ask("POST", "/v1/prefer", {"slot": "name", "value": "lamp", "user_id": "ida"})
    assert (status, kept.get("slot")) == (200, "name"), kept
    assert server.ask("POST", "/v1/preferences", {"user_id": "ida"}) == (200, [kept])
    assert server.ask("POST", "/v1/unteach", {"lesson_id": kept["id"]}) == (200, {"removed": True})


def test_a_user_is_led_through_teaching(server):
    def talk(user, text):
        status, answer = server.ask("POST", "/v1/talk", {"user_id": user, "text": text})
        assert status == 200, answer
        return answer

    assert talk("kim", "turn off the lamp") == {"said": "", "active": False}  # a request is the assistant's
    assert talk("kim", "when i say night night i mean turn off the lamp")["active"]
    assert talk("lea", "yes") == {"said": "", "active": False}  # another user's talk is another one
    assert not talk("kim", "yes")["active"]
    assert server.rewrite(utterance="night night", user_id="kim")["text"] == "turn off the lamp"
    assert "night night" in talk("kim", "what do you know about me")["said"]
    assert not server.rewrite(utterance="night night", user_id="lea")["applied"]


def test_a_household_shares_what_it_was_taught(server):
    lesson = {"said": "bedtime", "meant": "turn off the lamp", "household_id": 7, "scope": "household"}
    assert server.ask("POST", "/v1/teach", lesson)[1]["stored"]
    assert server.rewrite(utterance="bedtime", user_id="gus", household_id=7)["scope"] == "household"
    assert not server.rewrite(utterance="bedtime", user_id="gus")["applied"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"utterance": 5}, 422, "utterance: "),
        ({"utterance": "x", "user": "ann"}, 422, "user: Extra inputs"),
        ({"utterance": "x", "user_id": 0.5}, 422, "user_id"),
        ({"utterance": "x", "after_failure": "yes"}, 422, "after_failure: "),
        ({}, 422, "utterance: Field required"),
        (b"{", 422, "the body is no JSON"),
        (b"[]", 422, "the body must be a JSON object"),
        (b"\xff\xfe", 422, "body"),
        (b"[" * 60_000, 400, "body"),
        (b'{"utterance": "x", "user_id": ' + b"9" * 60_000 + b"}", 400, "body"),
    ],
    ids=["number", "unknown field", "float id", "no flag", "empty", "no json", "no object", "no text", "deep", "huge number"],
)
def test_what_cannot_be_meant_is_told_in_one_line(server, body, status, words):
    found, answer = server.ask("POST", "/v1/rewrite", body)
    assert found == status, answer
    assert words in answer["error"]
    assert "\n" not in answer["error"]
    assert server.rewrite(**HEARD)["applied"], "and the service goes on"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", "/v1/rewrite", 405)])
def test_a_wrong_path_or_method_is_told_where_the_right_ones_stand(server, method, path, status):
    found, answer = server.ask(method, path)
    assert (found, "/openapi.json" in answer["error"]) == (status, True)


def test_what_rewrite_takes_the_service_takes(server):
    assert server.rewrite(utterance="x" * 20_000)["reason"] == "too_long"
    assert server.rewrite(utterance="x", user_id=10**40)["reason"] == "too_long"
    assert server.rewrite(**HEARD, context={"odd": [1, {"a": None}], "room": None})["applied"]
    assert server.rewrite(**HEARD, nbest=["x"] * 500)["applied"]


def test_a_token_is_needed_for_all_but_health(server):
    basic = base64.b64encode(f"anybody:{SECRET}".encode()).decode()
    assert server.ask("GET", "/health", headers={})[0] == 200
    for path in ("/metrics", "/openapi.json", "/nosuch"):
        assert server.ask("GET", path, headers={})[0] == 401
    wrong = [
        "",
        "Bearer",
        f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}",
        "Bearer \xff",
        f"Basic {SECRET}",
        "Basic !!",
        f"Token {SECRET}",
    ]
    for brought in wrong:
        status, answer = server.ask("POST", "/v1/rewrite", HEARD, {"authorization": brought})
        assert (status, TOKEN in answer["error"]) == (401, True)
    for brought in (f"Bearer {SECRET}", f"bearer  {SECRET} ", f"Basic {basic}"):
        assert server.ask("POST", "/v1/rewrite", HEARD, {"authorization": brought})[0] == 200


def test_pages_of_other_sites_may_not_use_it(server):
    own = f"http://127.0.0.1:{server.port}"
    assert server.ask("POST", "/v1/rewrite", HEARD, BEARER | {"origin": own})[0] == 200
    for origin in ("https://evil.example", "null", f"http://localhost:{server.port}"):
        assert server.ask("POST", "/v1/rewrite", HEARD, BEARER | {"origin": origin})[0] == 403
    assert server.ask("POST", "/v1/rewrite", HEARD, BEARER | {"content-type": "text/plain"})[0] == 422, "needs no preflight"


def test_long_bodies_are_refused_before_they_are_read(server):
    long = b'{"utterance": "' + b"x" * MAX_BODY + b'"}'
    assert server.ask("POST", "/v1/rewrite", long)[0] == 413

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        head = f"POST /v1/rewrite HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n"
        raw.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
        sent = 0
        try:
            while sent < 100:  # megabytes, were it taken
                raw.sendall(chunk)
                sent += 1
                raw.settimeout(0.05)
                try:
                    answer = raw.recv(100)
                    break
                except TimeoutError:
                    raw.settimeout(20)
        except ConnectionError:  # the server has closed
            raw.settimeout(20)
            answer = raw.recv(100)
        assert answer.startswith(b"HTTP/1.1 413")
        assert sent < 20


def test_figures_count_what_happens_and_name_nobody(server):
    def figures():
        text = server.ask("GET", "/metrics")[1]
        return text, {name: float(n) for name, n in re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}

    _, before = figures()
    server.rewrite(utterance="turn of the lamp", user_id="secret-user")
    server.ask("GET", "/secret-path", headers=BEARER)
    text, after = figures()
    grown = {name for name in after if after[name] > before.get(name, 0)}
    assert 'rewriter_decisions_total{mode="before",reason="rule"}' in grown
    assert 'rewriter_rewrites_total{layer="precomputed",scope="global"}' in grown
    assert 'rewriter_http_answers_total{path="other",status="404"}' in grown
    assert 'rewriter_decision_seconds_count{mode="before"}' in grown
    assert not re.search("lamp|secret", text)


def test_openapi_describes_every_endpoint_and_field(server):
    status, found = server.ask("GET", "/openapi.json")
    assert status == 200
    assert {"/v1/rewrite", "/v1/feedback", "/v1/teach", "/v1/lessons", "/v1/unteach", "/health", "/metrics"} <= set(
        found["paths"]
    )
    schemas = found["components"]["schemas"]
    kinds = {"RewriteAnswer": Rewrite, "LessonAnswer": Lesson, "TaughtAnswer": Taught, "TeachableMoment": Teachable}
    for name, kind in (kinds | {"PreferenceAnswer": Preference}).items():
        assert set(schemas[name]["properties"]) == {field.name for field in fields(kind)}
    assert "http" not in re.sub(r'"\$ref": "[^"]*"', "", json.dumps(found)).replace("over HTTP", "").replace('"HTTP', "")


def test_a_new_version_is_served_without_a_pause(root, tmp_path, server):
    """The same version is published again under requests; each is answered by the old or the new one."""
    before = server.ask("GET", "/health")[1]["artefact"]
    config = Config.from_dict({"loop": {"refit_days": 0}})
    (tmp_path / "log.csv").write_text(
        "user_id,timestamp,utterance,hypothesis\n"
        + "".join(f"u{i},2026-02-01T08:00:00Z,turn off the lamp,Off\n" for i in range(9)),
        encoding="utf-8",
    )
    new = learn([tmp_path / "log.csv"], out=root, config=config, detector=RuleDetector()).version
    assert new == current(root).id != before
    end = time.monotonic() + 20
    while (answered := server.rewrite(**HEARD)["artefact"]) != new and time.monotonic() < end:
        assert answered == before
        time.sleep(0.02)
    assert answered == new
    assert f'rewriter_artefact{{version="{new}"}} 1.0' in server.ask("GET", "/metrics")[1]
    publish(root, next(version.id for version in listed(root) if version.id == before))


def test_decisions_are_kept_and_a_signal_ends_it(root, tmp_path):
    server = Server(root, "--decisions", tmp_path / "decisions", "--deadline-ms", "50")
    ids = [server.rewrite(**HEARD, turn_id=f"t{i}")["id"] for i in range(3)]
    code, _, error = server.end()
    assert (code, error) == (-signal.SIGTERM, "")
    lines = [json.loads(line) for path in (tmp_path / "decisions").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [(line["rewrite_id"], line["turn_id"]) for line in lines] == [(id_, f"t{i}") for i, id_ in enumerate(ids)]


def test_without_a_token_only_this_machine_is_served(root):
    server = Server(root, token=None)
    try:
        assert server.ask("POST", "/v1/rewrite", HEARD, {})[0] == 200
        for host in ("evil.example", "evil.example:80", "", "192.168.0.7"):
            assert server.ask("POST", "/v1/rewrite", HEARD, {"host": host})[0] == 403
        assert server.ask("POST", "/v1/rewrite", HEARD, {"host": f"localhost:{server.port}"})[0] == 200
    finally:
        server.end()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org"])
def test_other_machines_need_a_token(host, monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match=f"{TOKEN} is not set; set it, for example by"):
        token_for(host)
    monkeypatch.setenv(TOKEN, "short")
    with pytest.raises(ConfigError, match="at least 16"):
        token_for(host)
    monkeypatch.setenv(TOKEN, SECRET)
    assert token_for(host) == SECRET


def test_what_hinders_it_is_told_in_one_line(root, tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)

    def complaint(*args):
        done = CliRunner().invoke(main, ["serve", *map(str, args)])
        assert (done.exit_code, done.stdout) == (1, "")
        assert re.fullmatch(r"rewriter: .*\n", done.stderr), done.stderr
        return done.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen at 127.0.0.1:{port}: " in complaint(root, "--port", port)
    assert "no artefact here" in complaint(tmp_path / "none")
    assert f"{TOKEN} is not set" in complaint(root, "--host", "0.0.0.0")
    assert "a port is a number from 0 to 65535" in complaint(root, "--port", 99999)


def test_the_service_imports_nothing_that_only_learning_needs(root):
    code = (
        "import sys; from rewriter import Rewriter; from rewriter.service.serve import serve; from rewriter.service.app import"
        " create_app; create_app(Rewriter.open(sys.argv[1])); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    heavy = {"torch", "pandas", "duckdb", "sklearn", "scipy", "networkx", "lightgbm", "matplotlib", "rich", "jinja2"}
    assert {name.partition(".")[0] for name in done.stdout.split()} & heavy == set()


def test_without_the_extra_the_function_names_it():
    code = "import sys; sys.modules['fastapi'] = None; from rewriter import serve"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "rewriter.serve needs fastapi: pip install 'rewriter[serve]'" in done.stderr.splitlines()[-1]


def test_the_container_serves_as_the_command_line_does():
    text = (Path(rewriter.__file__).parent / "service" / "Containerfile").read_text(encoding="utf-8")
    words = [word for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE) for word in json.loads(found)]
    command = main.commands["serve"].make_context("serve", words[2:])
    assert command.params["host"] == "0.0.0.0"
    assert (command.params["port"], str(PORT)) == (PORT, re.search(r"^EXPOSE (\d+)$", text, re.MULTILINE)[1])
    assert f"127.0.0.1:{PORT}/health" in text
    assert "USER 10001" in text


def test_with_the_extra_alone_the_command_line_serves_and_names_what_learning_needs(root):
    code = (
        "import sys\n"
        "for name in ('duckdb', 'pandas', 'scipy', 'sklearn', 'networkx', 'matplotlib', 'jinja2'): sys.modules[name] = None\n"
        "from rewriter.cli import main\n"
        "main(sys.argv[1:])"
    )
    done = [
        subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, check=False)
        for args in (("rewrite", root, "turn of the lamp"), ("serve", "--help"), ("explain", root, "turn of the lamp"))
    ]
    assert done[0].stdout == "turn off the lamp\n"
    assert done[1].returncode == 0
    assert done[2].returncode == 1
    assert re.fullmatch(r"rewriter: this needs \w+: pip install 'rewriter\[learn\]'\n", done[2].stderr), done[2].stderr
