"""Evaluating positions: any number of boards in, policy logits and values out.

The network only ever sees batches of one fixed shape, padded with empty boards, so that what it
says of a board does not depend on how many others were asked for at the same time.
"""

import warnings

import numpy as np
import torch
from numba import njit

from hexlib.nn.device import Device
from hexlib.nn.model import PLANES, HexNet, ring

CACHE_BYTES = 512 * 1024  # a batch's activations are to stay in a core's second-level cache


def fixed_batch(channels: int, board_size: int) -> int:
    """Boards in one forward pass on the CPU: a power of two, from the network's shape alone."""
    boards = CACHE_BYTES // (2 * channels * board_size**2)
    return 1 << max(4, min(9, boards.bit_length() - 1))


@njit(cache=True)
def write_planes(boards, n, planes):
    """Fill the inside of `planes` float32 [B, n+2, n+2, 2] from boards int8 [R, A], R ≤ B."""
    for b in range(len(boards)):
        for row in range(n):
            for column in range(n):
                stone = boards[b, row * n + column]
                planes[b, row + 1, column + 1, 0] = stone == 1
                planes[b, row + 1, column + 1, 1] = stone == 2


class Evaluator:
    """A network on a device, for boards of one size."""

    def __init__(self, network: HexNet, board_size: int, device: Device):
        self.board_size = board_size
        self.device = device
        self.evaluated = 0  # boards so far, without the padding
        channels = network.settings.channels
        on_cpu = device.device.type == "cpu"
        self.batch = fixed_batch(channels, board_size) if on_cpu else 512
        self._planes = np.tile(ring(board_size), (self.batch, 1, 1, 1))
        model = network.folded().to(device.device, device.precision)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.inference_mode(), warnings.catch_warnings():
            # Deprecated for torch.compile, which wants a compiler on the user's machine. Freezing
            # packs the weights once, where eager mode does so at each call: float32 gains a third.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._model = torch.jit.freeze(torch.jit.trace(model, self._input()))

    def _input(self) -> torch.Tensor:
        """The planes as [batch, 2, n+2, n+2], channels last as they lie in memory."""
        planes = torch.from_numpy(self._planes).permute(0, 3, 1, 2)
        assert planes.shape[1] == PLANES
        return planes.to(self.device.device, self.device.precision)

    def __call__(self, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate boards int8 [R, A] (0 empty, 1 to move, 2 opponent; to move joins top, bottom).

        Returns policy logits float32 [R, A], in the same turned frame, and values float32 [R],
        from −1 to 1 for the player to move.
        """
        count, area = boards.shape
        logits = np.empty((count, area), np.float32)
        values = np.empty(count, np.float32)
        for start in range(0, count, self.batch):
            part = boards[start : start + self.batch]
            write_planes(part, self.board_size, self._planes)
            with torch.inference_mode():
                policy, value = self._model(self._input())
            size = len(part)
            logits[start : start + size] = policy[:size].float().cpu().numpy()
            # The logit is that of the chance to win, so tanh of its half runs from −1 to 1.
            values[start : start + size] = torch.tanh(value[:size].float() / 2).cpu().numpy()
        self.evaluated += count
        return logits, values
