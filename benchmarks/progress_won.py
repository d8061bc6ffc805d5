"""Strength against compute on each board: games won against the networks that come with hexlib.

`python benchmarks/progress_won.py results/hex7 results/hex9 --output docs/strength_won.svg`

Every generation of the runs plays on every size that a network comes for, whatever size it has
learned, without search. Each run must have begun with the last network of the one before. A table
beside the picture has the figures; matches that are in it are not played again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, PercentFormatter
from progress import figure_for, generations

from hexlib.ladder import wilson
from hexlib.nn.checkpoint import load_checkpoint, shipped
from hexlib.nn.device import choose
from hexlib.settings import Inference
from hexlib.stages.evaluate.match import match
from hexlib.stages.evaluate.sides import checkpoint_side

AT_ONCE = 128  # games
SIZES = (5, 7, 9, 11)
KEY = ["run", "generation", "board", "games"]


def networks(runs: list[Path]) -> Iterator[tuple[dict[str, object], Path]]:
    """Each generation's checkpoint in its order, and what is known of it without a match."""
    before = 0.0
    for run in runs:
        total = 0.0
        for folder, total in generations(run):
            checkpoint = folder / "train/checkpoint.pt"
            if checkpoint.exists():
                learned = load_checkpoint(checkpoint).board_sizes[-1]
                generation = int(folder.name.removeprefix("gen_"))
                known = {"run": run.name, "generation": generation, "learned": learned}
                yield known | {"evaluated": round(before + total)}, checkpoint
        before += total


def won(checkpoint: Path, size: int, games: int) -> int:
    """Games that a checkpoint wins on a board, both sides playing the move that they prefer."""
    device = choose(Inference(device="cpu"))
    sides = [checkpoint_side(c, size, 0, AT_ONCE, device) for c in (checkpoint, shipped(size))]
    return match(*sides, size, games, seed=0)["a_wins"]


def draw(table: pd.DataFrame, output: Path) -> None:
    """A line for each board, its points filled where that board was learned; Wilson's intervals."""
    with figure_for(output, 7, 3.6) as figure:
        axis = figure.subplots()
        for number, (size, rows) in enumerate(table.groupby("board")):
            rows = rows.sort_values("evaluated")
            colour, asked = f"C{number}", rows["evaluated"]
            low, high = zip(*map(wilson, rows["won"].tolist(), rows["games"].tolist()), strict=True)
            axis.fill_between(asked, low, high, color=colour, alpha=0.15, linewidth=0)
            axis.plot(asked, rows["won"] / rows["games"], color=colour, label=f"{size}×{size}")
            for filled, part in rows.groupby(rows["learned"] == size):
                face = colour if filled else "white"
                share = part["won"] / part["games"]
                axis.plot(part["evaluated"], share, "o", ms=4, color=colour, mfc=face)
        axis.set(
            xscale="log",
            ylim=(0, 1),
            xlabel="positions evaluated in self-play",
            ylabel="won against the network that ships",
        )
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(EngFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_formatter(PercentFormatter(1))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, loc="upper left")


def main() -> None:
    """Play what is not in the table yet, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="Such as results/hex7; in their order."
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="N")
    parser.add_argument("--games", type=int, default=200, metavar="N", help="Of each match.")
    parser.add_argument("--output", type=Path, required=True, metavar="F", help=".svg or .png.")
    arguments = parser.parse_args()
    path = arguments.output.with_suffix(".csv")
    rows = pd.read_csv(path).to_dict("records") if path.exists() else []
    played = {tuple(row[name] for name in KEY) for row in rows}
    for known, checkpoint in networks([run.resolve() for run in arguments.runs]):
        for size in arguments.sizes:
            row = known | {"board": size, "games": arguments.games}
            if tuple(row[name] for name in KEY) in played:
                continue
            row["won"] = won(checkpoint, size, arguments.games)
            print(*(f"{name} {value}" for name, value in row.items()), sep=", ", flush=True)
            rows.append(row)
            pd.DataFrame(rows).to_csv(path, index=False)
    draw(pd.DataFrame(rows), arguments.output)


if __name__ == "__main__":
    main()
