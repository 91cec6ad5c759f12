"""Rows of a catalog that belong to one user: served to this user as if they were everybody's, and to nobody else."""

import json

import numpy as np
import pytest

from rewriter import Rewriter, learn
from rewriter.artefact.versions import current
from rewriter.codes import Layer, Reason, Scope, Standing
from rewriter.config import Config, Trigger
from rewriter.model.detector import RuleDetector
from rewriter.offline import catalog_layer
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.online.catalog_layer import CATALOG_RULES
from rewriter.online.request import LayerRequest
from rewriter.operate.explain import explain
from rewriter.operate.forget import forget
from rewriter.operate.info import info
from rewriter.text import hash_user

GENEROUS = Config(trigger=Trigger(max_loss_share=0.25))
ROOMS = ("kitchen", "bedroom", "bathroom", "garage")
HOME = [
    {"text": f"turn {way} the {room} lights", "intent": way, "slots": {"area": room}} for way in ("on", "off") for room in ROOMS
]
ANN = "ann.of.green-gables"
"""Long enough to be found in no file by chance."""
NAMES = ("Quirrenbach", "Zoëlle", "Vandermolen", "Marshfield", "Pommeroy")


def calls(user, names=NAMES):
    return [
        {"text": f"{way} {name}", "intent": way, "slots": {"who": name}, "scope": user}
        for way in ("Phone", "Message")
        for name in names
    ]


HEARD, SENT = "phone vandermolan", "Phone Vandermolen"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("own")
    _, report = learn_catalog([*HOME, *calls(ANN), *calls("ben", ["Featherstone"])], out=out, config=GENEROUS, complete=True)
    assert (report.kept, report.own, report.owners, report.unknown) == (20, 12, 2, 0)
    assert str(report) == "catalog: 20 rows, 20 texts, 12 of them private to 2 users"
    return out


def secrets(folder, user=ANN):
    """What tells of a user: the id, its hash, and the words of the user's own texts."""
    return [user, hash_user(user, (folder / "state" / "user.key").read_bytes()), *(name.lower() for name in NAMES)]


