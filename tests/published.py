"""Publishes small artefacts for the tests of this folder."""

from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.model.rules import Rule, write_rules
from rewriter.text import hash_user


def publish(root, rules, *, locales=None, keep=3, max_chars=500, share=1.0):
    """Publish rules given as {(user or None, locale, source): target}; the score of the n-th is n thousandths."""
    config = Config.from_dict({"logs": {"max_chars": max_chars}})
    with Writer(root, keep=keep) as writer:
        write_rules(
            writer.folder / "rules",
            (
                Rule(f"r{n}", hash_user(user, writer.user_key) if user else "", locale, source, target, n / 1000, share)
                for n, ((user, locale, source), target) in enumerate(rules.items())
            ),
        )
        return writer.publish(
            config=config, locales={"en": 1} if locales is None else locales, counts={"turns": 9}, metrics={"f1": 0.5}
        )
