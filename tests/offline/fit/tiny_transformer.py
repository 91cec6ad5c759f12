"""A sentence transformer of two small layers with random weights, for tests that need one and no download."""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import BertConfig, BertModel, BertTokenizerFast

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def write(folder):
    """Write the model; return the folder's name."""
    torch.manual_seed(0)
    bare = folder / "bare"
    bare.mkdir(parents=True)
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *LETTERS,
        *(f"##{c}" for c in LETTERS),
        "turn",
        "on",
        "off",
        "the",
    ]
    (bare / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(bare / "vocab.txt")).save_pretrained(bare)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96
    )
    BertModel(config).save_pretrained(bare)
    words = Transformer(str(bare))
    SentenceTransformer(modules=[words, Pooling(48)], device="cpu").save(str(folder / "model"), create_model_card=False)
    return str(folder / "model")
