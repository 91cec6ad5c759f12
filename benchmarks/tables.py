"""The pages of figures, made from the result files: docs/benchmarks.md, and the blocks of figures in README.md and teaching.md.

    python benchmarks/tables.py [--check]

Reads benchmarks/results/*.json and writes the pages. A result file that does not exist has no section. A file without its own
table is shown figure by figure. The same files always give the same pages. With --check nothing is written, and the exit code is
1 if a page is out of date.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from cells import Figures, grid, per_1000, percent, ratio
from cost_tables import label_cost, learn_cost, request_cost, scale, serve_load
from diagnosis_table import diagnosis, diagnosis_mining, preferences
from experiment_tables import attack, detector_effect, off_policy, reliability
from loop_tables import daily, lives, loop
from prior_table import day_one, prior, prior_habits, prior_map
from result_tables import (
    calibration,
    chain,
    context,
    defects,
    detectors,
    dstc2_mining,
    fit_channel,
    full_log,
    guardrail,
    guardrail_pairs,
    home_spoken_mining,
    house,
    ladder,
    languages,
    languages_detected,
    mining,
    online,
    peers,
    replay_check,
    slurp,
    small_logs,
    spelling,
    teacher_student,
    teaching,
    whole,
)

ROOT = Path(__file__).parents[1]
OPENS, CLOSES = "<!-- figures -->", "<!-- /figures -->"
HEAD = """# Benchmarks

Every measured figure of the project, with the command that made it. `python benchmarks/tables.py` writes this page from the files
in `benchmarks/results`; do not edit it by hand. Intervals are 95 %. [Measuring](measuring.md) defines the figures,
[benchmarks/README.md](../benchmarks/README.md) says how to run the scripts.

