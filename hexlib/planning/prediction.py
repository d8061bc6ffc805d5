"""How long a run will take on given machines, what holds it up, and the bytes that it moves."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from hexlib.logs import duration
from hexlib.planning.disk import Plan, size_in_words
from hexlib.planning.fleet import STARTS, Fleet, Measured, Rate, Rates, rates_of, uses_gpus
from hexlib.planning.forecast import Generation, chunks_of, given_up
from hexlib.planning.schedule import Batch, Schedule, run
from hexlib.run_config import Config
from hexlib.settings import Selfplay

SOLVED = 300  # positions of a shipped file, at most
ANCHORS = 3  # fixed players
THREADS_GAIN = 0.7  # power of the cores of a training by which it is quicker; docs/training.md
REMEDIES = {
    "selfplay": "add machines, or lower selfplay.simulations or selfplay.games",
    "clean": "it is one job: give it a faster core and disk",
    "process": "lower clean.chunk_size for more jobs, or give the machines faster disks",
    "shuffle": "lower clean.chunk_size and raise shuffle.buckets for more jobs, or give the"
    " machines faster disks",
    "train": "it is one job: give it a faster GPU, raise train.processes where a machine has more"
    " of them (on cores, train.threads), or lower train.max_samples or train.reuse",
    "evaluate": "lower evaluate.games or evaluate.simulations",
}


@dataclass(frozen=True)
class Work:
    """What the jobs of one step of a generation do: numbers are of all of them."""

    step: str  # match, pool and solved of `evaluate`; scatter and gather of `shuffle`
    stage: str
    jobs: int
    rate: str  # a name of `Rates`
    amount: float  # of what that rate counts
    read: int  # bytes
    written: int

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written


@dataclass(frozen=True)
class Prediction:
    """What a run needs of a fleet."""

    schedule: Schedule
    moved: dict[str, int]  # bytes by stage, read and written
    rates: list[Rate]  # in use, each once
    device: str  # what evaluates and trains: core, GPU
    slots: int  # how many of these the fleet has for jobs
    shards: int

    @property
    def bottleneck(self) -> str:
        """The stage for which most of the time is waited."""
        return max(self.schedule.waited, key=lambda stage: self.schedule.waited[stage])

    @property
    def remedy(self) -> str:
        """What would shorten the run most."""
        if self.bottleneck == "selfplay" and self.shards < self.slots:
            return (
                f"raise selfplay.shards: {self.shards:,} jobs leave"
                f" {self.slots - self.shards:,} of {self.slots:,} {self.device}s idle"
            )
        return REMEDIES[self.bottleneck]


def predict(planned: Plan, fleet: Fleet, measured: Measured, path: str) -> Prediction:
    """Time and traffic of a run on the machines of the file `path`.

    Raises `BadInput` where these cannot run it, or a rate is missing. All jobs of a step are taken
    to be alike, and those of the next to wait for all of them.
    """
    config = planned.config
    gpu = uses_gpus(config, fleet, path)
    kinds = range(len(fleet.machines))
    rates = [rates_of(config, fleet, kind, False, measured, path) for kind in kinds]
    networks = rates
    if gpu:
        have = [machine.gpus > 0 for machine in fleet.machines]
        networks = [
            rates_of(config, fleet, kind, True, measured, path) if have[kind] else rates[kind]
            for kind in kinds
        ]
    cores = [machine.count * machine.cores for machine in fleet.machines]
    gpus = [machine.count * machine.gpus for machine in fleet.machines]
    if gpu:  # each GPU's job keeps a core busy
        cores = [all_cores - used for all_cores, used in zip(cores, gpus, strict=True)]
    moved: dict[str, int] = defaultdict(int)
    batches: list[Batch] = []
    used: dict[Rate, None] = {}
    ends: dict[str, dict[int, Batch]] = defaultdict(dict)  # step, generation

    for made in planned.generations:
        for work in works(planned, made):
            network = work.rate in ("evaluate", "match", "learn")
            of = networks if network else rates
            on_gpu = gpu and network
            room = gpus if on_gpu else cores
            slots, speed = _shares(config, fleet, on_gpu) if work.step == "train" else (1, 1.0)
            batch = Batch(
                work.stage,
                work.jobs,
                _seconds(work, fleet, of, room, slots, speed),
                on_gpu,
                slots,
                [ends[step][gen] for step, gen in _waits_for(work.step, made.number, config)
                 if gen in ends[step]],
            )  # fmt: skip
            ends[work.step][made.number] = batch
            batches.append(batch)
            moved[work.stage] += work.moved
            for kind, one in enumerate(of):
                if room[kind]:
                    used |= dict.fromkeys((getattr(one, work.rate), one.disk, one.start))
    batches.sort(key=lambda batch: batch.stage == "evaluate")  # as by the priorities of the rules
    schedule = run(batches, cores, gpus, fleet.jobs)
    return Prediction(
        schedule,
        dict(moved),
        list(used),
        "GPU" if gpu else "core",
        sum(gpus if gpu else cores),
        config.selfplay.shards,
    )


def _waits_for(step: str, gen: int, config: Config) -> Iterator[tuple[str, int]]:
    """Steps, each with its generation, that one waits for."""
    chain = ("selfplay", "clean", "process", "scatter", "gather", "train")
    if step in chain[1:]:
        yield chain[chain.index(step) - 1], gen
    if step == "train":
        yield "train", gen - 1
    elif step == "selfplay":
        yield "match" if config.evaluate.gate else "train", gen - 1 - config.lag
    elif step in ("match", "pool", "solved"):
        yield "train", gen


def _shares(config: Config, fleet: Fleet, on_gpu: bool) -> tuple[int, float]:
    """How many GPUs or cores a training takes, and how much quicker it is than on one."""
    processes = config.train.processes
    if on_gpu:
        return processes, processes
    # Snakemake gives no job more cores than there are.
    cores = min(processes * config.train.threads, max(one.cores for one in fleet.machines))
    return cores, cores**THREADS_GAIN


def _seconds(
    work: Work, fleet: Fleet, rates: list[Rates], room: list[int], slots: int, speed: float
) -> list[float]:
    """Of one job on each kind of machine: of computing or of the disk, whichever takes longer."""
    at_once = min(work.jobs, sum(room) // slots, fleet.jobs or work.jobs)
    machines = sum(m.count for m, free in zip(fleet.machines, room, strict=True) if free)
    on_one = max(1.0, at_once / max(machines, 1))
    found = []
    for kind, rate in enumerate(rates):
        if room[kind] < slots:
            found.append(math.inf)
            continue
        disk = rate.disk.value / on_one
        if fleet.shared_disk:
            disk = min(disk, fleet.shared_disk / max(at_once, 1))
        computing = work.amount / work.jobs / getattr(rate, work.rate).value / speed
        found.append(1 / rate.start.value + max(computing, work.moved / work.jobs / disk))
    return found


def evaluations(settings: Selfplay, made: Generation) -> float:
    """Positions that the searches of a generation's games ask for."""
    if settings.search == "policy":
        return made.searched
    if settings.search == "minimax":
        levels = range(len(settings.widths) + 1)
        return made.searched * sum(math.prod(settings.widths[:k]) for k in levels)
    early = made.early if settings.early_simulations else 0
    full = settings.full_search * (1 - given_up(settings))
    usual = full * settings.simulations + (1 - full) * settings.cheap_simulations
    thorough = max(settings.early_simulations, settings.simulations)
    return made.searched + (made.searched - early) * usual + early * thorough


