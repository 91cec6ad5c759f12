"""`Config.guardrail`: what counts as destructive in a deployment, and what people may leave out there."""

import pytest

from rewriter.config import PROFILES, Config
from rewriter.config import GuardrailSettings as Settings
from rewriter.errors import ConfigError
from rewriter.guardrail import Guardrail
from rewriter.offline.catalog_layer import learn_catalog
from rewriter.online.rewriter import Rewriter


def verdict(source, target, settings, *, locale="en", **options):
    finding = Guardrail.open(locale, settings).verdict(source, target, **options)
    return finding and finding.kind.value


@pytest.mark.parametrize(
    ("source", "target", "home", "shop", "support", "none"),
    [
        ("where is my ordr", "where is my order", "destructive", None, None, None),
        ("how do i rest my password", "how do i reset my password", "destructive", "destructive", None, None),
        ("by the red shoes", "buy the red shoes", "destructive", "destructive", "destructive", None),
        ("cancel my odor", "cancel my order", "destructive", "destructive", "destructive", None),
        ("unlok the door", "unlock the door", "destructive", "destructive", "destructive", None),
        ("pay my bil", "pay my bill", None, None, None, None),  # the source asks for it
    ],
)
def test_a_destructive_word_blocks_by_profile_and_only_where_the_target_adds_it(source, target, home, shop, support, none):
    found = {name: verdict(source, target, Settings(name), online=True) for name in PROFILES}
    assert found == {"home": home, "shop": shop, "support": support, "none": none}


@pytest.mark.parametrize(
    ("locale", "source", "target"),
    [
        ("en", "i cant log in", "reset my password"),
        ("en", "the app doesn't work", "reinstall the app"),
        ("de", "die app funktioniert nicht", "hilfe zur app"),
        ("es", "no puedo entrar", "cambiar mi clave"),
        ("fr", "je n'arrive pas à me connecter", "mot de passe oublié"),
        ("it", "non riesco a entrare", "password dimenticata"),
        ("nl", "ik kan niet inloggen", "wachtwoord vergeten"),
    ],
)
def test_a_shop_and_a_help_desk_are_told_what_does_not_work(locale, source, target):
    assert verdict(source, target, Settings("support"), locale=locale) is None
    assert verdict(source, target, Settings("shop"), locale=locale) is None
    assert verdict(source, target, Settings("home"), locale=locale) == "drops_negation"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("source", "target"), [("don't cancel my order", "cancel my order"), ("not okay", "okay"), ("never call me", "call me")]
)
def test_a_negated_request_is_never_made(source, target, profile):
    assert verdict(source, target, Settings(profile)) == "drops_negation"


def test_the_words_of_a_deployment_overrule_the_profile():
    settings = Settings("shop", destructive=("release funds", "ship"), harmless=("delete",))
    assert verdict("relese the funds", "release the funds", settings, online=True) == "destructive"
    assert verdict("shipp it", "ship it", settings, online=True) == "destructive"
    assert verdict("box", "box 5", settings, online=True, intent="SHIP_Box") == "destructive"
    assert verdict("delet it", "delete it", settings, online=True) is None
    assert verdict("it", "it", settings, online=True, intent="DELETE_It") is None
    assert verdict("delet it", "delete it", Settings("shop", destructive=("delete",), harmless=("delete",)), online=True)


def test_settings_are_read_and_checked():
    data = {"guardrail": {"profile": "shop", "destructive": ["ship"]}}
    config = Config.from_dict(data)
    assert config.guardrail == Settings("shop", ("ship",))
    assert config.to_dict()["guardrail"] == {"profile": "shop", "destructive": ["ship"], "harmless": [], "contrasts": True}
    assert Config.from_dict(config.to_dict()) == config
    for wrong, cause in (({"profile": "bank"}, "home, shop, support, none"), ({"harmless": "ship"}, "must be a list of texts")):
        with pytest.raises(ConfigError, match=cause):
            Config.from_dict({"guardrail": wrong})


def test_serving_heeds_the_settings_of_the_manifest(tmp_path):
    texts = [{"text": text} for text in ("where is my order", "show the opening hours", "talk to a person", "return my parcel")]
    for profile, sent in (("home", None), ("shop", "where is my order")):
        learn_catalog(texts, out=tmp_path / profile, config=Config.from_dict({"guardrail": {"profile": profile}}), complete=True)
        answer = Rewriter.open(tmp_path / profile).rewrite("where is my ordr", after_failure=True)
        assert (answer.text if answer.applied else None) == sent
        assert answer.reason == ("online" if sent else "blocked")
