"""A workflow over a million 13×13 games that somebody else made: text to buckets, on two cores."""

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import volume
import yaml

from hexlib import files
from hexlib.game import records

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "config", "profiles", "envs", "hexlib")
PER_FILE = 10_000  # games of the folder that is read
CORES = 2
LOGS = {
    "clean": "clean/*.tsv",
    "process": "process/*.tsv",
    "scatter": "shuffle/scatter_*.tsv",
    "gather": "shuffle/bucket_*.tsv",
}
NOTES = """\
`snakemake --cores {cores}` on a folder of text files, {text:.0f} MB, until the positions,
{positions:,} or {size:.1f} GB, are on disk, in chunks of {chunk:,} games and {buckets} buckets.
Of {records:,} records {kept:,} games were kept, {duplicates:,} were duplicates, {rejected:,}
were rejected. The seconds of the jobs are those of the clock, {cores} at a time, with the start of
each. Memory is that of the largest process. Where the clock's seconds are many more than half of
the processors', others had the machine."""


def make_folder(folder: Path, games: int) -> None:
    """Files of uniformly random games, in folders of ten files."""
    for number, first in enumerate(range(0, games, PER_FILE)):
        made = volume.random_games(min(PER_FILE, games - first), seed=number + 1)
        path = folder / f"{number // 10:03d}" / f"{number:04d}.trmph"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(records.records_of(made).tobytes())


def run(project: Path, settings: dict[str, Any]) -> None:
    """Run the workflow up to the shuffle, in a folder that stands for a user's clone."""
    for part in PARTS:
        (project / part).symlink_to(REPOSITORY / part)
    (project / "settings.yaml").write_text(yaml.safe_dump(settings))
    search = [str(Path(sys.executable).parent), os.environ["PATH"]]
    workflow = [sys.executable, "-m", "snakemake", "--cores", str(CORES)]
    with (project / "log").open("w") as log:
        done = subprocess.run(
            [*workflow, "--configfile", "settings.yaml", "--until", "shuffle_summary"],
            cwd=project,
            env=os.environ | {"PATH": os.pathsep.join(search), "PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise RuntimeError((project / "log").read_text())


def seconds_of_jobs(folder: Path) -> list[list[str]]:
    """For each stage, how many jobs it had and how long they took, as Snakemake measured."""
    rows = []
    for name, pattern in LOGS.items():
        times = []
        for path in folder.glob(pattern):
            with path.open() as lines:
                times += [float(row["s"]) for row in csv.DictReader(lines, dialect="excel-tab")]
        rows.append([f"jobs of {name}: {len(times)}", f"{sum(times):.1f} s", "–"])
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = common.start(__doc__ or "", CORES)
    parser.add_argument("--games", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--folder", help="Where to work. Default: the system's temporary folder.")
    arguments = parser.parse_args()
    games = 500 if arguments.quick else arguments.games
    chunk, buckets = max(1_000, games // 20), max(2, games // 50_000)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        project = Path(name)
        make_folder(project / "games", games)
        settings = {
            "run": "million",
            "board_size": volume.SIZE,
            "generations": {"count": 1},
            "selfplay": {"existing": [str(project / "games")]},
            "clean": {"chunk_size": chunk},
            "shuffle": {"buckets": buckets},
        }
        os.sync()
        before = time.perf_counter(), volume.processor_seconds()
        run(project, settings)
        wall = time.perf_counter() - before[0]
        processor = volume.processor_seconds() - before[1]
        made = project / "results/million/gen_000"
        cleaned = files.read_json(made / "clean/summary.json")
        shuffled = files.read_json(made / "shuffle/summary.json")
        text = sum(path.stat().st_size for path in (project / "games").rglob("*.trmph"))
        size = sum(path.stat().st_size for path in made.glob("shuffle/bucket_*.npz"))
        jobs = seconds_of_jobs(project / "results/million/benchmarks/gen_000")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    bounds = [
        ["from text to buckets, by the clock", f"{wall:.0f} s", "at most 300 s"],
        ["from text to buckets, of processors", f"{processor:.0f} s", "–"],
        *jobs,
        ["memory", f"{largest / (1e6 if sys.platform == 'darwin' else 1e3):.0f} MB", "–"],
    ]
    counts = {key: cleaned[key] for key in ("records", "kept", "duplicates", "rejected")}
    notes = NOTES.format(
        cores=CORES, text=text / 1e6, positions=shuffled["rows"], size=size / 1e9,
        chunk=chunk, buckets=buckets, **counts,
    )  # fmt: skip
    parts = [common.table(["what", "measured", "aim"], bounds), notes]
    common.publish("million", f"{games:,} games, text to buckets", parts, arguments.write)


if __name__ == "__main__":
    main()
