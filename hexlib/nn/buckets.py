"""Buckets as a training reads them: opened once, then some rows at a time, in bounded memory.

A game is held out of training if its hash, as a share of the largest, is below the validation
fraction: the same games in every bucket, generation and source. Rows of weight 0, which teach
nothing, are left out on both sides.
"""

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hexlib import files, npz
from hexlib.errors import BadInput, Damaged
from hexlib.game.positions import COLUMNS, KIND, Positions, layout, offsets_of, open_positions

STRIDE = 4096  # rows between two known places in the policy's entries
_ROWS = 1 << 17  # read at a time when a bucket is opened


@dataclass(frozen=True)
class Bucket:
    """A file of positions, split by game into rows to train on and rows to validate on."""

    path: Path
    board_size: int
    rows: int
    held_out: np.ndarray  # uint32 [V], the rows to validate on, ascending
    left_out: np.ndarray  # uint32 [L], these and those of weight 0: never trained on, ascending
    entry_starts: np.ndarray  # int64, policy entries before each STRIDE-th row
    digest: str  # see `npz.Reader`

    @property
    def training(self) -> int:
        """Rows to train on."""
        return self.rows - len(self.left_out)

    @cached_property
    def _trained_before(self) -> np.ndarray:
        """uint32 [L]: rows to train on before each one that is left out."""
        return self.left_out - np.arange(len(self.left_out), dtype=np.uint32)

    def _row(self, rank: int) -> int:
        """The row that is number `rank` of those to train on."""
        return rank + int(np.searchsorted(self._trained_before, rank, "right"))

    def read(self, first: int, last: int, opened: Positions | None = None) -> Positions:
        """Numbers `first` to `last` (excluded; at least one) of the rows to train on.

        `opened` is what `open_positions` gave, if the caller has it.
        """
        begin, end = self._row(first), self._row(last - 1) + 1
        inside = slice(*np.searchsorted(self.left_out, [begin, end]))
        kept = np.delete(np.arange(end - begin), self.left_out[inside].astype(np.int64) - begin)
        return self._slice(begin, end, opened).take(kept)

    def read_held_out(self, count: int) -> Positions:
        """The first `count` held-out rows, at least one."""
        rows = self.held_out[:count].astype(np.int64)
        return self._slice(0, int(rows[-1]) + 1).take(rows)

    def _slice(self, begin: int, end: int, opened: Positions | None = None) -> Positions:
        """Rows `begin` to `end` (excluded) of the file, as views of it."""
        whole = opened or open_positions(self.path, verify=False)
        known = begin // STRIDE
        skipped = whole.policy_count[known * STRIDE : begin].sum(dtype=np.int64)
        first = int(self.entry_starts[known] + skipped)
        last = first + int(whole.policy_count[begin:end].sum(dtype=np.int64))
        return Positions(
            self.board_size,
            **{name: getattr(whole, name)[begin:end] for name in COLUMNS},
            policy_cell=whole.policy_cell[first:last],
            policy_probability=whole.policy_probability[first:last],
        )


def open_bucket(path: Path, validation_fraction: float) -> Bucket:
    """Read a bucket once, block by block: its checksums, its games, its policy counts.

    Raises `BadInput` if it is missing, `Damaged` if it is not whole, of another schema or kind.
    """
    reader = npz.Reader(path, KIND)
    found = reader.layout
    rows, entries = (found.get(name, ((), (0,)))[1][0] for name in ("value", "policy_cell"))
    size = reader.meta.get("board_size")
    wanted = layout(size, rows, entries).items() if isinstance(size, int) else ()
    if found != {name: (np.dtype(dtype), shape) for name, (dtype, shape) in wanted}:
        raise Damaged(path, "its arrays are not those of positions", npz.REMEDY)
    limit = validation_fraction * 2.0**32
    none = np.zeros(0, np.uint32)
    held_out, weightless, counts = [none], [none], [np.zeros(0, np.int64)]
    for name in found:
        rows_left = reader.rows(name)
        for k in range(-(-len(rows_left) // _ROWS)):
            block = rows_left.take(min(_ROWS, len(rows_left)))
            if name == "game":
                held_out.append(np.flatnonzero(block < limit).astype(np.uint32) + k * _ROWS)
            elif name == "weight":
                weightless.append(np.flatnonzero(block == 0).astype(np.uint32) + k * _ROWS)
            elif name == "policy_count" and len(block):
                starts = np.arange(0, len(block), STRIDE)
                counts.append(np.add.reduceat(block, starts, dtype=np.int64))
            elif name == "policy_cell" and block.max(initial=0) >= size**2:
                raise Damaged(path, "a policy has a cell off the board", npz.REMEDY)
        rows_left.check()
    sums = np.concatenate(counts)
    if sums.sum() != entries:
        raise Damaged(path, "its policy counts do not fit its entries", npz.REMEDY)
    validated, nothing = np.concatenate(held_out), np.concatenate(weightless)
    return Bucket(
        path,
        size,
        rows,
        np.setdiff1d(validated, nothing, assume_unique=True),
        np.union1d(validated, nothing),
        offsets_of(sums),
        reader.digest,
    )


def bucket_files(folder: Path, aside: Container[Path] = ()) -> list[Path]:
    """The buckets of a folder but for those set aside, by name; BadInput if there is none.

    They are those that its summary.json lists, since others may be left from an earlier shuffle
    into more of them; without a summary, all.
    """
    summary = folder / "summary.json"
    paths = _listed(summary) if summary.exists() else sorted(folder.glob("bucket_*.npz"))
    paths = [path for path in paths if path not in aside]
    if not paths:
        raise BadInput(f"{folder}: no whole bucket_*.npz in it; `hexlib shuffle` makes them")
    return paths


def _listed(summary: Path) -> list[Path]:
    """The buckets that a summary.json of a shuffle lists."""
    try:
        return [summary.parent / bucket["name"] for bucket in files.read_json(summary)["buckets"]]
    except (KeyError, TypeError):
        raise Damaged(summary, "not the summary of a shuffle", npz.REMEDY) from None
