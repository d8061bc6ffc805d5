"""From packed positions to the tensors of a training step."""

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from hexlib.game.positions import REPLY, Positions
from hexlib.nn.model import ring


class Batch(NamedTuple):
    """B positions on a device."""

    planes: Tensor  # float32 [B, 2, n+2, n+2], channels last
    occupied: Tensor  # bool [B, A]
    policy: Tensor  # float32 [B, A], sums to 1, or to 0 where there is no target
    reply: Tensor  # int64 [B], the cell that the opponent took next, −1 where that is not told
    value: Tensor  # float32 [B], +1 or −1 for the player to move
    root_value: Tensor  # float32 [B], NaN where the search has none
    weight: Tensor  # float32 [B], in every loss


# float32 value of each float16 bit pattern: numba does not compute with float16.
_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


@njit(cache=True, nogil=True)
def _unpack(n, turn, own, opponent, offsets, cells, halves, half, planes, occupied, policy, reply):
    """Fill a batch from packed rows, those in `turn` by 180°."""
    area = n * n
    for row in range(len(turn)):
        for cell in range(area):
            bit = np.uint8(128 >> (cell & 7))
            mine = own[row, cell >> 3] & bit != 0
            theirs = opponent[row, cell >> 3] & bit != 0
            seen = area - 1 - cell if turn[row] else cell
            planes[row, seen // n + 1, seen % n + 1, 0] = mine
            planes[row, seen // n + 1, seen % n + 1, 1] = theirs
            occupied[row, seen] = mine or theirs
        total = np.float32(0)
        for entry in range(offsets[row], offsets[row + 1]):
            total += half[halves[entry]]
        for entry in range(offsets[row], offsets[row + 1]):
            seen = area - 1 - cells[entry] if turn[row] else cells[entry]
            if halves[entry] == REPLY:
                reply[row] = seen
            else:
                policy[row, seen] = half[halves[entry]] / total


def make_batch(positions: Positions, turn: np.ndarray, device: torch.device) -> Batch:
    """The tensors of B packed positions, turned by 180° where `turn` bool [B] says so.

    For the player to move, both ways round are the same game. A GPU gets the packed rows and
    unpacks them itself.
    """
    if device.type != "cpu":
        return _on_device(positions, turn, device)
    n, size = positions.board_size, len(positions)
    planes = np.tile(ring(n), (size, 1, 1, 1))
    occupied = np.empty((size, n * n), np.bool_)
    policy = np.zeros((size, n * n), np.float32)
    reply = np.full(size, -1, np.int64)
    _unpack(
        n,
        turn,
        positions.own,
        positions.opponent,
        positions.policy_offsets,
        positions.policy_cell,
        positions.policy_probability.view(np.uint16),
        _HALF,
        planes,
        occupied,
        policy,
        reply,
    )
    return Batch(
        torch.from_numpy(planes).permute(0, 3, 1, 2),
        torch.from_numpy(occupied),
        torch.from_numpy(policy),
        torch.from_numpy(reply),
        *_columns(positions, device),
    )


def _columns(positions: Positions, device: torch.device) -> list[Tensor]:
    """What a batch has one number a row of."""
    columns = (positions.value, positions.root_value, positions.weight)
    return [torch.from_numpy(column.astype(np.float32)).to(device) for column in columns]


def _on_device(positions: Positions, turn: np.ndarray, device: torch.device) -> Batch:
    """As `make_batch`, with tensor operations where the batch is wanted."""
    n, size = positions.board_size, len(positions)

    def up(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(array)).to(device, non_blocking=True)  # views read-only

    turned = up(turn)[:, None]
    shifts = torch.arange(7, -1, -1, device=device, dtype=torch.uint8)
    planes = up(ring(n)).permute(2, 0, 1).repeat(size, 1, 1, 1)
    occupied = torch.zeros(size, n * n, dtype=torch.bool, device=device)
    for plane, packed in enumerate((positions.own, positions.opponent)):
        bits = (up(packed)[:, :, None] >> shifts & 1).flatten(1)[:, : n * n].bool()
        bits = torch.where(turned, bits.flip(1), bits)
        planes[:, plane, 1:-1, 1:-1] = bits.view(size, n, n).float()
        occupied |= bits
    counts = up(positions.policy_count).long()
    row = torch.repeat_interleave(counts, output_size=len(positions.policy_cell))
    cell = up(positions.policy_cell.astype(np.int64))
    cell = torch.where(turned[row, 0], n * n - 1 - cell, cell)
    probability = up(positions.policy_probability).float()
    told = probability.signbit()
    # What is not of the policy, or no reply, goes past the end: a mask would wait for the device.
    policy = torch.zeros(size, n * n + 1, device=device)
    policy[row, torch.where(told, n * n, cell)] = probability
    policy = policy[:, :-1]
    policy = policy / policy.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    reply = torch.full((size + 1,), -1, device=device)
    reply[torch.where(told, row, size)] = cell
    reply = reply[:-1]
    planes = planes.contiguous(memory_format=torch.channels_last)
    return Batch(planes, occupied, policy, reply, *_columns(positions, device))
