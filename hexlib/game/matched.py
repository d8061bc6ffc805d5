"""Games of a file together with the search statistics that lie beside it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hexlib.errors import BadInput, Damaged
from hexlib.game import trmph
from hexlib.game.positions import offsets_of
from hexlib.game.records import Block, Games, SearchStatistics, misfit, read_games
from hexlib.sources import search_path

REMEDY = "make both again, or take the .search.npz away to use the games alone"
OTHER_SIZE_REMEDY = "set the board size to that of the games"


def read_matched(
    path: Path, board_size: int, search: SearchStatistics | None
) -> Iterator[tuple[Block, SearchStatistics | None]]:
    """The blocks of a file of games, each with the statistics of its moves, if there are any.

    A record that cannot be read, and a swap, would put the rest out of step: then, and where there
    are fewer or more moves than statistics, it raises `Damaged`.
    """
    move = entry = 0
    for block in read_games(path, board_size):
        part = None
        if search:
            _check_whole(path, block)
            part, entry = of_moves(search, move, len(block.games.moves), entry)
            move += len(block.games.moves)
            if move > len(search.root_value):
                break
        yield block, part
    if search and move != len(search.root_value):
        held = f"holds {len(search.root_value)} moves, not those of {path.name}"
        raise Damaged(search_path(path), held, REMEDY)


def _check_whole(path: Path, block: Block) -> None:
    """Raise if a record cannot be counted against the moves of the search statistics."""
    if not block.problems.any() and not block.swapped.any():
        return
    record = int(np.argmax(block.problems > 0))
    place = f"{path}:{block.lines[record]}"
    what = block.reason(record) if block.problems[record] else "a swap"
    if block.problems[record] == trmph.OTHER_SIZE:
        raise BadInput(f"{place}: {what}; {OTHER_SIZE_REMEDY}")
    outcome = f"so that {search_path(path).name} cannot be matched with its games"
    raise Damaged(place, f"{what}, {outcome}", REMEDY)


def of_moves(
    search: SearchStatistics, move: int, moves: int, entry: int
) -> tuple[SearchStatistics, int]:
    """The statistics of `moves` moves from number `move`, and where their entries end."""
    counts = search.policy_count[move : move + moves]
    end = entry + int(counts.sum(dtype=np.int64))
    return SearchStatistics(
        search.root_value[move : move + moves],
        counts,
        search.policy_cell[entry:end],
        search.policy_probability[entry:end],
    ), end


def select(
    games: Games, search: SearchStatistics | None, mask: np.ndarray
) -> tuple[Games, SearchStatistics | None]:
    """The games of the mask bool [G], with the statistics of their moves."""
    if mask.all():
        return games, search
    lengths = np.diff(games.offsets)
    of_move = np.repeat(mask, lengths)
    offsets = offsets_of(lengths[mask])
    chosen = Games(games.board_size, games.moves[of_move], offsets, games.winners[mask])
    if search is None:
        return chosen, None
    of_entry = np.repeat(of_move, search.policy_count)
    return chosen, SearchStatistics(
        search.root_value[of_move],
        search.policy_count[of_move],
        search.policy_cell[of_entry],
        search.policy_probability[of_entry],
    )


def select_fitting(
    path: Path, block: Block, search: SearchStatistics | None, mask: np.ndarray
) -> tuple[Games, SearchStatistics | None]:
    """As `select` of the games of a block; raises `Damaged` if the statistics cannot be theirs."""
    games, found = select(block.games, search, mask)
    if found and (wrong := misfit(games, found)) >= 0:
        line = block.lines[block.problems == trmph.WHOLE][np.flatnonzero(mask)[wrong]]
        raise Damaged(search_path(path), f"does not fit the game at {path}:{line}", REMEDY)
    return games, found
