"""Sentence transformers of two small layers with random weights, for tests that need one and no download."""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

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


def write_multilingual(folder, texts, *, distilled=False):
    """Write a model whose pieces of words are learned from texts of any scripts; return the folder's name.

    It is built like the multilingual models that are in use: pieces of SentencePiece, and XLM-RoBERTa with mean pooling, or
    DistilBERT with a dense layer behind the pooling.
    """
    torch.manual_seed(0)
    bare = folder / "bare"
    pieces = Tokenizer(models.Unigram())
    pieces.normalizer, pieces.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=400, special_tokens=marks, unk_token="<unk>"))
    pieces.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 2)])
    named = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), marks, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=pieces, cls_token="<s>", sep_token="</s>", **named).save_pretrained(bare)
    size = {"vocab_size": pieces.get_vocab_size(), "pad_token_id": 1}
    if distilled:
        DistilBertModel(DistilBertConfig(dim=48, n_layers=2, n_heads=4, hidden_dim=96, **size)).save_pretrained(bare)
    else:
        shape = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
        XLMRobertaModel(XLMRobertaConfig(**shape, **size)).save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(48), *([Dense(48, 40)] if distilled else [])]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"), create_model_card=False)
    return str(folder / "model")
