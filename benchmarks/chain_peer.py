"""Runs PyDTMC on one chain, for `chain.py`, in a separate environment: reads an .npz, prints seconds and absorption as JSON."""

import json
import sys
import time

import numpy as np
import pydtmc

data = np.load(sys.argv[1])
seconds = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    peer = pydtmc.MarkovChain(data["p"], [str(i) for i in range(len(data["p"]))])
    built = time.perf_counter()
    visits = peer.fundamental_matrix
    absorbed = peer.absorption_probabilities()
    seconds.append((built - start, time.perf_counter() - built))
# The two absorbing states come last: success, failure. Transient states keep their order.
row = peer.absorbing_states.index(str(len(data["p"]) - 2))
print(
    json.dumps(
        {
            "version": pydtmc.__version__,
            "numpy": np.__version__,
            "build_s": [round(b, 4) for b, _ in seconds],
            "solve_s": [round(s, 4) for _, s in seconds],
            "absorbed": absorbed[row].tolist(),
            "stay_sum": float((np.diag(visits) * data["r"]).sum()),
        }
    )
)
