"""Shared by the scripts: options with the defaults of each script, a record of how a run was made, and the result file."""

import argparse
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "seeds": {"type": int, "nargs": "+", "help": "seeds; each is a world of its own"},
    "seed": {"type": int, "help": "seed of the world"},
    "days": {"type": int, "help": "simulated days"},
    "users": {"type": int, "help": "simulated users"},
    "requests": {"type": int, "help": "requests that are judged"},
    "setting": {"choices": ["quiet", "normal", "noisy"], "help": "how often words are misheard"},
    "out": {"type": Path, "help": "result file"},
}


def options(description: str | None, **defaults: object) -> argparse.ArgumentParser:
    """Return a parser with some of the shared options, each with the default of this script; it can add options of its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", default=default, **_OPTIONS[name])
    return parser


def made_with(packages: Sequence[str]) -> dict[str, Any]:
    """Return the head of a result: command, versions of Python and of packages, and the load of the machine."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
        "load": os.getloadavg()[0],
    }


def write_result(result: object, path: Path) -> None:
    """Write a result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
