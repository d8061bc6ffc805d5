"""A run killed again and again, and always started by the same command: are the products the same?

    python tests/kill_campaign.py --kills 200 --seed 1

prints what was killed and compares the sha256 of every product with those of a run that was left
alone.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from conftest import TINY, Project, new_project_in

from hexlib.files import sha256
from hexlib.stages import report

COMMAND = ("train", "report", "--cores", "2", "--configfile", TINY)
LONGEST_GAP = 1 / 7  # from one kill to the next at most, in lengths of the undisturbed run
LONGEST_RUN = 1800.0  # seconds
# Of the kinds of kill: a job, Snakemake alone, and all processes at once, as at a power loss.
JOB, SNAKEMAKE, TREE = "a job", "Snakemake alone", "all processes"


@dataclass
class Report:
    """What was killed, and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)  # by verb, those that a kill ended
    runs: int = 0  # that came to their end and were compared
    starts: int = 0
    seconds: float = 0.0
    longest_gap: float = 0.0  # seconds
    products: int = 0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [f"| killed: {kind} | {count} |" for kind, count in self.kills.items()]
        rows += [f"| jobs ended: {verb} | {count} |" for verb, count in self.jobs.most_common()]
        return "\n".join(
            [
                "| | |\n| --- | --- |",
                *rows,
                f"| starts of the same command | {self.starts} |",
                f"| runs that came to their end | {self.runs} |",
                f"| products compared in each | {self.products} |",
                f"| that differ, or were left over | {len(self.differences)} |",
                f"| seconds from one kill to the next | 0 to {self.longest_gap:.0f} |",
                f"| minutes | {self.seconds / 60:.0f} |",
            ]
        )


def products(project: Project) -> dict[str, str]:
    """The sha256 of every file of the run but Snakemake's timings, the locks and the checksums.

    The report shows the timings, so that it is made again without them; so its checksum differs.
    """
    run = project.folder / "results/tiny"
    (run / "benchmarks").rename(project.folder / "benchmarks")
    report.run(run, run / "report/index.html")
    (project.folder / "benchmarks").rename(run / "benchmarks")
    files = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    return {
        name: sha256(path)
        for name, path in sorted(files.items())
        if not name.startswith(("benchmarks/", ".running/", "checksums"))
    }


def campaign(undisturbed: Project, disturbed: Project, kills: int, seed: int) -> Report:
    """Run the first project undisturbed, and the second with kills at moments drawn from `seed`."""
    tally = Report()
    begun = time.monotonic()
    undisturbed.run(*COMMAND, timeout=LONGEST_RUN)
    tally.longest_gap = (time.monotonic() - begun) * LONGEST_GAP
    wanted = products(undisturbed)
    tally.products = len(wanted)
    random_moment = random.Random(seed)
    while sum(tally.kills.values()) < kills:
        tally.starts += 1
        if _disturb(disturbed, kills, random_moment, tally) == 0:
            _compare(wanted, disturbed, tally)
            shutil.rmtree(disturbed.folder / "results")
    if (disturbed.folder / "results").exists():
        tally.starts += 1
        disturbed.run(*COMMAND, timeout=LONGEST_RUN)
        _compare(wanted, disturbed, tally)
    tally.seconds = time.monotonic() - begun
    return tally


def _compare(wanted: dict[str, str], project: Project, tally: Report) -> None:
    found = products(project)
    tally.runs += 1
    names = wanted.keys() | found.keys()
    tally.differences += sorted(name for name in names if wanted.get(name) != found.get(name))


def _disturb(project: Project, kills: int, random_moment: random.Random, tally: Report) -> int:
    """Run the command until it ends or a kill ends it; returns the exit code."""
    output = project.folder / "output.txt"
    with output.open("w") as said:
        process = project.start(*COMMAND, stdout=said)
    while sum(tally.kills.values()) < kills:
        try:
            process.wait(random_moment.uniform(0, tally.longest_gap))
            break
        except subprocess.TimeoutExpired:
            pass
        jobs = jobs_of(process.pid)
        kind = random_moment.choice([JOB, JOB, SNAKEMAKE, TREE])
        if kind == JOB and not jobs:
            continue  # between two jobs
        chosen = random_moment.choice(jobs) if kind == JOB else None
        tally.kills[kind] += 1
        tally.jobs.update(map(verb_of, jobs if kind == TREE else [chosen] if chosen else []))
        if chosen:
            chosen.send_signal(signal.SIGKILL)
            continue
        (os.kill if kind == SNAKEMAKE else os.killpg)(process.pid, signal.SIGKILL)
        break
    code = process.wait(LONGEST_RUN)
    said_all = output.read_text()
    if "Traceback" in said_all or "--unlock" in said_all:
        raise AssertionError(said_all)
    return code


def jobs_of(snakemake: int) -> list[psutil.Process]:
    """The commands `hexlib` that a workflow has started."""
    try:
        descendants = psutil.Process(snakemake).children(recursive=True)
        return [process for process in descendants if process.name() == "hexlib"]
    except psutil.NoSuchProcess:
        return []


def verb_of(job: psutil.Process) -> str:
    """The verb of a command `hexlib`; one that has just ended has none to tell."""
    try:
        return job.cmdline()[2]
    except (psutil.NoSuchProcess, IndexError):
        return "unknown"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = new_project_in(Path(folder) / "undisturbed", stand_in=False)
        disturbed = new_project_in(Path(folder) / "disturbed", stand_in=False)
        report = campaign(undisturbed, disturbed, arguments.kills, arguments.seed)
    print(f"{arguments.kills} kills, seed {arguments.seed}\n\n{report}")
    sys.exit("\n".join(["Different:", *report.differences]) if report.differences else 0)


if __name__ == "__main__":
    main()
