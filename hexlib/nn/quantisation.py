"""Eight-bit integers in place of floats: their ranges, and the check that they say the same.

Activations are rounded to 256 steps of one range a layer, from the smallest to the largest seen on
positions that the network itself plays to, and weights to 255 steps of one range a channel, as in
Krishnamoorthi (2018, arXiv:1806.08342, sections 2 and 3). The check keeps other such positions.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from hexlib.nn.model import HexNet, ring

CALIBRATION = 256  # positions that the ranges are taken from
MOST_DIVERGENCE, MOST_DIFFERENCE = 0.02, 0.02  # of policies in nats, of values from −1 to 1

Spans = dict[nn.Module, tuple[float, float]]
Forward = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def played_positions(forward: Forward, batch: int, board_size: int) -> np.ndarray:
    """Planes uint8 [P, n+2, n+2, 2] of `batch` games in which moves are drawn from the policy.

    From each game every fourth position, until three quarters of the board are full: wins are not
    looked for, and a network says little of a board that is long decided. They depend on the
    network alone.
    """
    n, area = board_size, board_size**2
    rng = np.random.default_rng(0)
    planes = np.tile(ring(n).astype(np.uint8), (batch, 1, 1, 1))
    inside = planes[:, 1:-1, 1:-1]
    games, found = np.arange(batch), []
    for ply in range(max(4, 3 * area // 4)):
        logits = forward(planes)[0] + rng.gumbel(size=(batch, area))  # its highest is a draw
        logits[inside.any(3).reshape(batch, area)] = -np.inf
        rows, columns = np.divmod(logits.argmax(1), n)
        inside[games, rows, columns, 0] = 1
        # The other player's turn: colours change, and so do the sides that are to be joined.
        inside[:] = inside.transpose(0, 2, 1, 3)[..., ::-1].copy()
        if ply % 4 == 3:
            found.append(planes.copy())
    return np.stack(found, 1).reshape(-1, *planes.shape[1:])


def spans_of(folded: HexNet, planes: np.ndarray) -> Spans:
    """The range of what enters each convolution to be rounded, on planes uint8 [P, n+2, n+2, 2].

    These are all but the first, whose input has two values, and the last, which is small.
    """
    ends = (folded.stem, folded.policy_out)
    chosen = [m for m in folded.modules() if isinstance(m, nn.Conv2d) and m not in ends]
    spans: Spans = {}

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        spans[module] = (min(0.0, float(inputs[0].min())), float(inputs[0].max()))

    hooks = [module.register_forward_pre_hook(note) for module in chosen]
    with torch.inference_mode():
        folded(torch.from_numpy(planes).permute(0, 3, 1, 2).float())
    for hook in hooks:
        hook.remove()
    return spans


def answers(forward: Forward, batch: int, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Policy logits [P, A] and value logits [P] of planes uint8 [P, n+2, n+2, 2], by batches."""
    parts = []
    for start in range(0, len(planes), batch):
        part = planes[start : start + batch]
        padded = np.concatenate([part, np.repeat(part[:1], batch - len(part), 0)])
        parts.append([out[: len(part)].copy() for out in forward(padded)])
    logits, values = zip(*parts, strict=True)
    return np.concatenate(logits), np.concatenate(values)


def differences(
    exact: tuple[np.ndarray, np.ndarray],
    rounded: tuple[np.ndarray, np.ndarray],
    planes: np.ndarray,
) -> tuple[float, float]:
    """How far the `answers` of a rounded network are from the exact ones, on average.

    The Kullback-Leibler divergence of its policies from the exact ones, over the empty cells, in
    nats, and the difference of values, from −1 to 1.
    """
    taken = torch.from_numpy(planes[:, 1:-1, 1:-1].any(3).reshape(len(planes), -1))
    policies = [
        torch.log_softmax(torch.from_numpy(logits).masked_fill(taken, -torch.inf), 1)
        for logits, _ in (exact, rounded)
    ]
    terms = policies[0].exp() * (policies[0] - policies[1])
    divergence = terms.masked_fill(taken, 0).sum(1).mean()
    values = np.tanh(exact[1] / 2) - np.tanh(rounded[1] / 2)
    return float(divergence), float(np.abs(values).mean())
