"""Publishes artefacts with an online layer that anybody can work out."""

import numpy as np
from user_views import shelve, working

from rewriter.artefact.writer import Writer
from rewriter.config import Config
from rewriter.model.decider import Decider, Threshold
from rewriter.model.features import RANK, RISK
from rewriter.model.fluency import Wording
from rewriter.model.layer_slices import save_shares
from rewriter.model.logistic import Logistic
from rewriter.model.risk import COLUMNS, Risk
from rewriter.model.rules import Rule, write_rules
from rewriter.text import hash_user

OPEN = Threshold(0.15, 0.1), Threshold(0.6, 0.3)


def weights(names, **given):
    return np.array([given.get(name, 0.0) for name in names])


STUDENT = Risk({}, {}, -2.0, Logistic(np.zeros(len(COLUMNS)), 0.0))
"""Knows no word."""


def publish(
    root,
    texts,
    names,
    before=OPEN[0],
    after=OPEN[1],
    hears=True,
    *,
    private=(),
    keep=3,
    shares=None,
    student=STUDENT,
    by_student=0.0,
):
    """Publish one rule, a ranker (the cheaper the way, the likelier) and a risk (the more unknown words, the likelier to fail).

    `private` holds (user, text), `shares` the shares of the parts of the layer that are not applied always; `by_student` is what
    the risk makes of the worst word that the student knows.
    """
    ranker = Logistic(weights(RANK, cost=-1.0), 2.0)
    risk = Logistic(weights(RISK, unknown=4.0, worst_word=by_student), -5.0)
    with Writer(root, keep=keep) as writer:
        write_rules(writer.folder / "rules", [Rule("r", "", "en", "turn of the lamp", "turn off the lamp", 0.9)])
        folder = writer.folder / "online"
        own = [(hash_user(user, writer.user_key), text) for user, text in private]
        shelve(folder, texts, everybody=working(texts), private=own)
        Wording.of(zip(texts, names, strict=True)).save(folder / "wording" / "en")
        save_shares(writer.folder / "rules", shares or {})
        Decider(ranker, risk, before, after, hears).save(folder)
        student.save(folder)
        return writer.publish(config=Config(), locales={"en": 9}, counts={}, metrics={})
