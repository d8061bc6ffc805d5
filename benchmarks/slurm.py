"""What Slurm and Snakemake take for a job that does nothing: docs/scale.md.

Needs root, and Debian's apt where Slurm is not there yet. A stand-in takes the place of `hexlib`,
so that all that is measured is the way to a job and back. Slurm's clock has whole seconds.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common import number, publish, start, table

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = REPOSITORY / "tests/slurm"
sys.path.insert(0, str(REPOSITORY / "tests"))


def records() -> list[float]:
    """The seconds that each ended job was at work."""
    show = ["scontrol", "--oneliner", "show", "job"]
    text = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    times = re.findall(r"StartTime=(\S+) EndTime=(\S+)", text)
    return [_seconds(ended) - _seconds(began) for began, ended in times]


def _seconds(stamp: str) -> float:
    """The second of a day."""
    hours, minutes, seconds = stamp.partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def main() -> None:
    """Measure and publish."""
    arguments = start(__doc__).parse_args()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # Slurm has all cores
    from conftest import TINY, new_project_in

    shards = 2 if arguments.quick else 20
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp") as folder:
        project = new_project_in(Path(folder) / "project", stand_in=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        project.run("results/tiny/initial.pt", "--configfile", TINY)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        subprocess.run([SCRIPTS / "up.sh", f"{folder}/slurm"], check=True)
        load, begun = os.getloadavg()[0], time.monotonic()
        try:
            done = project.snakemake(
                *("results/tiny/gen_000/clean/summary.json", "--configfile", TINY),
                *("--config", f"selfplay={{shards: {shards}}}", "--cores", "2"),
                *("--workflow-profile", "profiles/slurm"),
                *("--slurm-no-account", "--slurm-status-command", "squeue"),
                timeout=1800,
            )
            seconds = time.monotonic() - begun
            jobs = records()
        finally:
            subprocess.run([SCRIPTS / "down.sh", f"{folder}/slurm"], check=True)
    if done.returncode:
        sys.exit(done.stdout)
    rows = [
        ["one start of Snakemake that runs a job here, processor s", number(processor)],
        ["jobs, two at a time", number(len(jobs))],
        ["a job that does nothing, from its start to its end, median, s", number(median(jobs))],
        ["the same, longest, s", number(max(jobs))],
        ["all of them, from the start of Snakemake to its end, s", number(seconds)],
        ["load average of the machine before", f"{load:.1f}"],
    ]
    parts = [table(["what", "measured"], rows)]
    publish("slurm", "Overhead of a job on Slurm", parts, arguments.write)


if __name__ == "__main__":
    main()
