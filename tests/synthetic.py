"""Random games and made-up search statistics for the tests of the data path."""

import numpy as np

from hexlib.game import board
from hexlib.game.records import Games, SearchStatistics, write_games, write_search
from hexlib.settings import Process
from hexlib.stages import process, shuffle


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


def make_buckets(
    folder, size=5, games=60, seed=1, search=True, buckets=3, positions="all", replies=False
):
    """A folder of buckets of random games, made by the stages before training."""
    made = random_games(size, games, seed)
    chunk = folder / "chunk_0000.trmph"
    write_games(chunk, [made], {"kind": "clean", "board_size": size})
    if search:
        write_search(folder / "chunk_0000.search.npz", made_up_search(made, seed), {})
    wanted = Process(positions=positions, replies=replies)
    process.run(chunk, folder / "chunk.npz", wanted, size)
    shuffle.scatter(folder / "chunk.npz", folder / "parts", buckets, 0)
    for bucket in range(buckets):
        shuffle.gather([folder / "parts"], bucket, folder / f"s/bucket_{bucket:04d}.npz", 0)
    return folder / "s"
