"""`SpanReader`: a transformer reads a dialogue and marks the span that restates its first turn, or the null span.

As in contextual rephrase detection (Wang et al., EMNLP 2021) and question answering with no answer (SQuAD 2): a start and an
end score for every token of the last layer, the null span at the first token. Only utterances of candidates can be marked, so P
is the softmax over those few spans and null: candidates of one turn exclude each other.

A turn and what came after it, written down for a transformer: utterances, responses, time gaps, and how each turn ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rewriter.arrays import Floats, Ints
from rewriter.detect.turns import Turns
from rewriter.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import torch


_GAPS_S = (3, 6, 12, 25, 60)  # a gap is written as the first of these that it does not exceed
_WORDS = 24  # of an utterance or a response, at most
_RARE = "[UNK]"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a text stands in a dialogue: its first and last character."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What is read.

    Attributes:
        text: the turn, its answer, and each candidate with the time before it, its end and its answer.
        spans: of the utterances of the candidates.
    """

    text: str
    spans: tuple[Span, ...]


class Scribe:
    """Writes down dialogues of one log.

    Words of fewer than `min_users` users are written as unknown: a model that is trained on what it writes learns no secrets.

    Args:
        turns: of the log.
        min_users: distinct users that a word of an utterance must come from, and users to whom a word of a response was said.
    """

    def __init__(self, turns: Turns, min_users: int) -> None:
        self._turns = turns
        self._plain = {kind: _public(turns, turns[kind], min_users) for kind in ("said", "reply")}

    def write(self, source: int, candidates: Sequence[int]) -> Dialogue:
        """Write down a turn and its candidates, both as rows, nearest first."""
        text, spans, before = self._told(source), [], source
        for row in candidates:
            text += f" [SEP] {self._gap(before, row)} {self._barge_in(row)}: "
            said = self._utterance(row)
            spans.append(Span(len(text), len(text) + len(said) - 1))
            text += said + self._ending(row)
            before = row
        return Dialogue(text, tuple(spans))

    def _told(self, row: int) -> str:
        return self._utterance(row) + self._ending(row)

    def _utterance(self, row: int) -> str:
        return self._plain["said"][self._turns["said"][row]] or _RARE

    def _ending(self, row: int) -> str:
        """Write how the turn ended: refused, friction or fine, and what was answered."""
        reply, failed = self._turns["reply"][row], self._turns["failed"][row] == 1
        mark = "refused" if failed else "trouble" if self._turns["cued"][row] >= 500 else "fine"
        return f" ; {mark} : {self._plain['reply'][reply] if reply >= 0 else ''}"

    def _gap(self, one: int, other: int) -> str:
        seconds = (self._turns["ts_ms"][other] - self._turns["ts_ms"][one]) / 1000
        return f"{next((gap for gap in _GAPS_S if seconds <= gap), 'many')} seconds"

    def _barge_in(self, row: int) -> str:
        return "interrupting " if self._turns["barge_in"][row] == 1 else ""


def _public(turns: Turns, ids: Ints, min_users: int) -> dict[int, str]:
    """Return id -> text for the texts that occur, cut, its rare words unknown."""
    occurring = np.unique(ids[ids >= 0])
    users: dict[str, set[int]] = {}
    for text, user in {(int(i), int(u)) for i, u in zip(ids, turns["user_no"], strict=True) if i >= 0}:
        for word in turns.text[text].split():
            users.setdefault(word, set()).add(user)
    return {
        int(i): " ".join(w if len(users[w]) >= min_users else _RARE for w in turns.text[i].split()[:_WORDS]) for i in occurring
    }


_TOKENS = 160  # of a dialogue, at most
_BATCH = 16
_RATE = 1e-4
_FREE = 3  # layers that learn; the others, and the word vectors, stay as they are
_NEVER = -1e4  # score of a span that is not there


