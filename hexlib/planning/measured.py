"""How fast the jobs of an earlier run were, from what Snakemake measured of them."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hexlib.config import read_config
from hexlib.errors import BadInput
from hexlib.files import read_json
from hexlib.planning.disk import plan
from hexlib.planning.fleet import STARTS, Measured, Rate
from hexlib.planning.prediction import THREADS_GAIN, Work, plural, works

# Of each step, below benchmarks/gen_XXX.
JOBS = {
    "selfplay": "selfplay/shard_*.tsv",
    "clean": "clean/*.tsv",
    "process": "process/chunk_*.tsv",
    "scatter": "shuffle/scatter_*.tsv",
    "gather": "shuffle/bucket_*.tsv",
    "train": "train/train.tsv",
    "match": "evaluate/match.tsv",
    "pool": "evaluate/pool.tsv",
    "solved": "evaluate/solved.tsv",
}
LEAST = 0.1  # share of a job's time that is taken to be work, where its start seems to be all of it
WHAT = {
    "evaluate": "positions evaluated in self-play, a job",
    "match": "positions evaluated in matches, a job",
    "learn": "positions trained on, a core or GPU of a job",
    "clean": "moves cleaned, a job",
    "process": "bytes of positions made, a job",
    "scatter": "bytes of positions scattered, a job",
    "gather": "bytes of positions gathered, a job",
    "start": STARTS,
}


def measured_rates(run: Path) -> Measured:
    """The rates of one job of each step of a run, such as results/default, by name.

    That of training is of one of the cores or GPUs that share it.

    Time is that of the clock, less that of a start: the shortest job's. Only generations whose
    training is done count; `BadInput` where there is none.
    """
    if not (run / "config.yaml").is_file():
        raise BadInput(f"{run}: no run has begun here; name a folder such as results/default")
    config = read_config(run / "config.yaml")
    planned = plan(config)
    sharing = config.train.processes * config.train.threads**THREADS_GAIN
    amounts: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    for made in planned.generations:
        folder = run / f"gen_{made.number:03d}"
        if not (folder / "train/lineage.json").is_file():
            continue
        cleaned = read_json(folder / "clean/summary.json")
        rows = read_json(folder / "shuffle/summary.json")["rows"]
        played = cleaned["records"] - cleaned["rejected"]
        moves = round(cleaned["moves"] * played / max(cleaned["kept"], 1))
        searched = round(moves * made.searched / max(made.moves, 1))
        early = round(made.early * played / max(made.games, 1))
        drawn = read_json(folder / "train/lineage.json")["samples"]
        of_games = {"games": played, "moves": moves, "searched": searched, "early": early}
        real = replace(made, **of_games, rows=rows, samples=drawn)
        buckets = sum(path.stat().st_size for path in folder.glob("shuffle/bucket_*.npz"))
        for work in works(planned, real):
            seconds = list(_seconds(run / "benchmarks" / folder.name, work))
            if seconds:
                of_bytes = work.rate in ("process", "scatter", "gather")
                amount = buckets if of_bytes else work.amount
                if work.step == "train":
                    amount /= sharing
                amounts[work.rate] = amounts.get(work.rate, 0.0) + amount
                times[work.rate] = times.get(work.rate, []) + seconds
    if not times:
        raise BadInput(f"{run}: no generation is done, so that nothing can be learned of its pace")
    start = min(min(seconds) for seconds in times.values())
    found = {}
    for name, seconds in times.items():
        working = max(sum(seconds) - start * len(seconds), LEAST * sum(seconds))
        jobs = plural(len(seconds), "job")
        found[name] = Rate(amounts[name] / working, WHAT[name], f"{run}/benchmarks, {jobs}")
    found["start"] = Rate(
        1 / max(start, 1e-3), WHAT["start"], f"{run}/benchmarks, the shortest job"
    )
    return found


def _seconds(folder: Path, work: Work) -> Iterator[float]:
    """Of the jobs of a step in a generation, by the clock."""
    for path in sorted(folder.glob(JOBS[work.step])):
        with path.open() as lines:
            for row in csv.DictReader(lines, dialect="excel-tab"):
                yield float(row["s"])
