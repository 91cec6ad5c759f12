import hashlib
import inspect
import json
import stat
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest
from crash import count_steps, run_killed

from rewriter.artefact.versions import (
    SCHEMA_VERSION,
    Manifest,
    current,
    current_id,
    load_current,
    open_version,
    verify,
    version_ids,
)
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.errors import ArtefactError
from rewriter.model.rules import Rule, write_rules
from rewriter.online.rewriter import Rewriter


def write(root, tag):
    """A whole write, here or in a process that is killed."""
    with Writer(root, keep=2) as writer:
        (writer.work / "turns").write_text("all that was said")
        write_rules(writer.folder / "rules", [Rule("r", "", "en", "which", tag, 0.9)])
        (writer.state / "days").mkdir()
        (writer.state / "days" / tag).write_text(tag)
        writer.carry("days/first")
        writer.publish(config=Config(), locales={"en": 1}, counts={}, metrics={})


SCRIPT = f"""
import sys
from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.model.rules import Rule, write_rules

{inspect.getsource(write)}
write(*sys.argv[1:])
"""


def publish(root, tag="a", *, keep=3, **fields):
    with Writer(root, keep=keep) as writer:
        write_rules(writer.folder / "rules", [Rule("r", "", "en", "which", tag, 0.9)])
        (writer.state / "tag").write_text(tag)
        return writer.publish(**{"config": Config(), "locales": {"en": 1}, "counts": {}, "metrics": {}} | fields)


def tree(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_what_was_published_is_read_back(tmp_path):
    config = Config.from_dict({"logs": {"max_chars": 70}, "launch": {"min_users": 5}})
    fields = {"locales": {"en": 3, "de-DE": 2}, "counts": {"turns": 5}, "metrics": {"f1": 0.75, "none": float("nan")}}
    version_id = publish(tmp_path / "deep" / "art", config=config, **fields)
    version = current(tmp_path / "deep" / "art")
    manifest = version.manifest
    assert (version.id, (tmp_path / "deep/art/CURRENT").read_text()) == (version_id, version_id + "\n")
    assert Config.from_dict(manifest.config) == config
    assert (manifest.locales, manifest.counts) == (fields["locales"], fields["counts"])
    assert manifest.metrics == {"f1": 0.75, "none": None}
    assert manifest.max_chars == 70
    assert manifest.packages["rewriter"]
    files = {p.relative_to(version.folder).as_posix(): p for p in version.folder.rglob("*") if p.is_file()}
    del files["manifest.json"]
    assert manifest.sizes == {name: path.stat().st_size for name, path in files.items()}
    assert manifest.sums == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert manifest.user_key not in repr(manifest)
    verify(version)


def test_the_manifest_is_plain_json(tmp_path):
    figures = {"counts": {"turns": np.int64(7)}, "metrics": {"none": np.float64("inf"), "f1": np.float32(0.5)}}
    version_id = publish(tmp_path, locales={"en": np.int64(7)}, **figures)
    text = (tmp_path / "versions" / version_id / "manifest.json").read_text(encoding="utf-8")
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (data["id"], data["schema_version"]) == (version_id, SCHEMA_VERSION)
    assert (data["counts"], data["metrics"], data["locales"]) == ({"turns": 7}, {"none": None, "f1": 0.5}, {"en": 7})


def test_the_last_versions_and_their_states_are_kept(tmp_path):
    ids = [publish(tmp_path, str(n), keep=3) for n in range(5)]
    assert version_ids(tmp_path / "versions") == version_ids(tmp_path / "state") == ids[2:]
    assert [open_version(tmp_path, i).state.joinpath("tag").read_text() for i in ids[2:]] == ["2", "3", "4"]
    last = publish(tmp_path, keep=1)
    assert version_ids(tmp_path / "versions") == version_ids(tmp_path / "state") == [last]


def test_the_one_that_serves_is_never_removed_and_later_ones_are_forgotten(tmp_path):
    ids = [publish(tmp_path, str(n)) for n in range(3)]
    (tmp_path / "CURRENT").write_text(ids[0] + "\n")  # a person goes back
    with Writer(tmp_path) as writer:
        assert (writer.previous_state / "tag").read_text() == "0"
        assert version_ids(tmp_path / "versions") == ids[:1]
    assert current(tmp_path).id == ids[0]
    assert publish(tmp_path, "3") > ids[0]


def test_numbers_grow_beyond_six_digits(tmp_path):
    publish(tmp_path)
    manifest = current(tmp_path).manifest
    later, text = manifest.to_json(1_000_000)
    (tmp_path / "versions" / later).mkdir()
    (tmp_path / "versions" / later / "manifest.json").write_text(text)
    assert version_ids(tmp_path / "versions")[-1] == later
    assert publish(tmp_path / "empty").startswith("000001-")


def test_state_is_private(tmp_path):
    with Writer(tmp_path) as writer:
        (writer.state / "days").mkdir()
        (writer.state / "days" / "1").write_text("x")
        (writer.folder / "shipped").write_text("y")
        assert stat.S_IMODE(writer.work.stat().st_mode) == 0o700
        writer.publish(config=Config(), locales={}, counts={}, metrics={})
    state = tmp_path / "state"
    for path in [state, *state.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_open_state_folder_is_closed(tmp_path):
    (tmp_path / "state").mkdir(mode=0o777)
    publish(tmp_path)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_the_key_is_made_once_and_travels_with_the_version(tmp_path):
    keys = []
    for _ in range(2):
        with Writer(tmp_path / "a") as writer:
            keys.append(writer.user_key)
            writer.publish(config=Config(), locales={}, counts={}, metrics={})
    with Writer(tmp_path / "b") as writer:
        assert writer.user_key != keys[0]
    assert keys[0] == keys[1] == bytes.fromhex(current(tmp_path / "a").manifest.user_key)
    assert len(keys[0]) == 32


@pytest.mark.parametrize("content", [b"", b"short", b"k" * 32, b"k" * 33])
def test_a_key_that_is_not_that_of_the_version_is_refused(tmp_path, content):
    publish(tmp_path)
    path = tmp_path / "state/user.key"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"user\.key is .*; remove it, and the key of the version that serves is used"):
        Writer(tmp_path).__enter__()
    path.unlink()
    publish(tmp_path)


def test_a_lost_key_is_taken_from_the_version_that_serves(tmp_path):
    publish(tmp_path)
    path = tmp_path / "state/user.key"
    key = path.read_bytes()
    (current(tmp_path).folder / "rules/counts.json").unlink()  # whatever else is lost
    path.unlink()
    with Writer(tmp_path) as writer:
        assert writer.user_key == key == path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "versions" / current_id(tmp_path) / "manifest.json").write_text("{}", encoding="utf-8")
    with Writer(tmp_path) as writer:
        assert writer.user_key == key


