import multiprocessing
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewriter.errors import ArtefactError
from rewriter.model import rules as rules_module
from rewriter.model.rules import Rule, RuleBook, write_rules
from rewriter.text import hash_user

KEY = b"0123456789abcdef"
ANN, BOB = hash_user("ann", KEY), hash_user("bob", KEY)

any_text = st.text(st.characters(), max_size=30)  # surrogates and NUL included
short_text = st.text("ab \0ß", max_size=3)  # so short that the same text comes up often
user = st.sampled_from(["", ANN, BOB])
locale = st.sampled_from(["en", "en-US", "de"])
a_rule = st.builds(
    Rule,
    rule=st.text(max_size=8),
    user=user,
    locale=locale,
    source=short_text | any_text,
    target=any_text,
    score=st.floats(0, 1),
    share=st.floats(0, 1),
)
rule_lists = st.lists(a_rule, max_size=30, unique_by=lambda r: (r.user, r.locale, r.source))


def rule(number, user="", locale="en", source=None, target=None):
    return Rule(f"r{number}", user, locale, source or f"source {number}", target or f"target {number}", 0.9)


@given(rule_lists, st.lists(st.tuples(short_text | any_text, locale, user), max_size=20))
@settings(deadline=None)
def test_same_as_a_dict(rules, others):
    oracle = {(r.source, r.locale, r.user): r for r in rules}
    with tempfile.TemporaryDirectory() as folder:
        assert write_rules(Path(folder), rules) == len(rules)
        book = RuleBook.open(Path(folder))
        for key in [*oracle, *others]:
            assert book.get(*key) == oracle.get(key)
        assert sum(sum(counts.values()) for counts in book.counts.values()) == len(rules)
        for r in rules:
            wanted = [q for q in rules if bool(q.user) == bool(r.user) and q.locale == r.locale]
            assert book.counts["personal" if r.user else "global"][r.locale] == len(wanted)


@given(rule_lists, short_text, st.permutations(["en", "en-US", "de", "fr"]), user)
@settings(deadline=None)
def test_own_rules_come_before_everybodys_and_near_locales_before_far_ones(rules, text, locales, user):
    rules = [*rules, rule(1, ANN, "de", text or "?"), rule(2, "", "en", text or "?")]
    oracle = {(r.source, r.locale, r.user): r for r in reversed(rules)}
    tried = [(text, loc, owner) for owner in ([user, ""] if user else [""]) for loc in locales]
    with tempfile.TemporaryDirectory() as folder:
        write_rules(Path(folder), oracle.values())
        book = RuleBook.open(Path(folder))
        assert book.find(text, locales, user) == next((oracle[key] for key in tried if key in oracle), None)
        assert book.find(text, [], user) is None


def test_many_rules_of_many_users(tmp_path):
    users = ["", *(hash_user(str(n), KEY) for n in range(20))]
    rules = [rule(n, users[n % 21], "en" if n % 2 else "de", target="long " * (n % 300)) for n in range(3_000)]
    write_rules(tmp_path, rules)
    book = RuleBook.open(tmp_path)
    for r in rules:
        assert book.get(r.source, r.locale, r.user) == r
        for other in users:
            if other != r.user:
                assert book.get(r.source, r.locale, other) is None


@pytest.mark.parametrize("owner", ["", ANN])
def test_two_rules_for_one_text_are_refused(tmp_path, owner):
    rules = [rule(1, owner, source="a"), rule(2, owner, source="b"), rule(3, owner, source="a")]
    with pytest.raises(ArtefactError, match="1 rules repeat"):
        write_rules(tmp_path, rules)


def test_a_book_replaces_the_one_before(tmp_path):
    write_rules(tmp_path, [rule(1), rule(2)])
    write_rules(tmp_path, [rule(2, target="other")])
    book = RuleBook.open(tmp_path)
    assert book.get("source 1", "en") is None
    assert book.get("source 2", "en").target == "other"


def test_a_hit_of_the_hash_compares_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(rules_module, "text_hash", lambda *parts, size: b"x" * size)
    write_rules(tmp_path, [rule(1)])
    book = RuleBook.open(tmp_path)
    assert book.get("source 1", "en").target == "target 1"
    assert book.get("source 2", "en") is None


