from dataclasses import replace

import pytest
from published import publish

from rewriter.errors import ArtefactError
from rewriter.model.layer_slices import Promise
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.offline.lifecycle.evidence import slice_figures
from rewriter.operate.info import info

RULES = {(None, "en", "a"): "b", (None, "de", "a"): "b", (None, "de", "c"): "d", ("ann", "en", "a"): "c"}


def test_what_is_inside(tmp_path):
    ids = [publish(tmp_path, RULES, locales={"en": 1200, "de": 3}) for _ in range(2)]
    found = info(tmp_path)
    assert found.id == ids[1]
    assert found.versions == tuple(ids)
    assert found.rules == {"global": {"en": 1, "de": 2}, "personal": {"en": 1}}
    assert (found.locales, found.counts, found.metrics) == ({"en": 1200, "de": 3}, {"turns": 9}, {"f1": 0.5})
    folder = tmp_path / "versions" / ids[1]
    assert found.sizes == {
        f"rules/{n}": (folder / "rules" / n).stat().st_size for n in ("counts.json", "global.mdb", "personal.mdb")
    }
    rows = dict(found.rows())
    assert (rows["turns"], rows["f1"]) == ("9", "0.5")
    assert found.locale_columns() == ("locale", "users", "global rules", "personal rules", "shipped for the language")
    assert [row[:4] for row in found.locale_rows()] == [("de", "3", "2", "0"), ("en", "1,200", "1", "1")]
    assert rows["bytes"] == f"{sum(found.sizes.values()):,}"


def test_held_out_evidence_is_that_of_the_log_and_not_of_the_prior(tmp_path):
    stands_in = Promise(0.9, 22.0, 1.5, 14.7, 4.0, least_prior=0.9)
    promises = {"online-before-global": Promise(0.7, 300.0, 10.0, 30.0, 20.0), "online-after-global": stands_in}
    found = replace(info_of(tmp_path), promises=promises, metrics=slice_figures(promises))
    assert found.online_rows() == [
        ("before the NLU", "0.70", "300", "10", "the log"), ("after a refusal", "0.90", "3", "0", "the shipped prior"),
    ]  # fmt: skip
    figures = slice_figures(promises)
    assert figures["online after: held-out wins"] == 3
    assert figures["online after: held-out losses"] == 0.5
    assert figures["online after: wins that the shipped prior counts for"] == 19
    assert figures["online after: win/loss with the shipped prior"] == 14.7
    assert not [name for name, _ in found.rows() if name.startswith("online")]


def test_a_catalog_has_texts_and_no_users(tmp_path):
    learn_catalog([{"text": "turn on the lamp"}, {"text": "play jazz"}], out=tmp_path)
    found = info(tmp_path)
    assert found.locale_columns() == ("locale", "texts of the catalog", "shipped for the language")
    assert found.locale_rows()[0][:2] == ("en", "2")
    assert found.online_rows() == []


def info_of(folder):
    publish(folder, RULES)
    return info(folder)


def test_damage_is_told(tmp_path):
    publish(tmp_path, RULES)
    (tmp_path / "versions" / info(tmp_path).id / "rules" / "global.mdb").unlink()
    with pytest.raises(ArtefactError, match=r"global\.mdb is missing"):
        info(tmp_path)
