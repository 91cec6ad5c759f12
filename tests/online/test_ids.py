import itertools
import multiprocessing
import threading

import pytest

from rewriter.online.options import decision_id


def test_ids_differ_between_threads():
    ids = []
    threads = [threading.Thread(target=lambda: ids.extend([decision_id() for _ in range(5_000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 20_000


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_ids_differ_between_forked_processes():
    fork = multiprocessing.get_context("fork")
    decision_id()
    with fork.Pool(3) as pool:
        ids = pool.map(_some, range(12), chunksize=1)
    ids = [*itertools.chain(*ids), decision_id()]
    assert len(set(ids)) == len(ids)


def _some(_):
    return [decision_id() for _ in range(10)]
