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
from hexlib.errors import BadInput, Damaged
from hexlib.game.positions import (
    BOARDS,
    ENTRIES,
    KIND,
    layout,
    offsets_of,
)

PARTS = "parts.npz"
INDEX = ("bucket_offsets", "entry_offsets", "bucket_checksum")
TRAITS = ("board_size", "positions", "buckets", "seed")  # that all parts of a shuffle share

_ROWS = 1 << 17  # read at a time


def scatter(chunk: Path | str, output_dir: Path | str, buckets: int, seed: int) -> dict[str, Any]:
    """Write the rows of a chunk, grouped by bucket, to `output_dir`/parts.npz (kind `parts`).

    To the arrays of positions it adds `bucket_offsets` int64 [B + 1] (bucket b has the rows from
    bucket_offsets[b] to bucket_offsets[b + 1]), `entry_offsets` int64 [B + 1] (the same of the
    policy entries) and `bucket_checksum` uint32 [B] (CRC-32 of the bucket's slices). Returns
    {"rows", "buckets"}. Raises `BadInput` if the chunk is missing or damaged.
    """
    chunk = Path(chunk)
    source = _Source(chunk, KIND)
    rows, digest = source.rows, files.sha256(chunk)
    bucket = _generator(seed, chunk.name, digest).integers(0, buckets, rows, np.uint16)
    bounds = offsets_of(np.bincount(bucket, minlength=buckets))
    places = _grouped(bucket, bounds)
    checksums = np.zeros(buckets, np.uint32)
    index = {"bucket_offsets": bounds, "entry_offsets": bounds, "bucket_checksum": checksums}
    shapes = dict(layout(source.meta["board_size"], rows, source.entries))
    shapes |= {name: (array.dtype, array.shape) for name, array in index.items()}
    kept = {name: source.meta[name] for name in ("board_size", "positions", "games")}
    document = {"kind": "parts", **kept, "rows": rows, "buckets": buckets, "seed": seed}
    document["inputs"] = {chunk.name: digest}
    with files.atomic(Path(output_dir) / PARTS) as handle:
        writer = npz.Writer(handle, shapes, document)
        for name, array in _moved([source], places):
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
    sources = [_Source(Path(folder) / PARTS, "parts", bucket) for folder in dirs]
    if not sources:
        raise BadInput(f"{output}: no folder of scattered parts was named; name at least one")
    first = sources[0].traits
    for source in sources:
        if source.traits != first:
            raise BadInput(
                f"{source.path}: scattered with {source.traits}, where {sources[0].path} has"
                f" {first}; scatter all chunks with the same settings"
            )
    inputs = {
        f"{source.path.parent.name}/{name}": digest
        for source in sources
        for name, digest in source.meta["inputs"].items()
    }
    rows = sum(source.rows for source in sources)
    places = _generator(seed, bucket, inputs).permutation(rows)
    document = {"kind": KIND, **first, "rows": rows, "bucket": bucket, "inputs": inputs}
    for total in ("rows", "games"):
        document[f"scattered_{total}"] = sum(source.meta[total] for source in sources)
    with files.atomic(output) as handle:
        entries = sum(source.entries for source in sources)
        shapes = layout(first["board_size"], rows, entries)
        writer = npz.Writer(handle, shapes, document)
        for name, array in _moved(sources, places):
            writer.append(name, array)
        for source in sources:
            source.check()
        writer.close()
    return {"rows": rows}


def summary(buckets: Sequence[Path | str], output: Path | str) -> dict[str, Any]:
    """Write summary.json of a shuffle, with every row of the chunks accounted for.

    Raises `BadInput` if the buckets are not all those of one shuffle.
    """
    names: list[str] = []
    metas: list[dict[str, Any]] = []
    for path in map(Path, buckets):
        meta = npz.Reader(path, KIND).meta
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
def _move_entries(entries, places, offsets, out):
    e = 0
    for place in places:
        for k in range(offsets[place], offsets[place + 1]):
            out[k] = entries[e]
            e += 1


