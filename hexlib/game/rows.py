"""Positions row by row: the columns side by side in records, which are cheap to put in order.

A row of eight columns in eight arrays costs eight visits to far memory, one of a record only one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from hexlib.game.positions import BOARDS, COLUMNS, ENTRIES, layout, offsets_of
from hexlib.kernel import kernel


def record(board_size: int) -> np.dtype:
    """A row: the columns of a position side by side, half floats as their bits."""
    bits = {name: np.dtype(d).str.replace("f", "u") for name, d in COLUMNS.items()}
    packed = -(-(board_size**2) // 8)
    return np.dtype([(n, d, (packed,)) if n in BOARDS else (n, d) for n, d in bits.items()])


def to_records(
    columns: Mapping[str, np.ndarray], places: np.ndarray, board_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns as records [P], row k at places[k] (uint32), and their policy entries, uint32 [K].

    An entry has the cell in its lower and the bits of the probability in its upper half. Returns
    besides where the entries of each record start and where the last end, int64 [P + 1].
    """
    records = np.empty(len(places), record(board_size))
    _move_rows(_fields(columns), np.arange(len(places), dtype=np.uint32), _fields(records), places)
    ends = offsets_of(records["policy_count"])
    entries = np.empty(ends[-1], np.uint32)
    cells, probabilities = (columns[name].view(np.uint16) for name in ENTRIES)
    _move_entries_in(places, columns["policy_count"], ends, cells, probabilities, entries)
    return records, entries, ends


def following(order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Which record is the next of pack order[k], for each k: uint32 [P].

    The records of pack i lie together, from starts[i].
    """
    out = np.empty(len(order), np.uint32)
    _follow(order, starts.copy(), out)
    return out


def from_records(records: np.ndarray, rows: np.ndarray, board_size: int) -> dict[str, np.ndarray]:
    """The columns of the records `rows` (uint32 [P]), in that order."""
    shapes = layout(board_size, len(rows), 0)
    columns = {name: np.empty(shapes[name][1], shapes[name][0]) for name in COLUMNS}
    every = np.arange(len(rows), dtype=np.uint32)
    _move_rows(_fields(records), rows, _fields(columns), every)
    return columns


def from_entries(
    entries: np.ndarray, order: np.ndarray, starts: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """The policy entries of rows: the next counts[k] of pack order[k], whose first is starts[.]."""
    arrays: dict[str, np.ndarray] = {
        name: np.empty(len(entries), dtype) for name, dtype in ENTRIES.items()
    }
    cells, probabilities = (array.view(np.uint16) for array in arrays.values())
    _move_entries_out(order, starts.copy(), counts, entries, cells, probabilities)
    return arrays


def _fields(arrays: Any) -> tuple[np.ndarray, ...]:
    """The columns of a mapping or of records, as numba can copy them.

    Half floats come as integers; boards as words of eight bytes that start at each byte, so that
    a few of them, which may overlap, copy a row (boards of less than eight bytes come as bytes).
    """
    fields = []
    for name in COLUMNS:
        field = arrays[name]
        if name in BOARDS and field.shape[1] >= 8:
            shape = (len(field), field.shape[1] - 7)
            field = as_strided(field[:, :8].view(np.uint64), shape, (field.strides[0], 1))
        fields.append(field.view(np.uint16) if field.dtype == np.float16 else field)
    return tuple(fields)


@kernel
def _move_rows(source, rows, out, places):
    """Copy row rows[k] of some columns to row places[k] of others; both uint32 [P].

    All indices are unsigned, so that numba does not look for negative ones, which takes half again.
    """
    own, opponent, count, value, root_value, weight, game, ply = source
    to_own, to_opponent, to_count, to_value, to_root_value, to_weight, to_game, to_ply = out
    last, step = np.uint64(own.shape[1] - 1), np.uint64(own.itemsize)
    for k in range(len(rows)):
        s, p = rows[k], places[k]
        for b in range(np.uint64(0), last, step):
            to_own[p, b], to_opponent[p, b] = own[s, b], opponent[s, b]
        to_own[p, last], to_opponent[p, last] = own[s, last], opponent[s, last]
        to_count[p], to_value[p] = count[s], value[s]
        to_root_value[p], to_weight[p] = root_value[s], weight[s]
        to_game[p], to_ply[p] = game[s], ply[s]


@kernel
def _follow(order, starts, out):
    for k in range(len(order)):
        out[k] = starts[order[k]]
        starts[order[k]] += 1


@kernel
def _move_entries_in(places, counts, ends, cells, probabilities, entries):
    e = 0
    for k in range(len(places)):
        to = ends[places[k]]
        for i in range(to, to + counts[k]):
            entries[i] = np.uint32(cells[e]) | np.uint32(probabilities[e]) << np.uint32(16)
            e += 1


@kernel
def _move_entries_out(order, starts, counts, entries, cells, probabilities):
    e = 0
    for k in range(len(order)):
        first = starts[order[k]]
        for i in range(first, first + counts[k]):
            cells[e], probabilities[e] = entries[i] & 0xFFFF, entries[i] >> np.uint32(16)
            e += 1
        starts[order[k]] += counts[k]
