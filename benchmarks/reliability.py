"""Breaks things by force, and counts what was tried: runs the tests of `TRIED` at full size and adds up what they record.

    python benchmarks/reliability.py [--quick] [--only fuzz swaps ...]

A test records what it tried with pytest's `record_property`. The figures are written to results/reliability.json, with the
command that repeats each of them. `--quick` takes the sizes of the test suite. Full disks need root and are skipped without it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from script import RESULTS, write_result

ROOT = Path(__file__).parents[1]


class Trial(NamedTuple):
    """Test files, and the environment that makes them large."""

    files: str
    environment: str = ""

    def command(self, *, quick: bool) -> str:
        """Return the command that repeats the trial."""
        return f"{'' if quick else self.environment} pytest -m '' {self.files}".strip()


TRIED = {
    "fuzz": Trial("tests/online/test_fuzz.py", "REWRITER_FUZZ=300000"),
    "swaps": Trial("tests/online/test_swap_under_load.py tests/online/test_hot_swap.py", "REWRITER_SWAPS=100"),
    "kills": Trial("tests/artefact/test_artefact.py tests/artefact/test_switch.py tests/operate/test_forget.py -k kill"),
    "damage": Trial("tests/artefact/test_damage.py", "REWRITER_THOROUGH=1"),
    "full disk": Trial("tests/operate/test_full_disk.py tests/online/test_decisions.py"),
    "forks": Trial("tests/online/test_fork.py tests/online/test_copied_over.py tests/online/test_ship.py"),
    "lives": Trial("tests/operate/test_stateful.py", "REWRITER_LIVES=12x12"),
    "logs": Trial("tests/offline/logs"),
}
"""What is broken, by a short name."""


def main() -> None:
    """Run what was asked for, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the sizes of the test suite")
    parser.add_argument("--only", nargs="+", choices=list(TRIED), default=list(TRIED), help="parts to run")
    args = parser.parse_args()
    trials = {name: tried(TRIED[name], quick=args.quick) for name in args.only}
    write_result({"command": shlex.join(["python", *sys.argv]), "trials": trials}, RESULTS / "reliability.json")


def tried(trial: Trial, *, quick: bool) -> dict[str, Any]:
    """Run one trial, and return its command, the tests that passed, failed and were skipped, and what was tried how often."""
    given = dict(pair.split("=", 1) for pair in trial.environment.split() if not quick)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "-o",
            "junit_family=xunit1",
        ]
        command.append(f"--junitxml={report}")
        subprocess.run([*command, *shlex.split(trial.files)], cwd=ROOT, env=os.environ | given, check=False)
        root = ET.parse(report).getroot()
    counts: Counter[str] = Counter()
    for entry in root.iter("property"):
        value = str(entry.get("value"))
        if value.isdecimal():  # plug-ins of pytest record texts
            counts[str(entry.get("name"))] += int(value)
    suite = next(root.iter("testsuite"))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    tests = {"passed": int(suite.get("tests", 0)) - failed - skipped, "failed": failed, "skipped": skipped}
    return {"command": trial.command(quick=quick), **tests, "tried": dict(counts)}


if __name__ == "__main__":
    main()
