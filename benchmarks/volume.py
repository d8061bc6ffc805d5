"""What the benchmarks of the data path share: synthetic games, jobs, and copies to compare with.

`python volume.py VERB OPTION…` runs a `hexlib` command and prints, as JSON, the most memory that it
used in MB.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import common
import numpy as np

from hexlib import cli
from hexlib.game import board, records

SIZE = 13
CLOCK = """\
Seconds are those of the clock, but for those in which others had the processor."""


class Cost(NamedTuple):
    """Seconds that something took, until its bytes were on disk."""

    wall: float  # less those in which it only waited for the processor, which others had
    processor: float  # children included


def random_games(count: int, seed: int) -> records.Games:
    """Uniformly random finished 13×13 games, about 152 moves long."""
    moves = np.empty((count, SIZE**2), np.int16)
    lengths, winners = np.empty(count, np.int32), np.empty(count, np.int8)
    board.random_games(SIZE, count, seed, *board.geometry(SIZE), moves, lengths, winners)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return records.Games(SIZE, moves[np.arange(SIZE**2) < lengths[:, None]], offsets, winners)


def processor_seconds() -> float:
    """Of this process and of its children that have ended, in the kernel too."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def queued_seconds(process: int | str = "self") -> float:
    """How long a process has waited for the processor; 0 where the system does not tell."""
    told = Path(f"/proc/{process}/schedstat")
    return int(told.read_text().split()[1]) / 1e9 if told.exists() else 0.0


def measured(contestants: dict[str, Callable[[], float | None]], rounds: int) -> dict[str, Cost]:
    """The median cost of each contestant, when they take turns, after a round that is not counted.

    A contestant returns the `queued_seconds` of its children, if it has any. What the one before
    has left to the disk is written out first.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, contestant in contestants.items():
            os.sync()
            before = time.perf_counter() - queued_seconds(), processor_seconds()
            of_children = contestant() or 0.0
            wall = time.perf_counter() - queued_seconds() - before[0] - of_children
            costs[name].append(Cost(wall, processor_seconds() - before[1]))
    return {
        name: Cost(*map(statistics.median, zip(*found[1:], strict=True)))
        for name, found in costs.items()
    }


def copy_on_disk(paths: Sequence[Path], folder: Path) -> float:
    """`cp` files into a folder, each synced, as `hexlib` does; the `queued_seconds` of `cp`."""
    queued = 0.0
    folder.mkdir()
    for path in paths:
        copy = subprocess.Popen(["cp", path, folder / path.name])
        os.waitid(os.P_PID, copy.pid, os.WEXITED | os.WNOWAIT)
        queued += queued_seconds(copy.pid)
        if copy.wait():
            raise RuntimeError(f"cp {path} failed")
        with (folder / path.name).open("rb+") as handle:
            os.fsync(handle.fileno())
    shutil.rmtree(folder)
    return queued


def copy_in_memory(size: int) -> Callable[[], None]:
    """What copies that many bytes, in blocks that no cache holds."""
    block = np.ones(1 << 26, np.uint8)
    out = np.empty_like(block)

    def copy() -> None:
        for start in range(0, size, len(block)):
            count = min(len(block), size - start)
            out[:count] = block[:count]

    return copy


def peak_of(*arguments: str | Path) -> float:
    """Peak memory in MB of a `hexlib` command, run by itself."""
    job = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return float(json.loads(job.stdout.splitlines()[-1]))


def rates(costs: dict[str, Cost], positions: int, limit: str) -> list[list[str]]:
    """Rows of a table: per second of wall and of processor time, and beside `limit`."""
    return [
        [
            name,
            common.number(positions / cost.wall),
            common.ratio(costs[limit].wall, cost.wall),
            common.number(positions / cost.processor),
        ]
        for name, cost in costs.items()
    ]


if __name__ == "__main__":
    code = cli.main(sys.argv[1:])
    print(json.dumps(common.peak_memory()))
    sys.exit(code)
