"""With any encoder, texts of one user are served to this user, nobody else gets them, and the encoder never saw them."""

import pytest

from rewriter import Rewriter
from rewriter.artefact.versions import current
from rewriter.config import Config, EncoderSettings, Trigger
from rewriter.offline.catalog_layer import learn_catalog

pytestmark = [pytest.mark.slow, pytest.mark.transformers]
HOME = [{"text": f"turn {way} the {room} lights"} for way in ("on", "off") for room in ("kitchen", "bedroom", "garage")]
OWN = [{"text": f"phone {name}", "scope": "ann"} for name in ("vandermolen", "quirrenbach")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    import tiny_transformer

    return tiny_transformer.write(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("kind", ["static", "student", "transformer"])
@pytest.mark.parametrize("shared", [HOME, []])
def test_own_texts(kind, shared, tiny, tmp_path):
    config = Config(trigger=Trigger(max_loss_share=0.25), encoder=EncoderSettings(kind=kind, base=str(tiny)))
    learn_catalog([*shared, *OWN], out=tmp_path, config=config)
    rewriter = Rewriter.open(tmp_path)
    for user, found in (("ann", True), ("ben", False), (None, False)):
        answer = rewriter.rewrite("phone vandermolan", user_id=user, after_failure=True)
        assert any(candidate.text == "phone vandermolen" for candidate in answer.candidates) == found
    for path in (current(tmp_path).folder / "online" / "encoder").rglob("*"):
        assert not path.is_file() or b"vandermolen" not in path.read_bytes()