@dataclass(slots=True)
class SpanReader:
    """A transformer with start and end heads.

    Attributes:
        tokenizer: of the transformer, a fast one.
        body: the transformer.
        heads: from its last layer to the scores of start and end.
    """

    tokenizer: Any
    body: "torch.nn.Module"
    heads: "torch.nn.Module"

    @classmethod
    def open(cls, base: str, seed: int) -> "SpanReader":
        """Take the layers of any BERT-like model; the heads are drawn.

        Args:
            base: a folder, or a name that the hub knows; only a name may ask the network.
            seed: of the heads.

        Raises:
            ConfigError: there is no such model.
            MissingExtraError: transformers are not installed.
        """
        try:
            import torch  # noqa: PLC0415 - seconds, and only for learning
            from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415
            from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(f"the span detector needs {error.name}; pip install 'rewriter[learn]'") from error
        disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            tokenizer, body = AutoTokenizer.from_pretrained(base), AutoModel.from_pretrained(base)
        except (OSError, ValueError) as error:
            raise ConfigError(f"no transformer {base!r}: {str(error).splitlines()[0]}; give a folder or a hub name") from error
        torch.manual_seed(seed)
        heads = torch.nn.Linear(body.config.hidden_size, 2)
        for parameter in body.parameters():
            parameter.requires_grad = False
        layers = next(module for module in body.modules() if isinstance(module, torch.nn.ModuleList))
        for layer in layers[-_FREE:]:
            for parameter in layer.parameters():
                parameter.requires_grad = True
        return cls(tokenizer, body.eval(), heads)

    def fit(self, dialogues: Sequence[Dialogue], share: Floats, *, epochs: int, seed: int) -> None:
        """Learn, by cross-entropy over the spans.

        Args:
            dialogues: what is read, n of them.
            share: P of each of their spans and, last, of none; rows add up to 1, spans that are not there have 0; (n, k + 1).
            epochs: passes over them.
            seed: of their order.
        """
        import torch  # noqa: PLC0415

        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        free = [p for p in (*self.body.parameters(), *self.heads.parameters()) if p.requires_grad]
        optimizer = torch.optim.AdamW(free, lr=_RATE, weight_decay=0.01)
        steps = max(1, epochs * -(-len(dialogues) // _BATCH))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
        self.body.train()
        for _ in range(epochs):
            for rows in _batches(dialogues, rng):
                target = torch.from_numpy(share[rows]).float()
                scores = self._scores([dialogues[i] for i in rows], share.shape[1] - 1)
                loss = -(target * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        self.body.eval()

    def p(self, dialogues: Sequence[Dialogue], most: int) -> npt.NDArray[np.float64]:
        """Return P of each span and, last, of none, (n, most + 1)."""
        import torch  # noqa: PLC0415

        found = np.zeros((len(dialogues), most + 1))
        with torch.inference_mode():
            for rows in _batches(dialogues, None):
                scores = self._scores([dialogues[i] for i in rows], most)
                found[rows] = torch.softmax(scores, dim=1).double().numpy()
        return found

    def _scores(self, dialogues: Sequence[Dialogue], most: int) -> "torch.Tensor":
        """Return start + end of each span and of null, (n, most + 1)."""
        import torch  # noqa: PLC0415

        read = self.tokenizer([d.text for d in dialogues], truncation=True, max_length=_TOKENS, padding=True, return_tensors="pt")
        heads = self.heads(self.body(**read).last_hidden_state)
        start = torch.zeros((len(dialogues), most + 1), dtype=torch.long)
        end, real = torch.zeros_like(start), torch.zeros_like(start, dtype=torch.bool)
        for i, dialogue in enumerate(dialogues):
            for k, span in enumerate(dialogue.spans):
                tokens = _tokens(read, i, span)
                if tokens is not None:
                    start[i, k], end[i, k], real[i, k] = *tokens, True
        real[:, most] = True
        scores = heads[..., 0].gather(1, start) + heads[..., 1].gather(1, end)
        return torch.where(real, scores, torch.full_like(scores, _NEVER))


def _tokens(read: Any, row: int, span: Span) -> tuple[int, int] | None:  # noqa: ANN401 - a BatchEncoding
    """Return the first and last token of a span; None where it was cut off."""
    ends = read.char_to_token(row, span.first), read.char_to_token(row, span.last)
    return None if None in ends else ends


def _batches(dialogues: Sequence[Dialogue], rng: np.random.Generator | None) -> list[npt.NDArray[np.int64]]:
    """Cut dialogues into batches of like length, in any order of the batches."""
    length = np.asarray([len(d.text) for d in dialogues], dtype=np.float64)
    order = np.argsort(length if rng is None else length * rng.uniform(0.8, 1.25, len(length)), kind="stable")
    batches = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]
