"""Process: the positions of a chunk of games, as the network is to see them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hexlib import files, npz, rng
from hexlib.damage import named, without_damaged
from hexlib.errors import BadInput, Damaged
from hexlib.game import board, positions
from hexlib.game.matched import of_moves
from hexlib.game.notation import COLOUR_NAME
from hexlib.game.records import (
    Games,
    SearchStatistics,
    game_hashes,
    misfit,
    read_games,
    read_search,
    replay,
    verify,
)
from hexlib.settings import OnCorrupt, Process
from hexlib.sources import search_path

REMEDY = "make both again, or take it away to learn the played moves"
ROWS = 1 << 16  # positions made at a time, about
# Bits of float16, with which numba does not compute; of them 0.95 is sure of the winner.
_SURE, _ONE, _INFINITY, _NAN = 0x3B9A, 0x3C00, 0x7C00, 0x7E00


def run(
    chunk: Path | str,
    output: Path | str,
    settings: Process,
    board_size: int,
    on_corrupt: OnCorrupt = "stop",
) -> dict[str, Any]:
    """Turn the games of `chunk` (a `.trmph`) into the positions that `settings` wants.

    A game of N moves has N + 1 positions; the last is the finished board, without a policy. The
    policy comes from the `.search.npz` beside the chunk if there is one that is not empty, else
    it is the played move. Where `settings.policy` asks for the played moves, those without a
    recorded policy have none still. What teaches nothing weighs 0: in a searched game the positions
    whose search is not recorded, and of the decided ones, where all are wanted, all but a share of
    `settings.decided`, drawn by the game and the ply. With `settings.replies`, where all positions
    are wanted, one that has a policy also has the move that followed the one made there. The chunk
    is read twice, first to check and count it, so that memory is bounded by a block of it. Returns
    {"rows", "games"}.

    Raises `BadInput` if a record is not a finished legal game of this board size, and `Damaged` if
    a file is not whole or the search statistics do not fit the games. With `on_corrupt` "skip",
    games whose statistics are damaged are used alone, and of a damaged chunk no position is made.
    """
    board.check_size(board_size)
    chunk, output = Path(chunk), Path(output)
    return without_damaged(
        lambda aside: _run(chunk, output, settings, board_size, aside), on_corrupt
    )


def _run(
    chunk: Path, output: Path, settings: Process, board_size: int, aside: Mapping[Path, str]
) -> dict[str, Any]:
    """One attempt, without the files in `aside`."""
    mode = settings.positions
    sources = [chunk, search_path(chunk)] if search_path(chunk).exists() else [chunk]
    unchanged = files.Unchanged(source for source in sources if source.exists())
    search = None
    if chunk not in aside:
        verify(chunk)
        search = None if search_path(chunk) in aside else _search_of(chunk)

    def parts(check: bool) -> Iterator[tuple[Games, SearchStatistics | None]]:
        if chunk in aside:
            return
        for part, found in _parts(chunk, board_size, search, check):
            if found and settings.policy == "played":
                found = _played_moves(part, found)
            yield part, found

    games = moves = rows = entries = 0
    for part, found in parts(check=True):
        games, moves = games + len(part), moves + len(part.moves)
        rows += _row_count(part, mode)
        if found is None or len(found.policy_count) == len(part.moves):  # else it is told below
            entries += _entry_count(part, found, settings)
    if search and moves != len(search.root_value):
        held = f"holds {len(search.root_value)} moves, where {chunk.name} has {moves}"
        raise Damaged(search_path(chunk), held, REMEDY)
    meta = {
        "kind": positions.KIND,
        "board_size": board_size,
        "rows": rows,
        "games": games,
        "positions": mode,
        "inputs": files.sha256_of(sources),
        **named(aside),
    }
    with files.atomic(output) as handle:
        shapes = positions.layout(board_size, rows, entries)
        writer = npz.Writer(handle, shapes, meta)
        for part, found in parts(check=False):
            for name, array in expand(part, found, settings).items():
                writer.append(name, array)
        unchanged.check()
        writer.close()
    return {"rows": rows, "games": games}


def _search_of(chunk: Path) -> SearchStatistics | None:
    """The statistics beside a chunk; None where there are none."""
    path = search_path(chunk)
    search = read_search(path)[0] if path.exists() else None
    return search if search and len(search.root_value) else None


def _parts(
    chunk: Path, board_size: int, search: SearchStatistics | None, check: bool
) -> Iterator[tuple[Games, SearchStatistics | None]]:
    """Some games at a time, about ROWS moves long, with the search statistics of their moves."""
    move = entry = 0
    for block in read_games(chunk, board_size):
        games = block.games
        if check and block.problems.any():
            wrong = int(np.argmax(block.problems > 0))
            raise BadInput(_unclean(chunk, block.lines[wrong], block.reason(wrong)))
        start = 0
        while start < len(games):
            limit = games.offsets[start] + ROWS
            end = max(start + 1, int(np.searchsorted(games.offsets, limit, "right")) - 1)
            first, last = games.offsets[start], games.offsets[end]
            part = Games(
                board_size,
                games.moves[first:last],
                games.offsets[start : end + 1] - first,
                games.winners[start:end],
            )
            if check:
                _check(chunk, part, block.lines[start:])
            found = None
            if search:
                found, entry = of_moves(search, move, len(part.moves), entry)
                move += len(part.moves)
                whole = len(found.policy_count) == len(part.moves)
                if check and whole and (wrong := misfit(part, found)) >= 0:
                    place = f"{chunk}:{block.lines[start + wrong]}"
                    raise Damaged(search_path(chunk), f"does not fit the game at {place}", REMEDY)
            yield part, found
            start = end


def _played_moves(games: Games, search: SearchStatistics) -> SearchStatistics:
    """The statistics with all of each recorded policy on the move that was played."""
    recorded = search.policy_count > 0
    moves = games.moves[recorded]
    return SearchStatistics(
        search.root_value,
        recorded.astype(np.uint8),
        moves.astype(np.uint16),
        np.ones(len(moves), np.float16),
    )


def _check(chunk: Path, games: Games, lines: np.ndarray) -> None:
    """Raise unless every game is legal, finished and won by whom its record says."""
    status, ply, winners = replay(games)
    bad = (status != board.LEGAL) | (winners != games.winners)
    if bad.any():
        g = int(np.argmax(bad))
        reason = {
            board.OCCUPIED: f"move {ply[g] + 1} on an occupied cell",
            board.AFTER_END: f"move {ply[g] + 1} after the end of the game",
            board.UNFINISHED: "the game is not finished",
        }.get(int(status[g]), f"{COLOUR_NAME.get(int(winners[g]))} won")
        raise BadInput(_unclean(chunk, lines[g], reason))


def _unclean(chunk: Path, line: int, reason: str) -> str:
    return f"{chunk}:{line}: {reason}; pass the games through `hexlib clean` first"


def _row_count(games: Games, mode: str) -> int:
    return len(games.moves) + len(games) if mode == "all" else len(games)


def _entry_count(games: Games, search: SearchStatistics | None, settings: Process) -> int:
    if settings.positions == "final":
        return 0
    counts = search.policy_count if search else np.ones(len(games.moves), np.uint8)
    last = counts[games.offsets[1:] - 1]
    if settings.positions == "penultimate":
        return int(last.sum(dtype=np.int64))
    replies = _has_reply(counts).sum() - _has_reply(last).sum() if settings.replies else 0
    return int(counts.sum(dtype=np.int64) + replies)


def expand(
    games: Games, search: SearchStatistics | None, settings: Process
) -> dict[str, np.ndarray]:
    """The positions of games, each array by its name in `positions.Positions`."""
    mode = settings.positions
    rows, entries = _row_count(games, mode), _entry_count(games, search, settings)
    shapes = positions.layout(games.board_size, rows, entries)
    out = {name: np.zeros(shape, dtype) for name, (dtype, shape) in shapes.items()}
    out["weight"][:] = 1
    bits = {name: a.view(np.uint16) if a.dtype == np.float16 else a for name, a in out.items()}
    searched = search is not None
    if search is None:
        empty = np.zeros(0, np.float16)
        search = SearchStatistics(empty, empty.view(np.uint16), empty.view(np.uint16), empty)
    _expand(
        games.board_size,
        games.moves,
        games.offsets,
        games.winners,
        game_hashes(games, merge_symmetric=True)[:, 0].astype(np.uint32),
        {"all": -1, "final": 0, "penultimate": 1}[mode],
        settings.decided,
        settings.replies,
        searched,
        search.root_value.view(np.uint16),
        search.policy_count.astype(np.int64),
        search.policy_cell,
        search.policy_probability.view(np.uint16),
        *(bits[name] for name in positions.BOARDS),
        *(bits[name] for name in ("policy_count", "value", "root_value", "weight", "game", "ply")),
        *(bits[name] for name in positions.ENTRIES),
    )
    return out


@njit(cache=True)
def _has_reply(count):
    """Whether a position with so many policy entries can have a reply beside them in a byte."""
    return (count > 0) & (count < 255)


@njit(cache=True)
def _has_search(root, counts, move):
    """Whether a search of this move is recorded."""
    return counts[move] > 0 or root[move] & 0x7FFF <= _INFINITY


@njit(cache=True)
def _as_seen(cell, side, n):
    """A cell as its player to move sees it: blue (0) as it lies, red (1) through the reflection."""
    return cell if side == 0 else cell % n * n + cell // n


@njit(cache=True)
def _expand(
    n, moves, offsets, winners, ids, before_end, decided, replies,
    searched, root, counts, cells, probabilities,
    own, opponent, policy_count, value, root_value, weight, game, ply,
    policy_cell, policy_probability,
):  # fmt: skip
    """Replay games; `before_end` selects one position, counted from the end, or all if negative."""
    packed = own.shape[1]
    # By colour, the stones as bits: blue's frame first, then red's, through the reflection.
    stones = np.empty((2, 2, packed), np.uint8)
    spared = searched and before_end < 0  # which of the decided ones are
    row = out = entry = 0
    for g in range(len(offsets) - 1):
        stones[:] = 0
        first, length = offsets[g], offsets[g + 1] - offsets[g]
        told = False  # whether any of its searches is recorded
        for k in range(length if searched else 0):
            if _has_search(root, counts, first + k):
                told = True
                break
        for k in range(length + 1):
            side = k & 1
            wanted = before_end < 0 or k == length - before_end
            count = counts[first + k] if searched and k < length else 0
            if wanted:
                for b in range(packed):
                    own[row, b] = stones[side, side, b]
                    opponent[row, b] = stones[1 - side, side, b]
                value[row] = 1 if winners[g] == 1 + side else -1
                root_value[row] = root[first + k] if searched and k < length else _NAN
                sure = k == length or _SURE <= root_value[row] & 0x7FFF <= _INFINITY
                game[row], ply[row] = ids[g], k
                unseen = told and k < length and not _has_search(root, counts, first + k)
                if unseen or (sure and spared and rng.uniform(ids[g], k) >= decided):
                    weight[row] = 0
                if searched:
                    for e in range(entry, entry + count):
                        cell = cells[e]
                        policy_cell[out] = _as_seen(cell, side, n)
                        policy_probability[out] = probabilities[e]
                        out += 1
                    policy_count[row] = count
                elif k < length:
                    cell = moves[first + k]
                    policy_cell[out] = _as_seen(cell, side, n)
                    policy_probability[out] = _ONE
                    out += 1
                    policy_count[row] = 1
                if replies and k + 1 < length and _has_reply(policy_count[row]):
                    cell = moves[first + k + 1]
                    policy_cell[out] = _as_seen(cell, side, n)
                    policy_probability[out] = positions.REPLY
                    out += 1
                    policy_count[row] += 1
                row += 1
            entry += count
            if k < length:
                cell = moves[first + k]
                mirrored = _as_seen(cell, 1, n)
                stones[side, 0, cell >> 3] |= 0x80 >> (cell & 7)
                stones[side, 1, mirrored >> 3] |= 0x80 >> (mirrored & 7)
