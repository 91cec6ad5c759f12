"""Environments of the real hosts: `python` makes one, with pinned packages and this rewriter without its extra `learn`.

`days` is what people say to a host in most tests, and `learn_days` learns it from the turns that the host kept.

An environment is made once and kept in a cache, ``~/.cache/rewriter-hosts`` or what ``REWRITER_HOSTS`` names. It is made anew
when its packages, its Python, or this checkout's folder, dependencies or entry points change.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest

from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("REWRITER_HOSTS") or Path.home() / ".cache" / "rewriter-hosts")
_LONGEST = 540  # seconds that an installation may take


def python(name: str, packages: list[str], version: str = "", *, rewriter: bool = True) -> Path:
    """Return the Python of an environment; skip the test, with the cause, where it cannot be made.

    Args:
        name: names it; two lists of packages have two names.
        packages: what pip installs, pinned: ``wyoming==1.10.2``.
        version: of Python, such as ``3.10``; empty for the one that runs the tests.
        rewriter: whether this checkout is installed too, with its entry points and without its extras.
    """
    base = interpreter(version)
    if base is None:
        pytest.skip(f"{name} needs Python {version}, which is not here")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"] if rewriter else {}
    made_of = json.dumps([sorted(packages), str(base), project.get("dependencies"), project.get("entry-points")])
    folder = CACHE / f"{name}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    done, inside = folder / "made_of", folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and done.read_text(encoding="utf-8") == made_of and inside.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _run([base, "-m", "venv", folder])
                _run([*_installer(inside), "--quiet", *packages, *(["-e", str(ROOT)] if rewriter else [])])
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                told = (error.stderr or b"").decode(errors="replace").strip().splitlines()
                pytest.skip(f"{name} cannot be installed: {told[-1] if told else error}")
            done.write_text(made_of, encoding="utf-8")
    return inside


def pinned(name: str) -> list[str]:
    """Return all packages of an environment, ``environments/NAME.txt``, so that pip neither resolves nor chooses anything."""
    return ["--no-deps", *(Path(__file__).parent / "environments" / f"{name}.txt").read_text(encoding="utf-8").split()]


def environment(**more: str | Path) -> dict[str, str]:
    """Return the variables for a host's process: those of the tests without their import path, and `more`."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {"OMP_NUM_THREADS": "1"} | {key: str(value) for key, value in more.items()}


def _installer(inside: Path) -> list[str | Path]:
    """Return the beginning of the command that installs into an environment: uv takes seconds where pip takes minutes."""
    if importlib.util.find_spec("uv") is None:
        return [inside, "-m", "pip", "install"]
    from uv import find_uv_bin

    return [find_uv_bin(), "pip", "install", "--link-mode", "copy", "--python", inside]  # nltk reads no file with a second name


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST, env=environment(PIP_DISABLE_PIP_VERSION_CHECK="1"))


def interpreter(version: str) -> Path | None:
    """Return a Python of a version, such as ``3.10``; None if there is none that runs."""
    if version in ("", f"{sys.version_info.major}.{sys.version_info.minor}"):
        return Path(sys.base_prefix) / "bin" / "python3"
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [*sorted(kept.glob(f"{version}.*/bin/python")), *filter(None, [shutil.which(f"python{version}")])]
    return next(
        (Path(path) for path in found if subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0), None
    )


WRONG, RIGHT, COMPLAINT = "turn of the lamp", "turn off the lamp", "that's not what I meant"
"""What an NLU refuses, what the same people say next, and what they say when a rewrite was wrong."""
HEALTHY = (RIGHT, "turn on the lamp", "play music")
USERS = tuple(f"u{i}" for i in range(8))
_DAY = (WRONG, *HEALTHY)
_DAYS = 3
_START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def days(day: Sequence[str] = _DAY) -> list[tuple[str, str]]:
    """Return what people say within three days, in order, as (user, text).

    A day is what nobody understands, what is meant by it, and two more.
    """
    return [(user, text) for _ in range(_DAYS) for user in USERS for text in day]


def when(n: int) -> datetime:
    """Return when the n-th of `days` was said. A test does not wait three days: it moves the host's log there afterwards."""
    day, within = divmod(n, len(USERS) * len(_DAY))
    user, step = divmod(within, len(_DAY))
    return _START + timedelta(days=day, minutes=20 * user, seconds=(0, 6, 400, 800)[step])


def learn_days(folder: Path, day: Sequence[str] = _DAY) -> None:
    """Move the turns in ``turns`` to the times of `days`, and learn them into ``artefact``."""
    (path,) = (folder / "turns").iterdir()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: row["timestamp"])
    assert [(row["user_id"], row["utterance"]) for row in rows] == days(day)
    assert path.stat().st_mode & 0o777 == 0o600
    for n, row in enumerate(rows):
        row["timestamp"] = when(n).isoformat()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    learned(folder / "artefact", folder / "turns")


def learned(artefact: Path, log: Path) -> None:
    """Learn without an online layer, so that what is sent is a rule, and within a second."""
    config = Config.from_dict({"loop": {"refit_days": 0}})
    report = learn([log], out=artefact, config=config, detector=RuleDetector())
    assert report.rules["global"] == 1


def learn_moved(folder: Path) -> None:
    """Move the turns of `days` in ``log.parquet``, made of a host's own log, to their times; learn them into ``artefact``."""
    path, wanted = folder / "log.parquet", days()
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE log AS SELECT *, row_number() OVER (ORDER BY timestamp, turn_id) - 1 AS n FROM read_parquet(?)",
            [str(path)],
        )
        found = con.execute("SELECT user_id, utterance FROM log ORDER BY n").fetchall()
        assert found[: len(wanted)] == wanted
        for n in range(len(wanted)):
            con.execute("UPDATE log SET timestamp = ? WHERE n = ?", [when(n).isoformat(), n])
        path.unlink()
        con.execute(f"COPY (SELECT * EXCLUDE (n) FROM log WHERE n < {len(wanted)}) TO '{path}' (FORMAT parquet)")
    learned(folder / "artefact", path)


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path], ready: str, within: float = 240.0, cwd: Path | None = None, **more: str | Path
) -> Iterator[None]:
    """Run a server until the block ends; the block begins when the server is ready. In the end it is asked to stop.

    Args:
        command: the program and its arguments.
        ready: ``tcp://HOST:PORT`` at which it then takes connections, or a text that it then prints.
        within: seconds in which it must be ready.
        cwd: the folder in which it runs.
        more: variables of its environment.
    """
    with tempfile.TemporaryFile("w+") as told:
        server = subprocess.Popen(command, cwd=cwd, env=environment(**more), stdout=told, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + within
            while not _is_ready(ready, told.fileno()):
                if server.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"{command[1:]} is not ready: {_printed(told.fileno())}")
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.wait(timeout=300)


def _printed(handle: int) -> str:
    return os.pread(handle, 1 << 20, 0).decode(errors="replace")


def _is_ready(ready: str, handle: int) -> bool:
    if not ready.startswith("tcp://"):
        return ready in _printed(handle)
    parts = urlsplit(ready)
    with suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=1):
        return True
    return False
