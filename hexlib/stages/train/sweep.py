"""Trials: trainings that differ in some settings, of which the best gives the checkpoint."""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from hexlib import files, logs
from hexlib.errors import BadInput, Damaged

OUTCOME = "outcome.json"
PRODUCTS = ("checkpoint.pt", "state.pt", "metrics.csv", "calibration.csv")
FIGURES = ("policy_loss", "value_loss", "policy_top1", "value_accuracy")  # of the held-out games
Play = Callable[[Path, Path], float]  # share of games that the first checkpoint wins


def attempt(train: Callable[[], dict[str, Any]], values: dict[str, Any], folder: Path) -> None:
    """Do a trial with these `values` and write how it went to outcome.json; a failure is no error.

    `train` returns the last row of its metrics.
    """
    outcome: dict[str, Any] = {"kind": "trial", "schema": files.SCHEMA, "values": values}
    try:
        outcome |= {"failed": None, "metrics": train()}
    except OSError:
        raise  # of this machine, not of these values
    except Exception as error:  # whatever it is, the other trials go on
        logs.log.warning(f"trial {_in_words(values)} failed: {error}")
        outcome["failed"] = " ".join(str(error).split()) or type(error).__name__
    files.write_json(folder / OUTCOME, outcome)


def choose(folders: Sequence[Path], output_dir: Path, play: Play | None = None) -> pd.DataFrame:
    """Compare trials and copy the products of the best into `output_dir`.

    The best has the least sum of validation policy loss and validation value loss, neither
    weighted. With `play` it is the one that wins most games against that one. Writes sweep.csv, a
    row a trial, best first, and sweep.svg besides; returns the table. Raises BadInput if all trials
    have failed.
    """
    table = pd.DataFrame([_row(folder) for folder in folders])
    table = table.sort_values("validation_loss", kind="stable", ignore_index=True)
    done = table[table.failed == ""]
    if done.empty:
        raise BadInput(
            f"{folders[0]}: no trial of the sweep has succeeded; this one: {table.failed[0]}"
        )
    if play is not None:
        named = {folder.name: folder / "checkpoint.pt" for folder in folders}
        reference = done.trial[0]
        table["won"] = [
            0.5 if name == reference else play(named[name], named[reference]) if ok else math.nan
            for name, ok in zip(table.trial, table.failed == "", strict=True)
        ]
        table = table.sort_values("won", ascending=False, kind="stable", ignore_index=True)
    for row in table[table.failed != ""].itertuples():
        logs.log.warning(f"sweep: trial {row.trial} failed: {row.failed}")
    best = next(folder for folder in folders if folder.name == table.trial[0])
    logs.log.info(f"sweep: {best.name} is the best of {len(folders)} trials")
    for name in PRODUCTS:
        with files.atomic(output_dir / name) as handle:
            handle.write((best / name).read_bytes())
    lineage = files.read_json(best / "lineage.json")
    files.write_json(output_dir / "lineage.json", {**lineage, "trial": best.name})
    files.write_text(output_dir / "sweep.csv", table.to_csv(index=False, float_format="%.6g"))
    files.write_text(output_dir / "sweep.svg", plot(table))
    return table


def _in_words(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _row(folder: Path) -> dict[str, Any]:
    """A trial as a row of the table."""
    outcome = files.read_json(folder / OUTCOME)
    try:
        values, failed = dict(outcome["values"]), outcome["failed"]
        metrics = outcome.get("metrics") or {}
        found = {f"validation_{name}": metrics.get(f"validation_{name}") for name in FIGURES}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Damaged(folder / OUTCOME, "not the outcome of a trial", "remove it") from None
    policy, value = (found[f"validation_{name}"] for name in FIGURES[:2])
    if failed is None and (policy is None or value is None):
        failed = "it has no held-out position to compare by"
    return {
        "trial": folder.name,
        **values,
        "validation_loss": policy + value if policy and value and not failed else math.nan,
        **{name: math.nan if failed else figure for name, figure in found.items()},
        "failed": failed or "",
    }


def plot(table: pd.DataFrame) -> str:
    """The figure by which the trials of a table were compared, as SVG; same table, same bytes."""
    shown = table[table.failed == ""][::-1]
    by = "won" if "won" in table else "validation_loss"
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams |= {"svg.hashsalt": "sweep", "svg.fonttype": "none"}
        figure = Figure(figsize=(7, 1 + 0.3 * len(shown)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.plot(shown[by], shown.trial, "o")
        axes.grid(axis="x", alpha=0.3)
        axes.set_xlabel(by.replace("_", " "))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
