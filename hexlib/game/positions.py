"""Positions to train on: the schema of `process` and `shuffle`, packed and as dense arrays.

The board of a position is turned so that the player to move connects top to bottom: as it is for
blue, through the reflection for red. `docs/formats.md` has the table of names and units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hexlib import files, npz
from hexlib.errors import Damaged

KIND = "positions"
# By column: dtype, of one value a row; own and opponent have the bytes of a packed board a row.
COLUMNS: dict[str, type] = {
    "own": np.uint8,
    "opponent": np.uint8,
    "policy_count": np.uint8,
    "value": np.int8,
    "root_value": np.float16,
    "weight": np.float16,
    "game": np.uint32,
    "ply": np.uint16,
}
ENTRIES: dict[str, type] = {"policy_cell": np.uint16, "policy_probability": np.float16}
BOARDS = ("own", "opponent")
# The bits of the probability −0, which no search has: an entry with it is not of the policy but the
# move that the opponent made next, last in its row. It adds nothing where it is not looked for.
REPLY = 0x8000


@dataclass(frozen=True)
class Positions:
    """P positions with K policy entries in all, on boards of A cells."""

    board_size: int
    own: np.ndarray  # uint8 [P, ceil(A / 8)], stones of the player to move, first cell = top bit
    opponent: np.ndarray  # uint8 [P, ceil(A / 8)]
    policy_count: np.ndarray  # uint8 [P], entries of each row; 0 means that there is no target
    value: np.ndarray  # int8 [P], +1 if the player to move won the game, else −1
    root_value: np.ndarray  # float16 [P], of the search, for the player to move; NaN if none
    weight: np.ndarray  # float16 [P]
    game: np.ndarray  # uint32 [P], low half of the game's hash: what validation is split by
    ply: np.ndarray  # uint16 [P], moves made before
    policy_cell: np.ndarray  # uint16 [K], in the turned frame
    policy_probability: np.ndarray  # float16 [K]

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def policy_offsets(self) -> np.ndarray:
        """int64 [P + 1]: row p has the entries policy_offsets[p] : policy_offsets[p + 1]."""
        return offsets_of(self.policy_count)

    def take(self, rows: np.ndarray) -> "Positions":
        """The positions `rows` (integers [R]), in that order."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        cells, probabilities = take_entries(self, rows)
        return Positions(
            self.board_size, **columns, policy_cell=cells, policy_probability=probabilities
        )

    def cut(self, first: int, last: int) -> "Positions":
        """The positions `first` to `last` (excluded), as views."""
        entries = slice(self.policy_offsets[first], self.policy_offsets[last])
        columns = {name: getattr(self, name)[first:last] for name in COLUMNS}
        return Positions(
            self.board_size,
            **columns,
            policy_cell=self.policy_cell[entries],
            policy_probability=self.policy_probability[entries],
        )

    def without_policy(self) -> "Positions":
        """The positions with no policy target; the other columns are shared."""
        return replace(
            self,
            policy_count=np.zeros(len(self), np.uint8),
            policy_cell=self.policy_cell[:0],
            policy_probability=self.policy_probability[:0],
        )


def layout(board_size: int, rows: int, entries: int) -> npz.Layout:
    """Dtype and shape of each array of a file of positions."""
    packed = -(-(board_size**2) // 8)
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        name: (dtype, (rows, packed) if name in BOARDS else (rows,))
        for name, dtype in COLUMNS.items()
    }
    return shapes | {name: (dtype, (entries,)) for name, dtype in ENTRIES.items()}


