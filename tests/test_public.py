"""The names that users rely on."""

import rewriter


def test_public_names():
    assert rewriter.__all__ == [
        "Candidate",
        "Config",
        "DecisionLog",
        "Rewrite",
        "Rewriter",
        "RewriterError",
        "__version__",
        "learn",
    ]
    for name in rewriter.__all__:
        assert getattr(rewriter, name) is not None


def test_unknown_name_is_an_attribute_error():
    try:
        rewriter.nothing  # noqa: B018
    except AttributeError as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("an unknown name was found")
