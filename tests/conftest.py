"""Artefacts that several tests share. Each is learned once per run, by the first worker that needs it.

Learning takes seconds, so a test that only reads uses these folders as they are, and a test that writes copies one first
(`shutil.copytree`). A test learns by itself only where learning is its subject.
"""

import fcntl
import os
import pickle
import shutil
from pathlib import Path

import lamp_log
import pytest
import room_log
from hypothesis import settings

from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn

SAMPLE = Path(__file__).parent.parent / "data" / "sample.parquet"

settings.register_profile("untimed", deadline=None)  # a slow machine is no failure
settings.load_profile("untimed")
os.fsync = lambda handle: (
    None
)  # a process that is killed leaves what it wrote; no test cuts the power, so none waits for the disk


def pytest_collection_modifyitems(items):
    """Run files with slow tests first, half of them on each of two workers, so that both end with quick tests.

    The workers share the list in halves, and whoever is done takes from the end of the other's half (``--dist worksteal``).
    """
    files = list(dict.fromkeys(item.path for item in items))
    is_slow = dict.fromkeys(files, False) | {item.path: True for item in items if item.get_closest_marker("slow")}
    slow, quick = ([path for path in files if is_slow[path] is kind] for kind in (True, False))
    order = [*slow[::2], *quick[::2], *slow[1::2], *quick[1::2]]
    items.sort(key=lambda item: order.index(item.path))


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A function (name, build) -> what ``build(folder)`` returned; all workers of a run share the folder and the result."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name, build):
        folder, result = base / f"shared-{name}", base / f"shared-{name}.pickle"
        with (base / f"shared-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not result.exists():
                shutil.rmtree(folder, ignore_errors=True)  # a builder that failed left it
                folder.mkdir()
                result.write_bytes(pickle.dumps(build(folder)))
        return pickle.loads(result.read_bytes())

    return made


@pytest.fixture(scope="session")
def lamp(once):
    """The folder of an artefact learned from `lamp_log`, and what `learn` reported; nobody writes into it."""

    def build(folder):
        report = learn([lamp_log.write(folder / "log.jsonl")], out=folder / "artefact")
        return folder / "artefact", report

    return once("lamp", build)


@pytest.fixture(scope="session")
def rooms(once):
    """The folder of an artefact learned from `room_log` beside the log ``log.jsonl``; nobody writes into it."""

    def build(folder):
        learn([room_log.write(folder / "log.jsonl")], out=folder / "artefact")
        return folder / "artefact"

    return once("rooms", build)


@pytest.fixture(scope="session")
def sample(once):
    """The folder of an artefact learned from ``data/sample.parquet``, and what `learn` reported; nobody writes into it."""
    return once("sample", lambda folder: (folder / "artefact", learn([SAMPLE], out=folder / "artefact")))


@pytest.fixture(scope="session")
def small(once):
    """The folder of an artefact with an online layer and a state, learned from `lamp_log` by the documented rule.

    The detector is fixed, so learning is quick: for tests whose subject is neither the detector nor what is learned.
    """

    def build(folder):
        config = Config.from_dict({"loop": {"refit_days": 7}})
        learn([lamp_log.write(folder / "log.jsonl")], out=folder / "artefact", config=config, detector=RuleDetector())
        return folder / "artefact"

    return once("small", build)
