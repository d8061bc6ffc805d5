"""Random games and made-up search statistics for the tests of the data path."""

import numpy as np

from hexlib.game import board
from hexlib.game.records import Games, SearchStatistics


def random_games(n: int, count: int, seed: int = 1) -> Games:
    """`count` uniformly random finished games."""
    moves = np.empty((count, n * n), np.int16)
    lengths, winners = np.empty(count, np.int32), np.empty(count, np.int8)
    board.random_games(n, count, seed, *board.geometry(n), moves, lengths, winners)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Games(n, moves[np.arange(n * n) < lengths[:, None]], offsets, winners)


def made_up_search(games: Games, seed: int = 1) -> SearchStatistics:
    """For each move, up to five of the cells that are empty before it, or none."""
    rng = np.random.default_rng(seed)
    counts, cells, values = [], [], []
    for moves, _ in games:
        left = set(range(games.board_size**2))
        for move in moves.tolist():
            chosen = rng.permutation(sorted(left))[: rng.integers(0, 6)]
            counts.append(len(chosen))
            cells.extend(chosen)
            values.append(rng.uniform(-1, 1) if len(chosen) else np.nan)
            left.discard(move)
    return SearchStatistics(
        np.array(values, np.float16),
        np.array(counts, np.uint8),
        np.array(cells, np.uint16),
        rng.uniform(0.05, 1, len(cells)).astype(np.float16),
    )
