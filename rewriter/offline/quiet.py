"""`quiet`: libraries that learn, without their progress bars and warnings."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, log messages below an error, and the progress bars of transformers, for as long as the block runs."""
    from transformers.utils import logging as of_transformers  # noqa: PLC0415 - seconds, and only for learning

    before, bars = logging.root.manager.disable, of_transformers.is_progress_bar_enabled()
    logging.disable(logging.WARNING)
    of_transformers.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        if bars:
            of_transformers.enable_progress_bar()  # type: ignore[no-untyped-call]
