"""Positions of 13×13 games, file to file: hexlib, plain Python, and copies of as many bytes."""

import re
import tempfile
from pathlib import Path

import common
import numpy as np
import volume

from hexlib import npz
from hexlib.game import positions, records
from hexlib.game.notation import cell_name
from hexlib.settings import Process
from hexlib.stages import process

CHUNK = 10_000  # games, as is the default
FEW = 200  # games that suffice to measure what is slow
NOTES = """\
{games:,} random games, text to positions, until the bytes are on disk. Plain Python plays {few} of
the games on sets and keeps each position as arrays of its own, as pipelines do that were not made
for volume; `numpy.savez` writes the finished arrays and does nothing else, nor does it wait for the
disk. `cp` and the copy in memory move as many bytes as the product has. {clock}"""


def ours(chunk: Path, output: Path) -> int:
    """File to file; how many positions."""
    return process.run(chunk, output, Process(), volume.SIZE)["rows"]


def in_python(chunk: Path, output: Path) -> None:
    """The same boards, policies and values by loops over the text, and `numpy.savez`."""
    n = volume.SIZE
    cells = {cell_name(cell, n): cell for cell in range(n * n)}
    boards, policies, values = [], [], []
    for line in chunk.read_text().splitlines():
        if line.startswith("# "):
            continue
        text, winner = line.split(",")[1].split()
        moves = [cells[name] for name in re.findall(r"[a-z]\d+", text)]
        stones: tuple[set[int], set[int]] = (set(), set())
        for ply in range(len(moves) + 1):
            planes = np.zeros((2, n, n), np.uint8)
            for plane, side in enumerate((ply % 2, 1 - ply % 2)):
                for cell in stones[side]:
                    row, column = divmod(cell, n)
                    planes[(plane, column, row) if ply % 2 else (plane, row, column)] = 1
            policy = np.zeros(n * n, np.float16)
            if ply < len(moves):
                row, column = divmod(moves[ply], n)
                policy[column * n + row if ply % 2 else moves[ply]] = 1
                stones[ply % 2].add(moves[ply])
            boards.append(planes)
            policies.append(policy)
            values.append(1 if (winner == "b") == (ply % 2 == 0) else -1)
    np.savez(output, np.packbits(np.stack(boards)), np.stack(policies), np.array(values, np.int8))


def main() -> None:
    """Measure, print, write."""
    arguments = common.start(__doc__ or "").parse_args()
    games, rounds = (FEW, 1) if arguments.quick else (CHUNK, 7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chunk, few, output = folder / "chunk.trmph", folder / "few.trmph", folder / "chunk.npz"
        copies = folder / "copies"
        made = volume.random_games(games, seed=1)
        records.write_games(chunk, [made], {"kind": "games"})
        records.write_games(few, [volume.random_games(FEW, seed=1)], {"kind": "games"})
        few_rows = ours(few, folder / "few.npz")
        rows = ours(chunk, output)
        size = output.stat().st_size
        arrays, _ = npz.open_npz(output, positions.KIND)
        arrays = {key: array.copy() for key, array in arrays.items()}
        limit = "cp, synced"
        costs = volume.measured(
            {
                "hexlib": lambda: ours(chunk, output) and None,
                "numpy.savez alone": lambda: np.savez(folder / "numpy.npz", **arrays),
                limit: lambda: volume.copy_on_disk([output], copies),
                "copy in memory": volume.copy_in_memory(size),
            },
            rounds,
        )
        slow = volume.measured({"plain Python": lambda: in_python(few, folder / "few.npz")}, 1)
        scale = rows / few_rows
        costs["plain Python"] = volume.Cost(*(part * scale for part in slow["plain Python"]))
        peak = volume.peak_of("process", chunk, "--output", output)
    header = ["what", "positions/s", f"of the speed of {limit}", "positions/s, processor"]
    speed = rows / costs["hexlib"].processor
    bounds = [
        ["positions/s of processor time", common.number(speed), "at least 8,000,000"],
        ["÷ plain Python", common.ratio(costs["plain Python"].wall, costs["hexlib"].wall), "–"],
        ["bytes a position", f"{size / rows:.2f}", "at most 60"],
        ["memory of a job", f"{peak:.0f} MB", "at most 300 MB"],
    ]
    parts = [
        common.table(header, volume.rates(costs, rows, limit)),
        common.table(["hexlib", "measured", "aim"], bounds),
        NOTES.format(games=games, few=FEW, clock=volume.CLOCK),
    ]
    common.publish("process", "Positions from games", parts, arguments.write)


if __name__ == "__main__":
    main()