def works(planned: Plan, made: Generation) -> Iterator[Work]:
    """The work of one generation, step by step, with the bytes of its files from the plan."""
    config = planned.config
    size: dict[str, int] = defaultdict(int)
    for item in planned.items:
        if item.generation == made.number:
            size[item.stage] = item.size
    games = size["selfplay"] or size["clean"]
    chunks = chunks_of(config, made)
    positions, parts, buckets = size["process"], size["shuffle, scattered"], size["shuffle"]
    if not config.selfplay.existing:
        asked = evaluations(config.selfplay, made)
        shards = config.selfplay.shards
        yield Work("selfplay", "selfplay", shards, "evaluate", asked, 0, games)
    yield Work("clean", "clean", 1, "clean", made.moves, games, size["clean"])
    yield Work("process", "process", chunks, "process", positions, size["clean"], positions)
    yield Work("scatter", "shuffle", chunks, "scatter", parts, positions, parts)
    yield Work("gather", "shuffle", config.shuffle.buckets, "gather", buckets, parts, buckets)
    read = round(made.samples * buckets / max(made.rows, 1))
    yield Work("train", "train", 1, "learn", made.samples, read, size["train"])
    length = made.moves / max(made.games, 1)
    of_game = length * (1 + config.evaluate.simulations)
    matched = config.evaluate.games * of_game
    pooled = (
        config.evaluate.earlier_games * (made.number > 1)
        + config.evaluate.anchor_games * ANCHORS / 2  # where one side has no network
    ) * of_game
    yield Work("match", "evaluate", 1, "match", matched, 0, 0)
    if pooled and config.board_size_of(made.number) == config.board_size:
        yield Work("pool", "evaluate", 1, "match", pooled, 0, 0)
    if config.evaluate.positions != "none" and config.board_size_of(made.number) <= 7:
        solved = SOLVED * (1.0 + config.evaluate.simulations)
        yield Work("solved", "evaluate", 1, "match", solved, 0, 0)


