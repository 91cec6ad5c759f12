"""`echoes`: texts that are a rarer way to say what a text much like them says, and that nothing need be rewritten to."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

_ALIKE = 0.75  # normalised Indel similarity of an echo to what it echoes
_RARER = 5.0  # times as much success has what it echoes


def echoes(good: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Mark texts beside which another one, much alike and of the same interpretation, has far more success, (n,).

    An assistant that forgives much understands many a garble: "jungle the audiobook dracula". Such a text is healthy, and is left
    alone. But nobody speaks so, and as a target it would only be nearer to other garbles than what was meant.

    Args:
        good: texts with the columns locale, query, node and success.

    Example:
        >>> texts = ["play the audiobook dracula", "jungle the audiobook dracula", "play it"]
        >>> said = {"locale": ["en"] * 3, "query": texts, "node": [1, 1, 2], "success": [90.0, 4.0, 4.0]}
        >>> echoes(pd.DataFrame(said)).tolist()
        [False, True, False]
    """
    found = np.zeros(len(good), dtype=bool)
    texts, success = good["query"].to_numpy(), good["success"].to_numpy(dtype=np.float64)
    for rows in good.groupby(["locale", "node"]).indices.values():
        alike = cdist(texts[rows].tolist(), texts[rows].tolist(), scorer=Indel.normalized_similarity) >= _ALIKE
        found[rows] = (alike & (success[rows] >= _RARER * success[rows][:, None])).any(axis=1)
    return found
