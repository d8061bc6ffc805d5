"""A `hexlib selfplay` job that is watched: `python job.py STARTED SECONDS selfplay OPTION…`.

STARTED is when it was started, in seconds since 1970. It ends after SECONDS of processor time and
prints, as JSON: wall and processor seconds from the start to the first call of the network, the
most memory that it ever used in MB, and how many positions it evaluated.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from unittest import mock

import common
import numpy as np

from hexlib.cli import main
from hexlib.nn.backends import Answer
from hexlib.nn.inference import Evaluator

if __name__ == "__main__":
    started, seconds, arguments = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    ask = Evaluator.ask
    first: dict[str, float] = {}

    def watched(evaluator: Evaluator, boards: np.ndarray) -> Callable[[], Answer]:
        if not first:
            first.update(wall=time.time() - started, processor=time.process_time())
        if time.process_time() > seconds:
            evaluated = evaluator.evaluated
            print(
                json.dumps({**first, "memory": common.peak_memory(), "evaluated": evaluated}),
                flush=True,
            )
            os._exit(0)
        return ask(evaluator, boards)

    with mock.patch.object(Evaluator, "ask", watched):
        sys.exit(main(arguments) or 1)  # it should not have come to the end