def offsets_of(counts: np.ndarray) -> np.ndarray:
    """Where each of the runs of `counts` [P] starts, and where the last ends: int64 [P + 1]."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def from_arrays(path: Path | str, arrays: dict[str, np.ndarray], board_size: Any) -> Positions:
    """Positions of the arrays of a file, in which they are checked to fit each other."""
    try:
        rows, entries = len(arrays["value"]), int(arrays["policy_count"].sum(dtype=np.int64))
        wanted = {
            name: (np.dtype(d), s) for name, (d, s) in layout(board_size, rows, entries).items()
        }
        fitting = {name: (a.dtype, a.shape) for name, a in arrays.items()} == wanted
    except (KeyError, TypeError, ValueError, OverflowError):  # the meta may say anything
        fitting = False
    if not fitting:
        raise Damaged(path, "its arrays are not those of positions", npz.REMEDY)
    return Positions(board_size, **arrays)


def open_positions(path: Path | str, verify: bool = True) -> Positions:
    """Map a file of positions: read-only views, so that a file larger than memory can be used.

    `verify` reads it once to check its checksums. Raises `BadInput` if it is missing or damaged.
    """
    arrays, meta = npz.open_npz(path, KIND, verify)
    return from_arrays(path, arrays, meta.get("board_size"))


def read_positions(path: Path | str) -> Positions:
    """Read a file of positions into memory."""
    opened = open_positions(path)
    arrays = {f.name: getattr(opened, f.name) for f in fields(Positions)[1:]}
    return Positions(opened.board_size, **{name: a.copy() for name, a in arrays.items()})


def write_positions(path: Path | str, positions: Positions, meta: Mapping[str, Any]) -> None:
    """Write a file of positions; its kind, board size and number of rows are added to `meta`."""
    n, rows = positions.board_size, len(positions)
    with files.atomic(path) as handle:
        shapes = layout(n, rows, len(positions.policy_cell))
        writer = npz.Writer(handle, shapes, {"kind": KIND, "board_size": n, "rows": rows, **meta})
        for name in shapes:
            writer.append(name, getattr(positions, name))
        writer.close()


def concatenate(parts: Sequence[Positions]) -> Positions:
    """The rows of all parts, which have one board size, one after the other."""
    names = [*COLUMNS, *ENTRIES]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Positions(parts[0].board_size, **arrays)


@njit(cache=True)
def _take_entries(offsets, rows, cell, probability, cells, probabilities):
    k = 0
    for row in rows:
        for e in range(offsets[row], offsets[row + 1]):
            cells[k], probabilities[k] = cell[e], probability[e]
            k += 1


def take_entries(positions: Positions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The policy entries of `rows` [R], one row after the other: uint16 and float16 [k]."""
    total = int(positions.policy_count[rows].sum(dtype=np.int64))
    cells, probabilities = np.empty(total, np.uint16), np.empty(total, np.float16)
    _take_entries(
        positions.policy_offsets,
        rows,
        positions.policy_cell,
        positions.policy_probability.view(np.uint16),
        cells,
        probabilities.view(np.uint16),
    )
    return cells, probabilities


def pack(boards: np.ndarray) -> np.ndarray:
    """Boards [P, A] of zeros and ones as bits: uint8 [P, ceil(A / 8)], the first cell on top."""
    return np.packbits(boards, axis=-1)


def unpack(positions: Positions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The stones of the player to move and of the opponent in `rows` [R]: uint8 [R, A] each."""
    area = positions.board_size**2
    own, opponent = (
        np.unpackbits(getattr(positions, name)[rows], axis=1, count=area) for name in BOARDS
    )
    return own, opponent


@njit(cache=True)
def _densify(counts, cells, probabilities, out):
    k = 0
    for row in range(len(counts)):
        total = np.float32(0)
        for e in range(k, k + counts[row]):
            total += probabilities[e]
        for e in range(k, k + counts[row]):
            out[row, cells[e]] += probabilities[e] / total if total > 0 else 0
        k += counts[row]


def policy(positions: Positions, rows: np.ndarray) -> np.ndarray:
    """Policy targets of `rows` [R] in the turned frame, float32 [R, A].

    A row sums to 1, which makes up for the small entries that were not recorded; a row without a
    target is all zeros.
    """
    cells, probabilities = take_entries(positions, rows)
    out = np.zeros((len(rows), positions.board_size**2), np.float32)
    _densify(positions.policy_count[rows], cells, probabilities.astype(np.float32), out)
    return out
