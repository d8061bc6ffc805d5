"""What a run on a hundred machines asks of Snakemake, the disks and the network: docs/scale.md.

The plan is that of config/presets/fleet13.yaml, in dry runs. Bytes are those of 13×13 games of a
small random network, through all stages.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import number, publish, start, table

REPOSITORY = Path(__file__).parents[1]
PRESET = "config/presets/fleet13.yaml"
SLURM = ["--workflow-profile", "profiles/slurm"]
UNGROUPED = [*SLURM, "--groups", "report=report"]
HEXLIB = [sys.executable, "-m", "hexlib.cli"]


def dry_run(generations: int, options: list[str]) -> tuple[int, float, float]:
    """Jobs of the plan, and the processor seconds and most memory (MB) that planning it took."""
    count = [f"generations={{count: {generations}}}"]
    targets = ["-n", "train", "report", "--configfile", PRESET, "--config", *count]
    command = [sys.executable, "-m", "snakemake", *targets, *options]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        said.seek(0)
        text = said.read()
    if status:
        sys.exit(text)
    found = re.search(r"^total +(\d+)", text, re.MULTILINE)
    return int(found[1]), used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def plans(quick: bool) -> Iterator[list[str]]:
    """A row for each plan."""
    for name, options in {"default": [], "slurm, no groups": UNGROUPED, "slurm": SLURM}.items():
        for generations in (1,) if quick else (1, 3, 12):
            if options == SLURM and generations > 3:
                continue  # minutes
            jobs, seconds, memory = dry_run(generations, options)
            yield [name, str(generations), number(jobs), number(seconds), number(memory)]


def sizes(games: int) -> Iterator[list[str]]:
    """A row for each product: bytes a game and a position."""
    with tempfile.TemporaryDirectory() as folder:

        def made(command: str, *names: str) -> int:
            words = [*HEXLIB, *shlex.split(command)]
            where = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(REPOSITORY)}}
            subprocess.run(words, check=True, capture_output=True, **where)
            return sum((Path(folder) / name).stat().st_size for name in names)

        made("init --board-size 13 --blocks 1 --channels 8 --output net.pt", "net.pt")
        played = made(
            f"selfplay --checkpoint net.pt --games {games} --simulations 32 --random-stones 8"
            " --output s.trmph",
            *("s.trmph", "s.search.npz"),
        )
        cleaned = made(
            "clean s.trmph --board-size 13 --chunks 1 --output-dir c",
            *("c/chunk_0000.trmph", "c/chunk_0000.search.npz"),
        )
        processed = made("process c/chunk_0000.trmph --output p.npz", "p.npz")
        scattered = made("shuffle scatter p.npz --buckets 2 --output-dir d", "d/parts.npz")
        gathered = sum(
            made(f"shuffle gather d --bucket {k} --output b{k}.npz", f"b{k}.npz") for k in range(2)
        )
        buckets = [f"{folder}/b{k}.npz" for k in range(2)]
        made(f"shuffle summary {shlex.join(buckets)} --output s.json", "s.json")
        positions = json.loads((Path(folder) / "s.json").read_text())["rows"]
    yield ["moves of a game, about", number(positions / games - 1), ""]
    for name, size in (
        ("self-play shards", played),
        ("cleaned chunks", cleaned),
        ("positions", processed),
        ("scattered parts", scattered),
        ("buckets", gathered),
    ):
        yield [f"{name}, bytes", number(size / games), number(size / positions)]


def main() -> None:
    """Measure and publish."""
    arguments = start(__doc__).parse_args()
    headings = (
        ["profile", "generations", "jobs", "processor s", "MB"],
        ["product", "a game", "a position"],
    )
    plan, bytes_ = plans(arguments.quick), sizes(50 if arguments.quick else 1000)
    parts = [table(headings[0], plan), table(headings[1], bytes_)]
    publish("scale", "Measured", parts, arguments.write)


if __name__ == "__main__":
    main()
