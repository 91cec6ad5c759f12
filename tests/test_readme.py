"""What the pages promise works: every Python block of the README and of docs/ runs, and the first stands near the top."""

import doctest
import re
import shutil
from functools import partial
from pathlib import Path

import pytest

import rewriter
from rewriter.config import Config
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", ROOT / "data" / "README.md"]
"""Pages whose links and paths are checked."""
SAMPLE = ROOT / "data" / "sample.parquet"
BLOCK = re.compile(r"^```python(?P<mark>[^\n]*)\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"(?<![\w./-])(?:rewriter|tests|benchmarks|docs|data|notebooks)/[\w./*-]*\w")
"""A path below the root of the repository, perhaps with wildcards."""
MADE = {"benchmarks/results/NAME.json", "data/nlu.yml", "data/rewriter_rules.yml"}
"""Placeholders of names, and files of a project of Rasa."""
RULES_ONLY = Config.from_dict({"loop": {"refit_days": 0}})
SKETCH = "sketch"
"""A block marked ```python sketch needs what only its reader has: it must compile, and is not run."""


def blocks(page):
    """(line of its first statement, mark, code) of each block."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start("code")].count("\n") + 1, m["mark"].strip(), m["code"]) for m in BLOCK.finditer(text)]


ALL = [pytest.param(page, line, mark, code, id=f"{page.name}:{line}") for page in PAGES for line, mark, code in blocks(page)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One folder for each page: its blocks run in it, one after the other, and share what they name."""
    made = {}

    def of(page):
        if page not in made:
            made[page] = tmp_path_factory.mktemp(page.stem), {"__name__": page.stem}
            (made[page][0] / "data").mkdir()
            shutil.copy(SAMPLE, made[page][0] / "data")
        return made[page]

    return of


def learn_sample_once(sample, sources, *, out, **options):
    """`learn`: on the sample by the defaults it is a copy of `sample`, which was learned by the same call.

    With options, which are then what the page shows, it learns by the rule and without an online layer, which is quick.
    """
    assert sources in ("data/sample.parquet", ["data/sample.parquet"])
    if options or (Path(out) / "CURRENT").exists():
        return learn(sources, out=out, **{"config": RULES_ONLY, "detector": RuleDetector()} | options)
    root, report = sample
    shutil.copytree(root, out, dirs_exist_ok=True)
    return report


@pytest.mark.slow
@pytest.mark.parametrize(("page", "line", "mark", "code"), ALL)
def test_python_of_the_pages_runs(page, line, mark, code, folders, monkeypatch, request):
    assert mark in ("", SKETCH), f"a block is marked {SKETCH} or not at all"
    folder, names = folders(page)
    monkeypatch.chdir(folder)
    if code.startswith(">>> "):
        example = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line - 1)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0
        return
    if re.search(r'\blearn\(\[?"data/sample\.parquet"', code):
        monkeypatch.setattr(rewriter, "learn", partial(learn_sample_once, request.getfixturevalue("sample")), raising=False)
    program = compile("\n" * (line - 1) + code, str(page), "exec")
    if mark != SKETCH:
        exec(program, names)  # the pages are ours


def test_the_first_python_of_the_readme_stands_before_line_30_and_runs():
    line, mark, code = blocks(ROOT / "README.md")[0]
    assert line < 30
    assert mark == ""
    assert len(code.strip().splitlines()) <= 10


def prose(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_the_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)", prose(page)):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}, a heading that is not there"


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_that_the_pages_name_exist(page):
    found = PATH.findall(page.read_text(encoding="utf-8"))
    missing = [path for path in found if not any(ROOT.glob(path)) and path not in MADE]
    assert not missing, f"{page.name} names {', '.join(missing)}"


def test_the_index_names_every_page():
    """The page of each host is named by the page of hosts."""
    index = ROOT / "docs" / "index.md"
    linked = {name for page in (index, index.with_name("integrations.md")) for name in re.findall(r"\]\(([^)#\s]+)", prose(page))}
    assert {page.name for page in index.parent.glob("*.md")} - linked == {"index.md"}
