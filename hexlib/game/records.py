"""Games as arrays, and the search statistics that travel with them."""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hexlib import files, lines, npz
from hexlib.errors import Damaged
from hexlib.game import board, trmph

SHOWN = 200  # characters of a broken line that are shown
_HEADER = b"# {"  # how the first line of a `.trmph` by `write_games` starts
_NO_CRC = "00000000"
_CRC = re.compile(rb'"crc32": "([0-9a-f]{8})"')


@dataclass(frozen=True)
class Games:
    """G finished games of one board size."""

    board_size: int
    moves: np.ndarray  # int16 [M], cells of all games one after the other
    offsets: np.ndarray  # int64 [G + 1], game g has moves[offsets[g] : offsets[g + 1]]
    winners: np.ndarray  # int8 [G], board.BLUE or board.RED

    def __len__(self) -> int:
        return len(self.winners)

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        for g, winner in enumerate(self.winners):
            yield self.moves[self.offsets[g] : self.offsets[g + 1]], int(winner)


@dataclass(frozen=True)
class Block:
    """The R records of some consecutive lines of a file, G of which could be read."""

    games: Games  # those G, in order, with swaps resolved
    swapped: np.ndarray  # bool [G], whether the record had a swap
    problems: np.ndarray  # uint8 [R], trmph.WHOLE or what is wrong
    at: np.ndarray  # int32 [R], the move, from 1, or the other board size that is wrong
    lines: np.ndarray  # int64 [R], line numbers from 1
    spans: np.ndarray  # int64 [R, 2], where the record lies in `data`
    data: np.ndarray  # uint8, the text

    def __len__(self) -> int:
        return len(self.lines)

    def text(self, record: int) -> str:
        """The beginning of a record's line, what cannot be printed escaped."""
        start, end = self.spans[record]
        shown = self.data[start : min(end, start + SHOWN)].tobytes().decode(errors="replace")
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown.rstrip("\r"))

    def reason(self, record: int) -> str:
        """What is wrong with a record."""
        return trmph.REASONS[int(self.problems[record])]


def read_games(path: Path | str, board_size: int) -> Iterator[Block]:
    """Read the records of a `.trmph` file, plain, gzip or zstd, block by block.

    Takes every variant that `trmph` names. A record that cannot be read, or is of another board
    size, is a problem of its block and no error. Memory does not grow with the file. Raises
    as `lines.blocks`.
    """
    line = 1
    for data in trmph.blocks(path):
        block, line = parse(data, board_size, line)
        yield block


