"""The reader of dialogues: spans against brute force over all tokens, and that it can learn at all."""

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the reader needs transformers; pip install 'rewriter[learn]'")

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from rewriter.detect import span
from rewriter.detect.span import Dialogue, Span, SpanReader
from rewriter.errors import ConfigError

pytestmark = pytest.mark.transformers

WORDS = ["lamp", "off", "turn", "the", "play", "abba", "sorry", "ok", "fine", "refused", "seconds", "3", "60", ";", ":", "##s"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A BERT of two small layers, drawn, with its tokenizer, in a folder."""
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=5 + len(WORDS), max_position_embeddings=256, **sizes)).save_pretrained(folder)
    return str(folder)


def dialogue(source, *candidates, seconds=3):
    text, spans = f"{source} ; refused : sorry", []
    for said in candidates:
        text += f" [SEP] {seconds} seconds : "
        spans.append(Span(len(text), len(text) + len(said) - 1))
        text += f"{said} ; fine : ok"
    return Dialogue(text, tuple(spans))


def by_force(reader, one):
    """P by going through all pairs of tokens, one dialogue at a time: those that make up a candidate's words, and null."""
    read = reader.tokenizer(one.text, return_offsets_mapping=True, return_tensors="pt")
    offsets = read.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        logits = reader.heads(reader.body(**read).last_hidden_state)[0].double().numpy()
    scores = []
    for marked in one.spans:
        found = [
            logits[i, 0] + logits[j, 1]
            for i, (start, _) in enumerate(offsets)
            for j, (_, end) in enumerate(offsets)
            if i <= j and end > 0 and start == marked.first and end == marked.last + 1
        ]
        scores.append(found[0])
    scores.append(logits[0].sum())  # null: start and end at the first token
    p = np.exp(np.array(scores) - max(scores))
    return p / p.sum()


def test_spans_against_brute_force(base):
    reader = SpanReader.open(base, seed=3)
    asked = [
        dialogue("lamp off", "turn the lamp off"),
        dialogue("lamp", "play abba", "turn the lamps off", "lamp"),
        dialogue("abba"),
        dialogue("the lamps", "zebra", "abba"),
    ]
    found = reader.p(asked, 3)
    for row, one in zip(found, asked, strict=True):
        k = len(one.spans)
        assert np.append(row[:k], row[3]) == pytest.approx(by_force(reader, one), abs=1e-5)
        assert row[k:3].tolist() == [0.0] * (3 - k)
    assert found[2].tolist() == [0.0, 0.0, 0.0, 1.0]  # no candidate: null


def test_what_is_cut_off_cannot_be_marked(base):
    long = dialogue("lamp", "play abba", " ".join(["lamp"] * 300))
    p = SpanReader.open(base, seed=3).p([long], 3)[0]
    assert p[0] > 0
    assert p[1:3].tolist() == [0.0, 0.0]
    assert p.sum() == pytest.approx(1)


@pytest.mark.slow
def test_it_learns_what_restates(base, monkeypatch):
    """Whoever says "abba" restates; where nobody does, null."""
    rng = np.random.default_rng(0)

    def drawn(n):
        dialogues, share = [], np.zeros((n, 4))
        for i in range(n):
            near, place = rng.choice(["lamp", "off", "the"], 2).tolist(), int(rng.integers(3))
            if place < 2:
                near[place] = "abba"
            dialogues.append(dialogue("turn", *near))
            share[i, place if place < 2 else 3] = 1
        return dialogues, share

    monkeypatch.setattr(span, "_RATE", 3e-3)
    reader = SpanReader.open(base, seed=0)
    dialogues, share = drawn(100)
    before = (reader.p(dialogues, 3) * share).sum(axis=1).mean()
    reader.fit(*drawn(160), epochs=5, seed=0)
    p = reader.p(dialogues, 3)
    assert (p * share).sum(axis=1).mean() > before + 0.3
    assert (p.argmax(axis=1) == share.argmax(axis=1)).mean() > 0.9


@pytest.mark.slow
def test_it_learns_from_the_time_between(base, monkeypatch):
    """The same words restate at once, and are a new goal after a minute."""
    monkeypatch.setattr(span, "_RATE", 3e-3)
    near, far = (dialogue("lamp", "turn the lamp off", seconds=seconds) for seconds in (3, 60))
    share = np.tile([[1.0, 0.0], [0.0, 1.0]], (80, 1))
    reader = SpanReader.open(base, seed=0)
    reader.fit([near, far] * 80, share, epochs=10, seed=0)
    p = reader.p([near, far], 1)
    assert p[0, 0] > 0.9
    assert p[1, 1] > 0.9


def test_only_the_last_layers_learn(base):
    reader = SpanReader.open(base, seed=0)
    learning = {name.split(".")[0] for name, p in reader.body.named_parameters() if p.requires_grad}
    assert learning == {"encoder"}


def test_no_such_transformer(tmp_path):
    with pytest.raises(ConfigError, match="no transformer"):
        SpanReader.open(str(tmp_path / "none"), seed=0)
