"""`Detector`: P(a later turn restates an earlier one)."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]


class Detector(Protocol):
    """Scores candidates, the columns of `rewriter.tables.CANDIDATES`."""

    def score(self, candidates: Columns) -> npt.NDArray[np.int64]:
        """Return P(restates) of each candidate in thousandths, (n,), each 0..1000.

        Args:
            candidates: column name -> (n,) array; texts are arrays of objects, a NULL is None in text and masked
                (`numpy.ma`) in numbers.
        """
