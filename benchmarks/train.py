"""Training on 11×11 positions: the step alone, with the loader, and its memory on much data."""

import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import common
import numpy as np
import torch

from hexlib.game import positions
from hexlib.nn import loader
from hexlib.nn.batches import Batch
from hexlib.nn.buckets import bucket_files, open_bucket
from hexlib.nn.device import choose
from hexlib.nn.learning import Trainer
from hexlib.nn.loader import Loader, Part, Stream
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net, Train

N, BATCH, ENTRIES, BUCKETS = 11, 256, 8, 50
NETS = {"4×32": Net(blocks=4, channels=32), "6×64": Net(blocks=6, channels=64)}
ROUNDS = {"4×32": 3, "6×64": 1}  # a round of the latter takes minutes
MUST = {"4×32": 4200, "6×64": 1000}  # samples a second of the bare step
WARM_UP = 10  # steps
MUST_RATIO, MUST_MEMORY = 0.97, 500
NOTES = f"""\
A step has the forward pass, the losses, the gradients, AdamW and the moving average, in batches of
{BATCH}. The bare one does the same fixed batch again and again; with the loader, rows are read from
the files, mixed, and unpacked, in threads whose time counts. A round is as many steps as use up a
chapter, the rows that are mixed in memory at a time, so that the reading of one is in each. Waiting
is the share of time for which a batch was asked for and not there yet. Memory is the most that a
process that trains held in memory, opening the files (each byte is read once, for the checksums)
included, less the most that one holds which does the bare step; pages of the files that the system
may drop count. Positions are made up: random stones, and a policy of {ENTRIES} moves. That no game
is both trained on and held out is a test, `test_loader::test_no_game_is_on_both_sides`."""


def make_buckets(folder: Path, rows: int) -> None:
    """Fill a folder with `rows` made-up positions."""
    random = np.random.default_rng(0)
    each, area = rows // BUCKETS, N * N
    stones = random.integers(0, 3, (each, area), np.uint8)
    own, opponent = (np.packbits(stones == side, axis=1) for side in (1, 2))
    for bucket in range(BUCKETS):
        made = positions.Positions(
            N,
            own,
            opponent,
            policy_count=np.full(each, ENTRIES, np.uint8),
            value=random.choice(np.array([-1, 1], np.int8), each),
            root_value=random.uniform(-1, 1, each).astype(np.float16),
            weight=np.ones(each, np.float16),
            game=random.integers(0, 2**32, each, np.uint32),
            ply=np.zeros(each, np.uint16),
            policy_cell=random.integers(0, area, each * ENTRIES, np.uint16),
            policy_probability=np.full(each * ENTRIES, 1 / ENTRIES, np.float16),
        )
        positions.write_positions(folder / f"bucket_{bucket:04d}.npz", made, {})


def stream_of(folder: Path) -> Stream:
    """The order of the rows of a folder's buckets."""
    fraction = Train().validation_fraction
    parts = [Part(open_bucket(path, fraction), 1.0, 0) for path in bucket_files(folder)]
    return Stream(parts, seed=0, generation=0)


def trainer_of(net: Net) -> Trainer:
    """A network to train, as a run would."""
    settings = Train(batch_size=BATCH)
    return Trainer(random_network(net, 0), settings, choose(Inference(device="cpu")))


def batches_of(folder: Path, steps: int) -> tuple[Loader, Iterator[Batch]]:
    """A loader, and its batches."""
    made = Loader([stream_of(folder)], np.zeros(steps, np.uint8), BATCH, torch.device("cpu"))
    return made, (batch for batch, _ in made)


def steps_with(trainer: Trainer, batches: Iterator[Batch], steps: int) -> float:
    """Samples per second of processor time of some steps."""
    begun = time.process_time()
    for _ in range(steps):
        trainer.step(next(batches), 1e-3)
    return steps * BATCH / (time.process_time() - begun)


def rates(folder: Path, net: Net, rounds: int, steps: int) -> tuple[float, float, float]:
    """Samples a second, bare and with the loader, and the share of the latter's time spent waiting.

    The first batches, which come when the first chapter is read, are not measured.
    """
    trainer = trainer_of(net)
    made, batches = batches_of(folder, WARM_UP + 1 + rounds * steps)
    fixed = cycle([next(batches)])
    steps_with(trainer, batches, WARM_UP)
    waited, seconds = made.waited, 0.0

    def loaded() -> float:
        nonlocal seconds
        begun = time.perf_counter()
        rate = steps_with(trainer, batches, steps)
        seconds += time.perf_counter() - begun
        return rate

    contestants = {"bare": lambda: steps_with(trainer, fixed, steps), "loaded": loaded}
    found = common.interleaved(contestants, rounds)
    return found["bare"], found["loaded"], (made.waited - waited) / seconds


def peak_memory(folder: Path | None, steps: int) -> float:
    """The most memory (MB) of a new process that does some steps, on made-up data if no folder."""
    options = ["--memory", str(folder or "none"), "--steps", str(steps)]
    command = [sys.executable, __file__, *options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def say_memory(folder: str, steps: int) -> None:
    """What `peak_memory` starts."""
    trainer = trainer_of(NETS["4×32"])
    if folder == "none":
        with tempfile.TemporaryDirectory() as name:
            make_buckets(Path(name), BUCKETS * BATCH)
            batches = cycle([next(batches_of(Path(name), 1)[1])])
    else:
        batches = batches_of(Path(folder), steps)[1]
    steps_with(trainer, batches, steps)
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1000)


def parser_of() -> ArgumentParser:
    parser = common.start(__doc__ or "")
    parser.add_argument("--memory", help="Folder of buckets: only tell the memory of training.")
    parser.add_argument("--steps", type=int, default=0, help="Of --memory.")
    return parser


def main() -> None:
    """Measure, print, write."""
    arguments = parser_of().parse_args()
    if arguments.memory:
        return say_memory(arguments.memory, arguments.steps)
    chapter = loader.CHAPTER // BATCH
    rows, steps = (100_000, 2) if arguments.quick else (50_000_000, chapter)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_buckets(folder, rows)
        table = []
        for net, settings in NETS.items():
            bare, loaded, waiting = rates(folder, settings, ROUNDS[net], steps)
            aims = f"{MUST[net]:,}", f"{MUST_RATIO}"
            measured = common.number(bare), common.number(loaded), f"{loaded / bare:.3f}"
            table.append([net, *measured, f"{waiting:.1%}", *aims])
        steps = 2 if arguments.quick else 3 * chapter // 2
        over = peak_memory(folder, steps) - peak_memory(None, 20)
        size = sum(path.stat().st_size for path in folder.iterdir())
    precision = choose(Inference(device="cpu")).name
    header = ["net", "bare/s", "with loader/s", "÷ bare", "waiting", "aim, bare", "aim, ÷"]
    memory = (
        f"Memory over the bare step's, with {rows:,} positions ({size / 1e9:.1f} GB) on disk:"
        f" {over:,.0f} MB; aim: at most {MUST_MEMORY} MB. All of this in {precision}."
    )
    common.publish(
        "train", "Training", [common.table(header, table), memory, NOTES], arguments.write
    )


if __name__ == "__main__":
    main()
