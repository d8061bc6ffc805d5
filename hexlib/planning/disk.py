"""The disk that a run will take."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hexlib import npz
from hexlib.game import positions
from hexlib.game.rows import record
from hexlib.nn.model import HexNet
from hexlib.planning.forecast import RECORD, Generation, bytes_of_move, chunks_of, forecast
from hexlib.run_config import Config
from hexlib.settings import Net

# Bytes, as found in files.
MEMBER = 255  # of an npz, besides its array: headers, and its place in the directory
META = 300  # of an npz
TENSOR = 300  # of a checkpoint, besides its numbers
STATE_TENSORS = 1050  # of the four that a training keeps for each of these
TEXTS = 7_000  # of a generation: summaries, metrics, lineage, results of the evaluation
REPORT = 180_000  # the page, and what else a run has once
JOB = 300  # a job's benchmark, and the checksums of its products


@dataclass(frozen=True)
class Item:
    """The files of one stage in one generation; of no generation if the run has them once."""

    generation: int | None
    stage: str
    size: int  # bytes
    kept: bool  # else dropped once what follows from it is made


@dataclass(frozen=True)
class Plan:
    """What a run with these settings makes, and what it needs for that."""

    config: Config
    generations: list[Generation]
    items: list[Item]

    @property
    def kept(self) -> int:
        """Bytes on disk when the run is at its end."""
        return sum(item.size for item in self.items if item.kept)

    @property
    def most(self) -> int:
        """Bytes on disk at most, while what a generation drops in the end is still there."""
        kept = sum(item.size for item in self.items if item.kept and item.generation is None)
        most = kept
        for made in self.generations:
            own = [item for item in self.items if item.generation == made.number]
            most = max(most, kept + sum(item.size for item in own))
            kept += sum(item.size for item in own if item.kept)
        return most

    def by_stage(self) -> dict[str, tuple[int, bool]]:
        """Bytes of all generations by stage, and whether they are kept."""
        sizes: dict[str, tuple[int, bool]] = {}
        for item in self.items:
            sizes[item.stage] = (sizes.get(item.stage, (0, True))[0] + item.size, item.kept)
        return sizes


def plan(config: Config) -> Plan:
    """What a run will make and the disk that it will need. Raises `BadInput` as `forecast`."""
    made = forecast(config)
    items = [item for generation in made for item in _disk(config, generation)]
    weights, _ = _network(config.net)
    initial = 0 if config.initial_checkpoint or config.generations.first else weights
    return Plan(config, made, [Item(None, "report", initial + REPORT, kept=True), *items])


def in_words(planned: Plan) -> list[str]:
    """The plan for people."""
    config, made = planned.config, planned.generations
    sizes = dict.fromkeys(config.board_size_of(one.number) for one in made)
    free = _free(config)
    lines = [
        f"run {config.run}: {len(made)} generations on {', '.join(f'{n}×{n}' for n in sizes)}",
        f"games: {sum(one.games for one in made):,}",
        f"positions: {sum(one.rows for one in made):,}",
        f"samples to train on: {sum(one.samples for one in made):,}",
        f"disk: {size_in_words(planned.kept)} in the end, {size_in_words(planned.most)} at most"
        f" while it runs; {size_in_words(free)} are free",
    ]
    for stage, (size, kept) in planned.by_stage().items():
        lines.append(f"  {stage}: {size_in_words(size)}" + ("" if kept else ", dropped as it goes"))
    if planned.most > free:
        lines.append("  NOT ENOUGH: make room, or set results_dir to a folder on a larger disk")
    return lines


def size_in_words(count: float) -> str:
    """Bytes in decimal units."""
    size, unit = count / 1e6, "MB"
    if count >= 1e9:
        size, unit = (count / 1e12, "TB") if count >= 1e12 else (count / 1e9, "GB")
    return f"{size:,.0f} {unit}" if size >= 100 else f"{size:.3g} {unit}"


def _free(config: Config) -> int:
    """Bytes that are free on the disk on which the results will lie."""
    folder = Path(config.results_dir).absolute()
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def _disk(config: Config, made: Generation) -> Iterator[Item]:
    """What one generation writes."""
    n, keep = config.board_size_of(made.number), config.keep_intermediate
    chunks = chunks_of(config, made)
    shards, buckets = config.selfplay.shards, config.shuffle.buckets
    games = round(made.games * RECORD + made.moves * bytes_of_move(n))
    search = made.moves * 3 + made.entries * 4 if made.entries else 0
    rows = _npz(positions.layout(n, made.rows, made.row_entries))
    parts = made.rows * record(n).itemsize + made.row_entries * 4
    weights, state = _network(config.net)
    jobs = JOB * (5 + 2 * chunks + buckets)

    def item(stage: str, size: int, kept: bool = True) -> Item:
        return Item(made.number, stage, size, kept)

    if not config.selfplay.existing:
        heads = shards * (1_000 + 4 * MEMBER + META + JOB)
        yield item("selfplay", games + search + heads)
    yield item("clean", games + search + chunks * (300 + 5 * MEMBER + META))
    yield item("process", rows + chunks * (11 * MEMBER + META), keep)
    yield item("shuffle, scattered", parts + chunks * (7 * MEMBER + META), keep)
    yield item("shuffle", rows + buckets * (11 * MEMBER + META + 100 * chunks))
    yield item("train", weights * (1 + _kept_mini_epochs(config, made.samples)) + state)
    yield item("evaluate", TEXTS + jobs)


def _kept_mini_epochs(config: Config, samples: int) -> int:
    """Networks of mini-epochs that stay after a training."""
    train = config.train
    count = max(1, math.ceil(samples / train.mini_epoch))
    numbers = set(range(count - train.keep_last, count)) & set(range(count))
    if train.keep_every:
        numbers |= set(range(train.keep_every - 1, count, train.keep_every))
    return len(numbers)


def _npz(layout: npz.Layout) -> int:
    """Bytes of the arrays alone."""
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for dtype, shape in layout.values())


def _network(net: Net) -> tuple[int, int]:
    """Bytes of a checkpoint, and of the state that a training goes on from."""
    with torch.device("meta"):  # without memory
        tensors = HexNet(net).state_dict().values()
    numbers = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    # The state has the weights, their average, and the optimiser's two moments.
    return numbers + len(tensors) * TENSOR, 4 * numbers + len(tensors) * STATE_TENSORS
