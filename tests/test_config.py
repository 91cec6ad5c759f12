import runpy
from pathlib import Path

import pytest

from rewriter.config import Config, as_markdown
from rewriter.errors import ConfigError


def test_round_trip():
    config = Config.from_dict({"launch": {"min_users": 5}, "seed": 7})
    assert Config.from_dict(config.to_dict()) == config
    assert (config.launch.min_users, config.seed) == (5, 7)


def test_toml(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("seed = 3\n[launch]\nmax_loss_share = 0.02\n[chain]\ntop = 4\n")
    config = Config.from_toml(file)
    assert (config.seed, config.launch.max_loss_share, config.chain.top) == (3, 0.02, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"lunch": {}}, "unknown setting lunch; did you mean launch?"),
        ({"launch": {"min_user": 3}}, "unknown setting launch.min_user; did you mean launch.min_users?"),
        ({"launch": 3}, "setting launch is a section, not a value"),
        ({"launch": {"min_users": "3"}}, "setting launch.min_users must be int, not str"),
        ({"launch": {"min_users": True}}, "setting launch.min_users must be int, not bool"),
        ({"launch": {"min_users": 0}}, "setting launch.min_users must be at least 1, not 0"),
        ({"launch": {"max_loss_share": 1.5}}, "setting launch.max_loss_share must lie between 0 and 1, not 1.5"),
        ({"encoder": {"kind": "big"}}, "setting encoder.kind must be one of static, transformer, student, not 'big'"),
        (
            {"encoder": {"kind": "student"}},
            "setting encoder.base must name a sentence transformer, unless encoder.kind is static, which has none",
        ),
        ({"friction": {"failed": 1001}}, "setting friction.failed must lie between 0 and 1000, not 1001"),
    ],
)
def test_one_clear_line(data, message):
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(data)
    assert str(caught.value) == message


def test_whole_numbers_are_fine_where_a_share_is_asked():
    assert Config.from_dict({"logs": {"max_rejected": 1}}).logs.max_rejected == 1.0


def test_unreadable_file(tmp_path):
    (tmp_path / "bad.toml").write_text("seed = [")
    for name in ("bad.toml", "none.toml"):
        with pytest.raises(ConfigError, match="cannot read settings"):
            Config.from_toml(tmp_path / name)


@pytest.mark.parametrize("name", ["reasons", "tables"])
def test_the_pages_of_reasons_and_tables_are_as_generated(name):
    docs = Path(__file__).parent.parent / "docs"
    made = runpy.run_path(str(docs / "generate.py"))["page"](name)
    assert made == (docs / f"{name}.md").read_text(encoding="utf-8")
    assert made.count("|---|") >= 1


def test_the_page_of_settings_is_as_generated():
    page = Path(__file__).parents[1] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == as_markdown(), "run: rewriter settings --markdown > docs/settings.md"
