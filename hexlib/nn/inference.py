"""Evaluating positions: any number of boards in, policy logits and values out.

The network only ever sees batches of one fixed shape, padded with whatever boards came before, so
that what it says of a board does not depend on how many others were asked for at the same time.
"""

import numpy as np
from numba import njit

from hexlib.nn.backends import (
    Backend,
    OpenVinoBackend,
    TorchBackend,
    empty_planes,
    fixed_batch,
)
from hexlib.nn.device import Device
from hexlib.nn.model import HexNet


@njit(cache=True)
def write_planes(boards, n, planes):
    """Fill the inside of `planes` uint8 [B, n+2, n+2, 2] from boards int8 [R, A], R ≤ B."""
    for b in range(len(boards)):
        for row in range(n):
            for column in range(n):
                stone = boards[b, row * n + column]
                planes[b, row + 1, column + 1, 0] = stone == 1
                planes[b, row + 1, column + 1, 1] = stone == 2


class Evaluator:
    """A network on a device, for boards of one size."""

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int | None = None):
        """`batch`: boards in one call of the backend; None takes what is fastest for many."""
        self.board_size = board_size
        self.evaluated = 0  # boards so far, without the padding
        make = OpenVinoBackend if device.backend == "openvino" else TorchBackend
        # The check of eight-bit integers plays a game for each board of a batch, and needs many.
        if batch is None or device.int8:
            batch = fixed_batch(network.settings.channels, board_size, device.device)
        self.backend: Backend = make(network, board_size, device, batch)
        self.device = self.backend.device
        self._planes = empty_planes(self.backend.batch, board_size)

    def __call__(self, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate boards int8 [R, A] (0 empty, 1 to move, 2 opponent; to move joins top, bottom).

        Returns policy logits float32 [R, A], in the same turned frame, and values float32 [R],
        from −1 to 1 for the player to move.
        """
        count, area = boards.shape
        logits = np.empty((count, area), np.float32)
        values = np.empty(count, np.float32)
        batch = self.backend.batch
        for start in range(0, count, batch):
            part = boards[start : start + batch]
            write_planes(part, self.board_size, self._planes)
            policy, value = self.backend(self._planes)
            logits[start : start + batch] = policy[: len(part)]
            values[start : start + batch] = value[: len(part)]
        self.evaluated += count
        # The logit is that of the chance to win, so tanh of its half runs from −1 to 1.
        return logits, np.tanh(values / 2)