def in_lines(predicted: Prediction, fleet: Fleet, generations: int) -> list[str]:
    """The prediction for people."""
    schedule = predicted.schedule
    count = sum(machine.count for machine in fleet.machines)
    lines = [
        f"fleet: {plural(count, 'machine')}, {plural(fleet.total('cores'), 'core')},"
        f" {plural(fleet.total('gpus'), 'GPU')}",
        f"wall time: {span(schedule.wall)} for {plural(generations, 'generation')}, of which it"
        " waits for",
    ]
    for stage, seconds in sorted(schedule.waited.items(), key=lambda pair: -pair[1]):
        lines.append(
            f"  {stage}: {span(seconds)}, {seconds / schedule.wall:.0%};"
            f" {plural(schedule.at_once[stage], 'job')} at once at most"
        )
    lines += [
        f"bottleneck: {predicted.bottleneck}; {predicted.remedy}",
        f"bytes moved: {size_in_words(sum(predicted.moved.values()))} read and written",
    ]
    lines += [
        f"  {stage}: {size_in_words(size)}" for stage, size in predicted.moved.items() if size
    ]
    lines.append("rates, and where each is from:")
    return lines + [f"  {_in_words(rate)}: {rate.source}" for rate in predicted.rates]


def _in_words(rate: Rate) -> str:
    if rate.what == STARTS:
        return f"{1 / rate.value:.3g} s from the submission of a job to its work"
    if rate.what.startswith("bytes"):
        return f"{size_in_words(rate.value)}{rate.what.removeprefix('bytes')}, a second"
    return f"{number(rate.value)} {rate.what}, a second"


def number(value: float) -> str:
    """With about three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_dict(predicted: Prediction) -> dict[str, Any]:
    """The prediction for programs: seconds, bytes, and rates a second."""
    schedule = predicted.schedule
    return {
        "wall_seconds": schedule.wall,
        "waited_seconds": schedule.waited,
        "busy_seconds": schedule.busy,
        "jobs_at_once": schedule.at_once,
        "bottleneck": predicted.bottleneck,
        "remedy": predicted.remedy,
        "bytes_moved": predicted.moved,
        "rates": [asdict(rate) for rate in predicted.rates],
    }


def plural(count: int, thing: str) -> str:
    """`1 machine`, `1,600 cores`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def span(seconds: float) -> str:
    """A time for people, in days where there are several."""
    return f"{seconds / 86400:.1f} days" if seconds >= 2 * 86400 else duration(seconds)