def test_a_key_that_is_lost_with_its_version_is_not_made_anew(tmp_path):
    publish(tmp_path)
    (tmp_path / "state/user.key").unlink()
    (current(tmp_path).folder / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtefactError, match=r"user\.key is missing, and no version has it: .*; put user\.key back from a backup"):
        Writer(tmp_path).__enter__()
    assert not (tmp_path / "state/user.key").exists()


def test_leaving_without_publishing_changes_nothing(tmp_path):
    publish(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(ZeroDivisionError), Writer(tmp_path) as writer:
        (writer.folder / "half").write_text("x")
        (writer.state / "half").write_text("x")
        (writer.work / "half").write_text("x")
        1 / 0  # noqa: B018
    assert tree(tmp_path) == before
    publish(tmp_path)


def test_a_second_writer_is_told_to_wait(tmp_path):
    with Writer(tmp_path), pytest.raises(ArtefactError, match="another process is writing"), Writer(tmp_path):
        pass
    publish(tmp_path)


def test_the_lock_dies_with_its_process(tmp_path):
    script = "import sys, time\nfrom rewriter.artefact.writer import Writer\n"
    script += "with Writer(sys.argv[1]):\n    print('in', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with pytest.raises(ArtefactError, match="another process is writing"), Writer(tmp_path):
            pass
        child.kill()
    publish(tmp_path)


def test_carried_files_are_those_of_the_state_before(tmp_path, monkeypatch):
    publish(tmp_path, "first")
    for attempt in ("hard link", "copy"):
        if attempt == "copy":
            monkeypatch.setattr("pathlib.Path.hardlink_to", lambda *_: (_ for _ in ()).throw(PermissionError))
        with Writer(tmp_path, keep=1) as writer:
            assert writer.carry("tag")
            assert not writer.carry("nothing")
            assert (writer.state / "tag").samefile(writer.previous_state / "tag") == (attempt == "hard link")
            writer.publish(config=Config(), locales={}, counts={}, metrics={})
        assert (current(tmp_path).state / "tag").read_text() == "first"


def test_nothing_to_carry_on_the_first_day(tmp_path):
    with Writer(tmp_path) as writer:
        assert writer.previous_state is None
        assert not writer.carry("tag")


def test_what_the_disk_refuses_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtefactError, match=r"cannot write .*file"), Writer(tmp_path / "file" / "art"):
        pass


