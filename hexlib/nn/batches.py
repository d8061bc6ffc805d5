"""From rows of buckets to the tensors of a training step."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from hexlib import files, npz
from hexlib.errors import BadInput, Damaged
from hexlib.game.positions import Positions, open_positions
from hexlib.nn.device import Device
from hexlib.nn.model import ring


class Batch(NamedTuple):
    """B positions on a device."""

    planes: Tensor  # float32 [B, 2, n+2, n+2], channels last
    occupied: Tensor  # bool [B, A]
    policy: Tensor  # float32 [B, A], sums to 1, or to 0 where there is no target
    value: Tensor  # float32 [B], +1 or −1 for the player to move
    root_value: Tensor  # float32 [B], NaN where the search has none


@dataclass(frozen=True)
class Bucket:
    """A file of positions, split by game into rows to train on and rows to validate on."""

    path: Path
    positions: Positions
    policy_offsets: np.ndarray  # int64 [P + 1], where each row's policy entries begin
    training: np.ndarray  # uint32 [T], row numbers
    validation: np.ndarray  # uint32 [V], row numbers


def open_bucket(path: Path, validation_fraction: float) -> Bucket:
    """Open a bucket without reading its boards.

    A game is on the validation side if its hash, as a share of the largest, is below the fraction:
    the same side in every bucket, generation and source.
    """
    positions = open_positions(path)
    held_out = positions.game < validation_fraction * 2.0**32
    return Bucket(
        path,
        positions,
        np.concatenate([[0], np.cumsum(positions.policy_count, dtype=np.int64)]),
        np.flatnonzero(~held_out).astype(np.uint32),
        np.flatnonzero(held_out).astype(np.uint32),
    )


def open_source(
    folder: Path, validation_fraction: float, aside: Container[Path] = ()
) -> list[Bucket]:
    """The buckets of a folder but for those set aside, by name; BadInput if there is none.

    They are those that its summary.json lists, since others may be left from an earlier shuffle
    into more of them; without a summary, all.
    """
    summary = folder / "summary.json"
    paths = _listed(summary) if summary.exists() else sorted(folder.glob("bucket_*.npz"))
    paths = [path for path in paths if path not in aside]
    if not paths:
        raise BadInput(f"{folder}: no whole bucket_*.npz in it; `hexlib shuffle` makes them")
    return [open_bucket(path, validation_fraction) for path in paths]


def _listed(summary: Path) -> list[Path]:
    """The buckets that a summary.json of a shuffle lists."""
    try:
        return [summary.parent / bucket["name"] for bucket in files.read_json(summary)["buckets"]]
    except (KeyError, TypeError):
        raise Damaged(summary, "not the summary of a shuffle", npz.REMEDY) from None


# float32 value of each float16 bit pattern: numba does not compute with float16.
_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


@njit(cache=True)
def _fill(rows, turn, n, own, opponent, offsets, cells, halves, half, at, planes, occupied, policy):
    """Unpack `rows` of a bucket into entries `at` of a batch, those in `turn` by 180°."""
    area = n * n
    for k in range(len(rows)):
        row, b = rows[k], at[k]
        for cell in range(area):
            bit = np.uint8(128 >> (cell & 7))
            mine = own[row, cell >> 3] & bit != 0
            theirs = opponent[row, cell >> 3] & bit != 0
            seen = area - 1 - cell if turn[k] else cell
            planes[b, seen // n + 1, seen % n + 1, 0] = mine
            planes[b, seen // n + 1, seen % n + 1, 1] = theirs
            occupied[b, seen] = mine or theirs
        total = np.float32(0)
        for entry in range(offsets[row], offsets[row + 1]):
            total += half[halves[entry]]
        for entry in range(offsets[row], offsets[row + 1]):
            seen = area - 1 - cells[entry] if turn[k] else cells[entry]
            policy[b, seen] = half[halves[entry]] / total


def make_batch(
    buckets: list[Bucket], bucket_of: np.ndarray, rows: np.ndarray, turn: np.ndarray, device: Device
) -> Batch:
    """Row rows[b] of buckets[bucket_of[b]] for each b (int [B], int [B]), turned by 180° where
    `turn` bool [B] says so (for the player to move, both ways round are the same game)."""
    size, n = len(rows), buckets[0].positions.board_size
    planes = np.tile(ring(n), (size, 1, 1, 1))
    occupied = np.empty((size, n * n), np.bool_)
    policy = np.zeros((size, n * n), np.float32)
    value, root_value = np.empty(size, np.float32), np.empty(size, np.float32)
    for number in np.unique(bucket_of):
        bucket, at = buckets[number], np.flatnonzero(bucket_of == number)
        positions, picked = bucket.positions, rows[at]
        _fill(
            picked,
            turn[at],
            n,
            positions.own,
            positions.opponent,
            bucket.policy_offsets,
            positions.policy_cell,
            positions.policy_probability.view(np.uint16),
            _HALF,
            at,
            planes,
            occupied,
            policy,
        )
        value[at] = positions.value[picked]
        root_value[at] = positions.root_value[picked]
    return Batch(
        torch.from_numpy(planes).permute(0, 3, 1, 2).to(device.device),
        torch.from_numpy(occupied).to(device.device),
        torch.from_numpy(policy).to(device.device),
        torch.from_numpy(value).to(device.device),
        torch.from_numpy(root_value).to(device.device),
    )
