import pytest
from published import publish

from rewriter.errors import ArtefactError
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
    assert (rows["rules, global, de"], rows["users, en"], rows["turns"], rows["f1"]) == ("2", "1,200", "9", "0.5")
    assert rows["bytes"] == f"{sum(found.sizes.values()):,}"


def test_damage_is_told(tmp_path):
    publish(tmp_path, RULES)
    (tmp_path / "versions" / info(tmp_path).id / "rules" / "global.mdb").unlink()
    with pytest.raises(ArtefactError, match=r"global\.mdb is missing"):
        info(tmp_path)
