"""Site search from its log to its engine: a query fails, is restated, learned, mended, exported, undone and forgotten."""

import json
import re
import shutil
from pathlib import Path

import lamp_log
import pytest
import shop_log
from click.testing import CliRunner

from rewriter import Rewriter, export, import_log
from rewriter.artefact.review import Line, read, write
from rewriter.cli import main
from rewriter.codes import LeftOut
from rewriter.config import Config
from rewriter.errors import ArtefactError, RequestError
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.operate.forget import forget

ROOT = Path(__file__).parents[2]
CONFIG = Config.from_dict({"guardrail": {"profile": "shop"}, "loop": {"refit_days": 0}})


@pytest.fixture(scope="module")
def made(once):
    def build(folder):
        queries, events = shop_log.write(folder)
        import_log("ubi", [queries, events], folder / "log.parquet")
        log = [folder / "log.parquet"]
        return folder, learn(log, out=folder / "artefact", config=CONFIG, detector=RuleDetector(), channel="typed")

    return once("shop", build)[0]


@pytest.fixture
def shop(made, tmp_path):
    """A copy to write into."""
    shutil.copytree(made, tmp_path / "shop")
    return tmp_path / "shop"


def written(host, root, tmp_path, name="rules.txt"):
    report = export(host, root, tmp_path / name)
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    return report, [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("host", ["solr", "opensearch", "elasticsearch", "querqy"])
def test_the_next_such_query_is_mended_and_the_engine_is_told_the_same(made, tmp_path, host):
    rewriter = Rewriter.open(made / "artefact")
    assert {text: rewriter.rewrite(text).text for text in shop_log.TYPOS} == shop_log.TYPOS
    assert all(rewriter.rewrite(text).text == text for text in shop_log.HEALTHY)
    report, lines = written(host, made / "artefact", tmp_path)
    assert lines == [f"{wrong} => {right}" for wrong, right in sorted(shop_log.TYPOS.items())]
    assert report.written == 3


def test_a_rule_that_would_change_queries_that_work_is_left_out(made, tmp_path):
    """The rewriter sends "shoes" as "running shoes"; an engine would also make "red running shoes" of "red shoes"."""
    assert Rewriter.open(made / "artefact").rewrite("shoes").text == "running shoes"
    report, _ = written("solr", made / "artefact", tmp_path)
    assert report.left_out == {LeftOut.WITHIN: 1}
    assert report.within == ("shoes",)
    assert report.lines()[1] == '1 that would also change longer requests that work, such as "shoes"'


def test_without_the_private_state_the_targets_are_still_spared(shop, tmp_path):
    shutil.rmtree(shop / "artefact" / "state")
    report, lines = written("solr", shop / "artefact", tmp_path)
    assert report.within == ("shoes",)
    assert len(lines) == 3


def test_elasticsearch_takes_a_set_by_its_api(made, tmp_path):
    export("elasticsearch", made / "artefact", tmp_path / "set.json")
    rules = json.loads((tmp_path / "set.json").read_text(encoding="utf-8"))["synonyms_set"]
    assert rules == [{"synonyms": f"{wrong} => {right}"} for wrong, right in sorted(shop_log.TYPOS.items())]


def test_what_people_decided_is_exported_too(shop, tmp_path):
    write(
        shop / "artefact" / "review.csv",
        [
            Line("", "lapotp 15", "laptop 15", "block"),
            Line("en", "runing shoes", "trainers", "edit"),
            Line("", "hadphones", "headphones", "edit"),
            Line("", "5:30 pm", "half past five", "edit"),
        ],
    )
    assert read(shop / "artefact" / "review.csv").wrong == []
    report, lines = written("querqy", shop / "artefact", tmp_path)
    assert lines == ["hadphones => headphones", "runing shoes => trainers", "wher is my ordr => where is my order"]
    assert report.left_out == {LeftOut.REVIEW: 1, LeftOut.WITHIN: 1, LeftOut.UNWRITABLE: 1}


def test_an_undo_teaches_and_a_person_is_forgotten(shop):
    rewriter = Rewriter.open(shop / "artefact")
    answer = rewriter.rewrite("lapotp 15", user_id="browser-3")
    assert answer.text == "laptop 15"
    rewriter.feedback(answer.id, -1, "browser-3")
    assert rewriter.rewrite("lapotp 15", user_id="browser-3").text == "lapotp 15"
    assert rewriter.rewrite("lapotp 15", user_id="browser-4").text == "laptop 15"
    forget("browser-3", shop / "artefact", logs=[str(shop / "log.parquet")])
    assert b"browser-3" not in (shop / "log.parquet").read_bytes()


def test_a_client_is_taken_out_of_the_files_of_ubi_too(shop):
    for path in (shop / "ubi_queries.jsonl", shop / "ubi_events.jsonl"):
        forget("browser-5", shop / "artefact", logs=[str(path)], mapping={"user_id": "client_id"})
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert {row["client_id"] for row in rows} == set(shop_log.CLIENTS) - {"browser-5"}


def test_rules_on_trial_are_written_and_counted(made, tmp_path):
    """The engine leaves nothing alone for comparison."""
    config = Config.from_dict({"guardrail": {"profile": "shop"}, "loop": {"refit_days": 0, "draw": True}})
    learn([made / "log.parquet"], out=tmp_path / "artefact", config=config, detector=RuleDetector(), channel="typed")
    report, lines = written("solr", tmp_path / "artefact", tmp_path)
    assert report.left_out == {LeftOut.WITHIN: 1, LeftOut.TRIAL: 3}
    assert len(lines) == report.written == 3


def test_no_text_of_one_user_is_exported(lamp, tmp_path):
    root, _ = lamp
    report, lines = written("solr", root, tmp_path)
    assert report.left_out[LeftOut.PERSONAL] > 0
    assert lines == ["turn of the lamp => turn off the lamp"]
    told = "\n".join([*lines, *report.lines()])
    assert not any(text in told for text in (*lamp_log.SECRETS.values(), lamp_log.RARE, lamp_log.OWN))


def test_other_languages_and_hosts_are_told(made, tmp_path):
    with pytest.raises(ArtefactError, match="nothing for the locale 'fr'; it has en"):
        export("solr", made / "artefact", tmp_path / "fr.txt", locale="fr")
    with pytest.raises(RequestError, match="rules are written for solr"):
        export("sphinx", made / "artefact", tmp_path / "x.txt")


def test_the_page_works_as_written(tmp_path, monkeypatch):
    """Every command of docs/site_search.md, in order, in a folder that has what the page says."""
    page = (ROOT / "docs" / "site_search.md").read_text(encoding="utf-8")
    (tmp_path / "data").mkdir()
    for path in shop_log.write(tmp_path / "data"):
        assert path.read_bytes() == (ROOT / "data" / path.name).read_bytes(), "tests/shop_log.py writes the sample of the page"
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"```toml title=(\S+)\n(.*?)```", page, re.DOTALL):
        Path(name).write_text(content, encoding="utf-8")
    for block, told in re.findall(r"```sh\n(.*?)```(?:\n+```text\n(.*?)```)?", page, re.DOTALL):
        outputs = []
        for line in re.findall(r"^rewriter (.*)$", block, re.MULTILINE):
            arguments = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line.partition("  #")[0])]
            done = CliRunner().invoke(main, arguments)
            assert done.exit_code == 0, (line, done.output)
            outputs.append(done.stdout)
        assert told.strip() in "".join(outputs), (block, outputs)
    assert Path("synonyms.txt").exists()
