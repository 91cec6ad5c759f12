"""Rule files of search engines: read back by parsers written from the formats' documentation, and by Lucene itself."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rewriter.connect.search_rules import replacement, synonym, text_file, unsafe_within
from rewriter.connect.sendable import Sent
from rewriter.text import normalise

words = st.text(st.sampled_from("abö1 5,.'#+&@%$-:/="), min_size=1, max_size=14).map(normalise).filter(bool)
pairs = st.tuples(words, words)
JARS = [jar for part in ("core", "analyzers-common") for jar in sorted(Path("/usr/share/java").glob(f"lucene*-{part}-*.jar"))]
PROGRAM = Path(__file__).parent / "Synonyms.java"


def solr_parts(text, separator):
    """Parts of a line in Solr's format; a backslash makes the next character literal."""
    pieces = re.findall(rf"\\.|{re.escape(separator)}|.", text)
    parts = [""]
    for piece in pieces:
        parts = [*parts, ""] if piece == separator else [*parts[:-1], parts[-1] + piece]
    return parts


def read_synonyms(file):
    """source -> target of the lines of a file of explicit mappings."""
    rules = {}
    for line in file.splitlines():
        if line and not line.startswith("#"):
            source, target = solr_parts(line, "=>")
            assert len(solr_parts(source, ",")) == len(solr_parts(target, ",")) == 1, "one alternative on each side"
            rules[re.sub(r"\\(.)", r"\1", source).strip()] = re.sub(r"\\(.)", r"\1", target).strip()
    return rules


@example([("1,5 l botle", "#sale 1,5"), ("#sale", "h & m"), ("%", "percent")])
@given(st.lists(pairs, max_size=5, unique_by=lambda pair: pair[0]))
def test_synonyms_say_what_the_rules_say(rules):
    sent = [Sent(*pair, False) for pair in rules]
    lines = {rule: synonym(rule) for rule in sent}
    kept = [rule for rule in sent if lines[rule] is not None]
    assert read_synonyms(text_file([lines[rule] for rule in kept], ["a, comment => b"])) == {r.source: r.target for r in kept}
    assert all(not re.search(r"\w", r.source) or not re.search(r"\w", r.target) for r in sent if lines[r] is None)


@given(pairs)
def test_querqy_lines_hold_nothing_but_words(pair):
    line = replacement(Sent(*pair, False))
    if line is None:
        assert any(re.match(r"[+\-#]", word) or re.search(r"[:$]", word) for text in pair for word in text.split())
        return
    assert [part.strip() for part in line.split("=>")] == list(pair)
    assert not line.startswith("#")
    assert not re.search(r"[;\t:*]", line)


texts = st.lists(st.sampled_from(["red", "shoes", "runing"]), min_size=1, max_size=4).map(" ".join)


@given(st.lists(st.builds(Sent, texts, st.just("running shoes"), st.just(False)), max_size=4), st.lists(texts, max_size=4))
def test_unsafe_rules_are_those_that_stand_inside_texts_that_work(sent, healthy):
    """Against the definition: the words of a rule stand in a text without a rule of its own."""
    sources = {rule.source for rule in sent}
    slow = {s for s in sources for text in healthy if text not in sources and f" {s} " in f" {text} "}
    assert set(unsafe_within(sent, healthy)) == slow


def applied(rules, text):
    """The query after a host's rules: at each word the longest rule that begins there, each word once."""
    left, out = text.split(), []
    while left:
        n = next((n for n in range(len(left), 0, -1) if " ".join(left[:n]) in rules), 0)
        out.append(rules[" ".join(left[:n])] if n else left[0])
        left = left[max(n, 1) :]
    return " ".join(out)


@pytest.mark.skipif(len(JARS) < 2 or not shutil.which("javac"), reason="Lucene (liblucene4.10-java) and a JDK are not installed")
def test_lucene_reads_and_applies_the_synonyms(tmp_path):
    rules = {
        "runing shoes": "running shoes",
        "runing": "running",
        "1,5 l botle": "1,5 l bottle",
        "#sale": "sale",
        "h & m": "h&m",
        "größe 42,5": "size 42,5",
        "c++ bok": "c++ book",
    }
    lines = [synonym(Sent(*pair, False)) for pair in rules.items()]
    (tmp_path / "synonyms.txt").write_text(text_file(lines, ["a comment, with => signs"]), encoding="utf-8")
    queries = [*rules, "red runing shoes xl", "runing hat", "1,5 l", "sale #sale", "two 1,5 l botle"]
    command = ["java", "-cp", ":".join(map(str, JARS)), str(PROGRAM), str(tmp_path / "synonyms.txt"), *queries]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"})
    assert done.stdout.splitlines() == [applied(rules, query) for query in queries], done.stderr
