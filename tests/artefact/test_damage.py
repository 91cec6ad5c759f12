"""Every file of an artefact and of its state, damaged in five ways: one clear line, or it works; never another exception.

The online layer, a raw NumPy header and LMDB are read by parsers that raise anything. `test_files_that_reach_their_parser`
therefore signs the damaged file anew, so that neither sizes nor checksums stop it. Bits flipped inside LMDB's pages are looked
at by checksum only: LMDB trusts its pages, and may crash the process (docs/artefact.md).
"""

import hashlib
import io
import json
import os
import shutil
from dataclasses import asdict

import duckdb
import numpy as np
import pytest

from rewriter import Rewriter, RewriterError
from rewriter.artefact.switch import listed, rollback
from rewriter.artefact.versions import Manifest, current, verify
from rewriter.model.detector import RuleDetector
from rewriter.offline.learn import learn
from rewriter.operate.explain import explain
from rewriter.operate.forget import forget
from rewriter.operate.info import info

pytestmark = pytest.mark.slow
THOROUGH = "REWRITER_THOROUGH" in os.environ
"""Whether every use is tried on every damage of every file. Otherwise the quick uses are, and `learn`, `forget` and `explain`,
which take up to a second, meet each file in one or two of the five ways, another way for each file."""

ASKED = ["turn of the lamp", "Turn off the lamb", "play my mess", "never heard", ""]
MORE = {"user_id": "ann", "timestamp": "2026-01-16T08:00:00", "utterance": "turn on the lamp", "status": "ok"}


def other_type(path):
    """A whole file of the same format that holds something else."""
    if path.suffix == ".npy":
        file = io.BytesIO()
        np.save(file, np.array(["a", "b", "c"]))
        return file.getvalue()
    if path.suffix == ".npz":
        file = io.BytesIO()
        np.savez(file, other=np.arange(3))
        return file.getvalue()
    if path.suffix == ".parquet":
        with duckdb.cursor() as con:
            other = path.with_name("other.tmp")
            con.sql("SELECT 'x' AS something").write_parquet(str(other))
            content = other.read_bytes()
            other.unlink()
            return content
    return b"[" * 100_000 if path.suffix == ".json" else b"[1, 2]\n"


