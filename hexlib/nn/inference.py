"""Evaluating positions: any number of boards in, policy logits and values out.

The network only ever sees batches of one fixed shape, padded with whatever boards came before, so
that what it says of a board does not depend on how many others were asked for at the same time.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numba import njit

from hexlib.kernel import copy_into
from hexlib.nn.backends import (
    Answer,
    Backend,
    CudaBackend,
    OpenVinoBackend,
    TorchBackend,
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


@njit(cache=True)
def _take(policy, value, logits, values):
    """Copy a backend's answer [B, A], [B] to R ≤ B boards; the values become those of a game."""
    for b in range(len(values)):
        # The logit is that of the chance to win, so tanh of its half runs from −1 to 1.
        values[b] = np.tanh(value[b] / 2)
        copy_into(logits[b], policy[b])


class Evaluator:
    """A network on a device, for boards of one size."""

    def __init__(self, network: HexNet, board_size: int, device: Device, batch: int | None = None):
        """`batch`: boards in one call of the backend; None takes what is fastest for many."""
        self.board_size = board_size
        self.evaluated = 0  # boards so far, without the padding
        make: Callable[..., Backend] = TorchBackend
        if device.backend == "openvino":
            make = OpenVinoBackend
        elif device.device.type == "cuda":
            make = CudaBackend
        # The check of eight-bit integers plays a game for each board of a batch, and needs many.
        if batch is None or device.int8:
            batch = fixed_batch(network.settings.channels, board_size, device.device)
        self.backend: Backend = make(network, board_size, device, batch)
        self.device = self.backend.device

    @property
    def at_once(self) -> int:
        """Calls to `ask` that are worth having under way."""
        return self.backend.at_once

    def ask(self, boards: np.ndarray) -> Callable[[], Answer]:
        """Begin to evaluate boards int8 [R, A]; what is returned gives the answer of `__call__`.

        To be called once, in the order in which it was asked. A GPU works meanwhile.
        """
        count, area = boards.shape
        logits = np.empty((count, area), np.float32)
        values = np.empty(count, np.float32)
        batch = self.backend.batch
        under_way: deque[tuple[int, Callable[[], Answer]]] = deque()

        def take() -> None:
            start, part = under_way.popleft()
            _take(*part(), logits[start : start + batch], values[start : start + batch])

        for start in range(0, count, batch):
            write_planes(boards[start : start + batch], self.board_size, self.backend.planes)
            under_way.append((start, self.backend.ask(self.backend.planes)))
            if self.backend.at_once == 1:
                take()
        self.evaluated += count

        def answer() -> Answer:
            while under_way:
                take()
            return logits, values

        return answer

    def __call__(self, boards: np.ndarray) -> Answer:
        """Evaluate boards int8 [R, A] (0 empty, 1 to move, 2 opponent; to move joins top, bottom).

        Returns policy logits float32 [R, A], in the same turned frame, and values float32 [R],
        from −1 to 1 for the player to move.
        """
        return self.ask(boards)()