def _moved(sources: Sequence["_Source"], places: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each array of the sources' rows, moved: row k of them all goes to places[k].

    One array is read and made at a time, for the sake of memory, and rows are read in order and
    written to few places at once, for the sake of its caches. The policy's entries come last.
    """
    ends = np.cumsum([0, *(source.rows for source in sources)])
    parts = [
        (source, places[first:last])
        for source, first, last in zip(sources, ends[:-1], ends[1:], strict=True)
    ]
    offsets = np.zeros(1, np.int64)
    for name, (dtype, shape) in layout(sources[0].meta["board_size"], len(places), 0).items():
        if name in ENTRIES:
            continue
        out = np.empty(shape, dtype)
        move = _move_boards if name in BOARDS else _move_rows
        for source, to in parts:
            done = 0
            for rows in source.blocks(name):
                move(_bits(rows), to[done : done + len(rows)], _bits(out))
                done += len(rows)
        if name == "policy_count":
            offsets = offsets_of(out)
        yield name, out
    for name, dtype in ENTRIES.items():
        out = np.empty(offsets[-1], dtype)
        for source, to in parts:
            _move_entries(_bits(source.entries_of(name)), to, offsets, _bits(out))
        yield name, out


def _bits(array: np.ndarray) -> np.ndarray:
    """Half floats as integers, since numba cannot copy them."""
    return array.view(np.uint16) if array.dtype == np.float16 else array


class _Source:
    """The rows of a chunk, or of one bucket in a file of parts, read array by array."""

    def __init__(self, path: Path, kind: str, bucket: int | None = None):
        self.path = path
        self._reader = npz.Reader(path, kind)
        self.meta, found = self._reader.meta, self._reader.layout
        wanted = INDEX if kind == "parts" else ()
        try:
            self.rows, self.entries = found["value"][1][0], found["policy_cell"][1][0]
            self.traits = {name: self.meta[name] for name in TRAITS[: None if wanted else 2]}
            columns = layout(self.meta["board_size"], self.rows, self.entries)
            fitting = found.keys() - columns.keys() == set(wanted) and all(
                found[name] == (np.dtype(dtype), shape) for name, (dtype, shape) in columns.items()
            )
        except (KeyError, TypeError, IndexError):
            fitting = False
        if not fitting:
            raise Damaged(path, f"its arrays are not those of {kind}", npz.REMEDY)
        self._rows: tuple[int, int | None] = (0, None)
        self._entries: tuple[int, int | None] = (0, None)
        self._checksum, self._wanted = 0, None
        if bucket is not None:
            self._choose(bucket)

    def _choose(self, bucket: int) -> None:
        buckets = self.meta["buckets"]
        if not 0 <= bucket < buckets:
            raise BadInput(f"{self.path}: has buckets 0 to {buckets - 1}, and no bucket {bucket}")
        rows, entries, checksums = (self._reader.read(name).tolist() for name in INDEX)
        self._rows = (rows[bucket], rows[bucket + 1])
        self._entries = (entries[bucket], entries[bucket + 1])
        self.rows = rows[bucket + 1] - rows[bucket]
        self.entries = entries[bucket + 1] - entries[bucket]
        self._wanted = checksums[bucket]

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """The rows of one array, some at a time."""
        total = 0
        for rows in self._reader.blocks(name, _ROWS, *self._rows):
            self._add(rows)
            total += int(rows.sum(dtype=np.int64)) if name == "policy_count" else 0
            yield rows
        if name == "policy_count" and total != self.entries:
            raise self._damaged()

    def entries_of(self, name: str) -> np.ndarray:
        """The policy entries of the rows, of one array."""
        array = self._reader.read(name, *self._entries)
        self._add(array)
        return array

    def _add(self, array: np.ndarray) -> None:
        if self._wanted is not None:
            self._checksum = npz.checksum(array, self._checksum)

    def check(self) -> None:
        """Raise unless the arrays, all of which have been read in order, are as scattered."""
        if self._wanted not in (None, self._checksum):
            raise self._damaged()

    def _damaged(self) -> Damaged:
        return Damaged(self.path, "damaged: the checksum of its bucket differs", npz.REMEDY)
