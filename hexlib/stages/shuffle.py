"""Shuffle: an exactly uniform spread of all positions over buckets, in two passes.

`scatter` draws a bucket for every row of a chunk, independently and uniformly, and writes the rows
grouped by bucket into one file. `gather` reads its own slice of each of these and permutes it. Any
number of jobs may run either pass in any order: what they draw depends on the seed and on what is
in the chunks, and on nothing else.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hexlib import files, npz
from hexlib.errors import BadInput
from hexlib.game.positions import (
    BOARDS,
    COLUMNS,
    ENTRIES,
    KIND,
    Positions,
    from_arrays,
    layout,
    offsets_of,
)

PARTS = "parts.npz"
_INDEX = ("bucket_offsets", "entry_offsets", "bucket_checksum")


def scatter(chunk: Path | str, output_dir: Path | str, buckets: int, seed: int) -> dict[str, Any]:
    """Write the rows of a chunk, grouped by bucket, to `output_dir`/parts.npz (kind `parts`).

    To the arrays of positions it adds `bucket_offsets` int64 [B + 1] (bucket b has the rows from
    bucket_offsets[b] to bucket_offsets[b + 1]), `entry_offsets` int64 [B + 1] (the same of the
    policy entries) and `bucket_checksum` uint32 [B] (CRC-32 of the bucket's slices). Returns
    {"rows", "buckets"}. Raises `BadInput` if the chunk is missing or damaged.
    """
    chunk = Path(chunk)
    arrays, meta = npz.open_npz(chunk, KIND)
    found = from_arrays(chunk, arrays, meta["board_size"])
    rows, digest = len(found), files.sha256(chunk)
    bucket = _generator(seed, chunk.name, digest).integers(0, buckets, rows, np.uint16)
    bounds = offsets_of(np.bincount(bucket, minlength=buckets))
    places = _grouped(bucket, bounds)
    checksums = np.zeros(buckets, np.uint32)
    index = {"bucket_offsets": bounds, "entry_offsets": bounds, "bucket_checksum": checksums}
    shapes = dict(layout(found.board_size, rows, len(found.policy_cell)))
    shapes |= {name: (array.dtype, array.shape) for name, array in index.items()}
    kept = {name: meta[name] for name in ("board_size", "positions", "games")}
    document = {"kind": "parts", **kept, "rows": rows, "buckets": buckets, "seed": seed}
    document["inputs"] = {chunk.name: digest}
    with files.atomic(Path(output_dir) / PARTS) as handle:
        writer = npz.Writer(handle, shapes, document)
        for name, array in _moved([found], places):
            if name == "policy_count":
                index["entry_offsets"] = offsets_of(array)[bounds]
            ends = index["entry_offsets"] if name in ENTRIES else bounds
            for b in range(buckets):
                checksums[b] = npz.checksum(array[ends[b] : ends[b + 1]], int(checksums[b]))
            writer.append(name, array)
        for name, array in index.items():
            writer.append(name, array)
        writer.close()
    return {"rows": rows, "buckets": buckets}


def gather(
    dirs: Sequence[Path | str], bucket: int, output: Path | str, seed: int
) -> dict[str, Any]:
    """Write one bucket (kind `positions`): its slice of each folder's parts.npz, permuted.

    Reads only the slices, and checks them. Memory is that of the bucket. Returns {"rows"}. Raises
    `BadInput` if a file is missing, damaged, or was scattered otherwise than the first.
    """
    slices: list[Positions] = []
    inputs: dict[str, str] = {}
    first: dict[str, Any] = {}
    games = total = 0
    for path in (Path(folder) / PARTS for folder in dirs):
        arrays, meta = npz.open_npz(path, "parts", verify=_INDEX)
        traits = {name: meta[name] for name in ("board_size", "positions", "buckets", "seed")}
        first = first or traits
        if traits != first or not 0 <= bucket < meta["buckets"]:
            raise BadInput(
                f"{path}: scattered with {traits}, where {first} and bucket {bucket} are wanted;"
                " scatter all chunks with the same settings"
            )
        slices.append(_slice_of(path, arrays, meta["board_size"], bucket))
        games, total = games + meta["games"], total + meta["rows"]
        inputs |= {f"{path.parent.name}/{name}": sha for name, sha in meta["inputs"].items()}
    if not slices:
        raise BadInput(f"{output}: no folder of scattered parts was named; name at least one")
    rows, board_size = sum(map(len, slices)), slices[0].board_size
    places = _generator(seed, bucket, inputs).permutation(rows)
    document = {"kind": KIND, **first, "rows": rows, "bucket": bucket, "inputs": inputs}
    document |= {"scattered_rows": total, "scattered_games": games}
    with files.atomic(output) as handle:
        entries = sum(len(part.policy_cell) for part in slices)
        writer = npz.Writer(handle, layout(board_size, rows, entries), document)
        for name, array in _moved(slices, places):
            writer.append(name, array)
        writer.close()
    return {"rows": rows}


def summary(buckets: Sequence[Path | str], output: Path | str) -> dict[str, Any]:
    """Write summary.json of a shuffle, with every row of the chunks accounted for.

    Raises `BadInput` if the buckets are not all those of one shuffle.
    """
    names: list[str] = []
    metas: list[dict[str, Any]] = []
    for path in map(Path, buckets):
        _, meta = npz.open_npz(path, KIND, verify=())
        missing = {"bucket", "buckets", "scattered_rows"} - meta.keys()
        if missing or (
            metas and any(meta[k] != metas[0][k] for k in ("buckets", "seed", "inputs"))
        ):
            raise BadInput(
                f"{path}: not a bucket of the same shuffle as {buckets[0]}; gather it again"
            )
        names.append(path.name)
        metas.append(meta)
    rows = sum(meta["rows"] for meta in metas)
    if not metas or sorted(meta["bucket"] for meta in metas) != list(range(metas[0]["buckets"])):
        raise BadInput(f"{output}: each bucket of the shuffle is wanted once; name all of them")
    if rows != metas[0]["scattered_rows"]:
        raise RuntimeError(
            f"{rows} rows in the buckets, {metas[0]['scattered_rows']} in the chunks"
        )
    document = {
        "kind": "shuffle",
        "schema": files.SCHEMA,
        "board_size": metas[0]["board_size"],
        "positions": metas[0]["positions"],
        "rows": rows,
        "games": metas[0]["scattered_games"],
        "seed": metas[0]["seed"],
        "buckets": [{"name": n, "rows": m["rows"]} for n, m in zip(names, metas, strict=True)],
        "inputs": metas[0]["inputs"],
    }
    files.write_json(output, document)
    return document


def _generator(*identity: Any) -> np.random.Generator:
    """A stream of random numbers of its own for whatever has this identity (Salmon et al. 2011)."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


@njit(cache=True)
def _grouped(bucket, bounds):
    """The place int64 [P] of each row once rows are grouped by bucket, in order within each."""
    following = bounds.copy()
    places = np.empty(len(bucket), np.int64)
    for row in range(len(bucket)):
        places[row] = following[bucket[row]]
        following[bucket[row]] += 1
    return places


@njit(cache=True)
def _move_rows(rows, places, out):
    for k in range(len(places)):
        out[places[k]] = rows[k]


@njit(cache=True)
def _move_boards(rows, places, out):
    for k in range(len(places)):
        for b in range(rows.shape[1]):
            out[places[k], b] = rows[k, b]


@njit(cache=True)
def _move_entries(entries, counts, places, offsets, out):
    e = 0
    for k in range(len(places)):
        first = offsets[places[k]]
        for i in range(counts[k]):
            out[first + i] = entries[e + i]
        e += counts[k]


def _moved(sources: Sequence[Positions], places: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each array of the sources' rows, moved: row k of them all goes to places[k].

    One array is made at a time, and writes go to few places at once, for the sake of memory and
    of its caches. Of the arrays, policy_count comes before those of the entries.
    """
    ends = np.cumsum([0, *map(len, sources)])
    parts = [
        (source, places[first:last])
        for source, first, last in zip(sources, ends[:-1], ends[1:], strict=True)
    ]
    offsets = np.zeros(1, np.int64)
    for name, (dtype, shape) in layout(sources[0].board_size, len(places), 0).items():
        if name in ENTRIES:
            continue
        out = np.empty(shape, dtype)
        move = _move_boards if name in BOARDS else _move_rows
        for source, to in parts:
            move(_bits(getattr(source, name)), to, _bits(out))
        if name == "policy_count":
            offsets = offsets_of(out)
        yield name, out
    for name, dtype in ENTRIES.items():
        out = np.empty(offsets[-1], dtype)
        for source, to in parts:
            entries = _bits(getattr(source, name))
            _move_entries(entries, source.policy_count, to, offsets, _bits(out))
        yield name, out


def _bits(array: np.ndarray) -> np.ndarray:
    """Half floats as integers, since numba cannot copy them."""
    return array.view(np.uint16) if array.dtype == np.float16 else array


def _slice_of(path: Path, arrays: dict[str, np.ndarray], board_size: int, bucket: int) -> Positions:
    """The rows of one bucket in a file of parts, checked."""
    first, last = arrays["bucket_offsets"][bucket : bucket + 2]
    entry, end = arrays["entry_offsets"][bucket : bucket + 2]
    slices = {name: arrays[name][first:last] for name in COLUMNS}
    slices |= {name: arrays[name][entry:end] for name in ENTRIES}
    checksum = 0
    for array in slices.values():
        checksum = npz.checksum(array, checksum)
    if checksum != arrays["bucket_checksum"][bucket]:
        raise BadInput(f"{path}: bucket {bucket} is damaged: its checksum differs; {npz.REMEDY}")
    return from_arrays(path, slices, board_size)
