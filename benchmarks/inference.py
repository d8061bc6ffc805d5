"""Positions a second of each way to evaluate a network: device, backend, precision."""

import importlib.util
import time
from collections.abc import Callable
from functools import partial

import common
import numpy as np
import torch

from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net

NETS = (Net(blocks=4, channels=32), Net(blocks=6, channels=64), Net(blocks=10, channels=128))
SIZES = (7, 11, 13)
NOTES = """\
Full batches of the fixed size, boards in, policy logits and values out; in brackets, the ratio to
the first column."""


def ways() -> dict[str, Inference | None]:
    """Settings for each way, by name; None for a backend that is not installed."""
    found: dict[str, Inference | None] = {}
    for backend in ("torch", "openvino"):
        for precision in ("float32", "bfloat16", "int8"):
            if (backend, precision) == ("torch", "int8"):
                continue
            there = importlib.util.find_spec(backend) is not None
            settings = Inference(device="cpu", backend=backend, precision=precision)
            found[f"{backend} {precision}"] = settings if there else None
    if torch.cuda.is_available():
        for precision in ("float32", "bfloat16"):
            found[f"GPU {precision}"] = Inference(device="cuda", precision=precision)
    return found


def best_ways() -> dict[str, Inference | None]:
    """Those of the `ways` whose precision is what `auto` takes on this processor, or int8."""
    precision = str(choose(Inference(device="cpu")).precision).removeprefix("torch.")
    return {
        name: settings
        for name, settings in ways().items()
        if name.endswith("GPU bfloat16" if name.startswith("GPU") else (precision, "int8"))
    }


def evaluator_of(net: Net, n: int, inference: Inference) -> Evaluator:
    """A network of random weights."""
    return Evaluator(random_network(net, 0), n, choose(inference))


def contestant(evaluator: Evaluator, seconds: float) -> Callable[[], float]:
    """Measures positions a second."""
    batch, area = evaluator.backend.batch, evaluator.board_size**2
    boards = np.random.default_rng(0).integers(0, 3, (batch, area)).astype(np.int8)
    # A GPU's work is not in the processor's time.
    on_cpu = evaluator.device.device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter

    def step() -> int:
        evaluator(boards)
        return batch

    step()
    step()
    return partial(common.rate, step, seconds, clock)


def main() -> None:
    """Measure, print, write."""
    arguments = common.start(__doc__ or "").parse_args()
    rounds, seconds = (1, 0.01) if arguments.quick else (3, 0.5)
    nets = NETS[:1] if arguments.quick else NETS
    names = ways()
    rows = []
    for net in nets:
        for n in SIZES:
            evaluators = {
                name: evaluator_of(net, n, settings) for name, settings in names.items() if settings
            }
            rates = common.interleaved(
                {name: contestant(made, seconds) for name, made in evaluators.items()}, rounds
            )
            first = next(iter(rates.values()))
            batch = next(iter(evaluators.values())).backend.batch
            cells = [
                f"{common.number(rates[name])} ({common.ratio(rates[name], first)})"
                if name in rates
                else common.MISSING
                for name in names
            ]
            rows.append([f"{net.blocks}×{net.channels}", f"{n}×{n}", str(batch), *cells])
    header = ["net", "board", "batch", *names]
    parts = [common.table(header, rows), NOTES]
    common.publish("inference", "Positions a second", parts, arguments.write)


if __name__ == "__main__":
    main()
