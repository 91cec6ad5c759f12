"""`SpanDetector`: uses the trees where they are sure, and a transformer that reads the dialogue where they are not.

The transformer marks the span that restates the first turn of a dialogue, or the null span, as in contextual rephrase detection
(Wang et al. 2021, EMNLP) and in question answering with no answer (Rajpurkar, Jia and Liang 2018, "SQuAD 2", ACL). Start and end
have a score for every token of the last layer; the null span is the first token. Only utterances of candidates can be marked. So
P is the softmax over these few spans and the null span, and candidates of one turn exclude each other.

The transformer is needed for learning only: `learn_span` reads the turns of the log once and keeps the log-odds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from rewriter.arrays import Bools, Floats, Ints
from rewriter.detect.boosting import log_odds
from rewriter.detect.rephrase import PairDetector, exclusive, thousandths
from rewriter.detect.turns import Turns
from rewriter.detect.weak_labels import TrainingData
from rewriter.errors import ConfigError, MissingExtraError
from rewriter.model.detector import Columns

if TYPE_CHECKING:
    import torch

REACH: Final = 3
"""Candidates of a turn, at most."""
_FOLDS = 2  # number of readers; a transformer takes minutes, so there are only two
_LOW, _HIGH = 0.03, 0.97  # the trees are unsure if their P is between these; then the dialogue is read
_MAX_TAUGHT = 1500  # largest number of dialogues that a reader learns from; it bounds the time
_EPOCHS = 3
_DEFECT = 0.5  # a turn with a larger P(defect) counts as gone wrong


@dataclass(frozen=True, slots=True)
class SpanDetector:
    """A `Detector` for one log. It holds the turns of that log, and cannot score candidates of other logs.

    Attributes:
        pair: the trees.
        odds: (n, REACH) log-odds of each candidate of each turn, by a reader that learned from other users; NaN for what was not
            read.
    """

    pair: PairDetector
    odds: Floats

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the trees."""
        return self.pair.columns

    def of_failures(self) -> "SpanDetector":
        """Return the detector for turns that are known to have gone wrong."""
        return replace(self, pair=self.pair.of_failures())

    def p(self, candidates: Columns, ignore_nbest: Bools | None = None) -> Floats:
        """Return P of each candidate, (m,), from the mean of the log-odds of the trees and of the reader, where there are both.

        They have equal weights. Weights fitted to the weak labels would give nearly all weight to the trees, because the trees
        learned from the cues that the labels are made of.

        Args:
            candidates: name -> (m,), the `columns`.
            ignore_nbest: (m,) whether the trees do not look at the other hearings; None for never.
        """
        p = self.pair.p(candidates, ignore_nbest)
        source = self.pair.turns.rows(candidates["user_no"], candidates["turn_no"])
        read = self.odds[source, np.asarray(candidates["ahead"], dtype=np.int64) - 1]
        both = np.flatnonzero(unsure(p) & np.isfinite(read))
        p[both] = 1 / (1 + np.exp(-(log_odds(p[both]) + read[both]) / 2))
        return p

    def score(self, candidates: Columns) -> Ints:
        """Return P in thousandths, (m,), each 0..1000."""
        return thousandths(self.p(candidates))


def unsure(p: Floats) -> Bools:
    """Return whether each P of the trees is neither near 0 nor near 1, (m,)."""
    return np.asarray((p > _LOW) & (p < _HIGH))