Not every file is measured again after every change. Each is as old as its last commit
(`git log -1 benchmarks/results/NAME.json`). A section says so if the engine is known to have changed since in a way that can move
its figures.
"""

OLDER = ("detectors", "languages_large", "loop", "mining", "retrieval")
"""Result files that an earlier version of the engine gave. Take a name out when its file is measured again."""


@dataclass(frozen=True, slots=True)
class Section:
    """How a result file is shown: its name (a glob), the title, what was asked, and the table made of it."""

    file: str
    title: str
    asked: str
    table: Callable[[Figures], str]


ASKED = "How many requests does each system repair and break, on later days of the world from whose log it learned?"
SECTIONS = (
    Section("peers_home_normal", "A simulated home", ASKED, peers),
    Section("peers_recordings_*", "Synthetic voices and a real recogniser", ASKED, peers),
    Section("ladder_home", "Layer by layer", "What does each layer add, on the same requests?", ladder),
    Section("context", "Media and home: what context is worth", "How much better are rewrites if the log has context?", context),
    Section(
        "slurp", "SLURP: people and a real recogniser", "How many defects do rules repair where few texts are said twice?", slurp
    ),
    Section(
        "calibration",
        "Is the budget of losses kept?",
        "Is the share of losses of the launched rules the one that was promised?",
        calibration,
    ),
    Section(
        "small_logs",
        "Small logs",
        "What does a log of a few thousand turns give, and is its promise kept, in worlds that no threshold was chosen on?",
        small_logs,
    ),
    Section(
        "full_log",
        "Full logs",
        "What does a log of 15,000 turns give, alone and with a catalog, and what are habits worth?",
        full_log,
    ),
    Section("spelling", "Spelling", "What does mending of spellings do, where an assistant minds them and where not?", spelling),
    Section(
        "off_policy",
        "Off-policy estimates",
        "Is the truth inside the interval, for releases of rules that were drawn?",
        off_policy,
    ),
    Section("attack", "Poisoned logs", "What can fake accounts achieve?", attack),
    Section("reliability", "Broken by force", "How often was each kind of fault tried, and what failed?", reliability),
    Section(
        "replay_check",
        "How near does a replay come?",
        "Does a replay of the log give the figures of a world that knows the truth?",
        replay_check,
    ),
    Section("home_spoken_mining", "Mining: recordings of home commands", "Are restatements found?", home_spoken_mining),
    Section("dstc2_mining", "Mining: real telephone calls", "Are restatements found in a log of other people?", dstc2_mining),
    Section("detectors", "Detectors", "Does a detector that learns from the log itself find more than the rule?", detectors),
    Section("defects", "Defects", "Which turns and calls went wrong, and how few labels are enough?", defects),
    Section("diagnosis", "Diagnosis", "Is it found where requests break?", diagnosis),
    Section(
        "diagnosis_mining",
        "Diagnosis: what teaches",
        "What is learned from requests that failed although they were understood?",
        diagnosis_mining,
    ),
    Section(
        "detector_effect_*",
        "Detectors: what they are worth",
        "How many more defects are fixed with better counts?",
        detector_effect,
    ),
    Section("mining", "Mining: time and memory", "What does it cost to mine millions of turns, on two cores?", mining),
    Section("scale", "Mining on DuckDB and on Spark", "What do the two engines cost, on the same two cores?", scale),
    Section("chain", "The chain: time, memory, error", "What do a million states cost, and how exact are they?", chain),
    Section(
        "components",
        "The chain in parts",
        "What does it cost to find its components in SQL, and to solve it in parts? In seconds of the processor.",
        whole,
    ),
    Section("request_cost", "Requests: what a call costs", "What does each way through the layers cost?", request_cost),
    Section("serve_load", "The HTTP service under load", "What does HTTP cost beside a call in process?", serve_load),
    Section("house", "The source: files, lines and functions", "How is the package divided, before and now?", house),
    Section("learn_cost", "Learning: time and memory", "What does it cost to learn from a log, on two cores?", learn_cost),
    Section("label_cost", "Labels and diagnosis: time and memory", "What do they cost of a log of several parts?", label_cost),
    Section(
        "lives",
        "The loop: the life of a rule",
        "Is a rule that no longer works withdrawn as fast as a good one is learned?",
        lives,
    ),
    Section("loop", "The loop: a home that changes", "What does a rewriter learn from the effect of its own rewrites?", loop),
    Section("daily", "The loop: what a day costs", "How much cheaper is it to add a day than to learn the year anew?", daily),
    Section("online", "The online layer at home", "What does it add to exact rules, and what does a call cost?", online),
    Section("teaching", "Teaching", "How many defects do users avoid who teach, or who answer when they are asked?", teaching),
    Section("preferences", "Preferences", "What do stated preferences change where requests leave something open?", preferences),
    Section("encoders", "Encoders", "Which encoder finds the right rewrite, and what does it cost?", whole),
    Section(
        "teacher_student",
        "Teacher and student in five languages",
        "Does a static student find as much as the multilingual transformer that taught it, and how much faster is it?",
        teacher_student,
    ),
    Section("retrieval", "Retrieval", "Is the right rewrite among the candidates?", whole),
    Section("day_one", "The first day", "What does a catalog alone do, after a refusal, with no log at all?", day_one),
    Section("prior_habits", "The shipped prior: habits", "How much does the column of habits add?", prior_habits),
    Section(
        "prior_map",
        "The shipped prior: an update by a log",
        "Do the restatements of a log of a few thousand turns improve its weights, or the costs of its channel?",
        prior_map,
    ),
    Section("prior", "The shipped prior", "What does it do in a world that it was not fitted on, with no log at all?", prior),
    Section("guardrail", "The guardrail", "What does it stop, and what does it let through?", guardrail),
    Section(
        "languages_detected",
        "Languages: detection",
        "Is the language of a request found that names none, in an artefact of 23 locales?",
        languages_detected,
    ),
    Section(
        "languages_[!d]*",
        "Languages",
        "What does it fix and break in many locales, on sentences of native speakers, beside simple peers?",
        languages,
    ),
    Section(
        "guardrail_pairs",
        "The guardrail: pairs of texts",
        "Are texts of different meaning kept apart, and others let through, in 15 languages?",
        guardrail_pairs,
    ),
    Section("fit_channel", "The text channel", "Are its errors like those of real recognition?", fit_channel),
)


def page(results: Path) -> str:
    """Return docs/benchmarks.md."""
    files = {path.stem: path for path in sorted(results.glob("*.json"))}
    found = [(name, section) for section in SECTIONS for name in files if fnmatch(name, section.file)]
    sectioned = {name for name, _ in found}
    found += [(name, Section(name, name, "", whole)) for name in files if name not in sectioned]
    return "\n".join([HEAD, *(_section(files[name], section) for name, section in found)])


def block(results: Path) -> str:
    """Return the figures of README.md: ours and the peers in a home with normal noise; empty before they were measured."""
    path = results / "peers_home_normal.json"
    if not path.exists():
        return ""
    modes = json.loads(path.read_text("utf-8"))["modes"]
    rows = []
    for name, system in modes["before"].items():
        before, after = system["pooled"][0], modes["after"][name]["pooled"][0]
        effect = [ratio(before), percent(before["fixed"]), per_1000(before["broken_unseen"])]
        rows.append([name, *effect, ratio(after), percent(after["fixed"])])
    columns = ["", "before the NLU: win/loss", "fixed", "broken ‰", "after a refusal: win/loss", "fixed"]
    about = "Broken: of 1,000 healthy requests that the log never held as healthy. After a refusal nothing healthy can be broken."
    return f"{grid(columns, rows)}\n\n{about}\n"


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page and what it should hold."""
    results, readme = root / "benchmarks" / "results", root / "README.md"
    yield root / "docs" / "benchmarks.md", page(results)
    yield readme, replaced(readme.read_text("utf-8"), block(results))
    for name, result, table in (("teaching", "teaching", teaching), ("languages", "languages_typed", languages)):
        path, file = root / "docs" / f"{name}.md", results / f"{result}.json"
        if file.exists():
            yield path, replaced(path.read_text("utf-8"), table(json.loads(file.read_text("utf-8"))) + "\n")


def replaced(text: str, inner: str) -> str:
    """Return a text with the block between the two marks replaced.

    Raises:
        SystemExit: the marks are not there.
    """
    before, _, rest = text.partition(OPENS)
    _, closes, after = rest.partition(CLOSES)
    if not closes:
        raise SystemExit(f"a page has no {OPENS} with a {CLOSES} after it: put both lines where the figures belong")
    return f"{before}{OPENS}\n{inner}{CLOSES}{after}"


def _section(path: Path, section: Section) -> str:
    result = json.loads(path.read_text("utf-8"))
    pictures = [path.with_name(f"{path.stem}{mode}.svg") for mode in ("", "_before", "_after")]
    shown = [f"![{section.title}](../benchmarks/results/{picture.name})" for picture in pictures if picture.exists()]
    title = section.title if section.file == path.stem else f"{section.title} ({path.stem.rpartition('_')[2]})"
    is_older = any(fnmatch(path.stem, name) for name in OLDER)
    older = "Measured with an earlier version of the engine; the present one may give other figures." if is_older else ""
    parts = [f"## {title}", section.asked, f"`{result['command']}`", older, section.table(result), *shown]
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> int:
    """Write the pages, or say which are stale."""
    check = "--check" in sys.argv[1:]
    stale = [(path, text) for path, text in pages(ROOT) if not path.exists() or path.read_text("utf-8") != text]
    for path, text in stale:
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'stale, run python benchmarks/tables.py' if check else 'written'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