def bytes_with(folder, words):
    """Return the files that hold one of some words in any case, as bytes or as the numbers of a hash."""
    found = []
    for path in (each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        spelled = [word.encode() for word in words]
        spelled += [bytes.fromhex(word)[i : i + 8][::-1] for word in words if len(word) == 32 for i in (0, 8)]
        if any(word in content or word in content.lower() for word in spelled):
            found.append(path.relative_to(folder).as_posix())
    return found


def test_the_user_gets_them(folder):
    rewriter = Rewriter.open(folder)
    answer = rewriter.rewrite(HEARD, user_id=ANN, after_failure=True)
    assert (answer.text, answer.reason, answer.layer, answer.scope) == (SENT, Reason.ONLINE, Layer.ONLINE, Scope.PERSONAL)
    assert answer.rule == "online-after-personal"
    assert {c.scope for c in answer.candidates if c.text.startswith("phone")} == {Scope.PERSONAL}
    assert rewriter.rewrite("phone vandermolen", user_id=ANN).reason == Reason.HEALTHY
    assert rewriter.rewrite("turn off the kitchen light", user_id=ANN, after_failure=True).scope == Scope.GLOBAL


def test_nobody_else_sees_them(folder):
    """Answers, candidates, suggestions, explanations and reports to others hold no word of ann's texts."""
    rewriter, words = Rewriter.open(folder), secrets(folder)[2:]
    for user in (None, "ben", "carla"):
        for heard in (HEARD, SENT, "message zoëlle", "phone", "turn off the kitchen light", "phone featherston"):
            for after_failure in (False, True):
                answer = rewriter.rewrite(heard, user_id=user, after_failure=after_failure)
                shown = repr(answer).replace(repr(heard), "").lower()
                shown += (
                    repr(explain(folder, heard, user_id=user, after_failure=after_failure)).lower().replace(heard.lower(), "")
                )
                assert not [word for word in words if word in shown and word not in heard.lower()], (user, heard)
                assert not (answer.applied and answer.text.lower() == SENT.lower())
        assert rewriter.rewrite("phone vandermolen", user_id=user).reason == Reason.UNSURE
    assert rewriter.rewrite("phone featherston", user_id="ben", after_failure=True).text == "Phone Featherstone"
    assert not [word for word in words if word in repr(info(folder)).lower()]


def test_nothing_for_others_is_learned_from_them(folder):
    """Every file but the private rows is the same, byte for byte, as if the texts had never been given."""
    learned = current(folder).folder / "online"
    alone = learned.parent.parent / "alone"
    config = GENEROUS
    without, _ = catalog_layer.read_served(HOME, config)
    catalog_layer.write_catalog_layer(alone, without, config, channel="spoken", complete=True)
    names = {path.relative_to(alone).as_posix() for path in alone.rglob("*") if path.is_file()}
    assert names == {path.relative_to(learned).as_posix() for path in learned.rglob("*") if path.is_file()}
    differing = {name for name in names if (alone / name).read_bytes() != (learned / name).read_bytes()}
    assert {name.partition("/")[0] for name in differing} == {"habits"}
    in_files = bytes_with(folder, secrets(folder))
    assert {"catalog.jsonl", "habits"} >= {
        name.split("/")[2] if name.startswith("state") else name.split("/")[3] for name in in_files
    }
    for path in alone.rglob("*"):
        path.unlink() if path.is_file() else None


def test_they_are_measured_as_if_the_index_held_them(folder, tmp_path):
    """P of each candidate is that of an artefact where ann's texts are everybody's. Her frames share no text with the others."""
    everybody = [*HOME, *({**row, "scope": ""} for row in calls(ANN)), *calls("ben", ["Featherstone"])]
    learn_catalog(everybody, out=tmp_path, config=GENEROUS, complete=True)
    asked = [HEARD, "massage zoëlle", "phone the kitchen", "turn off the kitchen light", "message pomeroy", "fone marsh field"]
    key = (folder / "state" / "user.key").read_bytes()
    own, shared = (Rewriter.open(each)._serving.online_layer for each in (folder, tmp_path))
    for heard in asked:
        one = own.consider(LayerRequest([heard], "en", hash_user(ANN, key), True))
        other = shared.consider(LayerRequest([heard], "en", "", True))
        assert [c.text for c in one] == [c.text for c in other]
        for mine, theirs in zip(one, other, strict=True):
            assert mine.features == pytest.approx(theirs.features), (heard, mine.text)
            assert (mine.meant, mine.standing) == (pytest.approx(theirs.meant), theirs.standing)


def test_contrasts_of_own_texts_forbid_what_contrasts_of_everybody_would(folder):
    """Two names that the user's own texts show to be different people are never exchanged, however alike."""
    key = (folder / "state" / "user.key").read_bytes()
    layer = Rewriter.open(folder)._serving.online_layer
    found = layer.consider(LayerRequest(["phone marshfield again"], "en", hash_user(ANN, key), True))
    standing = {c.text: c.standing for c in found}
    assert standing["phone pommeroy"] == standing["message marshfield"] == Standing.FORBIDDEN
    assert standing["phone marshfield"] != Standing.FORBIDDEN


def test_the_assistants_parser_and_review_are_asked(folder):
    strict = Rewriter.open(folder, understands=lambda text: "Vandermolen" not in text)
    assert strict.rewrite(HEARD, user_id=ANN, after_failure=True).reason == Reason.BLOCKED


def test_the_spelling_of_the_operator_is_sent_to_the_user_only(folder):
    rewriter = Rewriter.open(folder)
    for user, sent in ((ANN, "Phone Zoëlle"), ("ben", None), (None, None)):
        answer = rewriter.rewrite("phone zoëlle", user_id=user, after_failure=True)
        assert (answer.text if answer.applied else None) == sent
        assert (answer.reason == Reason.SPELLING) == (user == ANN)


def test_forgetting_leaves_no_byte(tmp_path):
    learn_catalog([*HOME, *calls(ANN), *calls("ben", ["Featherstone"])], out=tmp_path, config=GENEROUS, complete=True)
    words = secrets(tmp_path)
    report = forget(ANN, tmp_path)
    assert (report.known, report.rows) == (True, 10)
    assert bytes_with(tmp_path, words) == []
    assert info(tmp_path).counts["private catalog texts"] == 2
    rewriter = Rewriter.open(tmp_path)
    assert not rewriter.rewrite(HEARD, user_id=ANN, after_failure=True).applied
    assert rewriter.rewrite("phone featherston", user_id="ben", after_failure=True).text == "Phone Featherstone"
    assert rewriter.rewrite("turn off the kitchen light", after_failure=True).text == "turn off the kitchen lights"
    assert forget("ben", tmp_path).rows == 2
    assert not Rewriter.open(tmp_path).rewrite("phone featherston", user_id="ben", after_failure=True).applied
    assert forget("ben", tmp_path).is_empty


def test_a_catalog_of_private_rows_only(tmp_path):
    learn_catalog(calls(ANN), out=tmp_path, config=GENEROUS)
    rewriter = Rewriter.open(tmp_path)
    assert rewriter.rewrite(HEARD, user_id=ANN, after_failure=True).candidates[0].text == SENT.lower()
    assert rewriter.rewrite(HEARD, user_id="ben", after_failure=True).reason == Reason.NO_CANDIDATE
    forget(ANN, tmp_path)
    assert bytes_with(tmp_path, secrets(tmp_path)) == []
    assert Rewriter.open(tmp_path).rewrite(HEARD, user_id=ANN, after_failure=True).text == HEARD


def test_beside_a_log(log, tmp_path):
    """They serve after a refusal, are kept by a nightly `learn` without a catalog, go with `forget` and with the next catalog."""
    catalog = [*HOME, *calls("u1"), *calls(ANN, ["Featherstone"])]
    root = tmp_path / "artefact"
    report = learn([log], out=root, config=GENEROUS, detector=RuleDetector(), catalog=catalog, complete=True)
    assert report.catalog is not None
    assert (report.catalog_texts, report.catalog.own, report.catalog.unknown) == (20, 12, 1)
    assert "12 of them private to 2 users (1 of whom the log does not know)" in str(report.catalog)

    def sent(user):
        answer = Rewriter.open(root).rewrite(HEARD, user_id=user, after_failure=True)
        return answer.text if answer.applied else None, answer.rule

    assert sent("u1") == (SENT, CATALOG_RULES[Scope.PERSONAL])
    assert sent("u2")[0] is None
    assert Rewriter.open(root).rewrite("phone vandermolen", user_id="u1").reason == Reason.HEALTHY
    later = tmp_path / "later.csv"
    later.write_text(log.read_text(encoding="utf-8").replace("2026-01-0", "2026-01-1"), encoding="utf-8")
    assert learn([later], out=root, config=GENEROUS, detector=RuleDetector()).catalog_texts == 20
    assert sent("u1")[0] == SENT
    words = [hash_user("u1", (root / "state" / "user.key").read_bytes()), *(name.lower() for name in NAMES)]
    assert bytes_with(root, words)
    forget("u1", root)
    assert bytes_with(root, words) == []
    assert sent("u1")[0] is None
    learn([later], out=root, config=GENEROUS, detector=RuleDetector(), catalog=[*HOME, *calls("u2")], complete=True)
    assert sent("u2")[0] == SENT
    assert Rewriter.open(root).rewrite("phone featherston", user_id=ANN, after_failure=True).text != "Phone Featherstone"


BAD = [
    ({"scope": " "}, "scope is no user id, such as ann or 7"),
    ({"scope": True}, "scope is no user id, such as ann or 7"),
    ({"scope": ["ann"]}, "scope is no user id, such as ann or 7"),
    ({"scope": 0.5}, "scope is no user id, such as ann or 7"),
    ({"scope": "x" * 1_001}, "scope is no user id, such as ann or 7"),
    ({"scope": ANN, "text": "?"}, "no text"),
    ({"scope": ANN, "weight": 0}, "weight is not above 0"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_bad_rows_are_counted_and_not_shown(row, reason):
    _, report = catalog_layer.read_served([*HOME, {"text": "phone vandermolen"} | row], Config())
    assert dict(report.rejected) == {reason: 1}
    assert report.examples == {reason: "(a text of one user)"}


@pytest.mark.parametrize("scope", [None, "", float("nan")])
def test_an_empty_scope_is_everybody(scope):
    catalog, report = catalog_layer.read_served([{"text": "phone vandermolen", "scope": scope}], Config())
    assert (catalog.scopes, report.own) == ([""], 0)


@pytest.mark.parametrize("scope", [7, 7.0, np.int64(7), "7"])
def test_a_number_is_a_user_as_in_the_log(scope):
    catalog, _ = catalog_layer.read_served([{"text": "phone vandermolen", "scope": scope}], Config())
    assert catalog.scopes == ["7"]


def test_more_texts_of_a_user_than_are_served(monkeypatch):
    monkeypatch.setattr(catalog_layer, "MAX_OWN", 3)
    rows = [{"text": f"play list {i}", "scope": ANN, "weight": i} for i in range(1, 6)]
    catalog, report = catalog_layer.read_served([*HOME, *rows, {"text": "play", "scope": "ben"}], Config())
    assert [text for text, scope in zip(catalog.texts, catalog.scopes, strict=True) if scope == ANN] == [
        "play list 3",
        "play list 4",
        "play list 5",
    ]
    assert dict(report.rejected) == {"more than 3 texts of one user": 2}
    assert (report.kept, report.own, report.owners) == (12, 4, 2)


def test_a_text_of_everybody_is_no_text_of_one_user(tmp_path):
    catalog, report = catalog_layer.read_served([*HOME, {"text": HOME[0]["text"], "scope": ANN}], Config())
    assert (len(catalog), report.own, report.merged) == (8, 0, 1)


def test_the_state_keeps_no_user_id(folder):
    rows = [json.loads(line) for line in (current(folder).state / "catalog.jsonl").read_text(encoding="utf-8").splitlines()]
    key = (folder / "state" / "user.key").read_bytes()
    assert {row["scope"] for row in rows} == {"", hash_user(ANN, key), hash_user("ben", key)}