def learn_span(data: TrainingData, pair: PairDetector, base: str, *, min_users: int, seed: int) -> SpanDetector:
    """Train readers on turns that went wrong, and let them read the dialogues of which the trees are unsure.

    The target is the weak label, or the P of the trees for a turn without one.

    Args:
        data: the labelled log.
        pair: the trees of that log.
        base: the transformer, see `SpanReader.open`.
        min_users: the readers see only words of at least this many distinct users.
        seed: of what is drawn.

    Raises:
        ConfigError: there is no such transformer.
        MissingExtraError: the packages that it needs are not installed.
    """
    failed, joint = (trees.p(data.candidates, data.ignore_nbest) for trees in (pair.of_failures(), pair))
    wrong, known = pair.defect[data.source] > _DEFECT, data.failed == 1
    taught = known | (np.isnan(data.failed) & wrong)
    asked = unsure(joint) | (unsure(failed) & (wrong | known))
    target = np.where(known, data.restates, failed)
    writer = DialogueWriter(data.turns, min_users)
    odds = np.full((len(data.turns), REACH), np.nan)
    fold = data.turns["user_no"] % _FOLDS
    for k in range(_FOLDS):
        reader = SpanReader.open(base, seed)
        rows = np.unique(data.source[taught & (fold[data.source] != k)])
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_MAX_TAUGHT])
        reader.fit(list(_dialogues(data, writer, rows)), _shares(data, rows, target), epochs=_EPOCHS, seed=seed)
        rows = np.unique(data.source[asked & (fold[data.source] == k)])
        odds[rows] = log_odds(reader.p(list(_dialogues(data, writer, rows)), REACH)[:, :REACH])
    return SpanDetector(pair, odds)


def _dialogues(data: TrainingData, writer: "DialogueWriter", rows: Ints) -> Iterator["Dialogue"]:
    """Write turns with their candidates as text, nearest candidate first."""
    first, last = (np.searchsorted(data.source, rows, side=side) for side in ("left", "right"))
    for row, start, end in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True):
        yield writer.write(row, data.target[start:end].tolist())


def _shares(data: TrainingData, rows: Ints, p: Floats) -> Floats:
    """Return P of each candidate of some turns and, last, P(none of them), (len(rows), REACH + 1). Candidates are exclusive."""
    near = np.isin(data.source, rows)
    share = np.zeros((len(rows), REACH + 1))
    share[np.searchsorted(rows, data.source[near]), data.candidates["ahead"][near] - 1] = exclusive(data.source[near], p[near])
    share[:, REACH] = 1 - share.sum(axis=1)
    return share


_GAPS_S = (3, 6, 12, 25, 60)  # a gap is written as the first of these that it does not exceed
_MAX_WORDS = 24  # an utterance or a response is cut after so many words
_UNKNOWN = "[UNK]"  # the unknown word of BERT's tokenizers
_FRICTION = 500  # a turn with at least this friction, in thousandths, counts as trouble


@dataclass(frozen=True, slots=True)
class Span:
    """The first and last character of a text in a dialogue."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A turn and the turns after it, as text for a transformer.

    Attributes:
        text: the turn and its response, then each candidate with the time before it, its outcome and its response.
        spans: where the utterances of the candidates are.
    """

    text: str
    spans: tuple[Span, ...]


class DialogueWriter:
    """Writes dialogues of one log as text.

    Words of fewer than `min_users` users are written as unknown, so that a model trained on the text learns nothing private.

    Args:
        turns: of the log.
        min_users: distinct users who said a word of an utterance, or to whom a word of a response was said.
    """

    def __init__(self, turns: Turns, min_users: int) -> None:
        self._turns = turns
        self._plain = {kind: _public(turns, turns[kind], min_users) for kind in ("said", "reply")}

    def write(self, source: int, candidates: Sequence[int]) -> Dialogue:
        """Write a turn and its candidates, given by their rows, nearest candidate first."""
        text, spans, before = self._utterance(source) + self._ending(source), [], source
        for row in candidates:
            text += f" [SEP] {self._gap(before, row)} {self._barge_in(row)}: "
            said = self._utterance(row)
            spans.append(Span(len(text), len(text) + len(said) - 1))
            text += said + self._ending(row)
            before = row
        return Dialogue(text, tuple(spans))

    def _utterance(self, row: int) -> str:
        return self._plain["said"][self._turns["said"][row]] or _UNKNOWN

    def _ending(self, row: int) -> str:
        """Write the outcome of a turn and its response."""
        reply, failed = self._turns["reply"][row], self._turns["failed"][row] == 1
        mark = "refused" if failed else "trouble" if self._turns["cued"][row] >= _FRICTION else "fine"
        return f" ; {mark} : {self._plain['reply'][reply] if reply >= 0 else ''}"

    def _gap(self, one: int, other: int) -> str:
        seconds = (self._turns["ts_ms"][other] - self._turns["ts_ms"][one]) / 1000
        return f"{next((gap for gap in _GAPS_S if seconds <= gap), 'many')} seconds"

    def _barge_in(self, row: int) -> str:
        return "interrupting " if self._turns["barge_in"][row] == 1 else ""


