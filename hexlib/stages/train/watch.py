"""Looking at a training while it runs, and saying in words when something is wrong."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexlib.errors import BadInput
from hexlib.game.positions import Positions
from hexlib.nn.batches import Batch
from hexlib.nn.checkpoint import save

FLAT = 0.01  # standard deviation of the chances to win below which the value says nothing
TREND = 3  # mini-epochs in a row that make one
LEAKED = 0.5  # share of held-out late positions above which their being trained on is told


class Finite:
    """Looks whether the loss and the gradient of each step are finite."""

    def __init__(self, device: torch.device, progress_dir: Path):
        self._progress_dir = progress_dir
        # A GPU would have to wait for each look, so there it is taken at several steps at once.
        self._most = 1 if device.type == "cpu" else 16
        self._unseen: list[tuple[int, Batch, dict[str, Tensor]]] = []

    def add(self, step: int, batch: Batch, figures: dict[str, Tensor]) -> None:
        """Remember what a step gave."""
        self._unseen.append((step, batch, figures))

    @property
    def due(self) -> bool:
        """Whether it is time for `check`."""
        return len(self._unseen) >= self._most

    def check(self, last_good: Path | None) -> None:
        """Raise for the first step that was not finite, with its batch saved."""
        for step, batch, figures in self._unseen:
            if not math.isfinite(figures["loss"].item() + figures["gradient_norm"].item()):
                self._stop(step, batch, figures, last_good)
        self._unseen.clear()

    def _stop(
        self, step: int, batch: Batch, figures: dict[str, Tensor], last_good: Path | None
    ) -> None:
        path = self._progress_dir / "bad_batch.pt"
        content = {name: tensor.cpu().contiguous() for name, tensor in batch._asdict().items()}
        plain = {name: figure.item() for name, figure in figures.items()}
        save(path, "training batch", {"step": step, "figures": plain, **content})
        good = last_good or "the one that the training started from"
        raise BadInput(
            f"{path}: the loss or the gradient of this batch, step {step + 1}, is not finite; the"
            f" last good network is {good}; lower train.learning_rate or train.gradient_clip,"
            f" remove {self._progress_dir} and train again"
        )


def remarks(metrics: list[dict[str, Any]]) -> list[str]:
    """What is wrong after the newest mini-epoch, a sentence each."""
    said = []
    newest = metrics[-1]
    spread = newest.get("validation_value_spread", newest["value_spread"])
    if spread < FLAT:
        said.append(
            f"the value is nearly the same for every position (standard deviation {spread:.4f}):"
            " its head has collapsed, or the games have one winner"
        )
    if newest.get("reply_loss") == 0:
        said.append(
            "no position tells the opponent's reply, so that train.reply_weight has no use: make"
            " the positions with process.replies"
        )
    recent = metrics[-1 - TREND :]
    if len(recent) > TREND and all("validation_loss" in row for row in recent):
        held_out = np.diff([row["validation_loss"] for row in recent])
        trained = np.diff([row["loss"] for row in recent])
        if (held_out > 0).all() and (trained < 0).all():
            said.append(
                f"the validation loss has risen over the last {TREND} mini-epochs, to"
                f" {recent[-1]['validation_loss']:.3f}, while the training loss fell: positions"
                " are learned by heart; lower train.reuse or widen the window"
            )
    return said


def leakage(held_out: Positions, trained: Positions) -> list[str]:
    """Whether games or late positions that are held out are also trained on, a sentence each.

    Positions of ply n and later on an n×n board count: earlier ones meet by chance. `trained` may
    be a sample. A position and its 180° turn are the same.
    """
    said = []
    games = np.unique(held_out.game)
    shared = int(np.isin(games, trained.game).sum())
    if shared:
        said.append(f"{shared} of {len(games)} held-out games are also trained on")
    late = [
        np.unique(_boards(rows.take(np.flatnonzero(rows.ply >= rows.board_size))))
        for rows in (held_out, trained)
    ]
    share = float(np.isin(late[0], late[1]).mean()) if len(late[0]) else 0.0
    if share > LEAKED:
        said.append(
            f"{share:.0%} of the held-out positions from ply {held_out.board_size} on are also"
            " trained on, from other games: validation says little about positions never seen;"
            " play more varied games"
        )
    return said


def _boards(positions: Positions) -> np.ndarray:
    """A number for each board, the same for its 180° turn: structured bytes [P]."""
    area = positions.board_size**2
    planes = [
        np.unpackbits(plane, axis=1, count=area) for plane in (positions.own, positions.opponent)
    ]
    both = [
        np.packbits(np.concatenate([plane[:, ::way] for plane in planes], axis=1), axis=1)
        for way in (1, -1)
    ]
    width = both[0].shape[1]
    plain, turned = (np.ascontiguousarray(one).view(f"S{width}")[:, 0] for one in both)
    return np.minimum(plain.astype(object), turned.astype(object)).astype(f"S{width}")