# Damage


def test_no_artefact(tmp_path):
    with pytest.raises(ArtefactError, match="CURRENT is missing: no artefact here"):
        current(tmp_path / "nowhere")


@pytest.mark.parametrize("line", [b"", b"000001", b"000001-0123abcd", b"../../../etc\n", b"000001-0123abcd\n\n", b"\xff\n"])
def test_a_damaged_pointer(tmp_path, line):
    version_id = publish(tmp_path)
    (tmp_path / "CURRENT").write_bytes(line)
    with pytest.raises(ArtefactError, match="CURRENT"):
        current(tmp_path)
    with pytest.raises(ArtefactError, match="CURRENT"):
        publish(tmp_path)
    (tmp_path / "CURRENT").write_text(version_id + "\n")
    assert current(tmp_path).id == version_id


def test_a_version_that_is_not_there(tmp_path):
    publish(tmp_path)
    (tmp_path / "CURRENT").write_text("000009-00000000\n")
    with pytest.raises(ArtefactError, match=r"000009-00000000/manifest\.json is missing"):
        current(tmp_path)


@pytest.mark.parametrize("name", ["rules/global.mdb", "rules/personal.mdb", "rules/counts.json"])
def test_opening_compares_sizes_and_verifying_sums(tmp_path, name):
    publish(tmp_path)
    version = current(tmp_path)
    path = version.folder / name
    whole = path.read_bytes()
    for position in {0, len(whole) // 2, len(whole) - 1}:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ArtefactError, match=f"{name} is damaged .*checksum differs"):
            verify(current(tmp_path))
    for other in (whole[:-1], whole + b"x", b""):
        path.write_bytes(other)
        with pytest.raises(ArtefactError, match=rf"{name} is damaged: it has {len(other):,} bytes, not {len(whole):,}; "):
            current(tmp_path)
    path.unlink()
    with pytest.raises(ArtefactError, match=f"{name} is missing"):
        current(tmp_path)


def test_no_byte_of_the_manifest_changes_unseen(tmp_path):
    publish(tmp_path, locales={"en": 11, "de": 22}, metrics={"f1": 0.5})
    path = current(tmp_path).folder / "manifest.json"
    whole = path.read_bytes()
    said = json.loads(whole)
    for position in range(0, len(whole), 5):
        damaged = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        path.write_bytes(damaged)
        try:
            assert json.loads(damaged) == said  # white space between the parts
        except (ValueError, AssertionError):
            with pytest.raises(ArtefactError, match=r"manifest\.json"):
                current(tmp_path)
    path.write_bytes(whole[:100])
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged"):
        current(tmp_path)


NO_MANIFEST = ["[]", "null", "7", "{}", '{"schema_version": "1"}', '{"schema_version": 4, "id": 5}', "[" * 100_000]


@pytest.mark.parametrize("content", NO_MANIFEST, ids=range(len(NO_MANIFEST)))
def test_json_that_is_no_manifest(tmp_path, content):
    publish(tmp_path)
    (current(tmp_path).folder / "manifest.json").write_text(content)
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged"):
        current(tmp_path)


def previous_state(root):
    with Writer(root) as writer:
        return writer.previous_state


@pytest.mark.parametrize(("by", "cure"), [(-1, "older than .*: learn again"), (1, "newer than .*: upgrade the package rewriter")])
def test_another_schema_is_refused_with_its_cure(tmp_path, by, cure):
    publish(tmp_path)
    path, schema = current(tmp_path).folder / "manifest.json", SCHEMA_VERSION + by
    text = path.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', f'"schema_version": {schema}')
    assert str(schema) in text
    path.write_text(text)
    for use in (current, Rewriter.open, previous_state):
        with pytest.raises(ArtefactError, match=rf"manifest\.json has schema {schema}, {cure}") as raised:
            use(tmp_path)
        assert "\n" not in str(raised.value)


WRONG = {
    "max_chars": ["500", None, 1.5],
    "user_key": ["not hex", None, "ab" * 65],
    "locales": [["en"], {"en": "many"}],
    "sizes": [{}, {"rules/global.mdb": "12"}, None],
    "sums": [{}, {"../../../etc/passwd": "0" * 64}],
    "config": ["{}", None],
    "counts": [{"turns": "5"}],
    "metrics": [[1.0]],
}


@pytest.mark.parametrize(("field", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_crafted_manifest_of_the_right_id_is_refused(tmp_path, field, value):
    """Who writes a manifest can write a matching id; the types of its fields are looked at all the same."""
    publish(tmp_path)
    fields = asdict(current(tmp_path).manifest) | {field: value}
    version_id, text = Manifest(**fields).to_json(9)
    (tmp_path / "versions" / version_id).mkdir()
    (tmp_path / "versions" / version_id / "manifest.json").write_text(text)
    (tmp_path / "CURRENT").write_text(version_id + "\n")
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged"):
        Rewriter.open(tmp_path)


def test_a_reader_overtaken_by_the_sweep_reads_again(tmp_path):
    first = publish(tmp_path, "a")

    def slow(version):
        if version.id == first:
            publish(tmp_path, "b", keep=1)
            raise ArtefactError("gone")
        return version.id

    assert load_current(tmp_path, slow) == current_id(tmp_path) != first


# kill -9


def serves(root):
    """The tag of the version that serves, after looking at everything that belongs to it."""
    version = current(root)
    verify(version)
    for version_id in version_ids(root / "versions"):
        assert open_version(root, version_id).state.is_dir(), "whoever goes back finds a whole version and its state"
    tag = Rewriter.open(root).rewrite("which", locale="en").text
    days = {path.name: path.read_text() for path in (version.state / "days").iterdir()}
    assert days == {name: name for name in {"first", tag}}, "the state belongs to the version"
    return tag


def killed_at(steps, root):
    """Kill a writer at each of the steps, and let the next one succeed. The older version is swept on the way."""
    write(root, "first")
    old, survived = "first", 0
    for n in steps:
        assert run_killed(SCRIPT, n, root, f"new{n}"), f"there is no step {n}"
        assert serves(root) in (old, f"new{n}")
        survived += serves(root) == old
        old = f"next{n}"
        write(root, old)
        assert serves(root) == old
        assert len(version_ids(root / "versions")) <= 2
        assert version_ids(root / "versions") == version_ids(root / "state")
        assert [path.name for path in root.rglob(".*")] == [], "the next writer sweeps"
        assert {path.name for path in root.iterdir()} == {"CURRENT", "state", "versions"}
    return survived


def steps_of_a_write(root):
    for tag in ("first", "second"):
        write(root, tag)
    return count_steps(SCRIPT, root, "third")


def test_kill_at_some_steps(tmp_path):
    total = steps_of_a_write(tmp_path / "count")
    assert killed_at(range(4, total + 1, total // 6), tmp_path / "art") > 0


@pytest.mark.slow
def test_kill_at_every_step(tmp_path, record_property):
    total = steps_of_a_write(tmp_path / "count")
    record_property("writers killed", total)
    assert total >= 50
    assert 0 < killed_at(range(1, total + 1), tmp_path / "art") < total


def test_kill_of_the_very_first_writer(tmp_path):
    total = count_steps(SCRIPT, tmp_path / "count", "first")
    for n in range(1, total + 1, total // 6):
        root = tmp_path / str(n)
        assert run_killed(SCRIPT, n, root, "first")
        write(root, "first")
        assert serves(root) == "first"


@pytest.mark.slow
def test_kill_at_any_moment(tmp_path, record_property):
    """By the clock, not by the step: in the middle of writes too."""
    record_property("writers killed", 25)
    root = tmp_path / "art"
    write(root, "first")
    tags = {"first"}
    for n in range(25):
        with subprocess.Popen([sys.executable, "-c", SCRIPT, str(root), f"new{n}"]) as child:
            while not (root / "versions/.new").exists() and child.poll() is None:
                pass
            time.sleep(n * 0.0005)
            child.kill()
        tags.add(f"new{n}")
        assert serves(root) in tags
