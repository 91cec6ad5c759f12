"""What several tests share: an artefact that the real `learn` made of a small log."""

import lamp_log
import pytest
from hypothesis import settings

from rewriter.offline.learn import learn

settings.register_profile("untimed", deadline=None)  # a slow machine is no failure
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def lamp(tmp_path_factory):
    """The folder of an artefact learned from `lamp_log`, and what `learn` reported."""
    folder = tmp_path_factory.mktemp("lamp")
    report = learn([lamp_log.write(folder / "log.jsonl")], out=folder / "artefact")
    return folder / "artefact", report
