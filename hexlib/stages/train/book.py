"""What a training writes about itself: metrics, reliability, TensorBoard, mini-epochs' networks."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from hexlib import files
from hexlib.nn.learning import BINS, Sums
from hexlib.settings import Train

AUXILIARY = ("soft_policy_loss", "reply_loss")
FIGURES = (
    "loss",
    "policy_loss",
    "value_loss",
    *AUXILIARY,
    "policy_top1",
    "value_accuracy",
    "value_spread",
)
VALIDATED = tuple(name for name in FIGURES if name not in AUXILIARY)
METRICS = (
    *("epoch", "mini_epoch", "step", "samples", "learning_rate"),
    *FIGURES,
    "gradient_norm",
    *(f"validation_{name}" for name in (*VALIDATED, "calibration_error")),
)
CALIBRATION = ("step", "from", "to", "positions", "chance", "won")


@dataclass
class Book:
    """What is known of a training so far, besides its weights; part of its progress."""

    metrics: list[dict[str, Any]] = field(default_factory=list)  # a row a mini-epoch
    reliability: list[list[list[float]]] = field(default_factory=list)  # a table a mini-epoch
    drawn: list[int] = field(default_factory=list)  # samples by source
    sums: Sums = field(default_factory=Sums)  # since the last row of metrics

    def add(self, figures: dict[str, Tensor], sources: np.ndarray) -> None:
        """Add a step's figures, and the sources of its rows, integers [B]."""
        self.sums.add(figures)
        counts = np.bincount(sources, minlength=len(self.drawn)).tolist()
        self.drawn = [a + b for a, b in zip(self.drawn, counts, strict=True)]

    def close_mini_epoch(
        self, figures: dict[str, Any], rows: float, reliability: np.ndarray
    ) -> dict[str, Any]:
        """Add a row of metrics and a reliability table, where an epoch has `rows`; returns the row.

        A mini-epoch belongs to the epoch in which it ends, and is numbered within it from 1.
        """
        epoch = math.ceil(figures["samples"] / rows)
        number = 1 + sum(row["epoch"] == epoch for row in self.metrics)
        row = {"epoch": epoch, "mini_epoch": number, **figures, **self.sums.means()}
        self.metrics.append(row)
        self.reliability.append(reliability.tolist())
        self.sums = Sums()
        return row

    def state(self) -> dict[str, Any]:
        """Plain values and tensors, of which `of` makes it again."""
        return {
            "metrics": self.metrics,
            "reliability": self.reliability,
            "drawn": self.drawn,
            "sums": self.sums.total,
            "summed": self.sums.count,
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> "Book":
        """The book of a `state`."""
        sums = Sums(state["sums"], state["summed"])
        return cls(state["metrics"], state["reliability"], state["drawn"], sums)

    def write(self, folder: Path) -> None:
        """Write metrics.csv and calibration.csv."""
        _write_csv(folder / "metrics.csv", METRICS, self.metrics)
        rows = [
            {
                "step": row["step"],
                "from": k / BINS,
                "to": (k + 1) / BINS,
                "positions": int(count),
                "chance": chance / count if count else math.nan,
                "won": won / count if count else math.nan,
            }
            for row, table in zip(self.metrics, self.reliability, strict=True)
            for k, (count, chance, won) in enumerate(table)
        ]
        _write_csv(folder / "calibration.csv", CALIBRATION, rows)


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: v if isinstance(v, int) else f"{v:.6g}" for k, v in row.items()})
    files.write_text(path, text.getvalue())


def file_of(row: dict[str, Any]) -> str:
    """The file of a mini-epoch's network, which sorts as it was made."""
    return f"epoch{row['epoch']:03d}_mini{row['mini_epoch']:04d}.pt"


def kept(metrics: Sequence[dict[str, Any]], settings: Train) -> set[str]:
    """Files of the mini-epochs whose networks are to be kept."""
    names = [file_of(row) for row in metrics]
    every = settings.keep_every
    periodic = names[every - 1 :: every] if every else []
    return {*names[len(names) - settings.keep_last :], *periodic}


def in_words(row: dict[str, Any]) -> str:
    """A mini-epoch in a few words, for the log."""
    words = f"epoch {row['epoch']}, mini-epoch {row['mini_epoch']}: loss {row['loss']:.3f}"
    if "validation_loss" in row:
        words += f", validation {row['validation_loss']:.3f}"
        words += f" (moves {row['validation_policy_top1']:.1%},"
        words += f" winners {row['validation_value_accuracy']:.1%})"
    return words


class TensorBoard:
    """Scalars for TensorBoard, which have the clock in them and so are no product."""

    def __init__(self, folder: Path | None, first_step: int):
        self._writer = None
        if folder is not None:
            from tensorboardX import SummaryWriter  # takes a second, and is rarely wanted

            self._writer = SummaryWriter(str(folder), purge_step=first_step or None)

    def add(self, row: dict[str, Any], speed: dict[str, float]) -> None:
        """A row of metrics and what it took."""
        if self._writer is None:
            return
        for name, value in {**row, **speed}.items():
            group = "validation" if name.startswith("validation_") else "train"
            tag = f"{group}/{name.removeprefix('validation_')}"
            self._writer.add_scalar(tag, value, row["samples"])
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
