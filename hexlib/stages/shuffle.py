"""Shuffle: an exactly uniform spread of all positions over buckets, in two passes.

`scatter` takes a chunk in runs of some megabytes, draws a bucket for every row of a run,
independently and uniformly, and writes the run with its rows grouped by bucket, in random order
within each. `gather` interleaves what the runs have for its bucket at random, like packs of cards
that are each in random order, which makes all orders of the bucket equally likely (MergeShuffle,
Bacher et al. 2015, arXiv:1508.03167). Both read and write in sequence and hold a few blocks.

Any number of jobs may run either pass in any order: what they draw depends on the seed and on what
is in the chunks, and on nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hexlib import files, npz, rng
from hexlib.errors import BadInput, Damaged
from hexlib.game.positions import COLUMNS, ENTRIES, KIND, layout, offsets_of
from hexlib.game.rows import following, from_entries, from_records, record, to_records
from hexlib.kernel import kernel

PARTS = "parts.npz"
INDEX = ("row_offsets", "row_checksums", "entry_offsets", "entry_checksums")
TRAITS = ("board_size", "positions", "buckets", "seed")  # that all parts of a shuffle share

RUN = 1 << 23  # bytes grouped at a time; the draws depend on it
BLOCK = 1 << 21  # bytes interleaved at a time, at least
READ = 1 << 14  # bytes read at a time from a run, at least: few would not be worth the call
_DRAWS = 1 << 16  # random numbers drawn at a time


def scatter(chunk: Path | str, output_dir: Path | str, buckets: int, seed: int) -> dict[str, Any]:
    """Write the rows of a chunk, in runs grouped by bucket, to `output_dir`/parts.npz.

    Its kind is `parts`; `_parts_layout` tells its arrays. Memory is that of a few runs. Returns
    {"rows", "buckets"}. Raises `BadInput` if the chunk is missing or damaged.
    """
    chunk = Path(chunk)
    source = _open(chunk, KIND, ("board_size", "positions", "games"), _chunk_layout)
    rows, entries = _lengths(source)
    board_size, digest = source.meta["board_size"], source.digest
    size = _rows_in(RUN, board_size, rows, entries)
    shapes = _parts_layout(board_size, rows, entries, -(-rows // size), buckets)
    index = {name: np.zeros(shapes[name][1], shapes[name][0]) for name in INDEX}
    kept = {name: source.meta[name] for name in ("board_size", "positions", "games")}
    document = {"kind": "parts", **kept, "rows": rows, "buckets": buckets, "seed": seed}
    generator = rng.generator(seed, chunk.name, digest)
    with files.atomic(Path(output_dir) / PARTS) as handle:
        writer = npz.Writer(handle, shapes, {**document, "inputs": {chunk.name: digest}})
        row = entry = 0
        for run, columns in enumerate(_blocks(source, rows, size)):
            count = len(columns["value"])
            of_row = generator.integers(0, buckets, count, np.uint16)
            bounds = offsets_of(np.bincount(of_row, minlength=buckets))
            places = np.arange(count, dtype=np.uint32)
            _shuffle(places, generator)
            records, packed, ends = to_records(columns, places, board_size)
            index["row_offsets"][run] = row + bounds
            index["row_checksums"][run] = writer.append("rows", records, bounds.tolist())
            index["entry_offsets"][run] = entry + ends[bounds]
            index["entry_checksums"][run] = writer.append("entries", packed, ends[bounds].tolist())
            row, entry = row + count, entry + len(packed)
        for name, array in index.items():
            writer.append(name, array)
        writer.close()
    return {"rows": rows, "buckets": buckets}


def gather(
    dirs: Sequence[Path | str], bucket: int, output: Path | str, seed: int
) -> dict[str, Any]:
    """Write one bucket (kind `positions`): its slices of each folder's parts.npz, interleaved.

    Reads only the slices, and checks them. Memory is a few blocks and two bytes a row. Returns
    {"rows"}. Raises `BadInput` if a file is missing, damaged, or was scattered otherwise than the
    first.
    """
    parts = [_Parts(Path(folder) / PARTS, bucket) for folder in dirs]
    if not parts:
        raise BadInput(f"{output}: no folder of scattered parts was named; name at least one")
    first = parts[0].traits
    for part in parts:
        if part.traits != first:
            raise BadInput(
                f"{part.path}: scattered with {part.traits}, where {parts[0].path} has"
                f" {first}; scatter all chunks with the same settings"
            )
    inputs = {
        f"{part.path.parent.name}/{name}": digest
        for part in parts
        for name, digest in part.meta["inputs"].items()
    }
    packs = [pack for part in parts for pack in part.packs]
    counts = [len(pack.rows) for pack in packs]
    rows, entries = sum(counts), sum(len(pack.entries) for pack in packs)
    number = np.uint16 if len(packs) <= 1 << 16 else np.uint32
    order = np.repeat(np.arange(len(packs), dtype=number), counts)
    _shuffle(order, rng.generator(seed, bucket, inputs))
    board_size = first["board_size"]
    document = {"kind": KIND, **first, "rows": rows, "bucket": bucket, "inputs": inputs}
    for total in ("rows", "games"):
        document[f"scattered_{total}"] = sum(part.meta[total] for part in parts)
    with files.atomic(output) as handle:
        writer = npz.Writer(handle, layout(board_size, rows, entries), document)
        size = _rows_in(max(BLOCK, len(packs) * READ), board_size, rows, entries)
        for start in range(0, rows, size):
            block = _interleaved(packs, order[start : start + size], board_size)
            for name, array in block.items():
                writer.append(name, array)
        for pack in packs:
            pack.rows.check()
            pack.entries.check()
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


def _shuffle(array: np.ndarray, generator: np.random.Generator) -> None:
    """Permute integers [P] in place, all orders equally likely: as Generator.shuffle, and faster.

    Fisher and Yates's, with bounded draws by Lemire (2019, arXiv:1805.10941).
    """
    left = len(array)
    while left > 1:
        draws = generator.integers(0, 1 << 32, min(left, _DRAWS), np.uint32)
        left = _swap(array, left, draws)


@kernel
def _swap(array, left, draws):
    """Draw the values array[left - 1], array[left - 2], … while there are draws; what is left."""
    for draw in draws:
        bound = np.uint64(left)
        product = np.uint64(draw) * bound
        low = product & np.uint64(0xFFFFFFFF)
        if low >= bound or low >= (np.uint64(1 << 32) - bound) % bound:  # else it would be biased
            pick = np.int64(product >> np.uint64(32))
            left -= 1
            array[left], array[pick] = array[pick], array[left]
            if left == 1:
                break
    return left


def _rows_in(size: int, board_size: int, rows: int, entries: int) -> int:
    """How many rows, of some that have `entries` in all, take about `size` bytes."""
    return max(1, size * rows // max(1, rows * record(board_size).itemsize + 4 * entries))


def _parts_layout(board_size: int, rows: int, entries: int, runs: int, buckets: int) -> npz.Layout:
    """Dtype and shape of each array of parts: R runs, each grouped by bucket.

    An entry has the cell in its lower and the bits of the probability in its upper half. Bucket b
    of run r has the rows from row_offsets[r, b] to row_offsets[r, b + 1], where the running CRC-32
    of `rows` is row_checksums[r, b] before and row_checksums[r, b + 1] after; so do the entries.
    """
    return {
        "rows": (np.uint8, (rows, record(board_size).itemsize)),
        "entries": (np.uint32, (entries,)),
        **{
            name: (np.int64 if "offsets" in name else np.uint32, (runs, buckets + 1))
            for name in INDEX
        },
    }


def _lengths(chunk: npz.Reader) -> tuple[int, int]:
    """Rows and policy entries of a chunk."""
    return chunk.layout["value"][1][0], chunk.layout["policy_cell"][1][0]


def _open(
    path: Path, kind: str, traits: Sequence[str], shapes: Callable[[npz.Reader], npz.Layout]
) -> npz.Reader:
    """Open a file, whose meta must have `traits` and whose arrays must be as `shapes` says."""
    reader = npz.Reader(path, kind)
    try:
        wanted = {name: (np.dtype(dtype), shape) for name, (dtype, shape) in shapes(reader).items()}
        fitting = reader.layout == wanted and reader.meta.keys() >= set(traits)
    except (KeyError, TypeError, IndexError):
        fitting = False
    if not fitting:
        raise Damaged(path, f"its arrays are not those of {kind}", npz.REMEDY)
    return reader


def _chunk_layout(reader: npz.Reader) -> npz.Layout:
    return layout(reader.meta["board_size"], *_lengths(reader))


def _blocks(chunk: npz.Reader, rows: int, size: int) -> Iterator[dict[str, np.ndarray]]:
    """The columns and entries of all rows, `size` rows at a time; checked after the last."""
    unread = {name: chunk.rows(name) for name in (*COLUMNS, *ENTRIES)}
    for start in range(0, rows, size):
        count = min(size, rows - start)
        block = {name: unread[name].take(count) for name in COLUMNS}
        entries = int(block["policy_count"].sum(dtype=np.int64))
        yield block | {name: unread[name].take(entries) for name in ENTRIES}
    for array in unread.values():
        array.check()


class _Pack(NamedTuple):
    """What a run has for one bucket, to be read in order."""

    rows: npz.Rows
    entries: npz.Rows


class _Parts:
    """A file of parts and its packs for one bucket."""

    def __init__(self, path: Path, bucket: int):
        self.path = path
        reader = _open(path, "parts", ("rows", "games", "inputs", *TRAITS), self._layout)
        self.meta = reader.meta
        self.traits = {name: self.meta[name] for name in TRAITS}
        buckets = self.meta["buckets"]
        if not 0 <= bucket < buckets:
            raise BadInput(f"{path}: has buckets 0 to {buckets - 1}, and no bucket {bucket}")
        index = {name: reader.read(name)[:, bucket : bucket + 2].tolist() for name in INDEX}
        self.packs = [
            _Pack(reader.rows("rows", rows, row_sums), reader.rows("entries", entries, entry_sums))
            for rows, row_sums, entries, entry_sums in zip(*index.values(), strict=True)
        ]

    @staticmethod
    def _layout(reader: npz.Reader) -> npz.Layout:
        found = reader.layout
        rows, entries, runs = (found[name][1][0] for name in ("rows", "entries", "row_offsets"))
        return _parts_layout(reader.meta["board_size"], rows, entries, runs, reader.meta["buckets"])


def _interleaved(
    packs: Sequence[_Pack], order: np.ndarray, board_size: int
) -> dict[str, np.ndarray]:
    """The columns and entries of the next rows of the packs, row k from pack order[k]."""
    records = np.empty(len(order), record(board_size))
    starts = _take([pack.rows for pack in packs], np.bincount(order, minlength=len(packs)), records)
    columns = from_records(records, following(order, starts), board_size)
    counts = columns["policy_count"]
    of_pack = np.bincount(order, counts, len(packs)).astype(np.int64)
    entries = np.empty(of_pack.sum(), np.uint32)
    starts = _take([pack.entries for pack in packs], of_pack, entries)
    return columns | from_entries(entries, order, starts, counts)


def _take(unread: Sequence[npz.Rows], counts: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Fill `out` with the next counts[i] rows of each array; where those of each start in it."""
    starts, size = offsets_of(counts), out.itemsize
    view = out.view(np.uint8).data
    for array, count, first in zip(unread, counts.tolist(), starts.tolist(), strict=False):
        array.fill(view[first * size : (first + count) * size])
    return starts