def flipped(path):
    """The file with the lowest bit of about 20 of its bytes flipped."""
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), max(1, len(content) // 20)):
        content[position] ^= 1
    return bytes(content)


DAMAGES = {
    "missing": lambda path: None,
    "empty": lambda path: b"",
    "truncated": lambda path: path.read_bytes()[: path.stat().st_size * 2 // 3],
    "flipped": flipped,
    "of another type": other_type,
}


def damage(path, how):
    """Damage a file under its name; other names of it (hard links) keep it whole."""
    content = DAMAGES[how](path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)


@pytest.fixture
def copy(small, tmp_path):
    """A function that returns a fresh copy of the artefact; its files are hard links, so it costs nothing."""

    def made(number):
        return shutil.copytree(small, tmp_path / str(number), copy_function=os.link)

    (tmp_path / "more.jsonl").write_text(json.dumps(MORE) + "\n", encoding="utf-8")
    return made


def below(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def serve(root):
    rewriter = Rewriter.open(root)
    for text in ASKED:
        for user in (None, "ann"):
            rewriter.rewrite(text, user_id=user, nbest=["turn off the lamp"], after_failure=True)


USES = {
    "open and rewrite": serve,
    "info": info,
    "verify": lambda root: verify(current(root)),
    "list": listed,
    "roll back": rollback,
    "explain": lambda root: explain(root, ASKED[0], user_id="ann"),
    "forget": lambda root: forget("ann", root),
    "learn": lambda root: learn([root.parent / "more.jsonl"], out=root, detector=RuleDetector()),
}


SLOW = ("explain", "forget", "learn")
READS = ("open and rewrite", "info", "verify", "list")
"""Uses that change nothing, so one copy of the artefact serves them all."""


def due(n, how):
    """Whether a slow use is tried on this damage of the n-th file."""
    return THOROUGH or n % len(DAMAGES) == list(DAMAGES).index(how)


def is_tried(use, n, name, how):
    """Whether a use is tried on this damage of the n-th file."""
    is_unsafe = how == "flipped" and name.suffix == ".mdb" and use not in ("verify", "info", "list")
    return not is_unsafe and (use not in SLOW or due(n + SLOW.index(use), how))


def suspects(use, copy, names, how):
    """The files by whose damage a use may fail. Where it works with some of them damaged at once, it works with each."""
    root = copy("some")
    for name in names:
        damage(root / name, how)
    try:
        USES[use](root)
        found = []
    except Exception:  # noqa: BLE001 - each is looked at by itself then
        half = len(names) // 2
        found = names if len(names) < 2 else None
    shutil.rmtree(root)
    return suspects(use, copy, names[:half], how) + suspects(use, copy, names[half:], how) if found is None else found


def not_one_line(use, root):
    """What `use` raised, where it was anything but a `RewriterError` of one line; None where all is well."""
    try:
        use(root)
    except RewriterError as error:
        return f"{error!r} has more than one line" if "\n" in str(error) or len(str(error)) > 600 else None
    except Exception as error:  # noqa: BLE001 - the subject of the test
        return repr(error)[:200]
    return None


@pytest.mark.parametrize("how", DAMAGES)
def test_every_file_of_an_artefact(small, copy, how, record_property):
    wrong, names = [], [path for path in below(small) if path.parts[0] != "state"]
    record_property("damaged files", len(names))
    learned = names
    if how == "flipped":  # `learn` reads few files bit by bit
        learned = suspects("learn", copy, [name for n, name in enumerate(names) if is_tried("learn", n, name, how)], how)
    for n, name in enumerate(names):
        tried = [use for use in USES if is_tried(use, n, name, how) and (use != "learn" or name in learned)]
        for uses in ([use for use in tried if use in READS], *([use] for use in tried if use not in READS)):
            root = copy(f"{n}-{uses[0]}")
            damage(root / name, how)
            wrong += [(str(name), use, said) for use in uses for said in [not_one_line(USES[use], root)] if said]
            shutil.rmtree(root)
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("how", DAMAGES)
def test_every_file_of_a_state(small, copy, how, record_property):
    wrong, names = [], [path for path in below(small) if path.parts[0] == "state"]
    record_property("damaged files", len(names))
    for n, name in enumerate(names):
        for use in (use for i, use in enumerate(SLOW) if due(n + i, how)):
            root = copy(f"{n}-{use}")
            damage(root / name, how)
            wrong += [(str(name), use, said) for said in [not_one_line(USES[use], root)] if said]
            shutil.rmtree(root)
    assert not wrong, "\n".join(map(str, wrong))


def signed_anew(root):
    """Give the current version a manifest that fits its files as they are now, and the id of that manifest."""
    version = current_folder(root)
    fields = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
    files = {path.relative_to(version).as_posix(): path for path in version.rglob("*") if path.name != "manifest.json"}
    files = {name: path for name, path in files.items() if path.is_file()}
    fields["sizes"] = {name: path.stat().st_size for name, path in files.items()}
    fields["sums"] = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    names = asdict(Manifest(**dict.fromkeys(Manifest.__dataclass_fields__)))
    version_id, text = Manifest(**{name: fields[name] for name in names}).to_json(7)
    (version / "manifest.json").unlink()
    (version / "manifest.json").write_text(text, encoding="utf-8")
    version.rename(version.with_name(version_id))
    (root / "CURRENT").unlink()
    (root / "CURRENT").write_text(f"{version_id}\n", encoding="utf-8")


def current_folder(root):
    return root / "versions" / (root / "CURRENT").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("how", DAMAGES)
def test_files_that_reach_their_parser(small, copy, how, record_property):
    """As who crafts an artefact would have it: the manifest fits the damaged file."""
    wrong, folder = [], current(small).folder
    record_property("crafted artefacts", len(below(folder)) - 1)
    for n, name in enumerate(path for path in below(folder) if path.name != "manifest.json"):
        if name.suffix == ".mdb" and how == "flipped":
            continue
        for use in ("open and rewrite", "explain") if due(n, how) else ("open and rewrite",):
            root = copy(f"{n}-{use}")
            damage(current_folder(root) / name, how)
            signed_anew(root)
            wrong += [(str(name), use, said) for said in [not_one_line(USES[use], root)] if said]
            shutil.rmtree(root)
    assert not wrong, "\n".join(map(str, wrong))


def in_place(path, content):
    """Put other content, or a folder for None, in the place of a file."""
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("CURRENT", None, "CURRENT is a folder, not a file; replace it by a file of one line"),
        ("CURRENT", b"\xff\xfe\x00\x91", "CURRENT is damaged: it is not text; replace it by a file of one line"),
        ("CURRENT", b"nothing", "CURRENT is damaged: it is not one line with the id of a version; replace it by a file"),
        ("manifest.json", None, "manifest.json is a folder, not a file; go back to another version"),
        ("manifest.json", b'{"schema_version": "x"}', "schema_version is no integer such as 4; go back to another version"),
        ("manifest.json", b"[1]", "schema_version is no integer such as 4; go back to another version"),
        ("rules.parquet", None, "rules.parquet is a folder, not a file; go back to another version"),
        ("rules.parquet", b"abc", "rules.parquet is damaged: it has 3 bytes, not "),
    ],
)
def test_the_message_names_the_file_the_fault_and_the_cure(small, copy, name, content, words):
    root = copy(0)
    in_place(root / name if name == "CURRENT" else current_folder(root) / name, content)
    with pytest.raises(RewriterError) as raised:
        Rewriter.open(root)
    assert words in str(raised.value)
    assert not any(internal in str(raised.value) for internal in ("Error:", "Errno", "codec"))
