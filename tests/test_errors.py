"""What the machine refuses becomes one line with the cause and the cure."""

import errno
import shutil

import pytest

from rewriter.errors import RewriterError, running


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "counts.parquet"),
        OSError("2097152 requested and 939968 written"),
        shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]),
    ],
    ids=["by number", "by numpy", "by copytree"],
)
def test_a_full_disk_says_so(error):
    with (
        pytest.raises(RewriterError, match=r"^learning failed: .*No space left on device; free some space and start again$"),
        running("learning"),
    ):
        raise error


def test_what_interrupts_the_database_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt), running("learning"):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match=r"^another$"), running("learning"):
        raise RuntimeError("another")
