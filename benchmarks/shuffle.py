"""Shuffling of 13×13 positions, both passes: hexlib, numpy in memory, and a copy of the bytes."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import common
import numpy as np
import volume

from hexlib.game import positions, records
from hexlib.settings import Process
from hexlib.stages import process, shuffle

GAMES = 10_000  # in a chunk, as is the default
BUCKET = 1_500_000  # positions, about
NOTES = """\
{rows:,} positions of random games, {size:.0f} MB in {chunks} chunks, spread over {buckets} buckets,
until the bytes are on disk; all that is read lies in the system's memory. Two passes that write all
bytes cannot be faster than half of `cp`. numpy loads all chunks, permutes them and writes the
buckets by `numpy.savez`, and nobody waits until those are on disk; its memory grows with the
positions. {clock}"""


def chunks_of(folder: Path, wanted: int) -> tuple[list[Path], int]:
    """Chunks of at least `wanted` positions in all, and how many they hold."""
    paths, rows = [], 0
    while rows < wanted:
        path = folder / f"chunk_{len(paths):04d}.npz"
        games = volume.random_games(min(GAMES, wanted // 152 + 1), seed=len(paths) + 1)
        records.write_games(path.with_suffix(".trmph"), [games], {"kind": "games"})
        rows += process.run(path.with_suffix(".trmph"), path, Process(), volume.SIZE)["rows"]
        path.with_suffix(".trmph").unlink()
        paths.append(path)
    return paths, rows


def ours(chunks: Sequence[Path], folder: Path, buckets: int) -> None:
    """Both passes, all jobs one after the other."""
    parts = [folder / chunk.stem for chunk in chunks]
    for chunk, part in zip(chunks, parts, strict=True):
        shuffle.scatter(chunk, part, buckets, seed=0)
    for bucket in range(buckets):
        shuffle.gather(parts, bucket, folder / f"bucket_{bucket:04d}.npz", seed=0)
    shutil.rmtree(folder)


def in_memory(chunks: Sequence[Path], folder: Path, buckets: int) -> None:
    """The obvious way: everything loaded, permuted and written."""
    whole = positions.concatenate([positions.read_positions(chunk) for chunk in chunks])
    order = np.random.default_rng(0).permutation(len(whole))
    folder.mkdir(exist_ok=True)
    for bucket, rows in enumerate(np.array_split(order, buckets)):
        taken = whole.take(rows)
        arrays = {name: getattr(taken, name) for name in (*positions.COLUMNS, *positions.ENTRIES)}
        np.savez(folder / f"bucket_{bucket:04d}.npz", **arrays)
    shutil.rmtree(folder)


def memory_of_jobs(chunks: Sequence[Path], folder: Path, buckets: int) -> dict[str, float]:
    """Peak memory in MB of one job of each pass."""
    parts = [folder / chunk.stem for chunk in chunks]
    options = ["--buckets", str(buckets)]
    peaks = [
        volume.peak_of("shuffle", "scatter", chunk, "--output-dir", part, *options)
        for chunk, part in zip(chunks[:1], parts[:1], strict=True)
    ]
    for chunk, part in zip(chunks[1:], parts[1:], strict=True):
        shuffle.scatter(chunk, part, buckets, seed=0)
    output = folder / "bucket.npz"
    gather = volume.peak_of("shuffle", "gather", *parts, "--bucket", "0", "--output", output)
    shutil.rmtree(folder)
    return {"scatter": peaks[0], "gather": gather}


def main() -> None:
    """Measure, print, write."""
    parser = common.start(__doc__ or "")
    parser.add_argument("--positions", type=int, default=5_000_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--folder", help="Where to work. Default: the system's temporary folder.")
    arguments = parser.parse_args()
    wanted, rounds = (20_000, 1) if arguments.quick else (arguments.positions, arguments.rounds)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        chunks, rows = chunks_of(folder, wanted)
        size = sum(chunk.stat().st_size for chunk in chunks)
        buckets = max(4, round(rows / BUCKET))
        work, copies = folder / "work", folder / "copies"
        limit = "cp, synced"
        contestants = {
            "hexlib": lambda: ours(chunks, work, buckets),
            "numpy in memory": lambda: in_memory(chunks, work, buckets),
            limit: lambda: volume.copy_on_disk(chunks, copies),
            "copy in memory": volume.copy_in_memory(size),
        }
        if rows > 20_000_000:  # for which there may not be the memory
            del contestants["numpy in memory"]
        costs = volume.measured(contestants, rounds)
        peaks = memory_of_jobs(chunks, work, buckets)
    header = ["what", "positions/s", f"of the speed of {limit}", "positions/s, processor"]
    speed = common.ratio(costs[limit].wall, costs["hexlib"].wall)
    bounds = [
        [f"of the speed of {limit}", speed, "at least 0.33"],
        *(
            [f"memory of {step}", f"{peak:.0f} MB", "at most 250 MB"]
            for step, peak in peaks.items()
        ),
    ]
    parts = [
        common.table(header, volume.rates(costs, rows, limit)),
        common.table(["hexlib", "measured", "aim"], bounds),
        NOTES.format(
            rows=rows, size=size / 1e6, chunks=len(chunks), buckets=buckets, clock=volume.CLOCK
        ),
    ]
    large = rows > 20_000_000
    title = "Shuffling many positions" if large else "Shuffling"
    common.publish("shuffle-many" if large else "shuffle", title, parts, arguments.write)


if __name__ == "__main__":
    main()
