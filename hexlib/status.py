"""How far a run is, read from its files: of a running or a stopped workflow, from any terminal."""

import csv
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table

from hexlib import hold
from hexlib.config import read_config
from hexlib.errors import BadInput
from hexlib.logs import DONE, duration
from hexlib.run_config import Config

STAGES = ("selfplay", "clean", "process", "shuffle", "train", "evaluate")
# A product of each job, below the folder of the generation.
PRODUCTS = {
    "selfplay": "selfplay/shard_*.trmph",
    "clean": "clean/summary.json",
    "process": "process/chunk_*.npz",
    "shuffle": "shuffle/bucket_*.npz",
    "train": "train/lineage.json",
    "evaluate": "evaluate/*.json",
}
LAST_BYTES = 4096  # of a log, in which its last line stands
TIME_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (INFO|WARNING|ERROR) ")


@dataclass(frozen=True)
class Stage:
    """Jobs of one stage in one generation."""

    generation: int
    name: str
    done: int
    total: int


@dataclass(frozen=True)
class Job:
    """A job that has begun and not ended, with what it said last and when (seconds since 1970)."""

    log: str
    said: str
    at: float


@dataclass(frozen=True)
class Status:
    """How far a run is."""

    run: str
    owner: dict[str, str] | None  # the workflow that is at work on it
    stages: list[Stage]
    jobs: list[Job]
    seconds_left: float | None  # of one core, from the times of the jobs that are done

    @property
    def done(self) -> int:
        """Jobs that are done."""
        return sum(stage.done for stage in self.stages)

    @property
    def total(self) -> int:
        """Jobs in all."""
        return sum(stage.total for stage in self.stages)


def status_of(run: Path, logs: Path) -> Status:
    """Read the state of `run` (such as results/default), whose jobs log to the folder `logs`.

    Raises `BadInput` where no run has begun.
    """
    if not (run / "config.yaml").is_file():
        raise BadInput(f"{run}: no run has begun here; name a folder such as results/default")
    config = read_config(run / "config.yaml")
    generations = range(config.generations.first, config.generations.count)
    stages = [stage for number in generations for stage in _stages(run, number, config)]
    owner = hold.owner_of(run)
    jobs = list(_unfinished(logs)) if owner else []
    return Status(str(run), owner, stages, jobs, _seconds_left(run, stages))


def _stages(run: Path, number: int, config: Config) -> Iterator[Stage]:
    folder = run / f"gen_{number:03d}"
    made = {name: len(list(folder.glob(pattern))) for name, pattern in PRODUCTS.items()}
    # A match; players of the ladder, on the last board alone; solved positions.
    evaluations = 1 + (config.board_size_of(number) == config.board_size)
    evaluations += config.evaluate.positions != "none"
    chunks = -(-config.selfplay.games // config.clean.chunk_size)
    totals = {
        "selfplay": 0 if config.selfplay.existing else config.selfplay.shards,
        "clean": 1,
        "process": len(list(folder.glob("clean/chunk_*.trmph"))) or chunks,
        "shuffle": config.shuffle.buckets,
        "train": 1,
        "evaluate": evaluations,
    }
    if made["shuffle"]:  # whose jobs need all chunks, which are dropped after
        made["process"] = totals["process"]
    for name in STAGES:
        if totals[name]:
            yield Stage(number, name, min(made[name], totals[name]), totals[name])


def _unfinished(logs: Path) -> Iterator[Job]:
    for path in sorted(logs.rglob("*.log")):
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - LAST_BYTES))
            lines = handle.read().decode(errors="replace").splitlines()
        last = next((line for line in reversed(lines) if TIME_STAMP.match(line)), "")
        if last and " ERROR " not in last and DONE not in last:
            said = TIME_STAMP.sub("", last)
            shown = path.relative_to(logs).with_suffix("").as_posix()
            begun = said.startswith(("hexlib ", "settings"))
            yield Job(shown, "has begun" if begun else said[:200], _at(last))


def _at(line: str) -> float:
    return time.mktime(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S"))


def _seconds_left(run: Path, stages: list[Stage]) -> float | None:
    """Sum over the jobs left of the mean time of the stage's jobs; None if one has no time yet."""
    times: dict[str, list[float]] = defaultdict(list)
    for path in (run / "benchmarks").glob("gen_*/*/*.tsv"):
        with path.open() as lines:
            rows = csv.DictReader(lines, dialect="excel-tab")
            times[path.parent.name] += [float(row["s"]) for row in rows]
    left = 0.0
    for stage in stages:
        if stage.done < stage.total:
            if not times[stage.name]:
                return None
            mean = sum(times[stage.name]) / len(times[stage.name])
            left += mean * (stage.total - stage.done)
    return left


def headline(status: Status) -> str:
    """One line: who is at work, and how far it is."""
    work = "stopped"
    if status.done == status.total:
        work = "complete"
    elif status.owner:
        work = f"running (process {status.owner['pid']} on {status.owner['host']})"
    line = f"{status.run}: {work}, {status.done} of {status.total} jobs done"
    if status.seconds_left:
        line += f", about {duration(status.seconds_left)} of one core left"
    if work == "stopped":
        line += "; run the same command to go on"
    return line


def in_lines(status: Status) -> list[str]:
    """The status as plain text: the headline, a line a generation, and a line a running job."""
    lines = [headline(status)]
    for number in sorted({stage.generation for stage in status.stages}):
        counts = [
            f"{stage.name} {stage.done}/{stage.total}"
            for stage in status.stages
            if stage.generation == number
        ]
        lines.append(f"generation {number:03d}: {', '.join(counts)}")
    return lines + [_about(job) for job in status.jobs]


def _about(job: Job) -> str:
    silent = time.time() - job.at
    return f"{job.log}: {job.said}" + (f" ({duration(silent)} ago)" if silent > 60 else "")


def in_bars(status: Status) -> Group:
    """The status for a terminal: a bar for each stage of all generations, and the running jobs."""
    bars = Table.grid(padding=(0, 2))
    for name in STAGES:
        stages = [stage for stage in status.stages if stage.name == name]
        done, total = sum(s.done for s in stages), sum(s.total for s in stages)
        if total:
            bars.add_row(name, ProgressBar(total, done, width=40), f"{done} of {total} jobs")
    return Group(headline(status), bars, *map(_about, status.jobs))
