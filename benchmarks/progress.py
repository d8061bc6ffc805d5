"""Strength against compute: what each generation of some runs got right on solved positions.

`python benchmarks/progress.py results/default results/hex5 --output docs/strength.svg`
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from hexlib.stages.report.pace import read_pace

PANELS = {
    "moves with search": ("search", "move_accuracy"),
    "moves of the network": ("raw", "move_accuracy"),
    "winners by the network": ("raw", "value_accuracy"),
}


def generations(run: Path) -> Iterator[tuple[Path, float]]:
    """The folder of each generation of a run, and all positions evaluated until then."""
    logs = run.parents[1] / "logs" / run.name
    total = 0.0
    for folder in sorted(run.glob("gen_*")):
        if pace := read_pace(logs / folder.name / "selfplay"):
            total += pace.evaluated
        yield folder, total


def progress(run: Path) -> pd.DataFrame:
    """A row a generation of a run: its board, all positions evaluated until then, and what its
    network gets right, as shares, in a column for each panel.
    """
    rows = []
    for folder, total in generations(run):
        solved = folder / "evaluate/solved.json"
        if not solved.exists():
            continue
        found = json.loads(solved.read_text())
        shares = {panel: found[way][key] for panel, (way, key) in PANELS.items()}
        rows.append({"board": found["board_size"], "evaluated": total, **shares})
    return pd.DataFrame(rows)


@contextmanager
def figure_for(output: Path, width: float, height: float) -> Iterator[Figure]:
    """An empty figure, in inches, which is written in the end: the same bytes each time."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams |= {"svg.hashsalt": "hexlib", "svg.fonttype": "none", "font.size": 9}
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(output, metadata={"Date": None} if output.suffix == ".svg" else None)


def draw(runs: dict[str, pd.DataFrame], output: Path) -> None:
    """A panel for each share, a line for each board of each run."""
    shown = FuncFormatter(lambda share, _: f"{100 * share:g} %")
    with figure_for(output, 10, 3.4) as figure:
        axes = figure.subplots(1, len(PANELS), sharex=True)
        for axis, panel in zip(axes, PANELS, strict=True):
            for number, (name, table) in enumerate(runs.items()):
                for size, rows in table.groupby("board"):
                    axis.plot(
                        rows["evaluated"],
                        (1 - rows[panel]).clip(lower=1e-3),
                        color=f"C{number}",
                        linestyle="-" if size == table["board"].iloc[-1] else ":",
                        marker=".",
                        label=f"{name}, {size}×{size}",
                    )
            axis.set(
                title=panel, xscale="log", yscale="log", xlabel="positions evaluated in self-play"
            )
            ticks = ((axis.xaxis, EngFormatter(), (1, 3)), (axis.yaxis, shown, (1, 2, 5)))
            for scale, labels, places in ticks:
                scale.set_major_locator(LogLocator(subs=places))
                scale.set_major_formatter(labels)
                scale.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3)
        axes[0].set_ylabel("wrong on solved positions")
        axes[-1].legend(frameon=False)


def main() -> None:
    """Draw it, and print its last points."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="Such as results/default."
    )
    parser.add_argument("--output", type=Path, required=True, metavar="F", help=".svg or .png.")
    arguments = parser.parse_args()
    runs = {run.name: progress(run.resolve()) for run in arguments.runs}
    for name, table in runs.items():
        print(f"{name}:", table.tail(1).to_string(index=False), sep="\n")
    draw(runs, arguments.output)


if __name__ == "__main__":
    main()