def parse(data: np.ndarray, board_size: int, line: int) -> tuple[Block, int]:
    """The records of some lines, `data` as of `trmph.padded`, and the number of the line after.

    `line` is the number of the first line, from 1.
    """
    most = int(np.count_nonzero(data[:-3] == ord("\n")))
    moves = np.empty(len(data) // 2, np.int16)
    ends = np.zeros(most + 1, np.int64)
    winners, swapped = np.empty(most, np.int8), np.empty(most, np.bool_)
    problems, at = np.empty(most, np.uint8), np.empty(most, np.int32)
    numbers, spans = np.empty(most, np.int64), np.empty((most, 2), np.int64)
    r, g, m, line = trmph.parse(
        data, board_size, line, moves, ends[1:], winners, swapped, problems, at, numbers, spans
    )
    games = Games(board_size, moves[:m], ends[: g + 1], winners[:g])
    return Block(games, swapped[:g], problems[:r], at[:r], numbers[:r], spans[:r], data), line


def write_games(path: Path | str, parts: Iterable[Games], meta: dict[str, Any]) -> None:
    """Write a `.trmph`: a comment with `meta` as one line of JSON, then a record a line.

    `meta` must name the `kind` of the product. Added are the schema version and `crc32`, the
    CRC-32 of the whole text where `crc32` itself is 00000000, by which `verify` knows it again.
    """
    document = {"schema": files.SCHEMA, **meta, "crc32": _NO_CRC}
    head = _HEADER + json.dumps(document, sort_keys=True).encode()[1:] + b"\n"
    with files.atomic(path) as handle:
        handle.write(head)
        crc = zlib.crc32(head)
        for games in parts:
            text = records_of(games)
            handle.write(text)
            crc = npz.checksum(text, crc)
        handle.seek(0)
        handle.write(_CRC.sub(b'"crc32": "%08x"' % crc, head))


def verify(path: Path | str) -> None:
    """Raise `Damaged` if a file of games is empty, cannot be read, or is not as it was written.

    The last can be told of what `write_games` wrote: its first line has the checksum of all up to
    the next such line, for files may have been joined. Text of other programs has none.
    """
    crc, wanted, some = 0, None, False
    for block in lines.blocks(path):
        some, done = True, 0
        for found in re.finditer(rb"\n# \{[^\n]*", b"\n" + block):
            head, promised = found[0][1:], _CRC.search(found[0])
            if promised:
                crc = zlib.crc32(memoryview(block)[done : found.start()], crc)
                _compare(path, crc, wanted)
                wanted, done = int(promised[1], 16), found.start() + len(head)
                crc = zlib.crc32(head.replace(promised[1], _NO_CRC.encode()))
            elif b'"schema"' in head:
                raise Damaged(path, "its first line has lost its checksum", npz.REMEDY)
        crc = zlib.crc32(memoryview(block)[done:], crc)
    _compare(path, crc, wanted)
    if not some:
        raise Damaged(path, "is empty", "make it again, or take it away")


def _compare(path: Path | str, crc: int, wanted: int | None) -> None:
    if wanted not in (None, crc):
        raise Damaged(
            path,
            f"not as it was written: its checksum is {crc:08x}, but its first line says"
            f" {wanted:08x}",
            f"{npz.REMEDY} (if you changed it on purpose, delete that line)",
        )


def records_of(games: Games) -> np.ndarray:
    """The lines of games, uint8."""
    return trmph.format_records(games.board_size, games.moves, games.offsets, games.winners)


def read_meta(path: Path | str) -> dict[str, Any] | None:
    """The `meta` that `write_games` put into a `.trmph`; None where there is none."""
    for block in lines.blocks(path):
        first = block.split(b"\n", 1)[0]
        try:
            meta = json.loads(first.removeprefix(b"# "))
        except (ValueError, RecursionError):
            return None
        return meta if first.startswith(_HEADER) and isinstance(meta, dict) else None
    return None


def replay(games: Games) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Play games through the rules: status uint8 [G], ply int32 [G] and winner int8 [G].

    They are those of `board.replay`.
    """
    status = np.empty(len(games), np.uint8)
    ply = np.empty(len(games), np.int32)
    winner = np.empty(len(games), np.int8)
    tables = board.geometry(games.board_size)
    board.replay(games.board_size, games.moves, games.offsets, *tables, status, ply, winner)
    return status, ply, winner


@njit(cache=True)
def _mix(state, value, factor):
    state = (state ^ value) * factor
    return state ^ (state >> np.uint64(29))


@njit(cache=True)
def _hash(area, moves, offsets, merge_symmetric, out):
    for g in range(len(offsets) - 1):
        first, end = offsets[g], offsets[g + 1]
        turned = False
        if merge_symmetric:
            for k in range(first, end):
                other = area - 1 - moves[k]
                if moves[k] != other:
                    turned = other < moves[k]
                    break
        # Two 64-bit streams that multiply by odd constants (those of splitmix64, Steele 2014).
        low = np.uint64(area)
        high = np.uint64(end - first)
        for k in range(first, end):
            move = np.uint64(1 + (area - 1 - moves[k] if turned else moves[k]))
            low = _mix(low, move, np.uint64(0xBF58476D1CE4E5B9))
            high = _mix(high, move, np.uint64(0x94D049BB133111EB))
        for _ in range(2):
            low = _mix(low, high, np.uint64(0x9E3779B97F4A7C15))
            high = _mix(high, low, np.uint64(0xD6E8FEB86659FD93))
        out[g, 0], out[g, 1] = low, high


def game_hashes(games: Games, merge_symmetric: bool) -> np.ndarray:
    """A 128-bit hash of each game's moves, uint64 [G, 2]. The winner is no part of it.

    With `merge_symmetric` a game and its 180° turn have the same hash: it is that of the
    lexicographically smaller of the two.
    """
    out = np.empty((len(games), 2), np.uint64)
    _hash(games.board_size**2, games.moves, games.offsets, merge_symmetric, out)
    return out


@dataclass(frozen=True)
class SearchStatistics:
    """What the search found at each of the M moves of some games, in the order of the games.

    The policy is sparse and in board cells as played (not turned); a move without a recorded
    policy (a random opening stone, say) has no entries and a root value of NaN.
    """

    root_value: np.ndarray  # float16 [M], −1 to 1 for the player to move
    policy_count: np.ndarray  # uint8 [M], entries of each move
    policy_cell: np.ndarray  # uint16 [K], K the sum of policy_count
    policy_probability: np.ndarray  # float16 [K]


SEARCH_DTYPES = {
    "root_value": np.float16,
    "policy_count": np.uint8,
    "policy_cell": np.uint16,
    "policy_probability": np.float16,
}


def write_search(path: Path | str, search: SearchStatistics, meta: dict[str, Any]) -> None:
    """Write the `.search.npz` that lies beside a `.trmph`."""
    npz.write(path, vars(search), {"kind": "search", **meta})


def read_search(path: Path | str) -> tuple[SearchStatistics, dict[str, Any]]:
    """Map a `.search.npz`, with its checksums verified: its statistics, read-only, and its meta.

    Raises `BadInput` if it is missing, `Damaged` if it is not whole or its arrays do not fit.
    """
    arrays, meta = npz.open_npz(path, "search")
    dtypes = {name: array.dtype for name, array in arrays.items()}
    entries = int(arrays["policy_count"].sum(dtype=np.int64)) if dtypes == SEARCH_DTYPES else -1
    fitting = (
        entries >= 0
        and all(array.ndim == 1 for array in arrays.values())
        and len(arrays["root_value"]) == len(arrays["policy_count"])
        and len(arrays["policy_cell"]) == len(arrays["policy_probability"]) == entries
    )
    if not fitting:
        raise Damaged(path, "its arrays do not fit each other", npz.REMEDY)
    return SearchStatistics(**arrays), meta


@njit(cache=True)
def _misfit(area, moves, offsets, root_value, count, cell, probability):
    """The first game whose statistics cannot be its own, −1 if all can; floats come as bits."""
    ply_of = np.empty(area, np.int32)
    k = entry = 0
    for g in range(len(offsets) - 1):
        first, end = offsets[g], offsets[g + 1]
        ply_of[:] = area
        for m in range(first, end):
            ply_of[moves[m]] = m - first
        for m in range(first, end):
            value = root_value[k] & 0x7FFF  # without its sign: 0x3C00 is 1, above 0x7C00 is NaN
            if 0x3C00 < value <= 0x7C00:
                return g
            for e in range(entry, entry + count[k]):
                c = cell[e]
                if c >= area or ply_of[c] < m - first or probability[e] > 0x3C00:
                    return g
            entry += count[k]
            k += 1
    return -1


def misfit(games: Games, search: SearchStatistics) -> int:
    """The first game that the statistics of its moves cannot belong to; −1 if all fit.

    A policy may only name cells that are empty before the move, with a probability of 0 to 1, and
    a root value lies between −1 and 1. `search` has the M moves of `games` in their order.
    """
    return _misfit(
        games.board_size**2,
        games.moves,
        games.offsets,
        search.root_value.view(np.uint16),
        search.policy_count,
        search.policy_cell,
        search.policy_probability.view(np.uint16),
    )