def _public(turns: Turns, ids: Ints, min_users: int) -> dict[int, str]:
    """Return the texts that occur, by id, cut to the first words, with rare words as unknown."""
    occurring = np.unique(ids[ids >= 0])
    users: dict[str, set[int]] = {}
    for text, user in {(int(i), int(u)) for i, u in zip(ids, turns["user_no"], strict=True) if i >= 0}:
        for word in turns.text[text].split():
            users.setdefault(word, set()).add(user)
    words = {int(i): turns.text[i].split()[:_MAX_WORDS] for i in occurring}
    return {i: " ".join(w if len(users[w]) >= min_users else _UNKNOWN for w in of) for i, of in words.items()}


_MAX_TOKENS = 160  # a dialogue is cut after so many tokens; what is cut cannot be marked
_BATCH = 16  # dialogues in a training step
_RATE = 1e-4  # peak learning rate of AdamW
_TRAINED_LAYERS = 3  # number of last layers that are trained; all others, and the word vectors, are frozen
_NEVER = -1e4  # score of a missing span


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
    def open(cls, base: str, seed: int) -> Self:
        """Load a BERT-like model and add new heads with random weights.

        Args:
            base: a folder, or a name on the Hugging Face hub; only a name may use the network.
            seed: of the weights of the heads.

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
        for layer in layers[-_TRAINED_LAYERS:]:
            for parameter in layer.parameters():
                parameter.requires_grad = True
        return cls(tokenizer, body.eval(), heads)

    def fit(self, dialogues: Sequence[Dialogue], share: Floats, *, epochs: int, seed: int) -> None:
        """Train the last layers and the heads by cross-entropy over the spans.

        Args:
            dialogues: n of them.
            share: (n, k + 1) target P of each span and, last, of the null span; rows add up to 1, missing spans have 0.
            epochs: passes over the dialogues.
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

    def p(self, dialogues: Sequence[Dialogue], most: int) -> Floats:
        """Return P of each span and, last, of the null span, (n, most + 1)."""
        import torch  # noqa: PLC0415

        found = np.zeros((len(dialogues), most + 1))
        with torch.inference_mode():
            for rows in _batches(dialogues, None):
                scores = self._scores([dialogues[i] for i in rows], most)
                found[rows] = torch.softmax(scores, dim=1).double().numpy()
        return found

    def _scores(self, dialogues: Sequence[Dialogue], most: int) -> "torch.Tensor":
        """Return the score of start and end of each span and, last, of the null span, (n, most + 1)."""
        import torch  # noqa: PLC0415

        texts = [dialogue.text for dialogue in dialogues]
        read = self.tokenizer(texts, truncation=True, max_length=_MAX_TOKENS, padding=True, return_tensors="pt")
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


def _batches(dialogues: Sequence[Dialogue], rng: np.random.Generator | None) -> list[Ints]:
    """Cut dialogues into batches of similar length; with `rng` the batches are mixed and shuffled."""
    length = np.asarray([len(d.text) for d in dialogues], dtype=np.float64)
    order = np.argsort(length if rng is None else length * rng.uniform(0.8, 1.25, len(length)), kind="stable")
    batches = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]
