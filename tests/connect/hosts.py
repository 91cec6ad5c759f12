"""Environments of the real hosts: `python` makes one, with pinned packages and this rewriter without its extra `learn`.

An environment is made once and kept in a cache, ``~/.cache/rewriter-hosts`` or what ``REWRITER_HOSTS`` names. It is made anew
when its packages, its Python, this checkout's folder or ``pyproject.toml`` changes.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    base = _interpreter(version)
    if base is None:
        pytest.skip(f"{name} needs Python {version}, which is not here")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8") if rewriter else ""
    made_of = json.dumps([sorted(packages), str(base), project])
    folder = CACHE / f"{name}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
    done, inside = folder / "made_of", folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and done.read_text(encoding="utf-8") == made_of and inside.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                _run([base, "-m", "venv", folder])
                _run([inside, "-m", "pip", "install", "--quiet", *packages, *(["-e", str(ROOT)] if rewriter else [])])
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                told = (error.stderr or b"").decode(errors="replace").strip().splitlines()
                pytest.skip(f"{name} cannot be installed: {told[-1] if told else error}")
            done.write_text(made_of, encoding="utf-8")
    return inside


def environment(**more: str | Path) -> dict[str, str]:
    """Return the variables for a host's process: those of the tests without their import path, and `more`."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {"OMP_NUM_THREADS": "1"} | {key: str(value) for key, value in more.items()}


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_LONGEST, env=environment(PIP_DISABLE_PIP_VERSION_CHECK="1"))


def _interpreter(version: str) -> Path | None:
    """Return a Python of a version, such as ``3.10``; None if there is none that runs."""
    if version in ("", f"{sys.version_info.major}.{sys.version_info.minor}"):
        return Path(sys.base_prefix) / "bin" / "python3"
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [*sorted(kept.glob(f"{version}.*/bin/python")), *filter(None, [shutil.which(f"python{version}")])]
    return next(
        (Path(path) for path in found if subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0), None
    )
