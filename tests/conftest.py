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


LONGEST = ("notebooks", "hosts", "spark", "transformers", "browser")
"""Marks of the files that take minutes."""


def pytest_collection_modifyitems(items):
    """Run the files that take minutes first, so that none is left at the end; then half of the others on each of two workers.

    The workers share the list in halves, and whoever is done takes from the end of the other's half (``--dist worksteal``).
    With ``--dist loadscope --no-loadscope-reorder`` they take one file after the other.
    """
    files = list(dict.fromkeys(item.path for item in items))
    longest = list(dict.fromkeys(item.path for mark in LONGEST for item in items if item.get_closest_marker(mark)))
    others = [path for path in files if path not in longest]
    order = [*longest, *others[::2], *others[1::2]]
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
