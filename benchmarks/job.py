"""A `hexlib selfplay` job that is watched: `python job.py STARTED SECONDS selfplay OPTION…`.

STARTED is when it was started, in seconds since 1970. It ends after SECONDS of processor time and
prints, as JSON: wall and processor seconds from the start to the first call of the network, the
most memory that it ever used in MB, and how many positions it evaluated.
"""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np

from hexlib.cli import main
from hexlib.nn.inference import Evaluator


def peak_memory() -> float:
    """MB, of this process alone."""
    status = Path("/proc/self/status")
    found = status.exists() and re.search(r"VmHWM:\s+(\d+)", status.read_text())
    if found:
        return int(found[1]) / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1000


if __name__ == "__main__":
    started, seconds, arguments = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    evaluate = Evaluator.__call__
    first: dict[str, float] = {}

    def watched(evaluator: Evaluator, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not first:
            first.update(wall=time.time() - started, processor=time.process_time())
        if time.process_time() > seconds:
            evaluated = evaluator.evaluated
            print(
                json.dumps({**first, "memory": peak_memory(), "evaluated": evaluated}), flush=True
            )
            os._exit(0)
        return evaluate(evaluator, boards)

    with mock.patch.object(Evaluator, "__call__", watched):
        sys.exit(main(arguments) or 1)  # it should not have come to the end
