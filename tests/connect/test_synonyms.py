"""What people call things: a log with known synonyms, a mishearing and a contrast."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from rewriter import Rewriter, synonyms
from rewriter.artefact.review import Line, write
from rewriter.cli import main
from rewriter.config import Config
from rewriter.connect.synonyms import exchanged
from rewriter.errors import RequestError
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn

RESTATED = [
    ("turn on the telly", "turn on the tv", "On|name=tv"),
    ("turn off the telly", "turn off the tv", "Off|name=tv"),
    ("turn on the lamb", "turn on the lamp", "On|name=lamp"),
]
"""What is refused, what works, and how that is understood."""
FINE = [
    ("turn on the lamp", "On|name=lamp"),
    ("turn off the lamp", "Off|name=lamp"),
    ("what time is it", "Time"),
    ("tell me the time", "Time"),
]


def rows():
    start = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    for day in range(10):
        for user in range(8):
            clock = start + timedelta(days=day, minutes=40 * user)

            def turn(text, meant, seconds, clock=clock, user=user):
                when = (clock + timedelta(seconds=seconds)).isoformat()
                status = "ok" if meant else "failed"
                return {"user_id": f"u{user}", "timestamp": when, "utterance": text, "hypothesis": meant, "status": status}

            for i, (said, means, understood) in enumerate(RESTATED):
                yield turn(said, None, 300 * i)
                yield turn(means, understood, 300 * i + 5)
            for i, (said, understood) in enumerate(FINE):
                yield turn(said, understood, 1500 + 200 * i)


@pytest.fixture(scope="module")
def root(once):
    def build(folder):
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
        learn([folder / "log.jsonl"], out=folder / "artefact", config=Config(), detector=RuleDetector())
        return folder / "artefact"

    return once("synonyms", build)


def test_words_of_people_are_found_and_weighed(root):
    found = {(each.said, each.meant): each for each in synonyms(root)}
    telly = found["telly", "tv"]
    assert (telly.rewrites, telly.users, telly.frames, telly.misheard) == (2, 8, 0, False)
    assert telly.weight == pytest.approx((2 * 0.9847 + 0.5) / 3, abs=1e-3)
    assert not {("on", "off"), ("off", "on")} & set(found)


def test_a_mishearing_is_no_word_of_people(root):
    assert ("lamb", "lamp") not in {(each.said, each.meant) for each in synonyms(root)}
    assert ("lamb", "lamp") in {(each.said, each.meant) for each in synonyms(root, with_misheard=True)}


def test_what_people_blocked_is_left_out(root, tmp_path):
    import shutil

    shutil.copytree(root, tmp_path / "copy")
    write(tmp_path / "copy" / "review.csv", [Line("en", source, target, "block") for source, target, _ in RESTATED])
    assert ("telly", "tv") not in {(each.said, each.meant) for each in synonyms(tmp_path / "copy")}


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("solr", "telly, tv"),
        ("opensearch", "telly, tv"),
        ("elasticsearch", '{"synonyms": "telly, tv"}'),
        ("home-assistant", '"tv": ["telly"]'),
    ],
)
def test_files_for_hosts(root, tmp_path, host, line):
    synonyms(root, out=tmp_path / "file", host=host)
    text = (tmp_path / "file").read_text(encoding="utf-8")
    if host == "elasticsearch":
        assert json.loads(line) in json.loads(text)["synonyms_set"]
    else:
        assert line in text.splitlines()


def test_the_command_prints_them(root):
    done = CliRunner().invoke(main, ["synonyms", str(root), "--locale", "en"])
    assert done.exit_code == 0
    assert "telly" in done.output
    assert "lamb" not in done.output


def test_an_unknown_host_and_an_unknown_locale(root):
    with pytest.raises(RequestError, match="solr"):
        synonyms(root, host="excel")
    assert synonyms(root, locale="fr") == []


def test_the_rules_answer_as_the_list_says(root):
    rewriter = Rewriter.open(root)
    assert rewriter.rewrite("turn on the telly", after_failure=True).text == "turn on the tv"


@pytest.mark.parametrize(
    ("source", "target", "pair"),
    [
        ("turn on the telly", "turn on the tv", ("telly", "tv")),
        ("turn on the tele vision", "turn on the tv", ("tele vision", "tv")),
        ("play jazz", "play some jazz", None),
        ("telly on", "turn the tv on", ("telly", "turn the tv")),
        ("telly", "tv", None),
        ("put telly on now", "set tv on later", None),
    ],
)
def test_the_phrase_that_is_exchanged(source, target, pair):
    assert exchanged(source, target) == pair