def test_no_personal_text_in_the_global_file(tmp_path):
    write_rules(tmp_path, [rule(n) for n in range(500)] + [rule(n, ANN, source=f"secret {n}") for n in range(500)])
    shipped = (tmp_path / "global.mdb").read_bytes() + (tmp_path / "counts.json").read_bytes()
    assert b"source 7" in shipped
    assert b"secret" not in shipped
    assert ANN.encode() not in shipped
    assert b"secret 7" in (tmp_path / "personal.mdb").read_bytes()


def test_a_locale_of_single_users_is_named_only_beside_their_rules(tmp_path):
    write_rules(tmp_path, [rule(1), Rule("p", ANN, "cy-GB", "source 2", "target 2", 0.9)])
    assert b"cy-GB" not in (tmp_path / "counts.json").read_bytes()
    book = RuleBook.open(tmp_path)
    assert book.counts == {"global": {"en": 1}, "personal": {"cy-GB": 1}}
    assert book.find("source 2", ("en", "cy-GB"), ANN).target == "target 2"


def test_the_rules_of_a_user_lie_side_by_side(tmp_path):
    write_rules(tmp_path, [rule(n, owner, source=f"{owner[:4]} {n}") for n in range(50) for owner in (ANN, BOB)])
    book = RuleBook.open(tmp_path)
    _, *owners = (bytes(key[:32]).decode() for key in book._rows["personal"].__self__)  # a small file is read in its order
    assert owners == sorted([ANN] * 50 + [BOB] * 50)


def test_the_order_of_the_rules_does_not_change_a_byte(tmp_path):
    rules = [rule(n, user) for n in range(300) for user in ("", ANN)]
    write_rules(tmp_path / "a", rules)
    write_rules(tmp_path / "b", reversed(rules))
    for name in ("global.mdb", "personal.mdb", "counts.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_one_process_may_hold_many_books_of_one_folder(tmp_path):
    write_rules(tmp_path, [rule(1)])
    first, second = RuleBook.open(tmp_path), RuleBook.open(tmp_path)
    del first
    third = RuleBook.open(tmp_path)
    assert second.get("source 1", "en") == third.get("source 1", "en") == rule(1)


def test_an_open_book_outlives_its_files(tmp_path):
    write_rules(tmp_path, [rule(1)])
    book = RuleBook.open(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    assert book.get("source 1", "en") == rule(1)


@pytest.mark.parametrize("name", ["global.mdb", "personal.mdb", "counts.json"])
@pytest.mark.parametrize("damage", ["missing", "garbage"])
def test_what_is_no_book_is_refused_by_name(tmp_path, name, damage):
    write_rules(tmp_path, [rule(1)])
    (tmp_path / name).unlink()
    if damage == "garbage":
        (tmp_path / name).write_bytes(b"[1, 2]" * 5000)
    with pytest.raises(ArtefactError, match=name):
        RuleBook.open(tmp_path)


def test_threads_share_a_book(tmp_path):
    rules = [rule(n) for n in range(200)]
    write_rules(tmp_path, rules)
    book, wrong = RuleBook.open(tmp_path), []

    def look_up():
        for _ in range(20):
            wrong.extend(r for r in rules if book.get(r.source, "en") != r)

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def _in_a_fork(book, folder, queue):
    queue.put([book.get("source 1", "en"), RuleBook.open(folder).get("source 1", "en")])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_book_survives_a_fork(tmp_path):
    write_rules(tmp_path, [rule(1)])
    book, fork = RuleBook.open(tmp_path), multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    held = threading.Event()

    def opening():  # another thread is opening a book at this very moment
        with rules_module._mapping:
            held.set()
            time.sleep(0.2)

    other = threading.Thread(target=opening)
    other.start()
    held.wait()
    child = fork.Process(target=_in_a_fork, args=(book, tmp_path, queue), daemon=True)
    child.start()
    other.join()
    child.join(30)
    assert child.exitcode == 0
    assert queue.get() == [rule(1), rule(1)]
